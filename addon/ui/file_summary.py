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


def marked(operator: bpy.types.Operator, context: bpy.types.Context) -> str:
    """Return the file that an operator is about to open: in a browser, the one that is marked."""
    browser = getattr(context.space_data, "params", None)
    if browser is not None and context.area.type == "FILE_BROWSER":
        return str(Path(browser.directory.decode(errors="replace"), browser.filename))
    return operator.filepath


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
    title, found = summary(file, thin)
    if not found:
        sentence(box, title, icon="ERROR")
        return
    box.label(text=title, icon="RNDCURVE")
    for surface in found:
        _draw_surface(box.column(align=True), surface, named=len(found) > 1)


def summary(file: Path, thin: int) -> tuple[str, list[Facts]]:
    """Look a file over, once for each version of it, as panels are drawn again and again.

    Returns
    -------
    (str, list of Facts)
        Its title, and what there is to know of its surfaces; or why it will not do, and none.
    """
    status = file.stat()
    return _summary(str(file), status.st_mtime_ns, status.st_size, thin)


@lru_cache(maxsize=16)
def _summary(path: str, changed: int, size: int, thin: int) -> tuple[str, list[Facts]]:
    try:
        with open_sequence(path) as sequence:
            shown = [given.select(Selection(thin=thin)) for given in sequence.surfaces.values()]
            return sequence.title, [facts(given) for given in shown]
    except (SequenceError, OSError) as error:
        reason = str(error).removeprefix(f"{path}: ")
        return reason[:1].upper() + reason[1:], []


def _draw_surface(column: bpy.types.UILayout, found: Facts, named: bool) -> None:
    column.scale_y = 0.85
    if named:
        column.label(text=found.name, icon="DOT")
    of = "" if found.complete == found.snapshots else f" of {found.snapshots}"
    column.label(text=f"{found.complete}{of} snapshots of {found.rows} x {found.cols} points")
    about = "" if found.glanced == found.complete else "about "
    column.label(text=f"Losses {about}{found.lowest:.4g} to {found.highest:.4g}")
    column.label(text=f"As shape keys: {_size(found.keys_memory)} in memory")
    column.label(text=f"As a mesh cache: {_size(found.cache_size)} on disk")
    for line in found.made[:6]:
        column.label(text=line)


def _size(amount: float) -> str:
    for unit in ("kB", "MB"):
        amount /= 1000
        if amount < 1000:
            return f"{amount:.3g} {unit}"
    return f"{amount / 1000:.3g} GB"
