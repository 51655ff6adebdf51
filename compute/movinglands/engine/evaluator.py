"""The loss at points of a plane, as fast as this machine can.

A launch is one call that evaluates some points: their weights are formed from the origin afresh,
``origin + alpha u + beta v``, and go through the network together (``torch.func.vmap``). How many,
whether compiled, and by how many workers is the plan, which ``tuning`` finds. Workers run compiled
code alone: the user's network and loss are Python, which one thread runs, and no other meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import vmap

from ..evaluation import batches as arranged
from ..evaluation import randomness
from ..evaluation.batches import Batch
from ..evaluation.objective import Objective
from ..evaluation.parts import Part
from ..evaluation.precision import exactly
from ..planes.plane import Plane, point_of
from ..planes.weights import Weights, working_dtype
from .compiling import compiled_launch

COMPILED_SHAPES = 4
"""Shapes of batches that are compiled, the weightiest ones; each takes 5 to 20 seconds."""

Run = Callable[[Tensor, Tensor, Tensor], Tensor]
"""A launch: alpha, beta and numbers of its points ``(launch,)`` to values ``(launch, k)``."""


@dataclass(frozen=True)
class Plan:
    """How points are evaluated here. The same plan gives the same bits.

    Attributes
    ----------
    way : {"own", "loop", "vmap", "compiled"}
        By the user's own network; by a copy, a point at a time; many at once; compiled.
    launch : int
        Points in a launch.
    workers : int
        Threads that run compiled launches side by side.
    tile : int
        Points that are kept together, as one piece of finished work.
    rate : float
        Points per second when it was measured.
    channels_last : bool
        Whether images and filters lie in memory that way.
    seeded : bool
        Whether the loss draws from global generators.
    note : str
        What was tried and dropped, and why.
    """

    way: str = "loop"
    launch: int = 1
    workers: int = 1
    tile: int = 64
    rate: float = 0.0
    channels_last: bool = False
    seeded: bool = False
    note: str = ""

    def __str__(self) -> str:
        ways = {
            "own": "your own network, one point at a time",
            "loop": "one point at a time",
            "vmap": f"{self.launch} points at once",
        }
        how = ways.get(self.way, f"compiled, {self.launch} points at once")
        side = f", {self.workers} side by side" if self.workers > 1 else ""
        note = f" ({self.note})" if self.note else ""
        return f"{how}{side}: {self.rate:,.3g} points a second{note}"


class Evaluator:
    """An objective on a plane: give it points, it gives values.

    Parameters
    ----------
    objective : Objective
        What is measured.
    plane : Plane
        Its directions; its origin is where the window is until ``place`` moves it.
    packages : Path
        A folder for what is compiled; found there again, it is not compiled again.
    plan : Plan, optional
        How; by default the plain way, until ``tune`` finds a better one.
    """

    def __init__(
        self, objective: Objective, plane: Plane, packages: Path, plan: Plan | None = None
    ) -> None:
        self.objective, self.packages = objective, packages
        plane = plane.to(objective.device)
        weights = objective.weights()  # whose precision counts, whatever the plane's
        origin = {name: w.to(weights[name].dtype).clone() for name, w in plane.origin.items()}
        u, v = (
            {name: d.to(working_dtype(origin[name])) for name, d in axis.items()}
            for axis in (plane.u, plane.v)
        )
        buffers = {name: b.clone() for name, b in objective.buffers().items()}
        self.state: list[Weights] = [origin, u, v, buffers]
        self._launcher: Launcher | None = None
        self.use(plan or Plan())

    def place(self, weights: Weights, buffers: dict[str, Tensor]) -> None:
        """Move the window's centre to weights, with the buffers that belong to them."""
        for mine, given in ((self.state[0], weights), (self.state[3], buffers)):
            for name, tensor in mine.items():  # in place: a captured graph reads from there
                tensor.copy_(given[name])
        if self._launcher:
            self._launcher.follow(self.state)

    def __call__(self, points: NDArray[np.float64], index: NDArray[np.int64]) -> NDArray:
        """Evaluate points of the plane.

        Parameters
        ----------
        points : ndarray
            ``(n, 2)``: alpha and beta of each, from the window's centre.
        index : ndarray
            ``(n,)``: the number of each in the grid, from which its randomness comes.

        Returns
        -------
        ndarray
            ``(n, k)``, float32 (float64 for a float64 network): the objective's values.
        """
        assert self._launcher is not None
        return self._launcher(points, index)

    def tune(self, points: int, compiling: bool | None = None) -> Plan:
        """Find the fastest plan by measuring, and use it from now on.

        Parameters
        ----------
        points : int
            How many are to be evaluated in all: compiling a short job does not pay.
        compiling : bool, optional
            Whether to compile; by default where it pays and a compiler is there.
        """
        from .tuning import tuned  # which tries evaluators

        self.use(tuned(self, points, compiling))
        return self.plan

    def launcher(self, plan: Plan) -> Launcher:
        """Return what evaluates by a plan, for the time being beside what this one uses."""
        return Launcher(self.objective, self.state, self.packages, plan)

    def use(self, plan: Plan) -> None:
        """Evaluate by this plan from now on."""
        self.close()
        self.plan = plan
        self._launcher = self.launcher(plan)

    def close(self) -> None:
        """End the workers."""
        if self._launcher:
            self._launcher.close()


