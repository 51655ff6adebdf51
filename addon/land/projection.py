"""Project paths, ellipses and samples of the plane onto the surface.

No bpy here. Blender draws a cell of the surface as two triangles. A line gets a point wherever it
crosses one of their edges, so that it follows every fold exactly and never cuts through one. Where
the window travels, or the line itself moves, the crossings move, too: such a line has many points
at equal distances instead, and keys between snapshots.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ..sequence.heights import HeightScale
from ..sequence.surface import Surface
from ..units import plane_unit

Array = NDArray[np.float64]

TRAJECTORY = "trajectory"
"""The path that is the training itself, as evenly spread over it as the frames are."""

MERGE_DISTANCE = 1e-3
"""Points of a line that are nearer to each other are one point; in widths of a cell."""

ELLIPSE_POINTS = 180
"""Points of an ellipse in the plane."""

RESOLUTION = 1 / 200
"""Distance between points of a moving line, and the farthest that they move from key to key: in
widths of the window, or half a cell where that is less. Where they cross an edge of 45 degrees,
their height is wrong by at most a quarter of it."""

MOST_KEYS = 32
"""Keys from one snapshot to the next, however far something moves."""


@dataclass(frozen=True)
class PlaneShape:
    """A path, an ellipse or samples, in the window of a surface.

    Attributes
    ----------
    kind : {"path", "ellipse", "samples"}
    points : ndarray
        ``(n, points, 2)`` alpha and beta from the window's centre at each snapshot; n is 1 for
        what does not move in the window.
    moments : ndarray
        ``(k,)`` the times at which it is projected, counted in snapshots: each snapshot, and times
        between two where it moves.
    reached : ndarray or None
        ``(points,)`` for the trajectory: the frame of the file at which the training reaches each
        point.
    """

    kind: str
    points: Array
    moments: Array
    reached: Array | None = None

    def at(self, moment: float) -> Array:
        """Return the points ``(points, 2)`` at a moment, counted in snapshots."""
        if len(self.points) == 1:
            return self.points[0]
        before = min(int(moment), len(self.points) - 2)
        part = moment - before
        return self.points[before] * (1 - part) + self.points[before + 1] * part


def to_land(surface: Surface, scale: HeightScale, points: Array) -> Array:
    """Return where points of the plane are on the land, at each snapshot.

    Parameters
    ----------
    surface : Surface
        For its window.
    scale : HeightScale
        The land's.
    points : ndarray
        ``(n, 3)`` alpha, beta and loss at each snapshot, or ``(3,)`` for a point that stays.

    Returns
    -------
    ndarray
        ``(n, 3)`` x, y and z in Blender units, in the space of the land.
    """
    points = np.broadcast_to(points, (len(surface.frames), 3))
    across = (points[:, :2] - surface.origin) * plane_unit(surface.alpha)
    return np.column_stack([across, scale(points[:, 2])])


def shapes_of(surface: Surface) -> dict[str, PlaneShape]:
    """Return the paths, ellipses and samples of a surface by the names of their objects."""
    found = {}
    for name, path in surface.paths.items():
        known = _filled(path[..., :2].reshape(-1, path.shape[-2], 2))
        if known is not None:
            found[f"Path {name}"] = _line(surface, "path", known, name == TRAJECTORY)
    if {"mean", "covariance"} <= set(surface.posterior):
        for sigma in (1, 2, 3):
            around = ellipse(surface.posterior["mean"], surface.posterior["covariance"], sigma)
            found[f"Posterior {sigma} Sigma"] = _line(surface, "ellipse", around[None])
    # A line that is all in one place is none.
    found = {name: shape for name, shape in found.items() if shape.points.shape[1] > 1}
    samples = surface.posterior.get("samples", np.empty((0, 3)))[:, :2]
    samples = samples[np.isfinite(samples).all(axis=1)]
    if len(samples):
        points = _in_window(surface, samples[None])
        found["Posterior Samples"] = PlaneShape("samples", points, _moments(surface, points))
    return found


def ellipse(mean: Array, covariance: Array, sigma: float) -> Array:
    """Return a Gaussian's ellipse ``(ELLIPSE_POINTS + 1, 2)``; the last point is the first."""
    variances, axes = np.linalg.eigh(covariance)
    turn = np.linspace(0, 2 * np.pi, ELLIPSE_POINTS + 1) % (2 * np.pi)
    circle = np.stack([np.cos(turn), np.sin(turn)], axis=-1)
    return mean + sigma * (circle * np.sqrt(variances.clip(min=0))) @ axes.T


