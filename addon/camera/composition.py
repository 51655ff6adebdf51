"""What a camera's pictures look like: where things are in them, and what is wrong with them.

No bpy here. All of it is told from the coarse land, at a few frames.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .motion import AT_LEAST, Motion
from .rigs import Rig
from .terrain import Terrain

Array = NDArray[np.float64]

SENSOR = 36.0
"""Width of the sensor in millimetres, along the longer side of the picture."""

CLEARANCE = 1.5 * AT_LEAST["clearance"]
"""How far from the coarse land a plan keeps, in widths."""

LOOKS, GLIMPSES, FEW = 16, 60, 3
"""Numbers of frames, evenly spread: for the camera's distance from the land and the borders in the
picture; for whether the subject is hidden; for how much of the picture the land fills."""

FOREGROUND = 0.14
"""Height in the picture of what focus is pulled from; 0 is its lower side."""


@dataclass(frozen=True)
class View:
    """What a camera sees, frame by frame.

    Attributes
    ----------
    eyes, aim, subject : ndarray
        ``(n, 3)`` where the camera is, what it is turned to, and what should be seen.
    lens, frame_x, frame_y : ndarray
        ``(n,)`` as in ``Framing``; the two are where the aim is in the picture.
    aspect : float
        Width of the picture over its height.
    """

    eyes: Array
    aim: Array
    subject: Array
    lens: Array
    frame_x: Array
    frame_y: Array
    aspect: float

    def axes(self, index: NDArray | slice) -> Array:
        """Return right, up and forward, the columns of ``(n, 3, 3)``."""
        forward = unit_vectors(self.aim[index] - self.eyes[index])
        right = unit_vectors(np.cross(forward, [0.0, 0.0, 1.0]))
        return np.stack([right, np.cross(right, forward), forward], axis=-1)

    def project(self, index: NDArray | slice, points: Array) -> tuple[Array, Array]:
        """Return where points ``(n, ..., 3)`` are in the picture, from its lower left corner."""
        eyes, axes = self.eyes[index], self.axes(index)
        shape = (len(eyes),) + (1,) * (points.ndim - 2)
        seen = np.einsum("n...i,nij->n...j", points - eyes.reshape((*shape, 3)), axes)
        depth = np.where(seen[..., 2] > 1e-6, seen[..., 2], np.nan)
        zoom = (self.lens[index] / SENSOR).reshape(shape) / depth
        across, up = self._sides()
        return (
            self.frame_x[index].reshape(shape) + zoom * seen[..., 0] / across,
            self.frame_y[index].reshape(shape) + zoom * seen[..., 1] / up,
        )

    def rays(self, index: int, x: Array, y: Array) -> Array:
        """Return the directions ``(n, 3)`` of places in the picture ``(n,)`` at a frame."""
        right, up, forward = self.axes(np.array([index]))[0].T
        zoom = self.lens[index] / SENSOR
        width, height = self._sides()
        across = (x - self.frame_x[index]) / zoom * width
        above = (y - self.frame_y[index]) / zoom * height
        return unit_vectors(forward + across[:, None] * right + above[:, None] * up)

    def _sides(self) -> tuple[float, float]:
        """Return width and height of the picture, the longer one of which is 1."""
        return min(1.0, self.aspect), min(1.0, 1 / self.aspect)


class Composition:
    """How the pictures of one camera are composed.

    Parameters
    ----------
    terrain : Terrain
        The land.
    when : ndarray
        ``(n,)`` the snapshot that is seen at each frame.
    rig : Rig
        Its bounds are those of the pictures.
    """

    def __init__(self, terrain: Terrain, when: Array, rig: Rig) -> None:
        self.terrain, self.when, self.rig = terrain, when, rig
        self.looked, self.glimpsed = (_spread(len(when), count) for count in (LOOKS, GLIMPSES))
        self.few = self.looked[_evenly(len(self.looked), FEW)]
        self.sides = np.stack([terrain.border(when) for when in self._snapshots(self.looked)])

    def penalty(self, view: View, price: float, limit: float = np.inf) -> float:
        """Return how much is wrong with a view.

        Parameters
        ----------
        view : View
            It is looked at.
        price : float
            What is wrong with it already.
        limit : float
            Over it, the rest is not looked at: what is quickest to tell comes first.
        """
        for more in (self._hiding, self._filling, self._bordering, self._nearing):
            if price >= limit:
                break
            price += more(view)
        return price

    def figures(self, view: View, motion: Motion, tilt: float) -> Motion:
        """Return the figures of a move with those of its pictures, and the rig's bounds."""
        x, y = view.project(slice(None), view.subject)
        return replace(
            motion,
            tilt=tilt,
            clearance=self._clearance(view),
            off_third=float(off_third(x, y).max()),
            inside=float(inside(x, y).min()),
            hidden=self._hidden(view),
            borders=self._borders(view),
            allowed=self.rig.bounds(),
        )

    def nearer(self, view: View) -> Array:
        """Return the land in the foreground, from which focus is pulled: ``(3,)``.

        Where it is hardly nearer than the subject, seen from high above, a place in the air is
        taken.
        """
        rays = view.rays(0, np.linspace(0.3, 0.8, 6), np.full(6, FOREGROUND))
        away = self._hit(view, 0, self._snapshots(self.few)[0], rays)
        away = np.fmin(away, 0.6 * float(np.linalg.norm(view.aim[0] - view.eyes[0])))
        nearest = int(away.argmin())
        return view.eyes[0] + away[nearest] * rays[nearest]

    # What is wrong

    def _hiding(self, view: View) -> float:
        hidden = self._hidden(view)
        return 3 * hidden + 30 * max(0.0, hidden - dict(self.rig.allowed).get("hidden", 0.0))

    def _filling(self, view: View) -> float:
        least, most = self.rig.filled
        filled = self._filled(view)
        return float(
            10 * np.maximum(0.0, least - filled).mean() + 10 * max(0.0, filled.max() - most)
        )

    def _bordering(self, view: View) -> float:
        if self.rig.borders >= 4:
            return 0.0
        return 3 * max(0.0, self._borders(view) - self.rig.borders)

    def _nearing(self, view: View) -> float:
        return 300 * max(0.0, CLEARANCE - self._clearance(view))

    # What is seen

    def _clearance(self, view: View) -> float:
        found = self.terrain.clearance(self.when[self.looked], view.eyes[self.looked])
        return float(found.min() / self.terrain.width)

    def _hidden(self, view: View) -> float:
        if self.rig.looks_at == "between":
            return 0.0
        index = self.glimpsed
        hidden = self.terrain.hidden(self.when[index], view.eyes[index], view.subject[index])
        return float(hidden.mean())

    def _borders(self, view: View) -> float:
        """Return how many sides of the land are seen at a time, at most."""
        index, when, sides = self.looked, self._snapshots(self.looked), self.sides
        x, y = view.project(index, sides)
        seen = (x > 0) & (x < 1) & (y > 0) & (y < 1)
        at = np.nonzero(seen)[0]
        seen[seen] = ~self.terrain.hidden(when[at], view.eyes[index][at], sides[seen])
        return float((seen.sum(axis=2) > 1).sum(axis=1).max())

    def _filled(self, view: View) -> Array:
        """Return how much of the picture the land fills, at a few frames."""
        x, y = (a.ravel() for a in np.meshgrid(*(np.linspace(0.05, 0.95, n) for n in (10, 6))))
        found = []
        for index, when in zip(self.few, self._snapshots(self.few), strict=True):
            hit = self._hit(view, index, when, view.rays(index, x, y))
            found.append(np.isfinite(hit).mean())
        return np.array(found)

    def _hit(self, view: View, index: int, when: float, rays: Array) -> Array:
        """Return how far along rays the land is at a frame; NaN where it is not, or too far."""
        reach = float(np.linalg.norm(view.eyes[index] - view.aim[index])) + self.terrain.width
        return self.terrain.hit(when, view.eyes[index], rays, reach)

    def _snapshots(self, index: NDArray) -> Array:
        """Return the snapshots of the coarse land that are nearest to those of frames."""
        known = self.terrain.known
        return known[np.abs(known - self.when[index][:, None]).argmin(axis=1)]


def framing_penalty(motion: Motion) -> float:
    """Return how badly a plan frames its subject."""
    return 10 * max(0.0, motion.off_third - 0.1) + 10 * max(0.0, 0.1 - motion.inside)


def off_third(x: Array, y: Array) -> Array:
    """Return how far places in the picture are from the nearest thirds line."""
    thirds = np.array([1 / 3, 2 / 3])
    return np.minimum(*(np.abs(a[:, None] - thirds).min(axis=1) for a in (x, y)))


def inside(x: Array, y: Array) -> Array:
    """Return how far places in the picture are from its border; below 0 they are not in it."""
    return np.minimum.reduce([x, 1 - x, y, 1 - y])


def unit_vectors(vectors: Array) -> Array:
    """Return vectors ``(..., 3)`` of length 1."""
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True).clip(1e-12)


def _evenly(total: int, count: int) -> NDArray[np.int_]:
    return np.linspace(0, total - 1, count).round().astype(int)


def _spread(total: int, count: int) -> NDArray[np.int_]:
    return np.unique(_evenly(total, count))
