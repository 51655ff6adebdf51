"""The calm path nearest to what a rig wants, around and over a land that moves.

No bpy here. The aim follows its subject as closely as a calm camera may; the camera rides with a
part of it and moves around it. What is out of bounds is made smaller: first the move, then the
ride. What the land hides or comes too near to is seen from elsewhere: the nearest place to the
wanted one that is free.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from itertools import product
from math import ceil

import numpy as np
from numpy.typing import NDArray

from ..splines import Spline, ease, fit_spline, minimum_jerk
from ..steps import within
from .acts import Act, by_camera
from .motion import CLEAR, Motion, calm_track, measure
from .rigs import RIGS, Course, Framing, Rig, joined
from .terrain import Terrain

Array = NDArray[np.float64]

MARGIN = 0.95
"""How much of the bounds on motion a plan may use up."""

EXTENTS = (1.0, 0.85, 0.7, 0.58, 0.47, 0.38, 0.3, 0.22, 0.15, 0.1, 0.05, 0.0)
"""Parts of the wanted move that are tried."""

RIDES = (1.0, 0.8, 0.6, 0.4, 0.2, 0.0)
"""Parts of the wanted ride that are tried."""

CLEARANCE = 1.5 * CLEAR["clearance"]
"""How far from the coarse land a plan keeps, in widths."""

LOOKS, GLIMPSES = 16, 60
"""Frames, evenly spread, at which a plan is held against the land, and its subject looked for."""

TURNS = (0, 15, -15, 35, -35, 60, -60, 90, -90, 130, -130)
RAISES = (0, 6, -6, 12, -12, 20, -20, 30, -30)
"""Degrees by which other places are tried."""

FARTHER = (1.0, 1.3)
"""How much farther away they are tried."""

BEFORE = 0.14
"""How high in the picture that is from where focus is pulled."""

CHEAP = 0.12
"""A place at which so little is wrong is taken."""

ONE_RIDE = 0.9
"""Part of the work left that one ride is taken for: most plans need no second one."""

SENSOR = 36.0
"""Millimetres."""

EASING = 3.0
"""Seconds a move takes to begin, and to end, at most."""

BRIEF = 8.0
"""Seconds of a shot that has no time to come to rest: it begins and ends on the move."""


@dataclass(frozen=True)
class Plan:
    """How one camera takes one or more acts.

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
        return joined([act.rig for act in self.acts])

    @property
    def azimuth(self) -> float:
        """Where the camera is half-way through the first act, in degrees as framings count."""
        middle = (self.acts[0].first + self.acts[0].last) / 2
        x, y = (spline(middle)[0] for spline in self.place[:2])
        return float(np.degrees(np.arctan2(x, -y)))


@dataclass(frozen=True)
class Moved:
    """How far from where a rig wants it the camera is: degrees, degrees, a factor, degrees."""

    turned: float = 0.0
    raised: float = 0.0
    farther: float = 1.0
    climb: float = 0.0

    def departure(self) -> float:
        """Return how much that changes the picture."""
        far = abs(np.log(self.farther)) / 1.5
        return abs(self.raised) / 40 + abs(self.turned) / 200 + far + abs(self.climb) / 60

    def of(self, framing: Framing, extent: float, follow: float) -> Framing:
        """Return a framing as it comes out."""
        return replace(
            framing,
            azimuth=framing.azimuth + self.turned,
            elevation=framing.elevation + self.raised,
            distance=framing.distance * self.farther,
            drift=framing.drift * extent,
            follow=follow,
        )


@dataclass(frozen=True)
class _Wish:
    """What the acts of one camera want at each frame; all ``(n,)``."""

    done: Array
    azimuth: Array
    elevation: Array
    distance: Array
    lens: Array
    frame_x: Array
    frame_y: Array

    def moved(self, extent: float, moved: Moved) -> _Wish:
        """Return it with a smaller move, from elsewhere."""

        def shrunk(values: Array) -> Array:
            middle = (values.max() + values.min()) / 2
            return middle + extent * (values - middle)

        elevation = self.elevation + moved.climb * (self.done - 0.5)
        return replace(
            self,
            azimuth=shrunk(self.azimuth) + moved.turned,
            elevation=np.clip(shrunk(elevation) + moved.raised, -80, 80),
            distance=shrunk(self.distance) * moved.farther,
        )


