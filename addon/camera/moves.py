"""The move that acts want of a camera at each frame, whether or not the land is in its way.

No bpy here. A move eases in and out; acts that ease into each other are blended from the middle of
one to the middle of the next.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ..splines import minimum_jerk
from .acts import Act
from .rigs import RIGS, Framing
from .terrain import Terrain

Array = NDArray[np.float64]

EASING = 3.0
"""Seconds within which a move comes up to speed, and within which it slows down, at most."""

AT_REST = 8.0
"""Seconds that a shot lasts at least to begin and end at rest; shorter ones do so in motion."""


@dataclass(frozen=True)
class Offset:
    """How a camera's place differs from the one that its rig wants.

    Attributes
    ----------
    turned, raised : float
        Degrees of azimuth and of elevation.
    farther : float
        Factor of the distance.
    climb : float
        Degrees of elevation from the begin to the end.
    """

    turned: float = 0.0
    raised: float = 0.0
    farther: float = 1.0
    climb: float = 0.0

    def departure(self) -> float:
        """Return how much that changes the picture, as a penalty."""
        far = abs(np.log(self.farther)) / 1.5
        return abs(self.raised) / 40 + abs(self.turned) / 200 + far + abs(self.climb) / 60

    def of(self, framing: Framing, extent: float, follow: float) -> Framing:
        """Return a framing from there, with this part of its move, and this ``follow``."""
        return replace(
            framing,
            azimuth=framing.azimuth + self.turned,
            elevation=framing.elevation + self.raised,
            distance=framing.distance * self.farther,
            drift=framing.drift * extent,
            follow=follow,
        )

    def neighbours(self) -> list[Offset]:
        """Return offsets that differ a little, most of them in one respect."""
        return [
            *(replace(self, climb=self.climb + c) for c in (12, -12, 30, -30)),
            *(
                replace(self, climb=self.climb + c, raised=self.raised + r)
                for c, r in ((24, -8), (-24, -8), (24, 8), (-24, 8))
            ),
            *(replace(self, farther=self.farther * f) for f in (1.12, 1.3, 0.88, 0.76)),
            *(replace(self, raised=self.raised + r) for r in (4, -4, 9, -9)),
            *(replace(self, turned=self.turned + t) for t in (8, -8, 20, -20)),
        ]


@dataclass(frozen=True)
class Move:
    """Where a camera is wanted at each frame, seen from its subject; all arrays ``(n,)``.

    Attributes
    ----------
    done : ndarray
        How much of the move is done, 0 to 1.
    azimuth, elevation, distance, lens, frame_x, frame_y : ndarray
        As in ``Framing``.
    """

    done: Array
    azimuth: Array
    elevation: Array
    distance: Array
    lens: Array
    frame_x: Array
    frame_y: Array

    def changed(self, extent: float, offset: Offset) -> Move:
        """Return this part of the move, from elsewhere."""

        def shrunk(values: Array) -> Array:
            middle = (values.max() + values.min()) / 2
            return middle + extent * (values - middle)

        elevation = self.elevation + offset.climb * (self.done - 0.5)
        return replace(
            self,
            azimuth=shrunk(self.azimuth) + offset.turned,
            elevation=np.clip(shrunk(elevation) + offset.raised, -80, 80),
            distance=shrunk(self.distance) * offset.farther,
        )

    def around(self, azimuth: Array, width: float) -> Array:
        """Return places ``(n, 3)`` relative to the subject, on a land so wide.

        Its own azimuth is counted from the one that is given, ``(n,)``, in degrees.
        """
        a, e, distance = (
            np.radians(self.azimuth + azimuth),
            np.radians(self.elevation),
            self.distance * width,
        )
        level = distance * np.cos(e)
        return np.column_stack([level * np.sin(a), -level * np.cos(a), distance * np.sin(e)])


def wanted_move(acts: list[Act], terrain: Terrain, frames: Array, fps: float) -> Move:
    """Return the move of acts that one camera films.

    Parameters
    ----------
    acts : list of Act
        One after the other.
    terrain : Terrain
        The land that they show.
    frames : ndarray
        ``(n,)`` film frames, from the first act's first to the last one's last.
    fps : float
        Frames a second.
    """
    values = _of_act(acts[0], terrain, frames, fps)
    for before, after in pairwise(acts):
        begin, end = ((act.first + act.last) / 2 for act in (before, after))
        weight = minimum_jerk((frames - begin) / (end - begin))
        wanted = _of_act(after, terrain, frames, fps)
        wanted[0] += 360 * np.round((values[0].mean() - wanted[0].mean()) / 360)
        values = [a + weight * (b - a) for a, b in zip(values, wanted, strict=True)]
    whole = replace(acts[0], last=acts[-1].last)
    return Move(progress(whole, terrain, frames, fps), *values)


def _of_act(act: Act, terrain: Terrain, frames: Array, fps: float) -> list[Array]:
    rig, framing = RIGS[act.rig], act.framing
    done = progress(act, terrain, frames, fps) - 0.5
    still = np.ones_like(done)
    return [
        framing.azimuth + framing.drift * done,
        framing.elevation + rig.climb * done,
        framing.distance * (1 + rig.dolly * done),
        framing.lens * still,
        framing.frame_x * still,
        framing.frame_y * still,
    ]


def progress(act: Act, terrain: Terrain, frames: Array, fps: float) -> Array:
    """Return how much of an act's move is done at each frame ``(n,)``: it eases in and out."""
    seconds = np.clip(frames, act.first, act.last) / fps
    length = max((act.last - act.first) / fps, 1e-6)
    easing = min(length / 2, EASING)
    begun = (seconds - act.first / fps) / easing
    left = (act.last / fps - seconds) / easing
    speed = minimum_jerk(begun) * minimum_jerk(left)
    if not is_at_rest(frames, fps):
        speed = np.where((begun > 0) | (left > 0), 0.5 + 0.5 * speed, 0.0)
    if own := RIGS[act.rig].speed:
        speed = speed * own(terrain, frames, fps)
    done = np.concatenate([[0.0], np.cumsum((speed[1:] + speed[:-1]) / 2)])
    return done / max(done[-1], 1e-9)


def is_at_rest(frames: Array, fps: float) -> bool:
    """Tell whether a camera has the time to begin and to end at rest."""
    return bool(max(len(frames) - 1, 1) / fps >= AT_REST)
