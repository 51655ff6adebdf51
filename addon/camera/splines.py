"""Camera paths: smooth, sparse, and measured.

No bpy here. A path is a C2 cubic spline through few knots. Its pieces are cubics, which is just
what a Bezier F-curve holds, so the keys an artist sees are the path itself, not samples of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


KEYS_APART = 0.7
"""Seconds between the keys of a track, about."""


@dataclass(frozen=True)
class Spline:
    """A cubic spline.

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


def fit_spline(
    times: ArrayLike, values: ArrayLike, knots: int, calm: float = 0.0, eased: bool = True
) -> Spline:
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
    eased : bool
        Whether it starts and stops without slope; else it does so without acceleration.
    """
    times, values = np.asarray(times, dtype=np.float64), np.asarray(values, dtype=np.float64)
    knots = max(2, min(knots, len(times)))
    at = np.linspace(times[0], times[-1], knots)
    to_slopes = _slopes_of_values(at, eased)
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
        How much of ``CALM`` the motion may use up: the camera moves on its own, too.
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


def ease(times: ArrayLike, start: float, end: float, knots: int = 5) -> Spline:
    """Return a spline that eases from one value to another (minimum-jerk, sampled at knots)."""
    times = np.asarray(times, dtype=np.float64)
    x = np.linspace(0, 1, 65)
    progress = x**3 * (10 - 15 * x + 6 * x**2)
    return fit_spline(
        times[0] + x * (times[-1] - times[0]), start + (end - start) * progress, knots
    )


def _slopes_of_values(times: Array, eased: bool) -> Array:
    """Return the matrix that takes knot values to the slopes of the C2 spline."""
    count = len(times)
    step = np.diff(times)
    left, right = np.eye(count), np.zeros((count, count))
    for i in range(1, count - 1):
        before, after = step[i - 1], step[i]
        left[i, i - 1 : i + 2] = [after, 2 * (before + after), before]
        right[i, i - 1] = -3 * after / before
        right[i, i + 1] = 3 * before / after
        right[i, i] = -right[i, i - 1] - right[i, i + 1]
    if not eased:
        for end, inner in ((0, 1), (-1, -2)):
            left[end, [end, inner]] = 2, 1
            right[end, [end, inner]] = np.array([-3, 3]) / (times[inner] - times[end])
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


CALM = {
    "speed": 0.10,
    "acceleration": 0.05,
    "jerk": 0.10,
    "turn": 12.0,
    "tilt": 1.0,
    "off_third": 0.1,
    "hidden": 0.05,
    "borders": 2.0,
}
"""What a camera may do at most; in surface widths S, seconds, degrees and parts of the frame."""

CLEAR = {"clearance": 0.02, "inside": 0.1}
"""What a camera must keep at least: from the moving land in S, and its subject from the picture's
border in parts of the frame."""

FELT = ("speed", "acceleration", "jerk", "turn")
"""What a viewer feels of a move."""


@dataclass(frozen=True)
class Motion:
    """The worst of a camera's move, in the units of ``CALM`` and ``CLEAR``.

    Attributes
    ----------
    speed, acceleration, jerk, turn : float
        The largest.
    tilt : float
        Of the horizon, the largest.
    clearance : float
        The least.
    off_third : float
        Of the subject from the nearest thirds line, the largest.
    inside : float
        Of the subject from the picture's border, the least.
    hidden : float
        The part of the frames in which the land hides the subject.
    borders : float
        The most sides of the land that are seen at a time.
    allowed : tuple
        Names of figures whose bounds are others for this kind of shot, and these.
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
        most = {**CALM, **dict(self.allowed)}
        upper = [(name, getattr(self, name), 0.0, bound) for name, bound in most.items()]
        return upper + [(name, getattr(self, name), bound, np.inf) for name, bound in CLEAR.items()]

    def faults(self, share: float = 1.0) -> list[str]:
        """Return what is out of its bounds, a line each; of the move also what is over a share."""
        found = []
        for name, value, low, high in self.bounds():
            bound = share * high if name in FELT else high
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
