"""The journal beside a sequence file: what is done already, kept through interruptions.

A folder of small files, each written whole. What is there is not done again, and when the sequence
is complete the journal goes.
"""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from ..errors import UserError
from ..files import write_whole
from ..memory import total
from ..sequence import finished_frames, open_sequence

NOTE = "surfaces.json"
"""In a journal: fingerprints of what its tiles and frames are of."""

FOLDER = "surfaces"
"""In a journal: a folder for each surface, so that none is called as something else in it."""


def journal_of(path: Path) -> Path:
    """Return the folder where a sequence file's computation keeps what it has."""
    return path.with_name(path.name + ".journal")


def discard(journal: Path) -> None:
    """Remove a journal, where there is one."""
    if not journal.exists():
        return
    for note in journal.iterdir():  # first: half a journal must not look like one to go on with
        if note.is_file():
            note.unlink()
    shutil.rmtree(journal)


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold a sequence file against other processes, once or more; whoever dies lets go."""
    file = path.with_name(f".{path.name}.lock")
    lock = FileLock(file, timeout=0, is_singleton=True)
    outermost = not lock.is_locked
    try:
        with lock:
            try:
                yield
            finally:
                # Still held: whoever has opened the file finds that it is gone, and makes another.
                # On Windows no open file goes; there filelock removes it afterwards.
                if outermost and os.name == "posix":
                    file.unlink(missing_ok=True)
    except Timeout:
        raise UserError(f"{path}: another process is computing it.") from None


def begin(
    path: Path,
    journal: Path,
    marks: dict[str, str],
    opaque: list[str],
    restart: bool,
    replace: bool,
) -> bool:
    """Open the journal; return False where the file is complete already."""
    note = journal / NOTE
    may_replace = restart or replace
    if opaque and not may_replace and (note.exists() or path.exists()):
        raise UserError(
            f"{note if note.exists() else path}: whether it is of this very computation cannot be "
            f"told, for nobody sees through {opaque[0]}: restart to begin anew, or give another "
            "file."
        )
    same = note.exists() and json.loads(note.read_text()) == marks
    going_on = same and not restart and not opaque
    if note.exists() and not going_on and not may_replace:
        raise UserError(
            f"{journal} holds the beginning of another computation: give another file, "
            "or restart to begin anew."
        )
    if path.exists():
        with open_sequence(path) as file:  # what is no sequence is not ours to replace
            found = {name: str(g.attrs.get("fingerprint")) for name, g in file["surfaces"].items()}
            complete = all(finished_frames(group).all() for group in file["surfaces"].values())
        if found != marks and not may_replace:
            raise UserError(
                f"{path} was computed from other weights, data or settings: give another file, "
                "or restart to replace it."
            )
        if complete and not going_on and not may_replace:
            discard(journal)  # of a run killed at its very end
            return False
    if not going_on:
        note.unlink(missing_ok=True)  # first, as in discard
        if (kept := journal / FOLDER).exists():
            shutil.rmtree(kept)
    journal.mkdir(parents=True, exist_ok=True)
    write_whole(note, json.dumps(marks).encode())
    return True


def check_room(path: Path, points: int, frames: int, missing: int, values: int = 1) -> None:
    """Refuse a computation for which there is no disk or no memory, before anything is done.

    Parameters
    ----------
    path : Path
        The sequence file.
    points, frames : int
        Of a frame; of the file.
    missing : int
        Frames still to be kept in the journal: of a fixed window one, which the file repeats.
    values : int
        Loss and metrics of a point.

    Raises
    ------
    UserError
        With what is needed and what is there.
    """
    asked = f"{path}: {frames} frames of {points:,} points take"
    needed, free = 4 * values * points * (frames + missing), shutil.disk_usage(_existing(path)).free
    if needed > free:
        raise UserError(
            f"{asked} {_gb(needed)} of disk, {_gb(free)} are free: ask for a lower resolution."
        )
    memory = total()
    needed = points * (32 + 8 * values)  # a frame's coordinates and values
    if needed > memory:
        raise UserError(
            f"{asked} {_gb(needed)} of memory, there are {_gb(memory)}: ask for a lower resolution."
        )


def _existing(path: Path) -> Path:
    """Return the nearest folder that is there already."""
    return next(folder for folder in path.absolute().parents if folder.exists())


def keep(path: Path, values: NDArray) -> None:
    """Write an array to a file, whole."""
    buffer = io.BytesIO()
    np.save(buffer, values)
    write_whole(path, buffer.getvalue())


def _gb(amount: float) -> str:
    return f"{amount / 1e9:.1f} GB"
