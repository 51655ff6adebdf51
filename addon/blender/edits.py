"""What an artist changed: the one place that knows.

Whatever the add-on writes, it stamps: a custom property of the data-block holds a checksum of what
was written. What still fits its stamp may be written again; what does not was changed by an artist,
and stays as it is.
"""

from __future__ import annotations

import zlib

import bpy

KEYS = "moving_lands_keys"
"""Stamps of a data-block's F-curves and drivers, a checksum for each data path."""

LOOK = "moving_lands_look"
"""Stamp of a part of a look: a material, a lamp, a world, a scene's colour management."""

SHAPE = "moving_lands_shape"
"""Stamp of a curve's or a mesh's points."""

TEXT = "moving_lands_text"
"""Stamp of a text."""


def checksum(*values: object) -> str:
    """Return what tells these values from others; arrays are given as their bytes."""
    mark = 0
    for value in values:
        mark = zlib.crc32(value if isinstance(value, bytes) else repr(value).encode(), mark)
    return f"{mark:08x}"


def stamp(owner: bpy.types.ID, key: str, state: object) -> None:
    """Note down that this state of a data-block is the add-on's."""
    owner[key] = state


def is_untouched(owner: bpy.types.ID, key: str, state: object) -> bool:
    """Tell whether a data-block was stamped, and its state is still the stamped one."""
    return key in owner and owner[key] == state


def release(owner: bpy.types.ID, *keys: str) -> None:
    """Take stamps away, so that nothing tells any more who wrote last."""
    for key in keys:
        owner.pop(key, None)
