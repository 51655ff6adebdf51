"""Coaster: round below the land, leaning into the turn, at the speed of the learning rate."""

import numpy as np

from ..terrain import Terrain
from .rig import Array, Framing, Rig


def learning_rate(terrain: Terrain, frames: Array, fps: float) -> Array:
    """Return the learning rate as a speed ``(n,)``: never standing, smoothed over a second."""
    pace = np.clip(terrain.at(frames, terrain.learning_rate), 0.2, 1.0)
    over = int(fps) | 1
    window = np.hanning(over + 2)[1:-1]
    padded = np.pad(pace, over // 2, mode="edge")
    return np.convolve(padded, window / window.sum(), mode="valid")


RIG = Rig(
    "coaster",
    "Coaster",
    "Round below the land, leaning into the turn, as fast as the learning rate is high",
    Framing(
        lens=42,
        azimuth=40,
        elevation=-8,
        distance=0.55,
        drift=44,
        frame_x=0.36,
        frame_y=0.38,
        follow=0.9,
    ),
    climb=-8,
    bank=9,
    speed=learning_rate,
    elevations=(-18, 60),
    filled=(0.3, 0.75),
    allowed=(("tilt", 12.0),),
)
