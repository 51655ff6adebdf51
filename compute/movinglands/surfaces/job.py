"""One surface on its way: its plane, its frames, and where they are kept."""

from __future__ import annotations

import dataclasses
import io
import json
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from ..checks.mean import check_mean
from ..checks.network import check_network
from ..checks.steadiness import Steadiness
from ..engine.evaluator import Evaluator
from ..engine.plan import Plan
from ..engine.refine import refine
from ..engine.tuning import place_of
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
from ..progress import progress
from ..sequence import Frame
from ..snapshots.snapshots import State, unwrapped
from .journal import keep
from .surface import Surface

if TYPE_CHECKING:
    from ..cluster.cluster import Cluster

PUBLISH_EVERY = 30.0
"""Seconds between two renewals of a growing file, at least."""


class Tile(NamedTuple):
    """Points of a frame that are evaluated together and kept in one file."""

    frame: int
    file: Path
    points: NDArray[np.int64]


Evaluate = Callable[[Iterable[Tile]], Iterator[tuple[Tile, NDArray]]]
"""Evaluates tiles, in any order: here, or on a cluster."""


def _kept_plan(file: Path, where: str) -> Plan | None:
    """Return the plan in a file, if it was measured where it is to be used."""
    if not file.exists():
        return None
    content = json.loads(file.read_text())
    return Plan(**content["plan"]) if content.get("where") == where else None


