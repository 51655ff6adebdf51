"""A copy of the .blend that is open, to be rendered while the artist goes on with the original."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import bpy

from ..files import remove

COPY = ".rendering"
"""At the end of a copy's name that is rendered while the artist goes on with the original."""

TEMPORARY = "moving_lands_"
"""The names of temporary folders for copies begin so."""


def saved(kind: str = COPY) -> Path:
    """Return a file that holds the shot as it is now: the .blend itself, or a copy of it.

    A copy lies beside the .blend or, where nothing can be written there, in a temporary folder.
    Either way it finds the files that the shot is made of, and its frames go where they always do.
    """
    if bpy.data.is_saved and not bpy.data.is_dirty:
        return Path(bpy.data.filepath)
    if copy := beside(kind):
        try:
            return _save(copy)
        except RuntimeError:  # a folder that can only be read
            pass
    folder = tempfile.mkdtemp(prefix=TEMPORARY)
    if copy is None:
        return _save(Path(folder, f"untitled{kind}.blend"))
    with _absolute_output():
        return _save(Path(folder, copy.name))


def discard(copy: Path) -> None:
    """Remove a copy, and the temporary folder that was made for it."""
    remove(copy)
    if copy.parent.name.startswith(TEMPORARY):
        with suppress(OSError):  # frames lie in it
            copy.parent.rmdir()


def beside(kind: str = COPY) -> Path | None:
    """Return where a copy of the .blend that is open lies, if the .blend has a place of its own."""
    if not bpy.data.is_saved:
        return None
    original = Path(bpy.data.filepath)
    return original.with_stem(original.stem + kind)


@contextmanager
def _absolute_output() -> Iterator[None]:
    """Let frames go where they go from here: of all paths Blender rewrites any but these."""
    before = {scene: scene.render.filepath for scene in bpy.data.scenes if not scene.library}
    try:
        for scene, path in before.items():
            scene.render.filepath = bpy.path.abspath(path)
        yield
    finally:
        for scene, path in before.items():
            scene.render.filepath = path


def _save(copy: Path) -> Path:
    bpy.ops.wm.save_as_mainfile(filepath=str(copy), copy=True)
    return copy
