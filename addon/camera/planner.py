"""The calm path nearest to what a rig wants, around and over a land that moves.

No bpy here. The aim follows its subject as closely as a calm camera may; the camera rides with a
part of it and moves around it. Where that is not calm, the move is made smaller, then the part.
What the land hides or comes too near to is seen from elsewhere: the free place that is nearest to
the wanted one.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from itertools import product
from math import ceil

import numpy as np
from numpy.typing import NDArray

from ..splines import Spline, ease, fit_spline
from ..steps import within
from .acts import Act, by_camera
from .composition import Composition, View, framing_penalty, unit_vectors
from .motion import Motion, calm_track, measure
from .moves import Offset, is_at_rest, progress, wanted_move
from .rigs import RIGS, Course, Rig, joined
from .terrain import Terrain

Array = NDArray[np.float64]

MARGIN = 0.95
"""How much of the bounds on motion a plan may use up."""

EXTENTS = (1.0, 0.85, 0.7, 0.58, 0.47, 0.38, 0.3, 0.22, 0.15, 0.1, 0.05, 0.0)
"""Parts of the wanted move that are tried."""

FOLLOWS = (1.0, 0.8, 0.6, 0.4, 0.2, 0.0)
"""Parts of the wanted ``Framing.follow`` that are tried."""

MOST = 0.9
"""Part of the remaining progress that each of them counts for: the first one mostly is the last."""

TURNS = (0, 15, -15, 35, -35, 60, -60, 90, -90, 130, -130)
RAISES = (0, 6, -6, 12, -12, 20, -20, 30, -30)
"""Degrees of azimuth and of elevation by which other places are tried."""

FARTHER = (1.0, 1.3)
"""How much farther away they are tried."""

FINER = 4
"""Rounds in which the neighbours of the best place are tried."""

GOOD_ENOUGH = 0.12
"""A place with a smaller penalty is taken, and no other one tried."""


@dataclass(frozen=True)
class Plan:
    """How one camera films one or more acts.

    Attributes
    ----------
    acts : list of Act
        Framed as it came out.
    aim : list of Spline
        Of the Empty it looks at.
    start : ndarray
        Where the Empty that rides along begins.
    follow : float
        How much of the aim's way that one shares.
    place : list of Spline
        Of the camera, relative to that.
    bank : Spline or None
        Radians, counted as Blender does.
    lens, frame_x, frame_y : Spline
        Millimetres, and where in the picture the subject is, as ``Framing`` has it.
    motion : Motion
        As it will be, on the coarse land.
    focus : ndarray
        What is nearer to the camera than the aim, as it begins.
    pull : Spline or None
        How focus is pulled from there to the aim, 0 to 1.
    fps, aspect : float
        Of the film: frames a second, and the width of its picture over its height.
    """

    acts: list[Act]
    aim: list[Spline]
    start: Array
    follow: float
    place: list[Spline]
    bank: Spline | None
    lens: Spline
    frame_x: Spline
    frame_y: Spline
    motion: Motion
    focus: Array
    pull: Spline | None
    fps: float
    aspect: float

    @property
    def rig(self) -> Rig:
        """The first act's, with the bounds of all."""
        return joined(act.rig for act in self.acts)

    @property
    def azimuth(self) -> float:
        """Where the camera is half-way through the first act, in degrees as framings count."""
        middle = (self.acts[0].first + self.acts[0].last) / 2
        x, y = (spline(middle)[0] for spline in self.place[:2])
        return float(np.degrees(np.arctan2(x, -y)))


def planning(
    acts: list[Act], terrain: Terrain, fps: float, aspect: float
) -> Generator[float, None, list[Plan]]:
    """Plan the cameras of a shot: one for all acts that ease into each other.

    Parameters
    ----------
    acts : list of Act
        Those of the shot, one after the other.
    terrain : Terrain
        The land that they show.
    fps : float
        Frames a second.
    aspect : float
        Width of the picture over its height, as it is rendered.

    Yields
    ------
    float
        Progress, from 0 to 1, of the most work that there can be: it may end early.

    Returns
    -------
    list of Plan
        One for each camera.

    Raises
    ------
    ValueError
        Where a rig needs a second land or a path that there is not, or acts that look at different
        things are to ease into each other.
    """
    groups, plans = by_camera(acts), []
    for n, group in enumerate(groups):
        steps = _planning(group, terrain, fps, aspect)
        plans.append((yield from within(n / len(groups), (n + 1) / len(groups), steps)))
    return plans


