"""From sRGB, in which colours are written and pictures are stored, to linear light."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Color = tuple[float, float, float]


def decode(encoded: ArrayLike) -> NDArray[np.float64]:
    """Return the linear values of sRGB ones, both from 0 to 1 (IEC 61966-2-1)."""
    encoded = np.asarray(encoded, np.float64)
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def linear(hexadecimal: str) -> Color:
    """Return the linear RGB of an sRGB colour such as "da9c8c"."""
    red, green, blue = decode([int(hexadecimal[i : i + 2], 16) / 255 for i in (0, 2, 4)]).tolist()
    return red, green, blue