def heights_at(
    surface: Surface,
    losses: NDArray[np.float32],
    scale: HeightScale,
    points: Array,
) -> Array:
    """Return the land's heights at points in the window, on the triangles that Blender draws.

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
    points : ndarray
        ``(points, 2)`` alpha and beta from the window's centre.

    Returns
    -------
    ndarray
        ``(points,)``.
    """
    u, v = _grid_coordinates(surface, points).T
    col = u.astype(int).clip(max=len(surface.alpha) - 2)
    row = v.astype(int).clip(max=len(surface.beta) - 2)
    u, v = u - col, v - row
    beside = np.where(u > v, losses[row, col + 1], losses[row + 1, col])
    corners = np.stack([losses[row, col], losses[row + 1, col + 1], beside])
    weights = np.stack([1 - np.maximum(u, v), np.minimum(u, v), np.abs(u - v)])
    return (weights * scale(corners)).sum(axis=0)


def inside(surface: Surface, points: Array) -> NDArray[np.bool_]:
    """Return which points ``(points, 2)`` are in the window."""
    beyond = MERGE_DISTANCE * _cell_width(surface)
    low, high = (np.array([surface.alpha[end], surface.beta[end]]) for end in (0, -1))
    return np.all((points > low - beyond) & (points < high + beyond), axis=1)


def drawn_part(surface: Surface, shape: PlaneShape) -> tuple[Array, Array]:
    """Return how much of the trajectory the training has covered, over time.

    Returns
    -------
    moments, parts : ndarray
        ``(k,)`` each: increasing times in snapshots, and the part of the line's points, from 0 to
        1, that is covered by then.
    """
    reached = np.asarray(shape.reached)
    count = len(surface.frames)
    moments = np.interp(reached, surface.frames, np.arange(count))
    # Blender takes keys that are nearer than 0.01 for one.
    moments = np.unique([0, *np.round(moments * 64) / 64, count - 1])
    frames = np.interp(moments, np.arange(count), surface.frames)
    return moments, np.interp(frames, reached, np.linspace(0, 1, len(reached)))


def _filled(paths: Array) -> Array | None:
    """Replace the coordinates ``(n, points, 2)`` that are NaN; return None where all are.

    A line goes straight from one known point to the next. A frame that knows none has the line of
    the nearest frame that knows some.
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


def _in_window(surface: Surface, points: Array) -> Array:
    """Return points of the plane ``(n, points, 2)`` from the window's centre; once if they stay."""
    offsets = points - surface.origin[:, None]
    return offsets if np.ptp(offsets, axis=0).any() else offsets[:1]


def _line(surface: Surface, kind: str, path: Array, is_trajectory: bool = False) -> PlaneShape:
    """Return a line through points of the plane ``(n, points, 2)``, as fine as the surface."""
    corners = _in_window(surface, path)
    where = _evenly(surface, corners) if len(corners) > 1 else _crossings(surface, corners[0])
    if kind == "ellipse":
        where = where[:-1]
    reached = where / max(where[-1], 1.0) * (len(surface.dataset) - 1) if is_trajectory else None
    points = _interpolated(corners, where)
    return PlaneShape(kind, points, _moments(surface, points), reached)


