"""Where things of the plane lie on the land: paths, a Gaussian's ellipses, its samples.

No bpy here. Blender draws a cell of the land as two triangles. A line gets a point wherever it
crosses one of their edges, so it follows every fold exactly and never dives. Where the window
travels, or the line itself moves, the crossings wander: such a line is fine instead, and so are
the moments between two snapshots at which it is laid on the land.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ..sequence.heights import HeightScale
from ..sequence.surface import Surface

TRAJECTORY = "trajectory"
"""The path that is the training itself, as evenly spread over it as the frames are."""

HAIR = 1e-3
"""Points of a line nearer to each other than this are one; in cells of the land."""

CORNERS = 180
"""Of an ellipse, before it is laid on the land."""

FINE = 1 / 200
"""How far apart points of what moves may be, and how far they may go at once: in widths of the
window, or half a cell where that is less. Across an edge of 45 degrees they are out by a quarter
of it."""

MOST = 32
"""Moments from one snapshot to the next, however far something moves."""


@dataclass(frozen=True)
class Trace:
    """Points in the window, and what they are.

    Attributes
    ----------
    kind : {"line", "ring", "dots"}
        A ring is a closed line.
    places : ndarray
        ``(n, points, 2)`` alpha and beta from the window's centre at each snapshot; n is 1 for
        what stands still.
    moments : ndarray
        ``(k,)`` when it is laid on the land, counted in snapshots: at each, and between.
    reached : ndarray or None
        ``(points,)`` when the training gets to the points of its trajectory, in frames of the
        file.
    """

    kind: str
    places: NDArray[np.float64]
    moments: NDArray[np.float64]
    reached: NDArray[np.float64] | None = None

    def at(self, moment: float) -> NDArray[np.float64]:
        """Return the places ``(points, 2)`` at a moment."""
        if len(self.places) == 1:
            return self.places[0]
        before = min(int(moment), len(self.places) - 2)
        part = moment - before
        return self.places[before] * (1 - part) + self.places[before + 1] * part


def traces(surface: Surface) -> dict[str, Trace]:
    """Return all that lies on a surface besides the minimizer, by what it is."""
    found = {}
    for name, path in surface.paths.items():
        known = _known(path[..., :2].reshape(-1, path.shape[-2], 2))
        if known is not None:
            grows = name == TRAJECTORY
            found[f"Path {name}"] = _line(surface, "line", known, grows)
    if {"mean", "covariance"} <= set(surface.posterior):
        for sigma in (1, 2, 3):
            around = ellipse(surface.posterior["mean"], surface.posterior["covariance"], sigma)
            found[f"Posterior {sigma} Sigma"] = _line(surface, "ring", around[None])
    # A line that is all in one place is none.
    found = {name: trace for name, trace in found.items() if trace.places.shape[1] > 1}
    samples = surface.posterior.get("samples", np.empty((0, 3)))[:, :2]
    samples = samples[np.isfinite(samples).all(axis=1)]
    if len(samples):
        places = _in_window(surface, samples[None])
        found["Posterior Samples"] = Trace("dots", places, _moments(surface, places))
    return found


def ellipse(
    mean: NDArray[np.float64], covariance: NDArray[np.float64], sigma: float
) -> NDArray[np.float64]:
    """Return the corners ``(CORNERS + 1, 2)`` of a Gaussian's ellipse, the first again at last."""
    variances, axes = np.linalg.eigh(covariance)
    turn = np.linspace(0, 2 * np.pi, CORNERS + 1) % (2 * np.pi)
    circle = np.stack([np.cos(turn), np.sin(turn)], axis=-1)
    return mean + sigma * (circle * np.sqrt(variances.clip(min=0))) @ axes.T


