"""Finding the plan: the fastest way here that gives the same values as one point at a time.

Candidates are timed by turns, several rounds, so that whatever else this machine does meets all of
them alike, and the one with the best median is held against the plain way over several launches
and workers at once. What answers differently, or not at all, is dropped.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from statistics import median

import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import said
from ..evaluation.objective import Objective
from ..memory import available
from ..progress import announce
from .compiling import machine
from .launcher import Launcher
from .plan import Plan

COMPILING_PAYS = 60.0
"""Seconds of work from which compiling is tried: it takes 5 to 20."""

LONGEST_LAUNCH = 2.0
"""Seconds beyond which no launch is tried: memory grows with it, speed no more."""

LITTLE = 2**20
"""Bytes that a point computes, below which 64 of them are compiled together, else 32."""

TILE_SECONDS = 2.0
"""What a tile, the unit of resuming, is made to take."""

LARGEST_TILE = 65_536

TURN_SECONDS, ROUNDS = 0.15, 5
"""How long a candidate is timed in a turn, and how often it has its turn."""

SHARE = 0.01
"""Of the work that is ahead, a turn takes no more than this: short work is not worth tuning."""

CLOSE = 0.5
"""Candidates at least this fast, of the fastest at first sight, are timed again by turns."""

CHECK_SECONDS = 2.0
"""What checking the plan that was found may take."""

Sample = tuple[NDArray[np.float64], NDArray[np.int64]]

Prepare = Callable[[Plan], Launcher]
"""Prepares a candidate."""


def tuned(objective: Objective, prepare: Prepare, points: int, compiling: bool | None) -> Plan:
    """Return the fastest plan; the rest is as in ``Evaluator.tune``."""
    return _Tuning(objective, prepare).plan(points, compiling)


class _Tuning:
    """Candidates, and what was found of them."""

    def __init__(self, objective: Objective, prepare: Prepare) -> None:
        self.objective, self.prepare = objective, prepare
        self.notes: list[str] = []
        self.launchers: dict[Plan, Launcher] = {}
        self.rates: dict[Plan, float] = {}

    def plan(self, points: int, compiling: bool | None) -> Plan:
        try:
            best = self._found(points, compiling)
        finally:
            for launcher in self.launchers.values():
                launcher.close()
        launches = max(1, round(min(best.rate * TILE_SECONDS, LARGEST_TILE) / best.launch))
        return replace(best, tile=launches * best.launch, note="; ".join(self.notes))

    def _found(self, points: int, compiling: bool | None) -> Plan:
        if self.objective.own:
            plan = Plan("own")
            self.plain = self.prepare(plan)
            self.notes.append(self.objective.own.why)
            return replace(plan, rate=1 / self._look_at_truth(2))
        plain = Plan()
        seeded = self.prepare(plain).draws()
        plain = Plan(seeded=seeded)
        self.plain = self.launchers[plain] = self.prepare(plain)
        seconds = self._look_at_truth(8)
        self.rates[plain] = 1 / seconds
        self.turn = min(TURN_SECONDS, SHARE * points * seconds)
        for plan in self._eager(seconds, seeded, points):
            if not self._try(plan):
                break
        best = self._best()
        if compiling or (compiling is None and points / self.rates[best] > COMPILING_PAYS):
            announce("compiling")
            for plan in self._compiled(best, seconds):
                self._try(plan)
        return self._winner()

    def _look_at_truth(self, count: int) -> float:
        """Evaluate the points that candidates are held against; return the shortest time of one."""
        points, index = sample(count)
        values, times = [], []
        for n in range(count):
            start = time.perf_counter()
            values.append(self.plain(points[n : n + 1], index[n : n + 1]))
            times.append(time.perf_counter() - start)
        self.truth = np.concatenate(values)
        return min(times)

    def _eager(self, seconds: float, seeded: bool, points: int) -> Iterator[Plan]:
        if seeded and self.objective.measure.noise == "point":
            return  # each point has a generator state of its own
        room = available() // 4 if self.objective.device.type == "cpu" else None
        for launch in (8, 32, 128, 512, 2048, 8192):
            if launch * seconds > LONGEST_LAUNCH or launch >= 2 * points:
                return
            if room is not None and launch * self.objective.precisions.nbytes > room:
                return
            yield Plan("vmap", launch, seeded=seeded)

    def _compiled(self, best: Plan, seconds: float) -> Iterator[Plan]:
        if best.seeded or self.objective.takes_gradients:
            return
        if self.objective.device.type != "cpu":
            yield Plan("compiled", best.launch)
            return
        workers = torch.get_num_threads()
        if 32 * seconds < LONGEST_LAUNCH:  # small enough that many fit the cache together
            little = self.objective.precisions.nbytes < LITTLE
            yield Plan("compiled", 64 if little else 32, workers)
        if seconds > 0.003:  # large enough to be worth a call of its own
            yield Plan("compiled", 1, workers)
            if any(w.ndim == 4 for w in self.objective.weights().values()):
                yield Plan("compiled", 1, workers, channels_last=True)

    def _try(self, plan: Plan) -> bool:
        """Prepare a candidate and time it once; return whether it answers, and rightly."""
        try:
            launcher = self.prepare(plan)
            self._hold(launcher(*sample(len(self.truth))), self.truth)
            self.launchers[plan] = launcher
            for _ in range(2):  # the first tells how much a turn can take
                self.rates[plan] = self._timed(plan)
        except Exception as error:
            # Whatever a network has that a transformation or a compiler cannot take.
            self.objective.renew()
            self._drop(plan, said(error))
            return False
        return True

    def _hold(self, values: NDArray, truth: NDArray) -> None:
        """Refuse values that are not those of one point at a time."""
        tolerance = {"bf16": 5e-2, "tf32": 1e-2}.get(self.objective.measure.precision, 1e-4)
        coarse = {"bf16": 4e-3, "float16": 5e-4}.get(self.objective.precisions.coarsest, 0.0)
        if not np.allclose(values, truth, rtol=max(tolerance, coarse), atol=1e-5, equal_nan=True):
            raise _Differs

    def _drop(self, plan: Plan, fault: str) -> None:
        compiled = "compiled, " if plan.way == "compiled" else ""
        self.notes.append(f"{compiled}{plan.launch} at once: {fault}")
        self.rates.pop(plan, None)
        if launcher := self.launchers.pop(plan, None):
            launcher.close()

    def _timed(self, plan: Plan) -> float:
        """Return the points per second of a candidate in one turn: one call, as of a tile."""
        once = plan.launch * plan.workers
        launches = max(1, round(self.turn * self.rates.get(plan, 0.0) / once))
        launcher, given = self.launchers[plan], sample(launches * once)
        start = time.perf_counter()
        launcher(*given)
        return len(given[0]) / (time.perf_counter() - start)

    def _best(self) -> Plan:
        return max(self.rates, key=lambda plan: self.rates[plan])

    def _winner(self) -> Plan:
        """Time candidates that are close by turns; return the best that passes the check."""
        least = CLOSE * self.rates[self._best()]
        close = [plan for plan, rate in self.rates.items() if rate >= least]
        if len(close) > 1 and self.turn == TURN_SECONDS:
            turns = [[self._timed(plan) for plan in close] for _ in range(ROUNDS)]
            self.rates = {
                p: median(t) for p, t in zip(close, zip(*turns, strict=True), strict=True)
            }
        while True:
            best = self._best()
            if best.launch * best.workers == 1:
                return replace(best, rate=self.rates[best])
            try:
                self._check(best)
                return replace(best, rate=self.rates[best])
            except _Differs as fault:
                self._drop(best, str(fault))
                self.rates = self.rates or {self.plain.plan: 1.0}

    def _check(self, plan: Plan) -> None:
        """Hold several launches and workers at once against one point at a time.

        All points where that is quick; else as many as time allows, spread over the launches.
        """
        given = sample(2 * plan.launch * plan.workers + 1)
        count = len(given[0])
        start = time.perf_counter()
        self.plain(given[0][:1], given[1][:1])
        each = time.perf_counter() - start
        chosen = np.unique(
            np.linspace(0, count - 1, min(count, max(16, int(CHECK_SECONDS / each)))).astype(int)
        )
        truth = [self.plain(given[0][n : n + 1], given[1][n : n + 1]) for n in chosen]
        values = self.launchers[plan](*given)
        self._hold(values[chosen], np.concatenate(truth))


class _Differs(Exception):
    """A candidate's values are not those of one point at a time."""

    def __str__(self) -> str:
        return "it gives other values"


def sample(count: int) -> Sample:
    """Return points in a spiral, all directions and all distances, and their numbers."""
    angles = np.arange(count) * 2.4
    radii = 0.5 * np.arange(count) / count
    return radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], 1), np.arange(count)


def place_of(objective: Objective) -> str:
    """Return where a plan holds: on which machine and device, with how many threads."""
    mark = zlib.crc32(machine(objective.device).encode())
    return f"{mark:08x}, {objective.device}, {torch.get_num_threads()} threads"
