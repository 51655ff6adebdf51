"""Bare arrays, of whatever tool."""

from __future__ import annotations

import numpy as np

from .arrays import Arrays, take
from .surface import ImportedSurface, Kind, Ranges


def read(arrays: Arrays, ranges: Ranges) -> ImportedSurface:
    """Read a bare array, rows beta and columns alpha, evenly from LOW to HIGH."""
    loss = take(arrays, "array", "rows", "cols")
    alpha, beta = (
        np.linspace(low, high, points)
        for (low, high), points in zip(ranges, loss.shape[::-1], strict=True)
    )
    return ImportedSurface(alpha, beta, loss)


KIND = Kind("npy", (), "an array", read)
