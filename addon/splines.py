"""Cubic splines through few knots, as F-curves hold them.

No bpy here. A piece of a C2 cubic spline is just what a Bezier F-curve holds between two keys, so
the keys that an artist sees are the path itself, not samples of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


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


def ease(times: ArrayLike, start: float, end: float, knots: int = 5) -> Spline:
    """Return a spline that eases from one value to another with the least jerk."""
    times = np.asarray(times, dtype=np.float64)
    x = np.linspace(0, 1, 65)
    return fit_spline(
        times[0] + x * (times[-1] - times[0]), start + (end - start) * minimum_jerk(x), knots
    )


def minimum_jerk(x: ArrayLike) -> Array:
    """Go from 0 to 1 as x does, with the least jerk; before and after it stands still."""
    t: Array = np.asarray(x, dtype=np.float64).clip(0.0, 1.0)
    return t**3 * (10 - 15 * t + 6 * t**2)


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
