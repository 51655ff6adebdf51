"""The land's snapshots in a file beside the .blend: a Mesh Cache modifier and a PC2 file.

For lands too large for shape keys: memory stays that of one mesh, Blender reads the two snapshots
around the moment and blends them, and no add-on is needed for it. The file is written as a
stream, and appears whole or not at all. A PC2 file is a header and then, snapshot by snapshot, x, y
and z of every point as little-endian float32. It is named after its .blend. A file of its name and
".users" lists others that use it, too.
"""

from __future__ import annotations

import os
import re
import shutil
import struct
from collections.abc import Generator, Iterable
from contextlib import suppress
from pathlib import Path

import bpy
import numpy as np

from ..blender import edits
from ..blender.parts import MARK
from ..files import replace

HEADER = struct.Struct("<12siiffi")
"""Signature, version, points, first frame, frames a sample, samples."""


def beside_blend(names: Iterable[str]) -> list[Path]:
    """Return new files for these surfaces beside the .blend, so that they can be moved together.

    Raises
    ------
    ValueError
        Where the .blend has never been saved.
    """
    if not bpy.data.filepath:
        raise ValueError("A mesh cache lies beside the .blend: save the .blend first.")
    blend = Path(bpy.data.filepath)
    found: list[Path] = []
    for name in names:
        path = blend.with_name(f"{blend.stem} {bpy.path.clean_name(name)}.pc2")
        found.append(_unused(path, found))
    return found


def next_file(path: Path, name: str) -> Path:
    """Return the file that is to replace a surface's cache.

    It lies beside the one before, or beside the .blend where that is another .blend's: after Save
    As, each has its own.
    """
    if bpy.data.filepath and owner(path) not in (None, Path(bpy.data.filepath)):
        return beside_blend([name])[0]
    return _unused(path.with_stem(re.sub(r" \d+$", "", path.stem)))


def _unused(path: Path, taken: Iterable[Path] = ()) -> Path:
    """Return the path or, where there is such a file, the first of its name and a number."""
    names = {file.name.casefold() for file in taken}  # on some disks "A" and "a" are one file
    found, number = path, 2
    while found.exists() or found.name.casefold() in names:
        found = path.with_stem(f"{path.stem} {number}")
        number += 1
    return found


def owner(cache: Path) -> Path | None:
    """Return the .blend that a cache is named after, where it lies beside it."""
    blends = cache.parent.glob("*.blend")
    named = [blend for blend in blends if cache.name.startswith(f"{blend.stem} ")]
    return max(named, key=lambda blend: len(blend.stem), default=None)


def users(cache: Path) -> set[Path]:
    """Return the .blend files that were saved with a cache that is not named after them."""
    try:
        names = _users_file(cache).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        names = []
    return {cache.parent / name for name in names}


def note_user(cache: Path, blend: Path) -> None:
    """Note down beside a cache that a .blend uses it, unless it is named after it."""
    with suppress(OSError):  # it may lie where nobody may write
        if owner(cache) == blend or blend in users(cache) or not cache.exists():
            return
        name = blend.name if blend.parent == cache.parent else str(blend)
        with open(_users_file(cache), "a", encoding="utf-8") as file:
            file.write(f"{name}\n")


def belongs_to(cache: Path, blend: Path) -> bool:
    """Tell whether a .blend is the only one that may use a cache.

    A user that lay beside the cache and is gone no longer counts. One that lay elsewhere does: its
    folder may have been moved.
    """
    try:
        known, of = users(cache), owner(cache)
    except OSError:
        return False
    others = [u for u in known - {blend} if u.exists() or u.parent != cache.parent]
    return not others and (of == blend or (of is None and blend in known))


def remove(cache: Path) -> None:
    """Remove a cache, and what was noted down beside it."""
    cache.unlink(missing_ok=True)
    _users_file(cache).unlink(missing_ok=True)


def _users_file(cache: Path) -> Path:
    return cache.with_name(f"{cache.name}.users")


def writing(
    path: Path, snapshots: Iterable[np.ndarray], points: int, count: int
) -> Generator[float, None, None]:
    """Write a PC2 file, atomically.

    Parameters
    ----------
    path : Path
        Replaced in one step when everything is written.
    snapshots : iterable of ndarray
        ``(points * 3,)`` float32 each.
    points, count : int
        Of one snapshot, and how many snapshots.

    Yields
    ------
    float
        Progress, from 0 to 1. Given up before the end, it leaves ``path`` as it was.

    Raises
    ------
    ValueError
        Where the disk has not enough room.
    """
    size, free = HEADER.size + 12 * points * count, shutil.disk_usage(path.parent).free
    if size > free:
        raise ValueError(
            f"{path}: takes {size / 1e9:.1f} GB, the disk has {free / 1e9:.1f} left. Files of "
            "earlier heights, kept for undo, are removed when you save and open the .blend again."
        )
    partial = path.with_name(f"{path.name}.writing")
    try:
        with open(partial, "wb") as file:
            file.write(HEADER.pack(b"POINTCACHE2\0", 1, points, 0.0, 1.0, count))
            for index, snapshot in enumerate(snapshots):
                file.write(snapshot.astype("<f4", copy=False).data)
                yield (index + 1) / count
            file.flush()
            os.fsync(file.fileno())
        replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def attach(land: bpy.types.Object, path: Path) -> None:
    """Let a land follow a PC2 file, first of its modifiers; a cache it has is turned to this file.

    The file is given relative to the .blend. One that is not saved yet makes it so on saving.
    """
    cache = modifier(land)
    if cache is None:
        cache = land.modifiers.new("Land Cache", "MESH_CACHE")
        land.modifiers.move(len(land.modifiers) - 1, 0)
        cache.cache_format = "PC2"
        cache.play_mode, cache.time_mode = "CUSTOM", "FRAME"
    cache.filepath = _relative(path.resolve())
    edits.stamp(land, edits.CACHE, path.name)


def _relative(path: Path) -> str:
    if bpy.data.filepath:
        try:
            return bpy.path.relpath(str(path))
        except ValueError:  # on another drive of Windows
            pass
    return str(path)


def modifier(land: bpy.types.Object) -> bpy.types.MeshCacheModifier | None:
    """Return the modifier by which a land follows a PC2 file, if it does."""
    for found in land.modifiers:
        if found.type == "MESH_CACHE" and found.cache_format == "PC2":
            return found
    return None


def is_as_attached(land: bpy.types.Object) -> bool:
    """Tell whether an object follows a file that was written for it, and none of an artist's."""
    if modifier(land) is None:
        return False
    file = file_of(land)
    if edits.stamped(land, edits.CACHE) is None:  # versions before wrote no stamp
        return MARK in land and owner(file) is not None
    return edits.is_untouched(land, edits.CACHE, file.name)


def file_of(land: bpy.types.Object) -> Path:
    """Return the PC2 file that a land follows."""
    cached = modifier(land)
    if cached is None:
        raise ValueError(f"{land.name}: expected a Mesh Cache modifier, found none.")
    return Path(bpy.path.abspath(cached.filepath, library=land.library))