def heights_at(
    surface: Surface,
    losses: NDArray[np.float32],
    scale: HeightScale,
    places: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the land's heights at places in the window, on the triangles that Blender draws.

    It cuts a cell from its lowest alpha and beta to its highest; the other way only where the two
    triangles would fold by more than a right angle, which no land of a measured loss was seen to
    do. Outside, heights are those of the border.

    Parameters
    ----------
    surface : Surface
        For its grid.
    losses : ndarray
        ``(rows, cols)``.
    scale : HeightScale
        The land's.
    places : ndarray
        ``(points, 2)`` alpha and beta from the window's centre.

    Returns
    -------
    ndarray
        ``(points,)``.
    """
    u, v = _grid_coordinates(surface, places).T
    col = u.astype(int).clip(max=len(surface.alpha) - 2)
    row = v.astype(int).clip(max=len(surface.beta) - 2)
    u, v = u - col, v - row
    beside = np.where(u > v, losses[row, col + 1], losses[row + 1, col])
    corners = np.stack([losses[row, col], losses[row + 1, col + 1], beside])
    weights = np.stack([1 - np.maximum(u, v), np.minimum(u, v), np.abs(u - v)])
    return (weights * scale(corners)).sum(axis=0)


def inside(surface: Surface, places: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which places ``(points, 2)`` are in the window."""
    hair = HAIR * _cell(surface)
    low, high = (np.array([surface.alpha[end], surface.beta[end]]) for end in (0, -1))
    return np.all((places > low - hair) & (places < high + hair), axis=1)


def growth(surface: Surface, trace: Trace) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return how much of a trajectory is drawn when.

    Returns
    -------
    moments, parts : ndarray
        ``(k,)`` each: snapshots, increasing, and the part of the line's points that is reached.
    """
    reached = np.asarray(trace.reached)
    count = len(surface.frames)
    moments = np.interp(reached, surface.frames, np.arange(count))
    # Blender takes keys that are nearer than 0.01 for one.
    moments = np.unique([0, *np.round(moments * 64) / 64, count - 1])
    frames = np.interp(moments, np.arange(count), surface.frames)
    return moments, np.interp(frames, reached, np.linspace(0, 1, len(reached)))


def _known(paths: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Fill in the coordinates ``(n, points, 2)`` nobody knows; None where all are unknown.

    A line passes straight from one known point to the next; where a frame knows none, it is that
    of the nearest frame that does.
    """
    known = np.isfinite(paths).all(axis=-1)
    frames = np.flatnonzero(known.any(axis=1))
    if not len(frames):
        return None
    every = np.arange(paths.shape[1])
    filled = np.empty_like(paths)
    for index, line in enumerate(filled):
        nearest = frames[np.abs(frames - index).argmin()]
        at = known[nearest]
        for axis in range(2):
            line[:, axis] = np.interp(every, every[at], paths[nearest][at, axis])
    return filled


def _in_window(surface: Surface, places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return places in the plane ``(n, points, 2)`` as they are from the window's centre."""
    seen = places - surface.origin[:, None]
    return seen if np.ptp(seen, axis=0).any() else seen[:1]


def _line(surface: Surface, kind: str, path: NDArray[np.float64], grows: bool = False) -> Trace:
    """Return a line through points in the plane ``(n, points, 2)``, as fine as the land."""
    corners = _in_window(surface, path)
    where = _evenly(surface, corners) if len(corners) > 1 else _crossings(surface, corners[0])
    if kind == "ring":
        where = where[:-1]
    reached = where / max(where[-1], 1.0) * (len(surface.dataset) - 1) if grows else None
    places = _along(corners, where)
    return Trace(kind, places, _moments(surface, places), reached)


def _moments(surface: Surface, places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return when points ``(n, points, 2)`` are laid on the land."""
    count = len(surface.frames)
    if len(places) == 1:
        return np.arange(count, dtype=float)
    farthest = np.linalg.norm(np.diff(places, axis=0), axis=-1).max(axis=1)
    pieces = np.ceil(farthest / _fine(surface)).clip(1, MOST).astype(int)
    between = [index + np.arange(1, n + 1) / n for index, n in enumerate(pieces)]
    return np.concatenate([[0.0], *between])


def _along(path: NDArray[np.float64], where: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the points of a line ``(..., points, 2)`` at these of its points and parts of them."""
    before = where.astype(int).clip(max=max(path.shape[-2] - 2, 0))
    after = np.minimum(before + 1, path.shape[-2] - 1)
    part = (where - before)[:, None]
    return path[..., before, :] * (1 - part) + path[..., after, :] * part


def _evenly(surface: Surface, paths: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return where a moving line ``(n, points, 2)`` has its points."""
    longest = np.linalg.norm(np.diff(paths, axis=1), axis=-1).max(axis=0)
    window = np.hypot(np.ptp(surface.alpha), np.ptp(surface.beta))  # what is longer leaves it
    pieces = np.ceil(longest.clip(max=2 * window) / _fine(surface)).clip(1).astype(int)
    parts = [k + np.arange(n) / n for k, n in enumerate(pieces)]
    return np.concatenate([*parts, [len(pieces)]])


def _crossings(surface: Surface, path: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return where a line ``(points, 2)`` has its points: corners, and crossings of edges.

    Just outside the window it has one more, so that it can end at the border.
    """
    found = [np.arange(len(path), dtype=float)]
    for axis, lines in enumerate((surface.alpha, surface.beta)):
        hair = 10 * HAIR * _cell(surface)
        edges = np.concatenate([[lines[0] - hair], lines, [lines[-1] + hair]])
        for index, (start, end) in enumerate(pairwise(path[:, axis])):
            crossed = edges[(edges > min(start, end)) & (edges < max(start, end))]
            found.append(index + (crossed - start) / (end - start))
    where = np.sort(np.concatenate(found))

    # Between two of these the line is in one cell, and crosses its diagonal at most once.
    at = _grid_coordinates(surface, _along(path, where))
    cell = np.floor((at[:-1] + at[1:]) / 2)
    sides = [np.subtract(*(ends - cell).T) for ends in (at[:-1], at[1:])]
    across = np.flatnonzero(sides[0] * sides[1] < 0)
    part = sides[0][across] / (sides[0][across] - sides[1][across])
    diagonal = where[across] + part * (where[across + 1] - where[across])
    where = np.sort(np.concatenate([where, diagonal]))

    steps = np.linalg.norm(np.diff(_along(path, where), axis=0), axis=1)
    return where[np.append(True, steps > HAIR * _cell(surface))]


def _grid_coordinates(surface: Surface, places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return columns and rows ``(points, 2)``, with fractions, of places in the window."""
    axes = (surface.alpha, surface.beta)
    return np.stack(
        [np.interp(x, a, np.arange(len(a))) for x, a in zip(places.T, axes, strict=True)], axis=-1
    )


def _fine(surface: Surface) -> float:
    """Return the length of the pieces that moving things are cut into."""
    return min(_cell(surface) / 2, FINE * float(np.ptp(surface.alpha)))


def _cell(surface: Surface) -> float:
    """Return the width of a cell, on average."""
    return float(surface.alpha[-1] - surface.alpha[0]) / (len(surface.alpha) - 1)