@dataclass(frozen=True)
class _Shot:
    """A camera at each frame: places ``(n, 3)``, and the rest ``(n,)``."""

    eyes: Array
    aim: Array
    subject: Array
    lens: Array
    frame_x: Array
    frame_y: Array

    def axes(self, index: NDArray | slice) -> Array:
        """Return right, up and forward, the columns of ``(n, 3, 3)``."""
        forward = _unit(self.aim[index] - self.eyes[index])
        right = _unit(np.cross(forward, [0.0, 0.0, 1.0]))
        return np.stack([right, np.cross(right, forward), forward], axis=-1)


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
    """Plan how one camera takes acts that ease into each other."""
    kinds = {(RIGS[act.rig].looks_at, act.line) for act in acts}
    if len(kinds) > 1:
        names = " and ".join(act.rig for act in acts)
        raise ValueError(f"camera: {names} look at different things: expected a cut or a fade.")
    planner = _Planner(acts, terrain, fps, aspect)
    best, least, done = None, np.inf, 0.0
    for ride in RIDES:
        begun, done = done, done + ONE_RIDE * (1 - done)
        steps = planner.planning(ride * acts[0].framing.follow)
        found = yield from within(begun, done, steps)
        score = (
            planner.framing_penalty(found.motion) + 0.3 * (1 - ride) + len(found.motion.faults())
        )
        if score < least:
            best, least = found, score
        if not found.motion.faults():
            break
    assert best is not None
    return best


