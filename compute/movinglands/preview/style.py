"""The colours of sheet and page."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

PALETTE = ("f8e6bd", "efb886", "d9836d", "bd5a77", "94498e", "6d4796", "4f4684", "393867")
"""Colours by height, from the lowest loss to the highest: they darken all the way, so that in a
quiet land the minimum glows."""

GROUND, PALE, DIM, FAINT = "#0b0a0f", "#f2e9e4", "#9d949b", "#37333d"
"""The page; text and marks; small text; hairlines."""


def palette(count: int = 256) -> Array:
    """Return the palette: ``(count, 3)`` sRGB colours between 0 and 1, by height."""
    stops = np.array([[int(stop[i : i + 2], 16) / 255 for i in (0, 2, 4)] for stop in PALETTE])
    at, height = np.linspace(0, 1, len(PALETTE)), np.linspace(0, 1, count)
    return np.column_stack([np.interp(height, at, channel) for channel in stops.T])
