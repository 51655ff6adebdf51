"""What an artist changed: the one place that knows.

Whatever the add-on writes, it stamps: a custom property of the data-block holds what was written,
as numbers or as a checksum. What still fits its stamp may be written again; what does not was
changed by an artist, and stays as it is.
"""

from __future__ import annotations

import zlib
from typing import Any

import bpy
import numpy as np

KEYS = "moving_lands_keys"
"""Stamps of a data-block's F-curves and drivers, a checksum for each property."""

CACHE = "moving_lands_cache"
"""Stamp of the file that a land's Mesh Cache modifier follows: its name."""

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


def stamp(owner: bpy.types.ID, key: str, state: Any, part: str | None = None) -> None:
    """Note down that this state of a data-block is the add-on's.

    Parameters
    ----------
    owner : ID
        The data-block.
    key : str
        Custom property that holds the stamp.
    state : str or list of float
        A checksum or a text, or numbers.
    part : str, optional
        Which of several stamps under this key.
    """
    owner[key] = state if part is None else {**owner.get(key, {}), part: state}


def stamped(owner: bpy.types.ID, key: str, part: str | None = None) -> Any:
    """Return the state that was stamped, or None; the parameters are those of ``stamp``."""
    found = owner.get(key)
    return found if part is None or found is None else found.get(part)


def is_untouched(owner: bpy.types.ID, key: str, state: Any, part: str | None = None) -> bool:
    """Tell whether the state of a data-block is the stamped one.

    The parameters are those of ``stamp``; a state of None is that of nothing, which fits where
    nothing was stamped. Numbers fit if they differ by less than single precision does.
    """
    found = stamped(owner, key, part)
    if found is None or state is None or isinstance(state, str):
        return bool(found == state)
    return len(found) == len(state) and bool(np.allclose(found, state, atol=1e-5))


def release(owner: bpy.types.ID, *keys: str) -> None:
    """Take stamps away, so that nothing tells any more who wrote last."""
    for key in keys:
        owner.pop(key, None)