def _moments(surface: Surface, points: Array) -> Array:
    """Return the times, in snapshots, at which points ``(n, points, 2)`` are projected."""
    count = len(surface.frames)
    if len(points) == 1:
        return np.arange(count, dtype=float)
    farthest = np.linalg.norm(np.diff(points, axis=0), axis=-1).max(axis=1)
    pieces = np.ceil(farthest / _resolution(surface)).clip(1, MOST_KEYS).astype(int)
    between = [index + np.arange(1, n + 1) / n for index, n in enumerate(pieces)]
    return np.concatenate([[0.0], *between])


def _interpolated(path: Array, where: Array) -> Array:
    """Return points on a line ``(..., points, 2)``: 2.25 is a quarter of the way from 2 to 3."""
    before = where.astype(int).clip(max=max(path.shape[-2] - 2, 0))
    after = np.minimum(before + 1, path.shape[-2] - 1)
    part = (where - before)[:, None]
    return path[..., before, :] * (1 - part) + path[..., after, :] * part


def _evenly(surface: Surface, paths: Array) -> Array:
    """Return where a moving line ``(n, points, 2)`` gets points, counted in its own points."""
    longest = np.linalg.norm(np.diff(paths, axis=1), axis=-1).max(axis=0)
    window = np.hypot(np.ptp(surface.alpha), np.ptp(surface.beta))  # what is longer leaves it
    pieces = np.ceil(longest.clip(max=2 * window) / _resolution(surface)).clip(1).astype(int)
    parts = [k + np.arange(n) / n for k, n in enumerate(pieces)]
    return np.concatenate([*parts, [len(pieces)]])


def _crossings(surface: Surface, path: Array) -> Array:
    """Return where a line ``(points, 2)`` gets points: its own, and where it crosses edges.

    Just outside the window it gets one more, so that it can end at the border.
    """
    found = [np.arange(len(path), dtype=float)]
    for axis, lines in enumerate((surface.alpha, surface.beta)):
        beyond = 10 * MERGE_DISTANCE * _cell_width(surface)
        edges = np.concatenate([[lines[0] - beyond], lines, [lines[-1] + beyond]])
        for index, (start, end) in enumerate(pairwise(path[:, axis])):
            crossed = edges[(edges > min(start, end)) & (edges < max(start, end))]
            found.append(index + (crossed - start) / (end - start))
    where = np.sort(np.concatenate(found))

    # Between two of these the line is in one cell, and crosses its diagonal at most once.
    at = _grid_coordinates(surface, _interpolated(path, where))
    cell = np.floor((at[:-1] + at[1:]) / 2)
    sides = [np.subtract(*(ends - cell).T) for ends in (at[:-1], at[1:])]
    across = np.flatnonzero(sides[0] * sides[1] < 0)
    part = sides[0][across] / (sides[0][across] - sides[1][across])
    diagonal = where[across] + part * (where[across + 1] - where[across])
    where = np.sort(np.concatenate([where, diagonal]))

    steps = np.linalg.norm(np.diff(_interpolated(path, where), axis=0), axis=1)
    return where[np.append(True, steps > MERGE_DISTANCE * _cell_width(surface))]


def _grid_coordinates(surface: Surface, points: Array) -> Array:
    """Return columns and rows ``(points, 2)``, with fractions, of points in the window."""
    axes = (surface.alpha, surface.beta)
    return np.stack(
        [np.interp(x, a, np.arange(len(a))) for x, a in zip(points.T, axes, strict=True)], axis=-1
    )


def _resolution(surface: Surface) -> float:
    """Return the distance between points of a moving line, in units of the plane."""
    return min(_cell_width(surface) / 2, RESOLUTION * float(np.ptp(surface.alpha)))


def _cell_width(surface: Surface) -> float:
    """Return the width of a cell, on average, in units of the plane."""
    return float(surface.alpha[-1] - surface.alpha[0]) / (len(surface.alpha) - 1)
