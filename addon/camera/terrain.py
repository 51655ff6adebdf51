"""The moving land as a camera has to know it: how near it is, and what it hides.

No bpy here. Everything is looked up in a coarse copy of the heights, for all frames of a path at
once: a planner asks hundreds of times. The land is a height field, so it blocks a line of sight
just where that goes from one side of it to the other. Lengths are Blender units in the land's own
space.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from math import ceil

import numpy as np
from numpy.typing import NDArray

from ..sequence.heights import HeightScale
from ..sequence.selection import Selection
from ..sequence.surface import Surface
from ..units import plane_unit

Array = NDArray[np.float64]

SNAPSHOTS, ROWS = 24, 128
"""Of a large surface about so many snapshots, rows and columns are enough to plan with."""

BORDER_POINTS = 24
"""Points on each side of the land's border that are looked at."""

IN_SIGHT = 0.02
"""Land that is nearer than this to what is looked at does not hide it; in widths of the land."""

ON_LAND = 2e-3
"""A line of sight that is nearer to the land than this is on neither side of it; in widths."""


@dataclass(frozen=True)
class Terrain:
    """A land over time, and what happens on it.

    Attributes
    ----------
    x, y : ndarray
        ``(cols,)`` and ``(rows,)``, increasing.
    heights : ndarray
        ``(n, rows, cols)``.
    known : ndarray
        ``(n,)`` which snapshots these are, increasing.
    frames, when : ndarray
        ``(m,)`` film frames, increasing, and the snapshot that is seen at each.
    places : ndarray
        ``(m, 3)`` where the minimizer is.
    learning_rate : ndarray
        ``(m,)`` the learning rate then, as a part of the largest.
    others : list of ndarray
        ``(m, 3)`` where the minimizers of the shot's further lands are.
    paths : dict of ndarray
        ``(points, 3)`` along each path on the land: x, y, and the loss.
    """

    x: Array
    y: Array
    heights: NDArray[np.float32]
    known: Array
    frames: Array
    when: Array
    places: Array
    learning_rate: Array
    others: list[Array] = field(default_factory=list)
    paths: dict[str, Array] = field(default_factory=dict)

    @property
    def width(self) -> float:
        """The land's width."""
        return float(self.x[-1] - self.x[0])

    def at(self, frames: Array, values: Array) -> Array:
        """Return values ``(m, ...)`` at film frames; before and after they stand still."""
        index = np.interp(frames, self.frames, np.arange(len(self.frames)))
        before = np.minimum(index.astype(int), len(self.frames) - 2)
        part = (index - before).reshape((-1,) + (1,) * (values.ndim - 1))
        return values[before] * (1 - part) + values[before + 1] * part

    def height(self, when: Array, x: Array, y: Array) -> Array:
        """Return heights at moments and places that broadcast; NaN where there is no land."""
        t, t_part = _between(self.known, np.asarray(when))
        col, col_part = _between(self.x, np.asarray(x))
        row, row_part = _between(self.y, np.asarray(y))
        cols, size = len(self.x), len(self.x) * len(self.y)
        heights = self.heights.reshape(-1)
        left, right = (np.minimum(col + k, cols - 1) for k in (0, 1))
        low, high = (np.minimum(row + k, len(self.y) - 1) * cols for k in (0, 1))

        def inside(t: NDArray) -> Array:
            near, far = t * size + low, t * size + high
            first = heights.take(near + left)
            first = first + (heights.take(near + right) - first) * col_part
            second = heights.take(far + left)
            second = second + (heights.take(far + right) - second) * col_part
            return first + (second - first) * row_part

        found = inside(t)
        if t_part.any():
            found = found + (inside(np.minimum(t + 1, len(self.known) - 1)) - found) * t_part
        out = (x < self.x[0]) | (x > self.x[-1]) | (y < self.y[0]) | (y > self.y[-1])
        return np.where(out, np.nan, found)

    def clearance(self, when: Array, eyes: Array) -> Array:
        """Return how far points ``(n, 3)`` are from the land, each at its moment ``(n,)``.

        What is farther than a tenth of the land's width counts as that far.
        """
        reach = step = 0.1 * self.width
        x, y = eyes[:, :1], eyes[:, 1:2]
        for _ in range(2):  # roughly, then around the nearest point found
            along = np.linspace(-step, step, 25)
            dx, dy = (grid.ravel() for grid in np.meshgrid(along, along))
            xs, ys = x + dx, y + dy
            over = eyes[:, 2:] - self.height(when[:, None], xs, ys)
            distance = np.sqrt((xs - eyes[:, :1]) ** 2 + (ys - eyes[:, 1:2]) ** 2 + over**2)
            distance = np.where(np.isnan(distance), np.inf, distance)
            nearest = distance.argmin(axis=1)[:, None]
            x, y = (np.take_along_axis(grid, nearest, axis=1) for grid in (xs, ys))
            step = 2 * step / 24
        return np.minimum(distance.min(axis=1), reach)

    def above(self, when: Array, eyes: Array, targets: Array, samples: int) -> Array:
        """Return how high above the land lines of sight run: ``(n, samples)``, NaN beyond it."""
        t = np.linspace(0, 1, samples)[:, None]
        points = eyes[:, None] + t * (targets - eyes)[:, None]
        return points[..., 2] - self.height(when[:, None], points[..., 0], points[..., 1])

    def hidden(self, when: Array, eyes: Array, targets: Array) -> NDArray[np.bool_]:
        """Tell which lines of sight the land blocks: ``(n,)``.

        What they look at lies on the land, often between spikes: the land around it, within
        ``IN_SIGHT``, does not count.
        """
        away = np.linalg.norm(targets - eyes, axis=1, keepdims=True)
        part = np.maximum(1 - IN_SIGHT * self.width / np.maximum(away, 1e-9), 0)
        above = self.above(when, eyes, eyes + part * (targets - eyes), 64)
        least = ON_LAND * self.width
        return (above > least).any(axis=1) & (above < -least).any(axis=1)

    def border(self, when: float) -> Array:
        """Return points of the land's four sides at a moment: ``(4, BORDER_POINTS, 3)``."""
        along = np.linspace(0, 1, BORDER_POINTS)
        x, y = (a[0] + along * (a[-1] - a[0]) for a in (self.x, self.y))
        low, high = np.zeros(BORDER_POINTS), np.ones(BORDER_POINTS)
        xs = np.stack([x, x, self.x[0] + low, self.x[-1] * high])
        ys = np.stack([self.y[0] + low, self.y[-1] * high, y, y])
        return np.stack([xs, ys, self.height(np.asarray(when), xs, ys)], axis=-1)

    def hit(self, when: float, eye: Array, rays: Array, reach: float) -> Array:
        """Return how far along rays ``(n, 3)`` from an eye the land is; NaN beyond reach."""
        eyes = np.tile(eye, (len(rays), 1))
        above = self.above(np.full(len(rays), when), eyes, eyes + reach * rays, 96)
        crossed = above[:, :-1] * above[:, 1:] <= 0
        away = (crossed.argmax(axis=1) + 0.5) * reach / 95
        return np.where(crossed.any(axis=1), away, np.nan)

    def unburied(self, when: Array, places: Array) -> Array:
        """Return places ``(n, 3)``, those that lie below spikes lifted to the tips around them.

        With a minibatch of its own at each point, losses of the land are spikes, and the loss of
        the run, of a batch that it has just learned from, lies below them.
        """
        step = IN_SIGHT / 2 * self.width * np.linspace(-1, 1, 5)
        dx, dy = (grid.ravel() for grid in np.meshgrid(step, step))
        near = self.height(when[:, None], places[:, :1] + dx, places[:, 1:2] + dy)
        near = np.where(np.isnan(near), places[:, 2:], near)
        buried = near[:, len(step) ** 2 // 2] - places[:, 2] > IN_SIGHT * self.width
        z = np.where(buried, near.max(axis=1), places[:, 2])
        return np.column_stack([places[:, :2], z])


def surveying(
    surface: Surface, scale: HeightScale, frames: Array, when: Array, places: Array
) -> Generator[float, None, Terrain]:
    """Look a surface over for a camera.

    Parameters
    ----------
    surface : Surface
        Of a sequence that is open.
    scale : HeightScale
        The land's.
    frames, when, places
        As ``Terrain`` has them.

    Yields
    ------
    float
        Progress, from 0 to 1.
    """
    count = len(surface.frames)
    selection = Selection(
        every=ceil(count / SNAPSHOTS),
        thin=ceil(max(len(surface.alpha), len(surface.beta)) / ROWS),
    )
    known = selection.snapshots(count)
    coarse = surface.select(selection)
    heights = []
    for loss in coarse.losses(scale.of_frame):
        heights.append(np.asarray(loss, np.float32))
        yield len(heights) / len(known)
    unit = plane_unit(surface.alpha)
    rate = surface.scalars.get("learning_rate", np.ones(count))
    rate = np.where(np.isfinite(rate) & (rate > 0), rate, 0.0)
    learning_rate = np.interp(when, np.arange(count), rate / max(rate.max(), 1e-30))
    return Terrain(
        x=coarse.alpha * unit,
        y=coarse.beta * unit,
        heights=np.array(heights),
        known=known.astype(float),
        frames=np.asarray(frames, float),
        when=np.asarray(when, float),
        places=np.asarray(places, float),
        learning_rate=learning_rate,
        paths=_paths(surface, unit),
    )


def _paths(surface: Surface, unit: float) -> dict[str, Array]:
    """Return the paths as they lie in the window half-way through the sequence."""
    middle = len(surface.frames) // 2
    found = {}
    for name, path in surface.paths.items():
        line = path[middle] if path.ndim == 3 else path
        line = line[np.isfinite(line).all(axis=1)]
        if len(line) > 1:
            placed = (line[:, :2] - surface.origin[middle]) * unit
            found[name] = np.column_stack([placed, line[:, 2]])
    return found


def _between(axis: Array, values: Array) -> tuple[NDArray, Array]:
    """Return the number of the last point of an axis before each value, and the part after it."""
    at = np.interp(values, axis, np.arange(len(axis)))
    before = at.astype(int)
    return before, at - before