def _planning(
    acts: list[Act], terrain: Terrain, fps: float, aspect: float
) -> Generator[float, None, Plan]:
    """Plan how one camera films acts that ease into each other."""
    kinds = {(RIGS[act.rig].looks_at, act.line) for act in acts}
    if len(kinds) > 1:
        names = " and ".join(act.rig for act in acts)
        raise ValueError(f"camera: {names} look at different things: expected a cut or a fade.")
    planner = _Planner([_fitted(act, aspect) for act in acts], terrain, fps, aspect)
    best, least, done = None, np.inf, 0.0
    for part in FOLLOWS:
        begun, done = done, done + MOST * (1 - done)
        steps = planner.planning(part * acts[0].framing.follow)
        found = yield from within(begun, done, steps)
        faults = found.motion.faults()
        score = framing_penalty(found.motion) + 0.3 * (1 - part) + len(faults)
        if score < least:
            best, least = found, score
        if not faults:
            break
    assert best is not None
    return best


def _fitted(act: Act, aspect: float) -> Act:
    """Return an act farther away where its whole land would not fit into an upright picture."""
    if aspect >= 1 or not RIGS[act.rig].whole:
        return act
    return replace(act, framing=replace(act.framing, distance=act.framing.distance / aspect))


class _Planner:
    """What stays the same while one path after the other is tried."""

    def __init__(self, acts: list[Act], terrain: Terrain, fps: float, aspect: float) -> None:
        self.acts, self.terrain, self.fps, self.aspect = acts, terrain, fps, aspect
        self.rig = joined(act.rig for act in acts)
        if self.rig.whole and aspect < 1:  # there is as much more sky and ground
            least, most = self.rig.filled
            self.rig = replace(self.rig, filled=(least * aspect, most))
        self.frames = np.arange(acts[0].first, acts[-1].last + 1)
        when = terrain.at(self.frames, terrain.when)
        places = terrain.at(self.frames, terrain.places)
        self.places = terrain.unburied(when, places) if self.rig.from_above else places
        self.move = wanted_move(acts, terrain, self.frames, fps)
        done = progress(acts[0], terrain, self.frames, fps)
        self.course = Course(terrain, self.frames, when, self.places, acts[0].line, done)
        self.composition = Composition(terrain, when, self.rig)
        self.seconds = max(len(self.frames) - 1, 1) / fps
        self.rests = is_at_rest(self.frames, fps)
        self.aims: dict[tuple[float, float], tuple[list[Spline], Array]] = {}

    def planning(self, follow: float) -> Generator[float, None, Plan]:
        """Make the best plan with this ``follow``."""
        offset = Offset()
        for n in range(2):  # what is free depends on the move, and the other way round
            begun = 0.5 * n
            extent, found = yield from within(begun, begun + 0.1, self._largest(follow, offset))
            steps = self._freest(follow, extent, offset)
            better = yield from within(begun + 0.1, begun + 0.5, steps)
            if better == offset:
                break
            offset = better
        else:
            _, found = yield from within(1.0, 1.0, self._largest(follow, offset))
        view = self._view(found)
        tilt = 0.0 if found.bank is None else np.degrees(np.abs(found.bank(self.frames)).max())
        motion = self.composition.figures(view, found.motion, float(tilt))
        return replace(found, motion=motion, focus=self.composition.nearer(view))

    # The largest move that is calm

    def _largest(self, follow: float, offset: Offset) -> Generator[float, None, tuple[float, Plan]]:
        """Find how much of the move is calm, and the plan of it."""
        for n, extent in enumerate(EXTENTS):
            yield n / len(EXTENTS)
            found = self._path(follow, extent, offset)
            view = self._view(found)
            forward = unit_vectors(view.aim - view.eyes)
            motion = measure(view.eyes, forward, self.fps, self.terrain.width)
            if not motion.faults(MARGIN):
                break
        return extent, replace(found, motion=motion)

    def _aim(self, follow: float, extent: float, subject: Array) -> tuple[list[Spline], Array]:
        """Return the track of the aim: as close to its subject as is calm with this ``follow``."""
        tried = follow, extent if self.rig.looks_at == "line" else 1.0
        if tried not in self.aims:
            # It may use up a good part of what is allowed; the move gets the rest.
            width = self.terrain.width / max(follow, 0.4)
            track = calm_track(self.frames, subject, self.fps, width, 0.6, self.rests)
            self.aims[tried] = track, np.column_stack([spline(self.frames) for spline in track])
        return self.aims[tried]

    def _wanted(self, follow: float, extent: float, offset: Offset) -> View:
        """Return what would be seen of a move if it needed no keys."""
        subject, azimuth = self.rig.subject(self.course, extent)
        _, aim = self._aim(follow, extent, subject)
        move = self.move.changed(extent, offset)
        eyes = aim[0] + follow * (aim - aim[0]) + move.around(azimuth, self.terrain.width)
        looked_at = subject if self.rig.looks_at == "minimizer" else aim
        return View(eyes, aim, looked_at, move.lens, move.frame_x, move.frame_y, self.aspect)

    def _path(self, follow: float, extent: float, offset: Offset) -> Plan:
        """Return the keys of a move, not measured yet."""
        subject, _ = self.rig.subject(self.course, extent)
        aim, track = self._aim(follow, extent, subject)
        view = self._wanted(follow, extent, offset)
        around = view.eyes - track[0] - follow * (track - track[0])
        knots = int(np.clip(ceil(self.seconds / 1.2) + 3, 5, 40))
        few = 2 if len(self.acts) == 1 else knots
        lens, frame_x, frame_y = (
            fit_spline(self.frames, values, few)
            for values in (view.lens, view.frame_x, view.frame_y)
        )
        return Plan(
            [replace(act, framing=offset.of(act.framing, extent, follow)) for act in self.acts],
            aim=aim,
            start=track[0],
            follow=follow,
            place=[fit_spline(self.frames, axis, knots, eased=self.rests) for axis in around.T],
            bank=self._bank(extent, knots),
            lens=lens,
            frame_x=frame_x,
            frame_y=frame_y,
            motion=Motion(0, 0, 0, 0),
            focus=track[0],
            pull=self._pull(),
            fps=self.fps,
            aspect=self.aspect,
        )

    def _bank(self, extent: float, knots: int) -> Spline | None:
        """Return how it leans into the turn: most where that is fastest."""
        if not self.rig.bank:
            return None
        rate = np.gradient(self.move.azimuth)
        rate = extent * rate / max(np.abs(rate).max(), 1e-9)
        roll = -np.radians(self.rig.bank) * rate
        return fit_spline(self.frames, roll, knots, eased=self.rests)

    def _pull(self) -> Spline | None:
        """Return how focus comes to the subject: slowly begun, slowly ended."""
        seconds = min(self.rig.pull, self.seconds / 3)
        if not seconds:
            return None
        return ease([self.frames[0], self.frames[0] + seconds * self.fps], 0.0, 1.0, 4)

    def _view(self, plan: Plan) -> View:
        """Return what is seen of a plan."""
        aim, place, framed = (
            np.column_stack([spline(self.frames) for spline in splines])
            for splines in (plan.aim, plan.place, (plan.lens, plan.frame_x, plan.frame_y))
        )
        eyes = plan.start + plan.follow * (aim - plan.start) + place
        subject = self.places if self.rig.looks_at == "minimizer" else aim
        lens, frame_x, frame_y = framed.T
        return View(eyes, aim, subject, lens, frame_x, frame_y, self.aspect)

    # Where it is seen best

    def _freest(
        self, follow: float, extent: float, begin: Offset
    ) -> Generator[float, None, Offset]:
        """Find from where the camera is free and sees, as near to where it begins as may be."""
        if self.rig.looks_at == "between":
            return begin
        best, least = begin, self._price(follow, extent, begin)
        turns = TURNS if self.rig.looks_at == "minimizer" else TURNS[:7]
        around = [Offset(*offset) for offset in product(turns, RAISES, FARTHER)]
        for done in range(1 + FINER):
            tried = best.neighbours() if done else around
            for n, offset in enumerate(tried):
                if least < GOOD_ENOUGH:
                    return best
                yield (done + n / len(tried)) / (1 + FINER)
                price = self._price(follow, extent, offset, least)
                if price < least - 1e-9:
                    best, least = offset, price
        return best

    def _price(self, follow: float, extent: float, offset: Offset, limit: float = np.inf) -> float:
        """Return how much is wrong with a place, and how far it is from the wanted one."""
        lowest, highest = self.rig.elevations
        elevation = self.acts[0].framing.elevation + offset.raised
        if offset.raised and not lowest <= elevation <= highest:
            return np.inf
        view = self._wanted(follow, extent, offset)
        return self.composition.penalty(view, offset.departure(), limit)