class _Planner:
    """What stays the same while one path after the other is tried."""

    def __init__(self, acts: list[Act], terrain: Terrain, fps: float, aspect: float) -> None:
        self.acts, self.terrain, self.fps, self.aspect = acts, terrain, fps, aspect
        self.rig = joined([act.rig for act in acts])
        self.frames = np.arange(acts[0].first, acts[-1].last + 1)
        self.when = terrain.at(self.frames, terrain.when)
        self.seconds = max(len(self.frames) - 1, 1) / fps
        self.eased = self.seconds >= BRIEF
        self.aims: dict[tuple[float, float], tuple[list[Spline], Array]] = {}
        self.wish = self._wish()
        self.pull = self._pull()
        self.places = self._places()
        self.course = Course(
            terrain, self.frames, self.when, self.places, acts[0].line, self._progress(acts[0])
        )
        self.looked, self.glimpsed = (
            np.unique(np.linspace(0, len(self.frames) - 1, count).round().astype(int))
            for count in (LOOKS, GLIMPSES)
        )
        self.sides = np.stack([terrain.border(when) for when in self._snapshots(self.looked)])
        self.few = self.looked[np.linspace(0, len(self.looked) - 1, 3).round().astype(int)]

    # What is wanted

    def _wish(self) -> _Wish:
        """Return the moves of all acts, one blended into the next from middle to middle."""
        values = self._of_act(self.acts[0])
        for before, after in zip(self.acts, self.acts[1:], strict=False):
            begin, end = ((act.first + act.last) / 2 for act in (before, after))
            weight = minimum_jerk((self.frames - begin) / (end - begin))
            wanted = self._of_act(after)
            wanted[0] += 360 * np.round((values[0].mean() - wanted[0].mean()) / 360)
            values = [a + weight * (b - a) for a, b in zip(values, wanted, strict=True)]
        whole = replace(self.acts[0], last=self.acts[-1].last)
        return _Wish(self._progress(whole), *values)

    def _of_act(self, act: Act) -> list[Array]:
        rig, framing = RIGS[act.rig], act.framing
        done = self._progress(act) - 0.5
        still = np.ones_like(done)
        return [
            framing.azimuth + framing.drift * done,
            framing.elevation + rig.climb * done,
            framing.distance * (1 + rig.dolly * done),
            framing.lens * still,
            framing.frame_x * still,
            framing.frame_y * still,
        ]

    def _progress(self, act: Act) -> Array:
        """Return how much of an act's move is done at each frame: it eases in and out."""
        seconds = np.clip(self.frames, act.first, act.last) / self.fps
        length = max((act.last - act.first) / self.fps, 1e-6)
        easing = min(length / 2, EASING)
        begun = (seconds - act.first / self.fps) / easing
        left = (act.last / self.fps - seconds) / easing
        speed = minimum_jerk(begun) * minimum_jerk(left)
        if not self.eased:
            speed = np.where((begun > 0) | (left > 0), 0.5 + 0.5 * speed, 0.0)
        if own := RIGS[act.rig].speed:
            speed = speed * own(self.terrain, self.frames, self.fps)
        done = np.concatenate([[0.0], np.cumsum((speed[1:] + speed[:-1]) / 2)])
        return done / max(done[-1], 1e-9)

    def _pull(self) -> Spline | None:
        """Return how focus comes to the subject: slowly begun, slowly ended."""
        seconds = min(self.rig.pull, self.seconds / 3)
        if not seconds:
            return None
        return ease([self.frames[0], self.frames[0] + seconds * self.fps], 0.0, 1.0, 4)

    def _places(self) -> Array:
        """Return where the minimizer is seen; fur that it is buried in is seen from over it."""
        places = self.terrain.at(self.frames, self.terrain.places)
        return self.terrain.unburied(self.when, places) if self.rig.over else places

    # What comes of it

    def planning(self, follow: float) -> Generator[float, None, Plan]:
        """Make the best plan that rides along so much."""
        moved = Moved()
        for n in range(2):  # what is free depends on the move, and the other way round
            begun = 0.5 * n
            extent, found = yield from within(begun, begun + 0.1, self._largest(follow, moved))
            better = yield from within(
                begun + 0.1, begun + 0.5, self._freest(follow, extent, moved)
            )
            if better == moved:
                break
            moved = better
        else:
            _, found = yield from within(1.0, 1.0, self._largest(follow, moved))
        shot = self._shot(found)
        return replace(found, motion=self._figures(shot, found), focus=self._nearer(shot))

    def framing_penalty(self, motion: Motion) -> float:
        """Return how badly a plan frames its subject."""
        return 10 * max(0.0, motion.off_third - 0.1) + 10 * max(0.0, 0.1 - motion.inside)

    def _largest(self, follow: float, moved: Moved) -> Generator[float, None, tuple[float, Plan]]:
        """Find the largest move that is calm, and the plan of it."""
        for n, extent in enumerate(EXTENTS):
            yield n / len(EXTENTS)
            found = self._path(follow, extent, moved)
            shot = self._shot(found)
            forward = _unit(shot.aim - shot.eyes)
            motion = measure(shot.eyes, forward, self.fps, self.terrain.width)
            if not motion.faults(MARGIN):
                break
        return extent, replace(found, motion=motion)

    def _aim(self, follow: float, extent: float, subject: Array) -> tuple[list[Spline], Array]:
        """Return the track of the aim, as close as is calm for who rides along so much."""
        tried = follow, extent if self.rig.looks_at == "line" else 1.0
        if tried not in self.aims:
            # It may use up a good part of what is allowed; the move gets the rest.
            width = self.terrain.width / max(follow, 0.4)
            track = calm_track(self.frames, subject, self.fps, width, 0.6, self.eased)
            self.aims[tried] = track, np.column_stack([spline(self.frames) for spline in track])
        return self.aims[tried]

    def _wanted(self, follow: float, extent: float, moved: Moved) -> _Shot:
        """Return what would be seen of a move if it needed no keys."""
        subject, azimuth = self.rig.subject(self.course, extent)
        _, aim = self._aim(follow, extent, subject)
        wish = self.wish.moved(extent, moved)
        distance = wish.distance * self.terrain.width
        around = _around(wish.azimuth + azimuth, wish.elevation, distance)
        eyes = aim[0] + follow * (aim - aim[0]) + around
        looked_at = subject if self.rig.looks_at == "minimizer" else aim
        return _Shot(eyes, aim, looked_at, wish.lens, wish.frame_x, wish.frame_y)

    def _path(self, follow: float, extent: float, moved: Moved) -> Plan:
        """Return the keys of a move."""
        shot = self._wanted(follow, extent, moved)
        aim, track = self._aim(follow, extent, shot.subject)
        around = shot.eyes - track[0] - follow * (track - track[0])
        knots = int(np.clip(ceil(self.seconds / 1.2) + 3, 5, 40))
        place = [fit_spline(self.frames, axis, knots, eased=self.eased) for axis in around.T]
        few = 2 if len(self.acts) == 1 else knots
        lens, frame_x, frame_y = (
            fit_spline(self.frames, values, few)
            for values in (shot.lens, shot.frame_x, shot.frame_y)
        )
        acts = [replace(act, framing=moved.of(act.framing, extent, follow)) for act in self.acts]
        bank = self._bank(extent, knots)
        motion = Motion(0, 0, 0, 0)  # to be measured
        return Plan(
            acts,
            aim,
            track[0],
            follow,
            place,
            bank,
            lens,
            frame_x,
            frame_y,
            motion,
            track[0],
            self.pull,
            self.fps,
            self.aspect,
        )

    def _bank(self, extent: float, knots: int) -> Spline | None:
        """Return the leaning into the turn: most where it is fastest."""
        if not self.rig.bank:
            return None
        rate = np.gradient(self.wish.azimuth)
        rate = extent * rate / max(np.abs(rate).max(), 1e-9)
        roll = -np.radians(self.rig.bank) * rate
        return fit_spline(self.frames, roll, knots, eased=self.eased)

    def _shot(self, plan: Plan) -> _Shot:
        """Return what is seen of a plan."""
        aim, place, view = (
            np.column_stack([spline(self.frames) for spline in splines])
            for splines in (plan.aim, plan.place, (plan.lens, plan.frame_x, plan.frame_y))
        )
        eyes = plan.start + plan.follow * (aim - plan.start) + place
        subject = aim
        if self.rig.looks_at == "minimizer":
            subject = self.places
        return _Shot(eyes, aim, subject, *view.T)

    # What it looks like

    def _figures(self, shot: _Shot, plan: Plan) -> Motion:
        """Return a plan's figures, of which those of the land are of its coarse copy."""
        x, y = self._project(shot, slice(None), shot.subject)
        tilt = 0.0 if plan.bank is None else np.degrees(np.abs(plan.bank(self.frames)).max())
        return replace(
            plan.motion,
            tilt=float(tilt),
            clearance=self._clearance(shot),
            off_third=float(off_third(x, y).max()),
            inside=float(np.minimum.reduce([x, 1 - x, y, 1 - y]).min()),
            hidden=self._hidden(shot),
            borders=self._borders(shot),
            allowed=(("borders", float(self.rig.borders)), *self.rig.allowed),
        )

    def _clearance(self, shot: _Shot) -> float:
        found = self.terrain.clearance(self.when[self.looked], shot.eyes[self.looked])
        return float(found.min() / self.terrain.width)

    def _hidden(self, shot: _Shot) -> float:
        if self.rig.looks_at == "between":
            return 0.0
        index = self.glimpsed
        hidden = self.terrain.hidden(self.when[index], shot.eyes[index], shot.subject[index])
        return float(hidden.mean())

    def _project(self, shot: _Shot, index: NDArray | slice, points: Array) -> tuple[Array, Array]:
        """Return where points ``(n, ..., 3)`` are in the picture, from its lower left corner."""
        eyes, axes = shot.eyes[index], shot.axes(index)
        shape = (len(eyes),) + (1,) * (points.ndim - 2)
        seen = np.einsum("n...i,nij->n...j", points - eyes.reshape((*shape, 3)), axes)
        depth = np.where(seen[..., 2] > 1e-6, seen[..., 2], np.nan)
        zoom = (shot.lens[index] / SENSOR).reshape(shape) / depth
        longer, higher = max(1.0, 1 / self.aspect), max(1.0, self.aspect)
        return (
            shot.frame_x[index].reshape(shape) + zoom * seen[..., 0] * longer,
            shot.frame_y[index].reshape(shape) + zoom * seen[..., 1] * higher,
        )

    def _snapshots(self, index: NDArray) -> Array:
        """Return the snapshots of the coarse land that are nearest to those of frames."""
        known = self.terrain.known
        return known[np.abs(known - self.when[index][:, None]).argmin(axis=1)]

    def _borders(self, shot: _Shot) -> float:
        """Return how many sides of the land are seen at a time, at most."""
        index, when, sides = self.looked, self._snapshots(self.looked), self.sides
        x, y = self._project(shot, index, sides)
        seen = (x > 0) & (x < 1) & (y > 0) & (y < 1)
        at = np.nonzero(seen)[0]
        seen[seen] = ~self.terrain.hidden(when[at], shot.eyes[index][at], sides[seen])
        return float((seen.sum(axis=2) > 1).sum(axis=1).max())

    def _filled(self, shot: _Shot) -> Array:
        """Return how much of the picture the land fills, at a few frames."""
        x, y = (a.ravel() for a in np.meshgrid(*(np.linspace(0.05, 0.95, n) for n in (10, 6))))
        found = []
        for index, when in zip(self.few, self._snapshots(self.few), strict=True):
            rays, reach = self._rays(shot, index, x, y)
            hit = self.terrain.hit(when, shot.eyes[index], rays, reach)
            found.append(np.isfinite(hit).mean())
        return np.array(found)

    def _rays(self, shot: _Shot, index: int, x: Array, y: Array) -> tuple[Array, float]:
        """Return where places in the picture ``(n,)`` are looked for, and how far away at most."""
        right, up, forward = shot.axes(np.array([index]))[0].T
        zoom = shot.lens[index] / SENSOR
        across = (x - shot.frame_x[index]) / zoom / max(1.0, 1 / self.aspect)
        above = (y - shot.frame_y[index]) / zoom / max(1.0, self.aspect)
        reach = float(np.linalg.norm(shot.eyes[index] - shot.aim[index])) + self.terrain.width
        return _unit(forward + across[:, None] * right + above[:, None] * up), reach

    def _nearer(self, shot: _Shot) -> Array:
        """Return what lies before the subject, low in the picture, as the shot begins.

        Where the land is hardly nearer there, seen from high above, it is a place in the air.
        """
        x, y = np.linspace(0.3, 0.8, 6), np.full(6, BEFORE)
        rays, reach = self._rays(shot, 0, x, y)
        away = self.terrain.hit(self._snapshots(self.few)[0], shot.eyes[0], rays, reach)
        most = 0.6 * float(np.linalg.norm(shot.aim[0] - shot.eyes[0]))
        away = np.fmin(away, most)
        nearest = int(away.argmin())
        return shot.eyes[0] + away[nearest] * rays[nearest]

    # Where it is seen best

    def _freest(self, follow: float, extent: float, begin: Moved) -> Generator[float, None, Moved]:
        """Find from where the camera is free and sees, as near to where it begins as may be."""
        if self.rig.looks_at == "between":
            return begin
        best, least = begin, self._price(follow, extent, begin)
        turns = TURNS if self.rig.looks_at == "minimizer" else TURNS[:7]
        around = [Moved(*moved) for moved in product(turns, RAISES, FARTHER)]
        rounds = (around, None, None, None, None)
        for count, attempts in enumerate(rounds):  # then finer ones, near to the best
            attempts = attempts or _near(best)
            for n, moved in enumerate(attempts):
                if least < CHEAP:
                    return best
                yield (count + n / len(attempts)) / len(rounds)
                price = self._price(follow, extent, moved, least)
                if price < least - 1e-9:
                    best, least = moved, price
        return best

    def _price(self, follow: float, extent: float, moved: Moved, limit: float = np.inf) -> float:
        """Return how much is wrong with a place, and how far it is from the wanted one.

        What is quickest to tell comes first; over the limit, the rest is not looked at.
        """
        rig = self.rig
        elevation = self.acts[0].framing.elevation + moved.raised
        if moved.raised and not rig.elevations[0] <= elevation <= rig.elevations[1]:
            return np.inf
        shot = self._wanted(follow, extent, moved)
        allowed = dict(rig.allowed).get("hidden", 0.0)
        price = moved.departure()
        if price < limit:
            hidden = self._hidden(shot)
            price += 3 * hidden + 30 * max(0.0, hidden - allowed)
        if price < limit:
            filled = self._filled(shot)
            price += 10 * np.maximum(0.0, rig.filled[0] - filled).mean()
            price += 10 * max(0.0, filled.max() - rig.filled[1])
        if price < limit and rig.borders < 4:
            price += 3 * max(0.0, self._borders(shot) - rig.borders)
        if price < limit:
            price += 300 * max(0.0, CLEARANCE - self._clearance(shot))
        return price


