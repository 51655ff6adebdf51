"""The journal beside a sequence file: what is done already, kept through interruptions.

A folder of small files, each written whole. What is there is not done again, and when the sequence
is complete the journal goes.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ..errors import UserError
from ..files import write_whole
from ..memory import must_fit, must_fit_disk
from ..sequence import is_finished, open_sequence

FINGERPRINTS = "surfaces.json"
"""The journal's file with the fingerprint of each surface whose tiles and frames it keeps."""

FOLDER = "surfaces"
"""The journal's folder with one for each surface, so that none is called as another thing in it."""


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


def begin(
    path: Path,
    journal: Path,
    fingerprints: dict[str, str],
    opaque: list[str],
    restart: bool,
    replace: bool,
) -> bool:
    """Open the journal; return False where the file is complete already."""
    note = journal / FINGERPRINTS
    may_replace = restart or replace
    if opaque and not may_replace and (note.exists() or path.exists()):
        raise UserError(
            f"{note if note.exists() else path}: whether it is of this very computation cannot be "
            f"told, for nobody sees through {opaque[0]}: restart to begin anew, or give another "
            "file."
        )
    same = note.exists() and json.loads(note.read_text()) == fingerprints
    going_on = same and not restart and not opaque
    if note.exists() and not going_on and not may_replace:
        raise UserError(
            f"{journal} holds the beginning of another computation: give another file, "
            "or restart to begin anew."
        )
    if path.exists():
        with open_sequence(path) as file:  # what is no sequence is not ours to replace
            found = {name: str(g.attrs.get("fingerprint")) for name, g in file["surfaces"].items()}
            complete = is_finished(file)
        if found != fingerprints and not may_replace:
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
    write_whole(note, json.dumps(fingerprints).encode())
    return True


class Room(NamedTuple):
    """What a surface takes: points of a frame, frames, those still to be kept, values of a point.

    Of a fixed window one frame is to be kept, which the file repeats.
    """

    points: int
    frames: int
    missing: int
    values: int = 1


def check_room(path: Path, rooms: Sequence[Room]) -> None:
    """Refuse surfaces for which there is no disk or no memory, before anything is done.

    Parameters
    ----------
    path : Path
        The sequence file.
    rooms : sequence of Room
        What each of its surfaces takes.

    Raises
    ------
    UserError
        With what is needed and what is there.
    """
    frames = " and ".join(f"{room.frames} frames of {room.points:,} points" for room in rooms)
    what, advice = f"{path}: {frames}", "ask for a lower resolution"
    on_disk = sum(4 * room.values * room.points * (room.frames + room.missing) for room in rooms)
    must_fit_disk(what, on_disk, path.parent, advice)
    # Of one frame at a time: coordinates and values.
    must_fit(what, max(room.points * (32 + 8 * room.values) for room in rooms), advice)
