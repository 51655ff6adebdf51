"""The gates of a still: figures that it must reach.

The bounds are those of the stills of good loss landscape films: how much is overexposed, how much
is black, how bright the subject is, how saturated its colours are. ``film`` and ``shot`` have the
gates of films and shots.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np
from numpy.typing import NDArray

from ..look import LOOKS


@dataclass(frozen=True)
class Gate:
    """A measured figure and its bounds."""

    name: str
    value: float
    low: float
    high: float

    @property
    def passed(self) -> bool:
        """Whether the figure is within its bounds."""
        return bool(self.low <= self.value <= self.high)

    @property
    def excess(self) -> float:
        """Distance from the nearer bound: positive outside the bounds, negative within."""
        return max(self.low - self.value, self.value - self.high)

    def __str__(self) -> str:
        bounds = f"from {self.low:g}" if self.high == np.inf else f"{self.low:g} to {self.high:g}"
        verdict = "ok" if self.passed else "out"
        return f"{self.name:<44}{self.value:9.3g}   {bounds:<14}{verdict}"


def luma(pixels: NDArray) -> NDArray[np.float64]:
    """Return the luma of pixels ``(..., 3)`` as displayed: Rec. 709 weights, 0 to 255."""
    return pixels @ np.array([0.2126, 0.7152, 0.0722])


def judge_still(pixels: NDArray, look: str = "flesh") -> list[Gate]:
    """Measure a still.

    Parameters
    ----------
    pixels : ndarray
        ``(height, width, 3)``, as displayed (sRGB encoded), 0 to 255.
    look : str
        One of ``LOOKS``: how black the picture may be depends on it.

    Returns
    -------
    list of Gate
        Percent of pixels, 8-bit luma (Rec. 709 weights) and HSV saturation. The subject is what
        is brighter than luma 12.
    """
    rgb = pixels.reshape(-1, 3).astype(np.float64)
    light = luma(rgb)
    subject = light > 12
    if not subject.any():
        subject = np.ones_like(subject)
    brightest = rgb[subject].max(axis=1)
    saturation = (brightest - rgb[subject].min(axis=1)) / np.maximum(brightest, 1)
    p1, median, p99 = np.percentile(light[subject], (1, 50, 99))
    return [
        Gate("any channel >= 250, percent", 100 * (rgb >= 250).any(axis=1).mean(), 0, 1.5),
        Gate("luma >= 250, percent", 100 * (light >= 250).mean(), 0, 0.1),
        Gate("luma < 6, percent", 100 * (light < 6).mean(), *LOOKS[look].black),
        Gate("subject luma, 1st percentile", p1, 16, 36),
        Gate("subject luma, median", median, 90, 146),
        Gate("subject luma, 99th percentile", p99, 159, 226),
        Gate("subject saturation, median", float(np.median(saturation)), 0.30, 0.60),
    ]


def read_still(path: Path) -> NDArray[np.float64]:
    """Read an 8-bit picture as ``(height, width, 3)``, as displayed, 0 to 255."""
    image = bpy.data.images.load(str(path))
    try:
        width, height = image.size
        if not width:
            raise ValueError(f"{path}: not a picture.")
        pixels = np.empty(width * height * 4, dtype=np.float32)
        image.pixels.foreach_get(pixels)
    finally:
        bpy.data.images.remove(image)
    return np.round(pixels.reshape(height, width, 4)[::-1, :, :3] * 255.0).astype(np.float64)
