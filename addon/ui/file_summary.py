"""What a sequence file holds, drawn before it is imported."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import bpy

from ..sequence.format import SequenceError
from ..sequence.reader import open_sequence
from ..sequence.selection import Selection
from ..sequence.summary import Facts, facts
from .drawing import sentence


def draw(layout: bpy.types.UILayout, path: str, thin: int = 1) -> None:
    """Draw what is in a file, or in one sentence why it cannot be used.

    Parameters
    ----------
    layout : UILayout
        Where.
    path : str
        Of the file; while it is none, nothing is drawn.
    thin : int
        Every how many rows and columns would be imported.
    """
    file = Path(bpy.path.abspath(path)) if path else None
    if file is None or not file.is_file():
        return
    box = layout.box()
    status = file.stat()
    try:
        title, found = _look(str(file), status.st_mtime_ns, status.st_size, thin)
    except (SequenceError, OSError) as error:
        sentence(box, str(error).removeprefix(f"{file}: ").capitalize(), icon="ERROR")
        return
    box.label(text=title, icon="RNDCURVE")
    for surface in found:
        _draw_surface(box.column(align=True), surface, named=len(found) > 1)


@lru_cache(maxsize=16)
def _look(path: str, changed: int, size: int, thin: int) -> tuple[str, list[Facts]]:
    """Look a file over, once for each version of it."""
    with open_sequence(path) as sequence:
        shown = [given.select(Selection(thin=thin)) for given in sequence.surfaces.values()]
        return sequence.title, [facts(given) for given in shown]


def _draw_surface(column: bpy.types.UILayout, found: Facts, named: bool) -> None:
    column.scale_y = 0.85
    if named:
        column.label(text=found.name, icon="DOT")
    of = "" if found.complete == found.snapshots else f" of {found.snapshots}"
    column.label(text=f"{found.complete}{of} snapshots of {found.rows} x {found.cols} points")
    about = "" if found.glanced == found.complete else "about "
    column.label(text=f"Losses {about}{found.lowest:.4g} to {found.highest:.4g}")
    column.label(text=f"Shape keys: {_size(found.keys_memory)} of memory")
    column.label(text=f"Mesh cache: {_size(found.cache_size)} of disk")
    for line in found.made[:6]:
        column.label(text=line)


def _size(amount: float) -> str:
    for unit in ("kB", "MB"):
        amount /= 1000
        if amount < 1000:
            return f"{amount:.3g} {unit}"
    return f"{amount / 1000:.3g} GB"
