"""Launches: calls that evaluate some points of a plane together, prepared by a plan.

The weights of each point are formed from the origin afresh, ``origin + alpha u + beta v``, and go
through the network together (``torch.func.vmap``). Workers run compiled code alone: the user's
network and loss are Python, which one thread runs, and no other meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
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
from ..planes.plane import point_of
from ..planes.weights import Weights, working_dtype
from .compiling import compiled_launch
from .plan import Plan

COMPILED_SHAPES = 4
"""Shapes of batches that are compiled, the weightiest ones; each takes 5 to 20 seconds."""

Run = Callable[[Tensor, Tensor, Tensor], Tensor]
"""A launch: alpha, beta and numbers of its points ``(launch,)`` to values ``(launch, k)``."""


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
