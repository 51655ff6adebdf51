"""The loss at points of a plane, as fast as this machine can.

A launch is one call that evaluates some points: their weights are formed from the origin afresh,
``origin + alpha u + beta v``, and go through the network together (``torch.func.vmap``). How many,
whether compiled, and by how many workers is found by a short measurement, the plan. Whatever is
tried is first held against the plain way, a point at a time; what answers differently, or not at
all, is dropped.
"""

from __future__ import annotations

import platform
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx, nn
from torch._ops import OpOverload
from torch.func import vmap
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn import functional as F
from torch.utils import _pytree as pytree

from .directions import Plane, Weights
from .files import replacing
from .objective import Batch, Objective, Part
from .progress import announce

COMPILING_PAYS = 60.0
"""Seconds of work from which compiling is tried: it takes 5 to 20."""

LONGEST_LAUNCH = 2.0
"""Seconds beyond which no launch is tried: memory grows with it, speed no more."""

TILE_SECONDS = 2.0
"""What a tile, the unit of resuming, is made to take."""

LARGEST_TILE = 65_536

Run = Callable[[Tensor, Tensor, Tensor], Tensor]
"""A launch: alpha, beta and numbers of its points ``(launch,)`` to values ``(launch, k)``."""


@dataclass(frozen=True)
class Plan:
    """How points are evaluated here. The same plan gives the same bits.

    Attributes
    ----------
    way : {"loop", "vmap", "compiled"}
        A point at a time; many at once; either of them compiled.
    launch : int
        Points in a launch.
    workers : int
        Threads that launch side by side.
    tile : int
        Points that are kept together, as one piece of finished work.
    rate : float
        Points per second when it was measured.
    channels_last : bool
        Whether images and filters lie in memory that way.
    seeded : bool
        Whether the loss draws from torch's global generator.
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
        ways = {"loop": "one point at a time", "vmap": f"{self.launch} points at once"}
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
        self._origin = {name: w.clone() for name, w in plane.origin.items()}
        self._u, self._v = plane.u, plane.v
        self._buffers = {name: b.clone() for name, b in objective.buffers().items()}
        self._pool: ThreadPoolExecutor | None = None
        self.plan = Plan()
        with _exactly(objective.measure.precision):
            self.use(plan or self.plan)

    def place(self, weights: Weights, buffers: dict[str, Tensor]) -> None:
        """Move the window's centre to weights, with the buffers that belong to them."""
        for mine, given in ((self._origin, weights), (self._buffers, buffers)):
            for name, tensor in mine.items():  # in place: a captured graph reads from there
                tensor.copy_(given[name])

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
        count, launch = len(points), self.plan.launch
        short = -count % launch  # the last launch is filled up: a launch has one shape
        padded = np.pad(points, ((0, short), (0, 0)), "edge").T.copy()
        alpha, beta = torch.from_numpy(padded).to(self._dtype)
        numbers = torch.from_numpy(np.pad(index, (0, short), "edge"))
        device = self.objective.device
        launches = zip(*(t.to(device).split(launch) for t in (alpha, beta, numbers)), strict=True)
        mapped = self._pool.map if self._pool else map
        with _exactly(self.objective.measure.precision):
            values = torch.cat(list(mapped(lambda launched: self._run(*launched), launches)))
        values = values if values.dtype == torch.float64 else values.float()
        return values[:count].cpu().numpy()

    def close(self) -> None:
        """End the workers."""
        if self._pool:
            threads = torch.get_num_threads()
            self._pool.shutdown()
            self._pool = None
            torch.set_num_threads(threads)  # theirs is not only theirs where MKL computes

    def tune(self, points: int, compiling: bool | None = None) -> Plan:
        """Find the fastest plan by measuring, and use it from now on.

        Parameters
        ----------
        points : int
            How many are to be evaluated in all: compiling a short job does not pay.
        compiling : bool, optional
            Whether to compile; by default where it pays and a compiler is there.
        """
        truth, seconds = self._plainly(self._sample(8))
        tried = [replace(self.plan, rate=1 / seconds)]
        notes = []
        for plan in self._eager(seconds):
            rate, fault = self._measure(plan, truth)
            if fault:
                notes.append(f"{plan.launch} points at once: {fault}")
                break
            tried.append(replace(plan, rate=rate))
        best = max(tried, key=lambda plan: plan.rate)
        if compiling or (compiling is None and points / best.rate > COMPILING_PAYS):
            announce("compiling")
            for plan in self._compiled(best, seconds):
                rate, fault = self._measure(plan, truth)
                if fault:
                    notes.append(f"compiled, {plan.launch} at once: {fault}")
                else:
                    tried.append(replace(plan, rate=rate))
            best = max(tried, key=lambda plan: plan.rate)
        launches = max(1, round(min(best.rate * TILE_SECONDS, LARGEST_TILE) / best.launch))
        best = replace(best, tile=launches * best.launch, note="; ".join(notes))
        self.use(best)
        return best

    def _sample(self, count: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        angles = np.arange(count) * 2.4  # a spiral: all directions, all distances
        radii = 0.5 * np.arange(count) / count
        return radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], 1), np.arange(count)

    def _plainly(self, sample: tuple) -> tuple[NDArray, float]:
        """Return the values of points one at a time, and the shortest time one took."""
        self.use(Plan(seeded=self._draws()))
        values, times = [], []
        for n in range(len(sample[0])):
            start = time.perf_counter()
            values.append(self(sample[0][n : n + 1], sample[1][n : n + 1]))
            times.append(time.perf_counter() - start)
        return np.concatenate(values), min(times)

    def _draws(self) -> bool:
        """Tell whether the loss draws from the global generator, beyond its dropout layers."""
        device = self.objective.device
        states = [torch.get_rng_state]
        if device.type == "cuda":
            states.append(lambda: torch.cuda.get_rng_state(device))
        self.use(Plan())
        with self.objective.seeded(0):
            before = [state() for state in states]
            self._run(*self._points())
            after = [state() for state in states]
        return not all(map(torch.equal, before, after))

    def _eager(self, seconds: float) -> Iterator[Plan]:
        seeded = self.plan.seeded
        if seeded and self.objective.measure.noise == "point":
            return  # each point has a generator state of its own
        for launch in (8, 32, 128, 512, 2048, 8192):
            if launch * seconds > LONGEST_LAUNCH:
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
            yield Plan("compiled", 32, workers)
        if seconds > 0.003:  # large enough to be worth a call of its own
            yield Plan("compiled", 1, workers)
            if any(w.ndim == 4 for w in self._u.values()):
                yield Plan("compiled", 1, workers, channels_last=True)

    def _measure(self, plan: Plan, truth: NDArray) -> tuple[float, str]:
        """Return the points per second of a plan, and why it cannot be used, if so."""
        try:
            self.use(plan)
            values = self(*self._sample(len(truth)))
            tolerance = {"bf16": 5e-2, "tf32": 1e-2}.get(self.objective.measure.precision, 1e-4)
            if not np.allclose(values, truth, rtol=tolerance, atol=1e-5, equal_nan=True):
                return 0.0, "it gives other values"
            sample = self._sample(plan.launch * plan.workers)
            times: list[float] = []
            while len(times) < 5 and sum(times) < LONGEST_LAUNCH:
                start = time.perf_counter()
                self(*sample)
                times.append(time.perf_counter() - start)
            return len(sample[0]) / min(times), ""
        except Exception as error:
            # Whatever a network has that a transformation or a compiler cannot take.
            lines = str(error).strip().splitlines()
            return 0.0, f"{type(error).__name__}: {lines[0] if lines else ''}"[:200]

    def use(self, plan: Plan) -> None:
        """Evaluate by this plan from now on."""
        self.close()
        self.plan = plan
        self._lay_out(plan.channels_last)
        launch = _Launch(self.objective, plan.launch, "same" if plan.seeded else "error")
        self._runs = [self._prepared(launch, part) for part in self.objective.parts]
        if plan.workers > 1:
            self._pool = ThreadPoolExecutor(plan.workers, initializer=_one_thread)

    def _lay_out(self, channels_last: bool) -> None:
        """Lay images and their filters out as a plan wants them; the numbers stay."""
        self._state = [
            _laid_out(part, channels_last)
            for part in (self._origin, self._u, self._v, self._buffers)
        ]
        self._origin, self._u, self._v, self._buffers = self._state
        self.objective.parts = [
            part._replace(batches=_laid_out(part.batches, channels_last))
            for part in self.objective.parts
        ]

    def _prepared(self, launch: nn.Module, part: Part) -> Run:
        arguments = (*self._state, part.batches)

        def run(alpha: Tensor, beta: Tensor, index: Tensor) -> Tensor:
            return called(*arguments, alpha, beta, index)

        def seeded(alpha: Tensor, beta: Tensor, index: Tensor) -> Tensor:
            with self.objective.seeded(int(index[0])):
                return called(*arguments, alpha, beta, index)

        called: Callable[..., Tensor] = launch
        if self.plan.way == "compiled" and part.share > 0.1:
            called = self._package(launch, arguments)
        if self.plan.seeded:
            return seeded
        if self.objective.device.type == "cuda" and self.plan.way != "loop":
            return _captured(run, self._points())
        return run

    def _package(self, launch: nn.Module, arguments: tuple) -> Callable[..., Tensor]:
        """Compile a launch into a function that runs without the interpreter, in threads too."""
        flat, arranged = pytree.tree_flatten((*arguments, *self._points()))

        def flattened(*tensors: Tensor) -> tuple[Tensor]:
            return (launch(*pytree.tree_unflatten(tensors, arranged)),)

        single = {torch.ops.aten.convolution.default: _unfolded}
        decomposed = single if self.plan.channels_last else {}
        with torch.no_grad():
            graph = make_fx(
                flattened, decomposed, tracing_mode="fake", _allow_non_fake_inputs=True
            )(*flat)
            count, batches = len(flat) - 3, len(pytree.tree_leaves(arguments[-1]))
            hoisted = _hoist(graph, set(range(count - batches, count)), flat)
            shapes = [(tuple(t.shape), t.stride()) for t in (*flat, *hoisted)]
            kind = (graph.code, shapes, _machine(self.objective.device))
            mark = zlib.crc32(repr(kind).encode())
            path = self.packages / f"launch-{self.plan.launch}-{mark:08x}.bin"
            if path.exists():
                compiled = torch._inductor.CompiledArtifact.load(path=str(path), format="binary")
            else:
                settings = {"cpp_wrapper": self.objective.device.type == "cpu", "cpp.threads": 1}
                compiled = torch._inductor.standalone_compile(
                    graph, [*flat, *hoisted], options={"config_patches": settings}
                )
                self.packages.mkdir(parents=True, exist_ok=True)
                with replacing(path) as partial:
                    compiled.save(path=str(partial), format="binary")
        given = tuple(flat[:-3])
        return lambda *everything: compiled(*given, *everything[-3:], *hoisted)[0]

    def _points(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return a launch's points, all at the centre."""
        device = self.objective.device
        zeros = torch.zeros(self.plan.launch, dtype=self._dtype, device=device)
        return zeros, zeros.clone(), zeros.long()

    @property
    def _dtype(self) -> torch.dtype:
        return next(iter(self._u.values())).dtype.to_real()

    def _run(self, alpha: Tensor, beta: Tensor, index: Tensor) -> Tensor:
        with torch.set_grad_enabled(self.objective.takes_gradients):
            return self.objective.assemble(run(alpha, beta, index).detach() for run in self._runs)


class _Launch(nn.Module):
    """Points of a plane to their values, everything an argument: what is mapped and compiled."""

    def __init__(self, objective: Objective, points: int, randomness: str) -> None:
        super().__init__()
        self.objective, self.points, self.randomness = objective, points, randomness

    def forward(
        self,
        origin: Weights,
        u: Weights,
        v: Weights,
        buffers: dict[str, Tensor],
        batches: tuple[Batch, ...],
        alpha: Tensor,
        beta: Tensor,
        index: Tensor,
    ) -> Tensor:
        def value(alpha: Tensor, beta: Tensor, index: Tensor) -> Tensor:
            weights = {name: w + alpha * u[name] + beta * v[name] for name, w in origin.items()}
            return self.objective.part(batches, weights, buffers, index)

        if self.points == 1:
            return value(alpha[0], beta[0], index[0])[None]
        return vmap(value, randomness=self.randomness)(alpha, beta, index)


def _laid_out(tensors: Any, channels_last: bool) -> Any:
    layout = torch.channels_last if channels_last else torch.contiguous_format
    return pytree.tree_map_only(
        Tensor, lambda t: t.contiguous(memory_format=layout) if t.ndim == 4 else t, tensors
    )


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


def _unfolded(x: Tensor, w: Tensor, bias: Tensor | None, *rest: Any) -> Tensor:
    """Turn a convolution of one channel into one of its patches: a product of matrices.

    One channel looks the same in either layout, and oneDNN then takes the slow one, by ten times.
    """
    stride, padding, dilation, transposed = rest[:4]
    single = x.ndim == 4 and x.shape[1] == w.shape[1] == 1
    if not single or transposed or w[0].numel() == 1:
        return NotImplemented
    (n, _, *size), (filters, _, *kernel) = x.shape, w.shape
    out = [
        (side + 2 * p - d * (k - 1) - 1) // s + 1
        for side, p, d, k, s in zip(size, padding, dilation, kernel, stride, strict=True)
    ]
    patches = F.unfold(x, (*kernel,), dilation, padding, stride).view(n, -1, *out)
    patches, flat = (
        t.contiguous(memory_format=torch.channels_last)
        for t in (patches, w.reshape(filters, -1, 1, 1))
    )
    return F.conv2d(patches, flat, bias)


def _hoist(graph: fx.GraphModule, fixed: set[int], inputs: list[Tensor]) -> list[Tensor]:
    """Take out of a traced graph what is the same in every launch, computed once, now.

    That is what depends on fixed inputs alone, and tensors that the network or its loss holds: a
    compiled graph that is saved and loaded again has lost them.

    Parameters
    ----------
    graph : GraphModule
        Changed: what was taken out comes in as further inputs, after those that it has.
    fixed : set of int
        Which inputs are the same in every launch.
    inputs : list of Tensor
        All of them.

    Returns
    -------
    list of Tensor
        The further inputs.
    """
    nodes = list(graph.graph.nodes)
    placed = [node for node in nodes if node.op == "placeholder"]
    known: dict[fx.Node, Any] = {placed[n]: inputs[n] for n in fixed}
    held = {n: getattr(graph, n.target, None) for n in nodes if n.op == "get_attr"}
    known |= {node: tensor for node, tensor in held.items() if isinstance(tensor, Tensor)}
    calls = [node for node in nodes if node.op == "call_function"]
    changed = any(isinstance(n.target, OpOverload) and n.target._schema.is_mutable for n in calls)
    for node in () if changed else calls:
        drawn = torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ())
        if not drawn and node.all_input_nodes and all(n in known for n in node.all_input_nodes):
            args, kwargs = fx.map_arg((node.args, node.kwargs), known.get)
            known[node] = node.target(*args, **kwargs)
    border = [
        node
        for node in known
        if node.op != "placeholder" and any(user not in known for user in node.users)
    ]
    for number, node in enumerate(border):
        with graph.graph.inserting_after(placed[-1]):
            placed.append(graph.graph.placeholder(f"hoisted_{number}"))
        placed[-1].meta = node.meta
        node.replace_all_uses_with(placed[-1])
    graph.graph.eliminate_dead_code()
    for target in {node.target for node in held if node in known}:
        delattr(graph, target)  # else it would become an input, too
    graph.recompile()
    return [known[node] for node in border]


