"""All or nothing: what a long work has made is removed if it does not come to its end."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import bpy
import numpy as np

T = TypeVar("T")


class Made:
    """What a work makes; as a context, it is removed if the work is given up or breaks.

    What is made between two of its steps is somebody else's, and stays.

    Attributes
    ----------
    files : list of Path
        Those that the work writes; it adds them before.
    """

    def __init__(self) -> None:
        self.files: list[Path] = []
        self._blocks: set[int] = set()

    def __enter__(self) -> Made:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind:
            self._remove()

    def by(self, steps: Generator[float, None, T]) -> Generator[float, None, T]:
        """Take steps that make something, each at once."""
        try:
            while True:
                with self.at_once():
                    progress = next(steps)
                yield progress
        except StopIteration as done:
            return done.value
        finally:
            steps.close()

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Count what is made meanwhile as made by the work."""
        before = _blocks()
        try:
            yield
        finally:
            after = _blocks()
            if not np.array_equal(before, after):
                self._blocks |= set(np.setdiff1d(after, before).tolist())

    def _remove(self) -> None:
        """Remove objects, collections and scenes, and what of the rest nobody uses then."""
        for scene in self._ours(bpy.data.scenes):
            bpy.data.scenes.remove(scene)
        bpy.data.batch_remove([*self._ours(bpy.data.objects), *self._ours(bpy.data.collections)])
        while unused := [x for kind in _kinds() for x in self._ours(kind) if not x.users]:
            bpy.data.batch_remove(unused)
        for file in self.files:
            file.unlink(missing_ok=True)

    def _ours(self, blocks: bpy.types.bpy_prop_collection) -> list[bpy.types.ID]:
        return [block for block in blocks if block.session_uid in self._blocks]


def _blocks() -> np.ndarray:
    """Return the numbers by which a session tells all data-blocks of the file apart."""
    found = []
    for blocks in _kinds():
        numbers = np.empty(len(blocks), np.int32)
        blocks.foreach_get("session_uid", numbers)
        found.append(numbers)
    return np.concatenate(found)


def _kinds() -> Iterator[bpy.types.bpy_prop_collection]:
    for prop in bpy.data.bl_rna.properties:
        if prop.type == "COLLECTION":
            yield getattr(bpy.data, prop.identifier)
