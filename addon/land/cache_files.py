"""Which files of mesh caches are still needed; the others are removed.

Heights that are written anew get a new file, because undo and the .blend on disk refer to the old
one. A file is removed as soon as none of four can show it: the open .blend; undo or redo; this
.blend as it was last saved; another .blend that was saved with it, by Save As or as a copy.

Undo is followed by a number in the scenes that grows with each change of caches and that undo sets
back: changes with higher numbers were undone, and the next change makes them unreachable. Only
files that this session wrote or replaced are ever removed, none that an artist gave to a land; the
last ones are when Blender quits.
"""

from __future__ import annotations

import atexit
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import bpy
from bpy.app.handlers import persistent

from . import mesh_cache

CHANGE = "moving_lands_cache_change"
"""Custom property of scenes: the number of the last change of caches."""


@dataclass
class Session:
    """What is known of the caches of the .blend that is open.

    Attributes
    ----------
    changes : dict of set of Path
        The files that each change wrote or replaced, by its number: undo or redo may show them.
    last : int
        The number of the last change.
    lands : int
        The most lands with a cache at once: a step of undo holds as many changes at most.
    removable : set of Path
        Files that this session wrote or replaced.
    unsaved : set of Path
        Those of them that no .blend was ever saved with.
    saved : set of Path
        Files that the .blend refers to as it was last saved or opened.
    blend : Path
    modified : int or None
        When it was last saved or opened here; None where it was not yet.
    """

    changes: dict[int, set[Path]] = field(default_factory=dict)
    last: int = 0
    lands: int = 1
    removable: set[Path] = field(default_factory=set)
    unsaved: set[Path] = field(default_factory=set)
    saved: set[Path] = field(default_factory=set)
    blend: Path = Path()
    modified: int | None = None

    def see(self, files: set[Path]) -> None:
        """Note what the .blend on disk refers to."""
        self.saved, self.blend = set(files), Path(bpy.data.filepath).resolve()
        self.modified = _modified(self.blend)

    def unneeded(self, needed: set[Path]) -> set[Path]:
        """Return which files are, if these are needed; none where another Blender saved over it."""
        if self.modified != _modified(self.blend):
            return set()
        return {
            path
            for path in self.removable - self.saved - needed
            if path in self.unsaved or mesh_cache.belongs_to(path, self.blend)
        }

    def remove(self, files: set[Path]) -> None:
        """Remove files; what cannot be removed now is tried again later."""
        for path in files:
            with suppress(OSError):  # Windows: something reads it
                mesh_cache.remove(path)
                self.removable.discard(path)


_session = Session()


def changed(written: Iterable[Path], replaced: Iterable[Path] = ()) -> None:
    """Note a change of caches that is complete, and remove what it makes unreachable.

    Parameters
    ----------
    written, replaced : iterable of Path
        Cache files.
    """
    written, replaced = ({path.resolve() for path in paths} for paths in (written, replaced))
    if not written:
        return
    if _session.modified is None:
        _session.see(in_use() - written | replaced)
    reached = max((int(scene.get(CHANGE, 0)) for scene in bpy.data.scenes), default=0)
    changes = {at: files for at, files in _session.changes.items() if at <= reached}
    _session.last = max(reached, _session.last) + 1
    changes[_session.last] = written | replaced
    for scene in bpy.data.scenes:
        if scene.library is None:
            scene[CHANGE] = str(_session.last)  # words of ours change no picture: see signature
    _session.lands = max(_session.lands, len(in_use()))
    _session.changes = dict(list(changes.items())[-reach() :]) if reach() else {}
    _session.removable |= written | replaced
    _session.unsaved |= written
    remove_unneeded()


def reach() -> int:
    """Return how many changes undo can take back, at most."""
    edit = bpy.context.preferences.edit
    has_undo = not bpy.app.background or bpy.ops.ed.undo_history.poll()  # not without a push there
    if not (edit.use_global_undo and has_undo):
        return 0
    return _session.lands * edit.undo_steps or len(_session.changes) + 1  # 0 steps: no limit


def in_use() -> set[Path]:
    """Return the cache files that the open .blend refers to."""
    return {
        Path(bpy.path.abspath(modifier.filepath, library=thing.library)).resolve()
        for thing in bpy.data.objects
        for modifier in thing.modifiers
        if modifier.type == "MESH_CACHE" and modifier.filepath
    }


def remove_unneeded() -> None:
    """Remove the files that nothing can show any more."""
    needed = in_use().union(*_session.changes.values())
    _session.remove(_session.unneeded(needed))


@persistent
def _on_save(path: str, *_: object) -> None:
    blend, files = Path(path).resolve(), in_use()
    for thing in bpy.data.objects:
        if thing.library is None and mesh_cache.is_as_attached(thing):  # linked ones follow theirs
            mesh_cache.note_user(mesh_cache.file_of(thing).resolve(), blend)
    _session.unsaved -= files
    if blend == Path(bpy.data.filepath).resolve():  # not a copy
        _session.see(files)
    remove_unneeded()


@persistent
def _on_load(*_: object) -> None:
    global _session
    files = in_use()
    _session.remove(_session.unneeded(files))  # of the .blend before: undo ends with it
    _session = Session()
    _session.see(files)


def register() -> None:
    """Follow what is saved and opened."""
    atexit.unregister(_quit)
    bpy.app.handlers.save_post.append(_on_save)
    bpy.app.handlers.load_post.append(_on_load)


def unregister() -> None:
    """Undo ``register``. Blender calls it when it quits, too: undo is over when Python ends."""
    bpy.app.handlers.save_post.remove(_on_save)
    bpy.app.handlers.load_post.remove(_on_load)
    atexit.register(_quit, _session.unneeded(in_use()))


def _quit(files: set[Path]) -> None:
    if _session.modified == _modified(_session.blend):
        _session.remove(files)


def _modified(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