def _machine(device: torch.device) -> str:
    """Return all that a compiler goes by: on another machine a package may not even start."""
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    listed = Path("/proc/cpuinfo")
    lines = listed.read_text().splitlines() if listed.exists() else [platform.processor()]
    flags = next((line for line in lines if line.startswith(("flags", "Features"))), lines[0])
    return f"torch {torch.__version__}, {platform.machine()}, {flags}, {gpu}"


def _one_thread() -> None:
    torch.set_num_threads(1)


@contextmanager
def _exactly(precision: str) -> Iterator[None]:
    """Let matrix products and convolutions be TF32, or not, and restore the settings."""
    cudnn: Any = torch.backends.cudnn
    tf32 = precision == "tf32"
    try:
        before = torch.get_float32_matmul_precision(), cudnn.allow_tf32
    except RuntimeError:  # they were set by their newer names, which torch refuses to mix
        with _exactly_by_newer_names(tf32):
            yield
        return
    try:
        torch.set_float32_matmul_precision("high" if tf32 else "highest")
        cudnn.allow_tf32 = tf32
        yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        cudnn.allow_tf32 = before[1]


@contextmanager
def _exactly_by_newer_names(tf32: bool) -> Iterator[None]:
    cuda: Any = torch.backends.cuda
    cudnn: Any = torch.backends.cudnn
    settings = cuda.matmul, cudnn.conv, cudnn.rnn
    before = [setting.fp32_precision for setting in settings]
    try:
        for setting in settings:
            setting.fp32_precision = "tf32" if tf32 else "ieee"
        yield
    finally:
        for setting, value in zip(settings, before, strict=True):
            setting.fp32_precision = value


def grid(alpha: NDArray[np.float64], beta: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the points ``(rows * cols, 2)`` of a grid, beta (rows) varying slowest."""
    b, a = np.meshgrid(beta, alpha, indexing="ij")
    return np.stack([a.ravel(), b.ravel()], axis=1)
