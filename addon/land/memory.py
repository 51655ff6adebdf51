"""What lands and the lines on them take of this machine's memory."""

from __future__ import annotations

from collections.abc import Collection

from ..sequence.memory import cache_memory, keys_memory, machine_memory
from ..sequence.surface import Surface
from .projection import shapes_of

KEY_POINT = 3 * 16
"""Bytes of a point in a curve's shape key, with its copies for undo and rendering."""


def check_memory(shown: Collection[Surface], cached: bool) -> None:
    """Refuse surfaces that do not fit in this machine's memory together.

    Parameters
    ----------
    shown : collection of Surface
        All that a shot is to show.
    cached : bool
        Whether mesh caches hold their snapshots, not shape keys.

    Raises
    ------
    ValueError
        With what they take and what the machine has.
    """
    there = machine_memory()
    land = cache_memory if cached else keys_memory
    needed = sum(land(surface) + lines_memory(surface) for surface in shown)
    if needed <= there:
        return
    points = sorted({surface.points() for surface in shown})
    raise ValueError(
        f"{', '.join(surface.name for surface in shown)}: "
        f"{sum(len(surface.frames) for surface in shown)} frames of "
        f"{' to '.join(map(str, points[:: max(len(points) - 1, 1)]))} points take "
        f"{needed / 1e9:.1f} GB of memory, this machine has {there / 1e9:.1f}."
    )


def lines_memory(surface: Surface) -> int:
    """Estimate the bytes of the paths, ellipses and samples of a surface, keyed."""
    shapes = shapes_of(surface).values()
    return KEY_POINT * sum(len(shape.moments) * shape.points.shape[1] for shape in shapes)
