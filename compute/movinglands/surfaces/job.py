"""One surface being computed: its plane, its objective, its frames."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from ..checks.mean import check_mean
from ..checks.network import check_network
from ..checks.steadiness import Steadiness
from ..engine.local import Local
from ..engine.plan import Plan
from ..engine.work import Backend, Ingredients
from ..errors import UserError
from ..evaluation import randomness
from ..evaluation.batches import Batch, gathered
from ..evaluation.measure import Measure
from ..evaluation.objective import Objective
from ..files import write_whole
from ..fingerprint.fingerprint import Fingerprint
from ..planes.plane import Plane
from ..planes.random import random_plane
from ..planes.weights import weights_of
from ..progress import progress, say
from ..sequence import Frame
from ..snapshots.snapshots import State, unwrapped
from .evaluating import measured, refined
from .frames import Frames
from .journal import Room
from .surface import Surface

PUBLISH_EVERY = 30.0
"""Seconds between two renewals of a growing file, at least."""


def _kept_plan(file: Path, where: str) -> Plan | None:
    """Return the plan in a file, if it was measured where it is to be used."""
    if not file.exists():
        return None
    content = json.loads(file.read_text())
    return Plan(**content["plan"]) if content.get("where") == where else None


class SurfaceJob:
    """One surface being computed: its plane, its objective, its frames."""

    def __init__(self, surface: Surface, journal: Path, device: torch.device) -> None:
        module = unwrapped(surface.module)  # as in the snapshots, of torch.compile and the like
        self.surface = surface = dataclasses.replace(surface, module=module)
        self.journal, self.device = journal, device
        self.snapshots = surface.snapshots.check(module)
        self.finite = [t for t in range(len(self.snapshots)) if t not in self.snapshots.diverged]
        if not self.finite:
            raise UserError("snapshots: the weights of all of them are infinite or not a number.")
        # Once only, and the same in every run: they may be loaders, which shuffle and augment.
        with randomness.seeded(surface.measure.seed, torch.device("cpu")):
            self.batches, self.test = gathered(surface.batches), gathered(surface.test)
        self._names = list(weights_of(module))
        self.plane = surface.plane or self._random_plane()
        self.fingerprint, self.opaque = self._fingerprint()  # before anything of the user's is run
        self._before = self._code()
        self.objective = self._objective(surface.measure, self.test)
        if surface.tolerance and len(self.objective.names) > 1:
            raise UserError("tolerance: a refined surface has its loss only, no metrics beside it.")
        # The minimizer's loss is that of all samples, whatever few a point draws.
        exact = dataclasses.replace(surface.measure, minibatch=None, noise="fixed")
        same = exact == surface.measure
        self.true = self.objective if same else self._objective(exact)
        self.found: dict[str, str] = {}
        rows, cols = surface.shape
        self.alpha = np.linspace(-surface.range, surface.range, cols)
        self.beta = np.linspace(-surface.range, surface.range, rows)
        self.points = rows * cols
        self.kept = Frames(journal, surface.shape, alike=surface.window == "fixed")
        self.packages = journal / "compiled"
        # A fixed window shows one land: that of the last snapshot.
        self.frames = self.finite if surface.window == "travelling" else self.finite[-1:]

    def _objective(self, measure: Measure, test: Sequence[Batch] = ()) -> Objective:
        surface = self.surface
        return Objective(
            surface.module, surface.loss, self.batches, measure, test, self.device, surface.count
        )

    def _random_plane(self) -> Plane:
        last = self.finite[-1]
        plane = random_plane(self.weights(self.snapshots[last]), seed=0)
        if last == len(self.snapshots) - 1:
            return plane
        said = f"filter, of the weights of step {self.snapshots.steps[last]}, the last finite ones"
        return dataclasses.replace(plane, attrs=plane.attrs | {"normalisation": said})

    def check(self) -> None:
        """Hold what is evaluated against the user's network, before hours are spent on it.

        Raises
        ------
        UserError
            Where it is not what it seems.
        """
        state = self.snapshots[self.finite[-1]]
        weights = {name: w.to(self.device) for name, w in self.weights(state).items()}
        for objective in dict.fromkeys((self.objective, self.true)):
            buffers = objective.buffers(state)
            self.found |= check_network(objective, weights, buffers)
            check_mean(objective, weights, buffers)
        if "unused" in self.found and self._code() != self._before:
            raise UserError(
                f"loss: without effect on it are {self.found['unused']}, and it or the network "
                "keeps something from pass to pass, which may have been computed from other "
                "weights: have it keep nothing."
            )
        self.steadiness = Steadiness(self.objective, weights, self.objective.buffers(state))

    def weights(self, state: State) -> dict[str, Tensor]:
        """Return the weights of a state dict."""
        return {name: state[name] for name in self._names}

    def _code(self) -> str:
        """Return a digest of network and loss, with all that they reach."""
        fingerprint = Fingerprint()
        fingerprint.add_network("network", self.surface.module)
        fingerprint.add("loss", self.surface.loss)
        return fingerprint.digest()

    def _fingerprint(self) -> tuple[str, list[str]]:
        """Return a digest of all that decides on the values, and what it could not see through."""
        surface, fingerprint = self.surface, Fingerprint()
        scale = surface.scale if surface.tolerance else None
        settings = (surface.range, surface.window, surface.tolerance, scale)
        fingerprint.add("settings", (settings, surface.shape, surface.measure))
        fingerprint.add_network("network", surface.module)
        for name, thing in (
            ("steps", self.snapshots.steps),
            ("plane", (self.plane.origin, self.plane.u, self.plane.v)),
            ("batches", self.batches),
            ("test", self.test),
            ("loss", surface.loss),
            ("count", surface.count),
            *((f"snapshot {t}", self.snapshots[t]) for t in range(len(self.snapshots))),
        ):
            fingerprint.add(name, thing)
        return fingerprint.digest(), fingerprint.opaque

    def centre(self, t: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return the weights and buffers at the window's centre in frame t."""
        if self.surface.window == "fixed":
            return self.plane.origin, self.objective.buffers(self.snapshots[self.finite[-1]])
        state = self.snapshots[t]
        return self.weights(state), self.objective.buffers(state)

    @property
    def room(self) -> Room:
        """What the surface takes on disk and in memory."""
        return Room(self.points, len(self.snapshots), len(self.missing), len(self.objective.names))

    @property
    def missing(self) -> list[int]:
        """Frames that are not kept yet."""
        return [t for t in self.frames if not self.kept.file(t).exists()]

    def frame(self, t: int) -> Frame | None:
        """Return frame t, or None while it is missing, as it will stay where weights diverged."""
        kept = None if t in self.snapshots.diverged else self.kept.read(t)
        if kept is None:
            return None
        metrics = dict(zip(self.objective.names[1:], kept.values[1:], strict=True))
        return Frame(kept.values[0], kept.evaluated, metrics)

    def refine_error(self) -> dict[str, float]:
        """Return the attribute of a refined surface: the largest error of the frames there are."""
        if not self.surface.tolerance:
            return {}
        found = [kept.error for t in self.frames if (kept := self.kept.read(t))]
        return {"refine_error": max(found, default=0.0)}

    def evaluate(
        self, publish: Callable[[], None], compiling: bool | None, ray: str | None, device: str
    ) -> None:
        """Evaluate the frames that are missing."""
        missing = self.missing
        if not missing:
            return
        whole, done = self.points * len(self.frames), len(self.frames) - len(missing)
        with self._backend(ray, device) as backend:
            plan = self._plan(backend, self.points * len(missing), compiling)
            backend.use(plan)
            with progress("evaluating", whole, self.points * done, "point") as bar:
                self._finish(missing, plan, backend, bar, publish)

    def _finish(
        self,
        missing: list[int],
        plan: Plan,
        backend: Backend,
        bar: tqdm,
        publish: Callable[[], None],
    ) -> None:
        given = self.kept, missing, plan.tile, backend.evaluate, bar
        tolerance, scale = self.surface.tolerance, self.surface.scale
        due = time.monotonic() + PUBLISH_EVERY
        for t in refined(*given, tolerance, scale) if tolerance else measured(*given):
            try:
                self.steadiness.check()
            except UserError:
                self.kept.file(t).unlink()
                raise
            if (started := time.monotonic()) > due:
                publish()
                # A large file takes long to write, and is written the more seldom.
                due = time.monotonic() + max(PUBLISH_EVERY, 20 * (time.monotonic() - started))

    def _backend(self, ray: str | None, device: str) -> AbstractContextManager[Backend]:
        if ray is None:
            return Local(self)
        from ..cluster.pool import Cluster  # which needs Ray

        return Cluster(ray, self, device=device)

    def _plan(self, backend: Backend, points: int, compiling: bool | None) -> Plan:
        """Return the journal's plan, or measure one: the same plan gives the same bits."""
        kept = self.journal / "plan.json"
        plan = _kept_plan(kept, backend.where)
        if plan is None or (plan.way == "own") != bool(self.objective.own):
            self.kept.discard_tiles()
            plan = backend.tune(points, compiling)
            kept.parent.mkdir(parents=True, exist_ok=True)
            content = {"where": backend.where, "plan": dataclasses.asdict(plan)}
            write_whole(kept, json.dumps(content).encode())
        say(f"Evaluating {plan}.")
        return plan

    @property
    def ingredients(self) -> Ingredients:
        """What objective and plane are made of."""
        surface, own = self.surface, self.objective.own
        return Ingredients(
            surface.module,
            surface.loss,
            self.batches,
            self.test,
            surface.measure,
            self.plane,
            surface.count,
            own.why if own else "",
        )

    def coordinates(self, index: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return alpha and beta ``(n, 2)`` of points by their number in the grid."""
        rows, cols = np.divmod(index, len(self.alpha))
        return np.stack([self.alpha[cols], self.beta[rows]], axis=1)
