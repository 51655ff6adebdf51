"""Sizes: a land is always as wide, and everything else is sized by it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

WIDTH = 10.0
"""Width of a land in Blender units."""


def plane_unit(alpha: NDArray[np.float64]) -> float:
    """Return how many Blender units one unit of the plane is, on a land that spans these alphas."""
    return WIDTH / float(alpha[-1] - alpha[0])
