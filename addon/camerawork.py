"""Camera paths: smooth, sparse, and measured.

No bpy here. A path is a C2 cubic spline through few knots. Its pieces are cubics, which is just
what a Bezier F-curve holds, so the keys an artist sees are the path itself, not samples of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Spline:
    """A cubic spline with zero slope at its ends: it eases in and out.

    Attributes
    ----------
    times : ndarray
        ``(k,)``, increasing.
    values, slopes : ndarray
        ``(k,)``: value and derivative at each knot.
    """

    times: Array
    values: Array
    slopes: Array

    def __call__(self, t: ArrayLike) -> Array:
        """Evaluate the spline; outside its knots it keeps its end values."""
        t = np.clip(np.asarray(t, dtype=np.float64), self.times[0], self.times[-1])
        basis_values, basis_slopes = _hermite(self.times, t)
        return basis_values @ self.values + basis_slopes @ self.slopes


def fit_spline(times: ArrayLike, values: ArrayLike, knots: int, calm: float = 0.0) -> Spline:
    """Fit a C2 spline with evenly spaced knots to samples, by least squares.

    The ends are held: the spline starts at the first value and stops at the last.

    Parameters
    ----------
    times, values : array_like
        ``(n,)`` each, times increasing.
    knots : int
        At least 2; never more than there are samples.
    calm : float
        What happens within so much time is smoothed away, at the least jerk.
    """
    times, values = np.asarray(times, dtype=np.float64), np.asarray(values, dtype=np.float64)
    knots = max(2, min(knots, len(times)))
    at = np.linspace(times[0], times[-1], knots)
    to_slopes = _slopes_of_values(at)
    basis_values, basis_slopes = _hermite(at, times)
    design = basis_values + basis_slopes @ to_slopes
    found = np.empty(knots)
    found[[0, -1]] = values[[0, -1]]
    if knots > 2:
        if calm:
            spacing = (times[-1] - times[0]) / (len(times) - 1)
            jerks = _jerks(at, to_slopes) * np.sqrt(calm**6 * np.diff(at) / spacing)[:, None]
            design = np.vstack([design, jerks])
            values = np.concatenate([values, np.zeros(len(jerks))])
        rest = values - design[:, [0, -1]] @ found[[0, -1]]
        found[1:-1] = np.linalg.lstsq(design[:, 1:-1], rest, rcond=None)[0]
    return Spline(at, found, to_slopes @ found)


def calm_track(
    frames: ArrayLike, places: ArrayLike, fps: float, width: float, knots: int = 6
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
    knots : int
        The most keys there may be; as many are used as leave the motion within 0.8 of ``CALM``
        (the camera moves on its own, too), but at least 2.

    Returns
    -------
    list of Spline
        One for each axis.
    """
    places = np.asarray(places, dtype=np.float64)
    frames = np.asarray(frames, dtype=np.float64)
    every = np.arange(frames[0], frames[-1] + 1)
    for count in range(knots, 1, -1):
        track = [fit_spline(frames, axis, count) for axis in places.T]
        path = np.column_stack([spline(every) for spline in track])
        if not measure(path, np.zeros_like(path), fps, width).faults(0.8):
            break
    return track


def ease(times: ArrayLike, start: float, end: float, knots: int = 5) -> Spline:
    """Return a spline that eases from one value to another (minimum-jerk, sampled at knots)."""
    times = np.asarray(times, dtype=np.float64)
    x = np.linspace(0, 1, 65)
    progress = x**3 * (10 - 15 * x + 6 * x**2)
    return fit_spline(
        times[0] + x * (times[-1] - times[0]), start + (end - start) * progress, knots
    )


def _slopes_of_values(times: Array) -> Array:
    """Return the matrix that takes knot values to the slopes of the clamped C2 spline."""
    count = len(times)
    step = np.diff(times)
    left, right = np.eye(count), np.zeros((count, count))
    for i in range(1, count - 1):
        before, after = step[i - 1], step[i]
        left[i, i - 1 : i + 2] = [after, 2 * (before + after), before]
        right[i, i - 1] = -3 * after / before
        right[i, i + 1] = 3 * before / after
        right[i, i] = -right[i, i - 1] - right[i, i + 1]
    return np.linalg.solve(left, right)


def _jerks(times: Array, to_slopes: Array) -> Array:
    """Return the matrix that takes knot values to the third derivative of each piece."""
    step = np.diff(times)[:, None]
    rises = np.diff(np.eye(len(times)), axis=0)
    return 6 * (to_slopes[:-1] + to_slopes[1:]) / step**2 - 12 * rises / step**3


def _hermite(knots: Array, t: Array) -> tuple[Array, Array]:
    """Return the cubic Hermite basis at times t: ``(n, k)`` for values and for slopes."""
    t = np.atleast_1d(t)
    piece = np.clip(np.searchsorted(knots, t, side="right") - 1, 0, len(knots) - 2)
    width = knots[piece + 1] - knots[piece]
    x = (t - knots[piece]) / width
    values, slopes = np.zeros((len(t), len(knots))), np.zeros((len(t), len(knots)))
    row = np.arange(len(t))
    values[row, piece] = (1 + 2 * x) * (1 - x) ** 2
    values[row, piece + 1] = x**2 * (3 - 2 * x)
    slopes[row, piece] = x * (1 - x) ** 2 * width
    slopes[row, piece + 1] = x**2 * (x - 1) * width
    return values, slopes


CALM = {"speed": 0.10, "acceleration": 0.05, "jerk": 0.10, "turn": 12.0}
"""What a camera may do at most, in surface widths S, seconds and degrees."""


@dataclass(frozen=True)
class Motion:
    """The largest of what a viewer feels, in the units of ``CALM``."""

    speed: float
    acceleration: float
    jerk: float
    turn: float

    def faults(self, share: float = 1.0) -> list[str]:
        """Return what is over its bound, or over a share of it, a line each."""
        return [
            f"{name} {getattr(self, name):.3g} > {share * bound:.3g}"
            for name, bound in CALM.items()
            if getattr(self, name) > share * bound
        ]


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
