"""Sizes: a land is always as wide, and everything else is sized by it."""

from __future__ import annotations

from numpy.typing import ArrayLike

WIDTH = 10.0
"""Width of a land in Blender units."""


def plane_unit(alpha: ArrayLike) -> float:
    """Return how many Blender units one unit of the plane is, on a land that spans these alphas."""
    return WIDTH / (alpha[-1] - alpha[0])