class Launcher:
    """An objective's parts, prepared to be evaluated by a plan.

    Parameters
    ----------
    objective : Objective
    state : list of dict of Tensor
        Origin, u, v and buffers; those that the plan lays out as they are, are not copied.
    packages : Path
        For what is compiled.
    plan : Plan
    """

    def __init__(
        self, objective: Objective, state: list[Weights], packages: Path, plan: Plan
    ) -> None:
        self.objective, self.plan, self._packages = objective, plan, packages
        self._state = [_laid_out(tensors, plan.channels_last) for tensors in state]
        self._compiled = _shapes_to_compile(objective.parts) if plan.way == "compiled" else []
        with exactly(objective.measure.precision):
            self._runs = [(part, self._prepared(part)) for part in objective.parts]
        workers = plan.workers if objective.device.type == "cpu" else 1
        self._pool: ThreadPoolExecutor | None = None
        if workers > 1 and self._compiled:
            self._pool = ThreadPoolExecutor(workers, initializer=_one_thread)

    def follow(self, state: list[Weights]) -> None:
        """Take over weights and buffers that have moved."""
        for mine, given in zip(self._state, state, strict=True):
            for name, tensor in mine.items():
                if tensor is not given[name]:
                    tensor.copy_(given[name])

    def __call__(self, points: NDArray[np.float64], index: NDArray[np.int64]) -> NDArray:
        """Evaluate points; the rest is as in ``Evaluator``."""
        count, launch = len(points), self.plan.launch
        short = -count % launch  # the last launch is filled up: a launch has one shape
        padded = np.pad(points, ((0, short), (0, 0)), "edge").T.copy()
        alpha, beta = torch.from_numpy(padded).to(self._dtype)
        numbers = torch.from_numpy(np.pad(index, (0, short), "edge"))
        device = self.objective.device
        launches = list(
            zip(*(t.to(device).split(launch) for t in (alpha, beta, numbers)), strict=True)
        )
        own = self.objective.own
        with exactly(self.objective.measure.precision), own.borrowed() if own else nullcontext():
            # A part after the other: while workers run compiled ones, no Python of the user's does.
            values = [torch.cat(self._over(launches, run, part)) for part, run in self._runs]
            found = self.objective.assemble(values)
        found = found if found.dtype == torch.float64 else found.float()
        return found[:count].cpu().numpy()

    def close(self) -> None:
        """End the workers."""
        if self._pool:
            threads = torch.get_num_threads()
            self._pool.shutdown()
            self._pool = None
            torch.set_num_threads(threads)  # theirs is not only theirs where MKL computes

    def draws(self) -> bool:
        """Tell whether the loss draws from global generators, beyond its dropout layers."""
        device = self.objective.device
        with self.objective.seeded(0):
            before = randomness.states(device)
            for _, run in self._runs:
                run(*self._points())
            return randomness.states(device) != before

    def _over(self, launches: Sequence[tuple[Tensor, ...]], run: Run, part: Part) -> list[Tensor]:
        mapped = self._pool.map if self._pool and part.shapes in self._compiled else map
        return list(mapped(lambda launched: run(*launched), launches))

    def _prepared(self, part: Part) -> Run:
        objective, plan = self.objective, self.plan
        if plan.way == "own":
            return self._own(part)
        batches = _laid_out(part.batches, plan.channels_last)
        tensors = arranged.tensors_of(batches)
        launch = _Launch(objective, plan, part, batches)

        def run(alpha: Tensor, beta: Tensor, index: Tensor) -> Tensor:
            with torch.set_grad_enabled(objective.takes_gradients):
                return launch(*self._state, tensors, alpha, beta, index).detach()

        def seeded(alpha: Tensor, beta: Tensor, index: Tensor) -> Tensor:
            with objective.seeded(int(index[0])):
                return run(alpha, beta, index)

        if plan.seeded:
            return seeded
        if part.shapes in self._compiled:
            called = compiled_launch(
                launch, self._state, tensors, self._points(), self._packages, plan.channels_last
            )
            return called if objective.device.type == "cpu" else _captured(called, self._points())
        if objective.device.type == "cuda" and plan.way != "loop":
            return _captured(run, self._points())
        return run

    def _own(self, part: Part) -> Run:
        origin, u, v, buffers = self._state

        def run(alpha: Tensor, beta: Tensor, index: Tensor) -> Tensor:
            weights = point_of(origin, u, v, alpha[0], beta[0])
            return self.objective.each([part], weights, buffers, int(index[0]))[0][None]

        return run

    def _points(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return a launch's points, all at the centre."""
        zeros = torch.zeros(self.plan.launch, dtype=self._dtype, device=self.objective.device)
        return zeros, zeros.clone(), zeros.long()

    @property
    def _dtype(self) -> torch.dtype:
        """What coordinates are handed over in: that of the finest weights."""
        finest = [working_dtype(w).to_real() for w in self._state[0].values()]
        return torch.float64 if torch.float64 in finest else torch.float32


class _Launch(nn.Module):
    """Points of a plane to a part's values, tensors as arguments: what is mapped and compiled."""

    def __init__(self, objective: Objective, plan: Plan, part: Part, batches: Sequence[Batch]):
        super().__init__()
        self.objective, self.points = objective, plan.launch
        self.randomness = "same" if plan.seeded else "error"
        self.counts, self.batches = part.counts, batches

    def forward(
        self,
        origin: Weights,
        u: Weights,
        v: Weights,
        buffers: dict[str, Tensor],
        tensors: Sequence[Tensor],
        alpha: Tensor,
        beta: Tensor,
        index: Tensor,
    ) -> Tensor:
        batches = arranged.with_tensors(self.batches, tensors)

        def value(alpha: Tensor, beta: Tensor, index: Tensor) -> Tensor:
            weights = point_of(origin, u, v, alpha, beta)
            return self.objective.part(batches, weights, buffers, index, self.counts)

        if self.points == 1:
            return value(alpha[0], beta[0], index[0])[None]
        return vmap(value, randomness=self.randomness)(alpha, beta, index)


def _shapes_to_compile(parts: Sequence[Part]) -> list[tuple]:
    """Return the shapes of parts that are worth compiling, the weightiest ones."""
    shares: dict[tuple, float] = {}
    for part in parts:
        shares[part.shapes] = shares.get(part.shapes, 0.0) + part.share
    return sorted(shares, key=lambda shape: -shares[shape])[:COMPILED_SHAPES]


def _laid_out(tensors: Any, channels_last: bool) -> Any:
    """Lay images and filters out as a plan wants them; the numbers stay."""
    layout = torch.channels_last if channels_last else torch.contiguous_format

    def laid_out(t: Tensor) -> Tensor:
        return t.contiguous(memory_format=layout) if t.ndim == 4 and not t.is_sparse else t

    return arranged.mapped(tensors, laid_out)


def _captured(run: Run, points: tuple[Tensor, Tensor, Tensor]) -> Run:
    """Record a launch as a CUDA graph: played, it costs one call instead of hundreds."""
    warming = torch.cuda.Stream()
    warming.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(warming), torch.no_grad():
        for _ in range(3):
            run(*points)
    torch.cuda.current_stream().wait_stream(warming)
    graph = torch.cuda.CUDAGraph()
    with torch.no_grad(), torch.cuda.graph(graph):
        result = run(*points)

    def replayed(alpha: Tensor, beta: Tensor, index: Tensor) -> Tensor:
        for fixed, given in zip(points, (alpha, beta, index), strict=True):
            fixed.copy_(given)
        graph.replay()
        return result.clone()

    return replayed


def _one_thread() -> None:
    torch.set_num_threads(1)


def grid(alpha: NDArray[np.float64], beta: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the points ``(rows * cols, 2)`` of a grid, beta (rows) varying slowest."""
    b, a = np.meshgrid(beta, alpha, indexing="ij")
    return np.stack([a.ravel(), b.ravel()], axis=1)
