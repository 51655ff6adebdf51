"""All or nothing: what a long work has made goes again if it does not come to its end."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TypeVar

import bpy

T = TypeVar("T")


def all_or_nothing(
    steps: Generator[float, None, T], files: list[Path]
) -> Generator[float, None, T]:
    """Take steps, and remove what they made if they are given up or break.

    What is made between two steps is somebody else's, and stays.

    Parameters
    ----------
    steps : generator
        It yields its progress.
    files : list of Path
        Those that the steps write, added to it before they are written.
    """
    made: set[int] = set()
    try:
        while True:
            before = {block.session_uid for block in _blocks()}
            try:
                progress = next(steps)
            except StopIteration as done:
                return done.value
            finally:
                made |= {block.session_uid for block in _blocks()} - before
            yield progress
    except BaseException:
        steps.close()
        _remove(made)
        for file in files:
            file.unlink(missing_ok=True)
        raise


def _remove(made: set[int]) -> None:
    """Remove objects, collections and scenes, and what of the rest nobody uses then."""
    for scene in [x for x in bpy.data.scenes if x.session_uid in made]:
        bpy.data.scenes.remove(scene)
    things = [*bpy.data.objects, *bpy.data.collections]
    bpy.data.batch_remove([x for x in things if x.session_uid in made])
    while unused := [x for x in _blocks() if x.session_uid in made and not x.users]:
        bpy.data.batch_remove(unused)


def _blocks() -> Iterator[bpy.types.ID]:
    """Yield all data-blocks of the file."""
    for prop in bpy.data.bl_rna.properties:
        if prop.type == "COLLECTION":
            yield from getattr(bpy.data, prop.identifier)