class SurfaceJob:
    """One surface on its way: its plane, its frames, and where they are kept."""

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
        self.mark, self.opaque = self._fingerprint()  # before anything of the user's is run
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

    def place(self, evaluator: Evaluator, t: int) -> None:
        """Move an evaluator's window to frame t."""
        evaluator.place(*self.centre(t))

    def centre(self, t: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return the weights and buffers at the window's centre in frame t."""
        if self.surface.window == "fixed":
            return self.plane.origin, self.objective.buffers(self.snapshots[self.finite[-1]])
        state = self.snapshots[t]
        return self.weights(state), self.objective.buffers(state)

    def file(self, t: int) -> Path:
        """Return where the journal keeps frame t."""
        number = t if self.surface.window == "travelling" else 0
        return self.journal / "frames" / f"{number:06d}.npz"

    def frame(self, t: int) -> Frame | None:
        """Return frame t, or None while it is missing, as it will stay where weights diverged."""
        if t in self.snapshots.diverged or not self.file(t).exists():
            return None
        with np.load(self.file(t)) as kept:
            values, evaluated = kept["values"], kept["evaluated"]
        metrics = dict(zip(self.objective.names[1:], values[1:], strict=True))
        return Frame(values[0], evaluated if evaluated.ndim else None, metrics)

    def refine_error(self) -> dict[str, float]:
        """Return the attribute of a refined surface: the largest error of the frames there are."""
        if not self.surface.tolerance:
            return {}
        files = [self.file(t) for t in self.frames if self.file(t).exists()]
        return {"refine_error": max((float(np.load(file)["error"]) for file in files), default=0.0)}

    def evaluate(
        self, publish: Callable[[], None], compiling: bool | None, ray: str | None, device: str
    ) -> None:
        """Evaluate the frames that are missing."""
        missing = [t for t in self.frames if not self.file(t).exists()]
        if not missing:
            return
        kept = [t for t in self.frames if t not in missing]
        with (
            self._evaluating(missing, compiling, ray, device) as (plan, evaluate),
            progress(
                "evaluating", self.points * len(self.frames), self.points * len(kept), "point"
            ) as bar,
        ):
            finish = self._refined if self.surface.tolerance else self._measured
            due = time.monotonic() + PUBLISH_EVERY
            for t in finish(missing, plan.tile, evaluate, bar):
                try:
                    self.steadiness.check()
                except UserError:
                    self.file(t).unlink()
                    raise
                if (started := time.monotonic()) > due:
                    publish()
                    # A large file takes long to write, and is written the more seldom.
                    due = time.monotonic() + max(PUBLISH_EVERY, 20 * (time.monotonic() - started))

    def _plan(
        self, evaluator: Evaluator | Cluster, points: int, compiling: bool | None, where: str
    ) -> Plan:
        """Return the journal's plan, or measure one: the same plan gives the same bits."""
        kept = self.journal / "plan.json"
        plan = _kept_plan(kept, where)
        if plan is None or (plan.way == "own") != bool(self.objective.own):
            shutil.rmtree(self.journal / "tiles", ignore_errors=True)  # of tiles of another size
            plan = evaluator.tune(points, compiling)
            kept.parent.mkdir(parents=True, exist_ok=True)
            content = {"where": where, "plan": dataclasses.asdict(plan)}
            write_whole(kept, json.dumps(content).encode())
        print(f"Evaluating {plan}.")
        return plan

    @contextmanager
    def _evaluating(
        self, missing: list[int], compiling: bool | None, ray: str | None, device: str
    ) -> Iterator[tuple[Plan, Evaluate]]:
        points = self.points * len(missing)
        if ray is not None:
            from ..cluster.cluster import Cluster

            with Cluster(ray, self, device=device) as cluster:
                plan = self._plan(cluster, points, compiling, f"Ray, {cluster.device}")
                cluster.use(plan)
                yield plan, cluster.evaluate
            return
        evaluator = Evaluator(self.objective, self.plane, self.journal / "compiled")
        self.place(evaluator, missing[0])
        plan = self._plan(evaluator, points, compiling, place_of(self.objective))
        evaluator.use(plan)
        placed = None

        def evaluate(tiles: Iterable[Tile]) -> Iterator[tuple[Tile, NDArray]]:
            nonlocal placed
            for tile in tiles:
                if placed != tile.frame:
                    self.place(evaluator, tile.frame)
                    placed = tile.frame
                yield tile, evaluator(self.coordinates(tile.points), tile.points)

        try:
            yield plan, evaluate
        finally:
            evaluator.close()

    def coordinates(self, index: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return alpha and beta ``(n, 2)`` of points by their number in the grid."""
        rows, cols = np.divmod(index, len(self.alpha))
        return np.stack([self.alpha[cols], self.beta[rows]], axis=1)

    def _tiles(self, t: int, round_: int, index: NDArray[np.int64], size: int) -> list[Tile]:
        folder = self.journal / "tiles" / f"{t:06d}"
        folder.mkdir(parents=True, exist_ok=True)
        pieces = [index[i : i + size] for i in range(0, len(index), size)]
        return [Tile(t, folder / f"{round_:02d}-{n:06d}.npy", p) for n, p in enumerate(pieces)]

    def _measured(
        self, missing: list[int], size: int, evaluate: Evaluate, bar: tqdm
    ) -> Iterator[int]:
        """Measure whole frames, their tiles in one stream, so that no worker waits between."""
        everything = np.arange(self.points)
        due: dict[int, tuple[int, list[Tile]]] = {}

        def stream() -> Iterator[Tile]:
            for t in missing:
                tiles = self._tiles(t, 0, everything, size)
                todo = [tile for tile in tiles if not tile.file.exists()]
                due[t] = len(todo), tiles
                bar.update(sum(len(tile.points) for tile in tiles if tile.file.exists()))
                yield from todo

        def finished() -> Iterator[int]:
            for t in [t for t, (left, _) in due.items() if not left]:
                self._finish(t, np.concatenate([np.load(tile.file) for tile in due.pop(t)[1]]))
                yield t

        for tile, values in evaluate(stream()):
            keep(tile.file, values)
            bar.update(len(tile.points))
            left, tiles = due[tile.frame]
            due[tile.frame] = left - 1, tiles
            yield from finished()
        yield from finished()

    def _refined(
        self, missing: list[int], size: int, evaluate: Evaluate, bar: tqdm
    ) -> Iterator[int]:
        """Refine frame after frame, each beginning with what the one before it taught."""
        for t in missing:
            before = self.frame(t - 1) if t else None
            rounds = iter(range(100))

            def measure(index: NDArray[np.int64], t: int = t, rounds=rounds) -> NDArray:
                tiles = self._tiles(t, next(rounds), index, size)
                for tile, values in evaluate(x for x in tiles if not x.file.exists()):
                    keep(tile.file, values)
                    bar.update(len(tile.points))
                return np.concatenate([np.load(tile.file) for tile in tiles])[:, 0]

            refined = refine(
                measure,
                *self.surface.shape,
                tolerance=self.surface.tolerance or 0.0,
                scale=self.surface.scale,
                hint=None if before is None else before.evaluated,
            )
            self._finish(t, refined.loss.reshape(-1, 1), refined.evaluated, refined.error)
            bar.update(int((refined.evaluated == 2).sum()))
            yield t

    def _finish(
        self, t: int, values: NDArray, evaluated: NDArray | None = None, error: float = 0.0
    ) -> None:
        """Keep a whole frame instead of its tiles."""
        buffer = io.BytesIO()
        planes = values.T.reshape(-1, *self.surface.shape).astype(np.float32)
        state = np.array(0 if evaluated is None else evaluated, np.uint8)
        np.savez(buffer, values=planes, evaluated=state, error=error)
        self.file(t).parent.mkdir(parents=True, exist_ok=True)
        write_whole(self.file(t), buffer.getvalue())
        shutil.rmtree(self.journal / "tiles" / f"{t:06d}", ignore_errors=True)
