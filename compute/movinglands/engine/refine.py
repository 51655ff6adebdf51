"""Refinement: measure a surface where interpolation would be wrong, interpolate the rest.

A grid is made of nested grids, the levels, each with a node between every two of the coarser one:
first in the middle of cells, then in the middle of edges. By how much a measured node differs from
its interpolation from the coarser level, its surplus, is the error that interpolation makes there.
Where surpluses are small, those of the nodes between are smaller by a known factor, and need no
measuring; where they are not, the next level is measured, until all are small or nothing is left.
Furred surfaces end measured throughout. All of it is reckoned in heights, since heights are looked
at. What is smaller than the coarsest level's cells, and stands alone on smooth ground, can be
missed.

The idea is that of sparse grids and interpolating wavelets (Donoho 1992): threshold surpluses.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..scales import to_height, to_loss

LossesAt = Callable[[NDArray[np.int64]], NDArray]
"""Flat indices ``row * cols + col`` of points ``(n,)`` to their losses ``(n,)``."""

Heights = NDArray[np.float64]
Mask = NDArray[np.bool_]

STRIDE = 12
"""Points between two nodes of the coarsest level."""

DECAY = 0.62
"""Assumed ratio of surpluses from level to level: that of ReLU networks; smooth ones have 0.35."""

SIGMAS = 5.0
"""Largest surplus that is reckoned with, in root mean squares of those around."""

NEARBY, REGION = 1, 4
"""Half the widths, in nodes, of the windows over which surpluses are averaged, twice."""

HELD_OUT = 64
"""One measured point in this many is spent on checking the interpolation."""

SURPRISE = 1.35
"""Errors over the expected, in root mean square, from which on a check fails: fur has 1.6."""

ATTEMPTS = 3
"""How often a check that fails makes the tolerance stricter."""


@dataclass(frozen=True)
class Refined:
    """A surface of which a part was measured.

    Attributes
    ----------
    loss : ndarray
        ``(rows, cols)`` float32, exact where it was measured.
    evaluated : ndarray
        ``(rows, cols)`` uint8: 1 measured, 2 interpolated.
    error : float
        The largest error of a height over the range of heights, at points that were held out of
        the interpolation to measure it; 0 where nothing was interpolated.
    """

    loss: NDArray[np.float32]
    evaluated: NDArray[np.uint8]
    error: float


class _Level(NamedTuple):
    rows: NDArray[np.int64]
    cols: NDArray[np.int64]


class _Checks(NamedTuple):
    """Interpolated nodes that could be measured to check: where, and the surplus expected."""

    rows: NDArray[np.int64]
    cols: NDArray[np.int64]
    expected: Heights


def refine(
    measure: LossesAt,
    rows: int,
    cols: int,
    tolerance: float = 0.005,
    scale: str = "log",
    hint: NDArray[np.uint8] | None = None,
    seed: int = 0,
) -> Refined:
    """Measure and interpolate a surface on a regular grid.

    Parameters
    ----------
    measure : callable
        Called a few times, with many points each.
    rows, cols : int
        Of the grid.
    tolerance : float
        Largest error of a height that is aimed at, over the range of heights.
    scale : {"log", "linear", "symlog"}
        From loss to height.
    hint : ndarray, optional
        ``evaluated`` of a surface much like this one, the frame before: saves rounds.
    seed : int
        Of the choice of points for the check.
    """
    loss = np.full((rows, cols), np.nan, np.float32)
    height = np.full((rows, cols), np.nan)
    known = np.zeros((rows, cols), bool)
    levels = _levels(rows, cols)

    def take(wanted: Mask) -> float:
        index = np.flatnonzero(wanted & ~known)
        loss.flat[index] = measure(index)
        height.flat[index] = _finite(to_height(loss.flat[index], scale))
        known.flat[index] = True
        values = height[np.isfinite(height)]
        # Not below float32's own steps, which no interpolation follows.
        return max(np.ptp(values), 1e-6 * np.abs(values).max(), 1e-300) if values.size else 1e-300

    wanted = _first(levels, known)
    if min(rows, cols) <= STRIDE:  # too small for surpluses to tell
        wanted[:] = True
    if hint is not None:
        wanted |= _hinted(levels, hint == 1)
    error, strictness, passed = 0.0, 1.0, False
    for attempt in range(ATTEMPTS + 1):
        while wanted.any():
            span = take(wanted)
            guess, wanted, checks = _look(levels, height, known, tolerance * span / strictness)
        if attempt == ATTEMPTS or passed:
            break
        chosen = _held_out(checks, known, seed)
        if not len(chosen):
            break
        held = checks.rows[chosen], checks.cols[chosen]
        wanted[held] = True
        span = take(wanted)
        missed = np.nan_to_num(np.abs(guess[held] - height[held]), nan=span)
        error = float(missed.max() / span)
        expected = np.maximum(checks.expected[chosen], 1e-3 * tolerance * span)
        surprise = float(np.sqrt(np.mean((missed / expected) ** 2)))
        passed = error <= tolerance and surprise <= max(SURPRISE, strictness)
        if not passed:
            strictness = max(strictness * (1.5 if error > tolerance else 1.0), surprise)
        guess, wanted, checks = _look(levels, height, known, tolerance * span / strictness)
    if known.all():
        error = 0.0
    evaluated = np.where(known, 1, 2).astype(np.uint8)
    return Refined(np.where(known, loss, to_loss(guess, scale)), evaluated, error)


def _finite(height: Heights) -> Heights:
    return np.where(np.isfinite(height), height, np.nan)


def _levels(rows: int, cols: int) -> list[_Level]:
    """Return nested grids, from one node in ``STRIDE`` to all of them."""
    axes = [_nested(rows), _nested(cols)]
    steps = max(len(axis) for axis in axes)
    across, down = ([*axis, *[axis[-1]] * (steps - len(axis))] for axis in axes)
    return [_Level(*level) for level in zip(across, down, strict=True)]


def _nested(count: int) -> list[NDArray[np.int64]]:
    cells = max(1, -(-(count - 1) // STRIDE))
    axis = [np.unique(np.round(np.arange(cells + 1) * (count - 1) / cells).astype(np.int64))]
    while len(axis[-1]) < count:
        last = axis[-1]
        axis.append(np.union1d(last, (last[:-1] + last[1:] + 1) // 2))
    return axis


def _first(levels: list[_Level], known: Mask) -> Mask:
    """Return the coarsest level and the middles of its cells: the least that shows a surplus."""
    wanted = np.zeros_like(known)
    wanted[np.ix_(*levels[0])] = True
    if len(levels) > 1:
        middles = (np.setdiff1d(b, a) for a, b in zip(levels[0], levels[1], strict=True))
        wanted[np.ix_(*middles)] = True
    return wanted


def _look(
    levels: list[_Level], height: Heights, known: Mask, tolerance: float
) -> tuple[Heights, Mask, _Checks]:
    """Tell what must be measured next; where nothing, interpolate and tell what can be checked."""
    guess = height[np.ix_(*levels[0])]
    surplus = np.zeros(guess.shape)  # root mean square around a node, as far as it is known
    wanted = np.zeros_like(known)
    checks = [_Checks(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))]
    deeper = True  # whether any node of the half-level below was measured
    for below, level in pairwise(levels):
        here = np.ix_(*level)
        guess = _finer(_finer(guess, below.rows, level.rows).T, below.cols, level.cols).T
        surplus = _of_parents(surplus, below.rows, level.rows)
        surplus = _of_parents(surplus.T, below.cols, level.cols).T
        measured, truth = known[here], height[here]
        new_row = ~np.isin(level.rows, below.rows)[:, None]
        new_col = ~np.isin(level.cols, below.cols)
        there = measured & ~new_row & ~new_col
        edges = new_row ^ new_col
        for new, middle in ((new_row & new_col, True), (edges, False)):
            expected = DECAY * surplus
            unknown = new & ~measured
            ask = unknown & ((SIGMAS * expected > tolerance) | np.isnan(guess))
            if ask.any():  # finer levels wait for these
                wanted[here] = ask
                return guess, wanted, checks[0]
            if deeper:
                i, j = np.nonzero(unknown & _surrounded(there, middle))
                checks.append(_Checks(level.rows[i], level.cols[j], expected[i, j]))
            seen = measured & new
            deeper = bool(seen.any())
            surplus = expected
            if deeper:
                over = np.where(seen, truth - guess, 0)
                surplus = _averaged(over, seen & ~np.isnan(over), expected)
                if middle:
                    guess = guess + np.where(edges, _spread(over), 0)
                guess = np.where(seen, truth, guess)
                there |= seen
    return guess, wanted, _Checks(*(np.concatenate(part) for part in zip(*checks, strict=True)))


def _finer(values: Heights, nodes: NDArray, finer: NDArray) -> Heights:
    """Interpolate along axis 0 with a cubic through the four nodes nearest to each new one."""
    result = np.empty((len(finer), values.shape[1]))
    old = np.isin(finer, nodes)
    result[old] = values
    if (new := finer[~old]).size:
        count = min(4, len(nodes))
        start = np.clip(np.searchsorted(nodes, new) - count // 2, 0, len(nodes) - count)
        at = start[:, None] + np.arange(count)
        place = nodes[at].astype(np.float64)
        weight = np.ones_like(place)
        for p in range(count):
            for q in set(range(count)) - {p}:
                weight[:, p] *= (new - place[:, q]) / (place[:, p] - place[:, q])
        result[~old] = sum(weight[:, p, None] * values[at[:, p]] for p in range(count))
    return result


def _of_parents(values: Heights, nodes: NDArray, finer: NDArray) -> Heights:
    """Give each finer node the larger of the values on either side, along axis 0."""
    left = np.searchsorted(nodes, finer, side="right") - 1
    return np.maximum(values[left], values[np.searchsorted(nodes, finer)])


def _surrounded(there: Mask, diagonally: bool) -> Mask:
    """Tell which nodes have all four neighbours, at the corners or along the axes."""
    if min(there.shape) < 2:
        return np.zeros_like(there)
    p = np.pad(there, 1, mode="reflect")
    if diagonally:
        return p[:-2, :-2] & p[:-2, 2:] & p[2:, :-2] & p[2:, 2:]
    return p[:-2, 1:-1] & p[2:, 1:-1] & p[1:-1, :-2] & p[1:-1, 2:]


def _averaged(over: Heights, seen: Mask, prior: Heights) -> Heights:
    """Return the root mean square of surpluses around each node; the prior where none is seen.

    That of the region: among creases a single surplus tells little of the next. Where surpluses
    nearby are larger, as around a tip that stands alone, half of the weight is theirs.
    """
    squares, count = np.nan_to_num(over) ** 2, seen.astype(np.float64)
    near, region = (
        (_window_mean(squares, radius) + little * prior**2) / (_window_mean(count, radius) + little)
        for radius, little in ((NEARBY, 0.1), (REGION, 0.02))
    )
    return np.sqrt(np.maximum(region, (near + region) / 2).clip(0))


def _window_mean(values: Heights, radius: int) -> Heights:
    """Return means over square windows, taken twice; beyond the border lie zeros."""
    for _ in range(2):
        values = ndimage.uniform_filter(values, 2 * radius + 1, mode="constant")
    return values


_EDGE_FROM_MIDDLES = (
    [((0, 1), 0.32), ((0, -1), 0.32), ((1, 0), 0.32), ((-1, 0), 0.32)]
    + [((0, 3), 0.02), ((0, -3), 0.02), ((3, 0), 0.02), ((-3, 0), 0.02)]
    + [((2 * a, b), -0.04) for a in (-1, 1) for b in (-1, 1)]
    + [((a, 2 * b), -0.04) for a in (-1, 1) for b in (-1, 1)]
)
"""What surpluses at the middles of cells add at the middle of an edge: a cubic stencil."""


def _spread(over: Heights) -> Heights:
    if min(over.shape) < 4:
        return np.zeros_like(over)
    rows, cols = over.shape
    padded = np.pad(over, 3, mode="reflect")  # NaN, beside what diverged, asks to be measured
    added = np.zeros_like(over)
    for (i, j), weight in _EDGE_FROM_MIDDLES:
        added += weight * padded[3 + i : 3 + i + rows, 3 + j : 3 + j + cols]
    return added


def _held_out(checks: _Checks, known: Mask, seed: int) -> NDArray[np.int64]:
    """Choose interpolated nodes to measure, the likelier the larger their expected error."""
    count = min(len(checks.rows), max(32, int(known.sum()) // HELD_OUT))
    draws = np.random.default_rng(seed).random(len(checks.rows))
    keys = np.log(draws) / (checks.expected**2 + 1e-30)  # Efraimidis and Spirakis 2006
    return np.argsort(keys, kind="stable")[len(keys) - count :]


def _hinted(levels: list[_Level], evaluated: Mask) -> Mask:
    """Return what a surface like this one had to measure before its neighbours could tell."""
    wanted = np.zeros_like(evaluated)
    for below, level, above in zip(levels, levels[1:], [*levels[2:], None], strict=False):
        here = np.ix_(*level)
        new_row, new_col = (
            ~np.isin(b, a) for a, b in zip((below.rows, below.cols), level, strict=True)
        )
        new_row = new_row[:, None]
        edges = new_row ^ new_col
        asked = new_row & new_col & _near(evaluated[here] & edges, 2)
        if above is not None:
            finer = evaluated[np.ix_(*above)]
            middles = ~np.isin(above.rows, level.rows)[:, None] & ~np.isin(above.cols, level.cols)
            place = (np.searchsorted(a, b) for a, b in zip(above, level, strict=True))
            asked |= edges & _near(finer & middles, 4)[np.ix_(*place)]
        wanted[here] |= asked
    return wanted


def _near(mask: Mask, radius: int) -> Mask:
    """Tell which nodes have one of the mask's in the square window around them."""
    return ndimage.maximum_filter(mask, 2 * radius + 1, mode="constant")