def _near(place: Moved) -> list[Moved]:
    """Return places that differ from one in one respect."""
    return [
        *(replace(place, climb=place.climb + c) for c in (12, -12, 30, -30)),
        *(
            replace(place, climb=place.climb + c, raised=place.raised + r)
            for c, r in ((24, -8), (-24, -8), (24, 8), (-24, 8))
        ),
        *(replace(place, farther=place.farther * f) for f in (1.12, 1.3, 0.88, 0.76)),
        *(replace(place, raised=place.raised + r) for r in (4, -4, 9, -9)),
        *(replace(place, turned=place.turned + t) for t in (8, -8, 20, -20)),
    ]


def off_third(x: Array, y: Array) -> Array:
    """Return how far places in the picture are from the nearest thirds line."""
    thirds = np.array([1 / 3, 2 / 3])
    return np.minimum(*(np.abs(a[:, None] - thirds).min(axis=1) for a in (x, y)))


def _around(azimuth: Array, elevation: Array, distance: Array) -> Array:
    a, e = np.radians(azimuth), np.radians(elevation)
    return np.column_stack(
        [distance * np.cos(e) * np.sin(a), -distance * np.cos(e) * np.cos(a), distance * np.sin(e)]
    )


def _unit(vectors: Array) -> Array:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True).clip(1e-12)
