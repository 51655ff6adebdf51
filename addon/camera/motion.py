"""How calm a camera's move is: its figures, their bounds, and tracks that keep within them.

No bpy here. Figures are in widths of the land, seconds, degrees and parts of the picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..splines import Spline, fit_spline

Array = NDArray[np.float64]

KEYS_APART = 0.7
"""Seconds between the keys of a track, about."""

AT_MOST = {
    "speed": 0.10,
    "acceleration": 0.05,
    "jerk": 0.10,
    "turn": 12.0,
    "tilt": 1.0,
    "off_third": 0.1,
    "hidden": 0.05,
    "borders": 2.0,
}
"""Upper bounds of figures of ``Motion``."""

AT_LEAST = {"clearance": 0.02, "inside": 0.1}
"""Lower bounds of figures of ``Motion``."""

OF_MOVE = ("speed", "acceleration", "jerk", "turn")
"""Figures of the move itself: a viewer feels them, and a smaller move has smaller ones."""


@dataclass(frozen=True)
class Motion:
    """The figures of a camera's move and of its pictures, each at the worst frame.

    Attributes
    ----------
    speed, acceleration, jerk, turn : float
        Of the camera's place, and the speed at which its direction turns; the largest.
    tilt : float
        Of the horizon, the largest.
    clearance : float
        From the camera to the moving land, the least.
    off_third : float
        From the subject to the nearest thirds line, the largest.
    inside : float
        From the subject to the border of the picture, the least.
    hidden : float
        Part of the frames in which the land hides the subject.
    borders : float
        Sides of the land that are seen at a time, the most.
    allowed : tuple
        Names of figures that have other upper bounds for this rig, and these.
    """

    speed: float
    acceleration: float
    jerk: float
    turn: float
    tilt: float = 0.0
    clearance: float = np.inf
    off_third: float = 0.0
    inside: float = 0.5
    hidden: float = 0.0
    borders: float = 0.0
    allowed: tuple[tuple[str, float], ...] = ()

    def bounds(self) -> list[tuple[str, float, float, float]]:
        """Return each figure's name, value, lower and upper bound."""
        most = {**AT_MOST, **dict(self.allowed)}
        upper = [(name, getattr(self, name), 0.0, bound) for name, bound in most.items()]
        return upper + [
            (name, getattr(self, name), bound, np.inf) for name, bound in AT_LEAST.items()
        ]

    def faults(self, share: float = 1.0) -> list[str]:
        """Return a line for each figure that is out of its bounds.

        Figures of the move may use up only this share of theirs.
        """
        found = []
        for name, value, low, high in self.bounds():
            bound = share * high if name in OF_MOVE else high
            if value < low:
                found.append(f"{name} {value:.3g} < {low:.3g}")
            elif value > bound:
                found.append(f"{name} {value:.3g} > {bound:.3g}")
        return found


def measure(positions: ArrayLike, forwards: ArrayLike, fps: float, width: float) -> Motion:
    """Measure a camera's motion from one sample a frame.

    Parameters
    ----------
    positions, forwards : array_like
        ``(frames, 3)``: where the camera is, and the unit vector it looks along.
    fps : float
        Frames a second.
    width : float
        The surface's width S, in the positions' unit.
    """
    path = np.asarray(positions, dtype=np.float64) / width
    forward = np.asarray(forwards, dtype=np.float64)

    def largest(order: int) -> float:
        if len(path) <= order:
            return 0.0
        return float(np.linalg.norm(np.diff(path, n=order, axis=0), axis=1).max() * fps**order)

    # The angle from the chord: arccos of a dot product cannot see small angles.
    chord = np.linalg.norm(np.diff(forward, axis=0), axis=1)
    turn = np.degrees(2 * np.arcsin(np.clip(chord / 2, 0, 1))) * fps
    return Motion(largest(1), largest(2), largest(3), float(turn.max(initial=0.0)))


def calm_track(
    frames: ArrayLike,
    places: ArrayLike,
    fps: float,
    width: float,
    share: float = 0.8,
    eased: bool = True,
) -> list[Spline]:
    """Smooth a track until a camera that rides on it is calm.

    Parameters
    ----------
    frames : array_like
        ``(n,)`` film frames, increasing.
    places : array_like
        ``(n, axes)``, in the unit of ``width``.
    fps : float
        Frames a second.
    width : float
        The surface's width S.
    share : float
        How much of the bounds the track may use up: the camera moves on its own, too.
    eased : bool
        As for ``fit_spline``.

    Returns
    -------
    list of Spline
        One for each axis, as little smoothed as that takes; of keys a good half second apart.
    """
    places = np.asarray(places, dtype=np.float64)
    frames = np.asarray(frames, dtype=np.float64)
    every = np.arange(frames[0], frames[-1] + 1)
    seconds = (frames[-1] - frames[0]) / fps
    knots = int(np.clip(round(seconds / KEYS_APART) + 2, 4, 60))
    for calm in fps * np.geomspace(0.12, max(2 * seconds, 0.2), 18):
        track = [fit_spline(frames, axis, knots, calm, eased) for axis in places.T]
        path = np.column_stack([spline(every) for spline in track])
        if not measure(path, np.zeros_like(path), fps, width).faults(share):
            break
    return track
