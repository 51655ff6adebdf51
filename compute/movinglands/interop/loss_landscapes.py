"""Surfaces of loss-landscapes."""

from __future__ import annotations

import numpy as np

from ..errors import UserError
from .arrays import Arrays, take
from .surface import ImportedSurface, Kind, Ranges


def read(arrays: Arrays, ranges: Ranges) -> ImportedSurface:
    """Read an array saved from loss-landscapes' random_plane or planar_interpolation.

    Its first index goes along the first direction. Along the second the tool walks forth and back
    and evaluates after the step forth, before the step back, so every other line (the even ones)
    is a step ahead of the rest: entry j of it is point j + 1. Of the points 0 to n of that
    direction all lines have 1 to n - 1, and these make the surface. Point i of n lies at
    LOW + (HIGH - LOW) i / n.
    """
    array = take(arrays, "array", "steps", "steps")
    steps = len(array)
    if array.shape[1] != steps or steps < 3:
        raise UserError(f"array: expected as many rows as columns, 3 or more, found {array.shape}.")
    even = np.arange(steps)[:, None] % 2 == 0
    aligned = np.where(even, array[:, :-1], array[:, 1:])
    alpha, beta = (low + (high - low) * np.arange(steps) / steps for low, high in ranges)
    return ImportedSurface(alpha, beta[1:], aligned.T)


KIND = Kind("npy", (), "loss-landscapes", read)
