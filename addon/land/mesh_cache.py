"""The land's snapshots in a file beside the .blend: a Mesh Cache modifier and a PC2 file.

For lands too large for shape keys: memory stays that of one mesh, Blender reads the two snapshots
around the moment and blends them, and no add-on is needed for it. The file is written as a
stream, and appears whole or not at all. A PC2 file is a header and then, snapshot by snapshot, x, y
and z of every point as little-endian float32.
"""

from __future__ import annotations

import os
import re
import shutil
import struct
from collections.abc import Generator, Iterable
from pathlib import Path

import bpy
import numpy as np

from ..files import replace

HEADER = struct.Struct("<12siiffi")
"""Signature, version, points, first frame, frames a sample, samples."""


def beside_blend(name: str) -> Path:
    """Return where a new cache goes: beside the .blend, so that both can be moved together.

    Raises
    ------
    ValueError
        Where the .blend has never been saved.
    """
    if not bpy.data.filepath:
        raise ValueError("A mesh cache lies beside the .blend: save the .blend first.")
    blend = Path(bpy.data.filepath)
    return _unused(blend.with_name(f"{blend.stem} {bpy.path.clean_name(name)}.pc2"))


def beside(path: Path) -> Path:
    """Return where a cache goes that replaces one: the old file stays, and is the .blend's yet."""
    return _unused(path.with_stem(re.sub(r" \d+$", "", path.stem)))


def _unused(path: Path) -> Path:
    """Return the path itself or, where there is such a file, the first of its name and a number."""
    found, number = path, 2
    while found.exists():
        found = path.with_stem(f"{path.stem} {number}")
        number += 1
    return found


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
        raise ValueError(f"{path}: takes {size / 1e9:.1f} GB, the disk has {free / 1e9:.1f} left.")
    partial = path.with_name(f"{path.name}.writing")
    try:
        with open(partial, "wb") as file:
            file.write(HEADER.pack(b"POINTCACHE2\0", 1, points, 0.0, 1.0, count))
            for index, snapshot in enumerate(snapshots):
                file.write(snapshot.astype("<f4", copy=False))
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
