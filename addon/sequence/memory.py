"""What a land takes of memory and disk, and what this machine has of memory."""

from __future__ import annotations

import ctypes
import os
from typing import Any

from .surface import Surface


def machine_memory() -> int:
    """Return the bytes of memory that this machine has."""
    if hasattr(os, "sysconf"):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    kilobytes = ctypes.c_ulonglong()
    windows: Any = ctypes.windll  # type: ignore[attr-defined, unused-ignore]
    windows.kernel32.GetPhysicallyInstalledSystemMemory(ctypes.byref(kilobytes))
    return kilobytes.value * 1024


def cache_size(surface: Surface) -> int:
    """Return the bytes of a surface's moving points, which is what a mesh cache takes on disk."""
    return 12 * surface.points() * len(surface.frames)


def cache_memory(surface: Surface) -> int:
    """Estimate the bytes of a land with a mesh cache: one mesh, and its copies while rendering."""
    return 300 * surface.points()


def keys_memory(surface: Surface) -> int:
    """Estimate the bytes of a land with shape keys: its mesh, and the keys in three copies.

    Undo and rendering each have their own. Measured with a million points.
    """
    return cache_memory(surface) + 3 * cache_size(surface)
