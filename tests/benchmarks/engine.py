"""The engine against its peer and against its floor.

The peer's ``random_plane`` gets the same module, the same batch and the same number of points.
The floor is the same loss at weights that never change,
compiled in every way that might be the fastest here; forming new weights for every point cannot
be faster, only less slow.
"""

from __future__ import annotations

import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch._inductor.package import load_package
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn import functional as F

from movinglands.data import load as datasets
from movinglands.engine.evaluator import Evaluator, grid
from movinglands.evaluation.measure import Measure
from movinglands.evaluation.objective import Objective
from movinglands.networks import convnet as networks
from movinglands.pieces.losses import classification
from movinglands.pieces.recipe import find_recipe, load_recipe, read_recipe
from movinglands.pieces.schema import Recipe
from movinglands.pieces.training import batch_of_step, train
from movinglands.planes.random import random_plane
from movinglands.planes.weights import Weights, weights_of

from .peer import Case, peer
from .report import THREADS, Row, by_turns

Batch = tuple[Tensor, Tensor]


class Ours(NamedTuple):
    """Our evaluator, ready to run."""

    run: Callable[[], NDArray]
    plan: str
    seconds: float  # to find and compile the plan


class Floor(NamedTuple):
    """A forward pass with fixed weights, ready to run."""

    run: Callable[[], object]
    points: int  # whose work a run does
    way: str


def bench() -> Iterator[Row]:
    """Measure the three networks."""
    large = read_recipe("[data]\nsize = 28\n[surface]\nbatch = 128", "benchmark")
    small = load_recipe(find_recipe("gently"))
    deep = _trained(large, side=8)
    yield from _against_floor(Case(convnet(), deep.batch, side=12), factors=(1, 2, 4))
    yield from _against_peer(deep, "_deep")
    yield from _against_floor(_trained(small, side=32), factors=(1, 8, 64), suffix="_small")
    yield from _against_peer(Case(resnet20(), _noise(128), side=4), "_resnet20")


def _against_floor(case: Case, factors: tuple[int, ...], suffix: str = "") -> Iterator[Row]:
    precisions = ("float32",) if suffix else ("float32", "bf16")
    points = case.side**2
    with ExitStack() as stack:
        ours = {p: stack.enter_context(_ours(case, p)) for p in precisions}
        floor = stack.enter_context(_floor(case, factors))
        turns: dict[str, Callable[[], object]] = {p: ours[p].run for p in precisions}
        turns |= {"peer": stack.enter_context(peer(case, THREADS)), "floor": floor.run}
        seconds = by_turns(turns)
        values = {p: ours[p].run() for p in precisions}
    mine = points / seconds["float32"]
    yield from _ratio(points, seconds["float32"], seconds["peer"], ours["float32"], suffix)
    rate = floor.points / seconds["floor"]
    beside = f"fixed weights {_rate(rate)}: {floor.way}"
    yield Row(f"engine.fraction_of_floor{suffix}", mine / rate, _rate(mine), beside)
    if suffix:
        return
    yield Row("engine.compile_seconds", ours["float32"].seconds, "to find and compile the plan")
    reduced = points / seconds["bf16"]
    ratio = reduced / mine
    yield Row("engine.bf16_ratio", ratio, f"{_rate(reduced)}, {ours['bf16'].plan}", _rate(mine))
    error = np.abs(values["bf16"] / values["float32"] - 1).max()
    yield Row("engine.bf16_error", float(error), f"the largest of {points}, relative")


def _against_peer(case: Case, suffix: str) -> Iterator[Row]:
    with _ours(case) as ours, peer(case, THREADS) as theirs:
        seconds = by_turns({"ours": ours.run, "peer": theirs})
    yield from _ratio(case.side**2, seconds["ours"], seconds["peer"], ours, suffix)


def _ratio(points: int, mine: float, theirs: float, ours: Ours, suffix: str) -> Iterator[Row]:
    beside = f"loss-landscapes {_rate(points / theirs)}"
    mentioned = f"{_rate(points / mine)}, {ours.plan}"
    yield Row(f"engine.ratio_to_peer{suffix}", theirs / mine, mentioned, beside)


def _rate(points: float) -> str:
    return f"{points:.4g} points/s"


@contextmanager
def _ours(case: Case, precision: str = "float32") -> Iterator[Ours]:
    """Yield our evaluator by the plan that it finds fastest for a long computation."""
    measure = Measure(precision=precision)
    objective = Objective(case.module, classification, [case.batch], measure)
    plane = random_plane(weights_of(case.module), seed=0)
    axis = np.linspace(-1.0, 1.0, case.side)
    points, index = grid(axis, axis), np.arange(case.side**2)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        evaluator = Evaluator(objective, plane, Path(folder))
        plan = evaluator.tune(1_000_000, compiling=True)
        seconds = time.perf_counter() - start
        yield Ours(
            lambda: evaluator(points, index)[:, 0],
            f"{plan.way}, {plan.launch} a launch, {plan.workers} at a time",
            seconds,
        )
        evaluator.close()


@contextmanager
def _floor(case: Case, factors: tuple[int, ...]) -> Iterator[Floor]:
    """Yield the fastest forward pass with fixed weights.

    Tried are larger batches, as fixed weights allow them; our compiled layout, and the one that
    the compiler makes of constant weights; a thread for each core, or all cores for one pass.
    """
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        found: list[tuple[float, Floor]] = []
        for factor in factors:
            ways = [("plain", False, THREADS), ("channels last", True, THREADS)]
            if factor == factors[0]:
                ways.append(("constants, on all threads", False, 1))
            for name, last, workers in ways:
                batch = _repeated(case.batch, factor, last)
                if workers > 1:
                    called = _compiled(case.module, batch, last)
                else:
                    called = _frozen(case.module, batch, Path(folder, f"{factor}.pt2"))
                pool = ThreadPoolExecutor(workers, initializer=_one_thread if workers > 1 else None)
                stack.enter_context(pool)
                passes = workers * max(1, round(case.side**2 / factor / workers))
                way = f"batch x{factor}, {name}" + (f", {workers} at a time" if workers > 1 else "")
                floor = Floor(_passes(called, batch, passes, pool), passes * factor, way)
                taken = by_turns({way: floor.run}, rounds=3)[way]
                found.append((taken / floor.points, floor))
        yield min(found, key=lambda pair: pair[0])[1]


def _passes(
    called: Callable, batch: Batch, count: int, pool: ThreadPoolExecutor
) -> Callable[[], object]:
    return lambda: list(pool.map(lambda _: called(*batch), range(count)))


def _compiled(module: nn.Module, batch: Batch, channels_last: bool) -> Callable[..., object]:
    """Compile the loss as our launches are, its weights among what it is given."""
    fixed = _Fixed(module, batch)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    weights = {
        name: w.contiguous(memory_format=layout) if w.ndim == 4 else w
        for name, w in fixed.weights.items()
    }

    def loss(*given: Tensor) -> tuple[Tensor]:
        named = dict(zip(weights, given, strict=False))
        return (fixed.loss(given[-2], given[-1], named),)

    given = [*weights.values(), *batch]
    with torch.no_grad():
        graph = make_fx(loss, tracing_mode="fake")(*given)
        settings = {"cpp_wrapper": True, "cpp.threads": 1}
        compiled = torch._inductor.standalone_compile(
            graph, given, options={"config_patches": settings}
        )
    return lambda *batch: compiled(*weights.values(), *batch)


def _frozen(module: nn.Module, batch: Batch, path: Path) -> Callable[..., object]:
    """Compile the loss with the weights as constants, which may be laid out beforehand."""
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exported = torch.export.export(_Fixed(module, batch), batch, strict=False)
        torch._inductor.aoti_compile_and_package(
            exported, package_path=str(path), inductor_configs={"freezing": True}
        )
    return load_package(str(path))


class _Fixed(nn.Module):
    """The very loss that is ours, BatchNorm spelled out as ours is, at fixed weights."""

    def __init__(self, module: nn.Module, batch: Batch) -> None:
        super().__init__()
        self.objective = Objective(module, classification, [batch])
        self.weights, self.state = weights_of(module), self.objective.buffers()

    def forward(self, inputs: Tensor, labels: Tensor) -> Tensor:
        return self.loss(inputs, labels, self.weights)

    def loss(self, inputs: Tensor, labels: Tensor, weights: Weights) -> Tensor:
        """Return the loss of a batch at weights."""
        index = torch.zeros((), dtype=torch.int64)
        return self.objective.part(((inputs, labels),), weights, self.state, index)


def _one_thread() -> None:
    torch.set_num_threads(1)


def _repeated(batch: Batch, factor: int, channels_last: bool) -> Batch:
    inputs, labels = batch[0].repeat(factor, 1, 1, 1), batch[1].repeat(factor)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    return inputs.contiguous(memory_format=layout), labels


def _trained(recipe: Recipe, side: int, steps: int = 60) -> Case:
    """Return a recipe's network after a few steps, and the batch its surfaces are measured on."""
    data = datasets.load(recipe.data)
    network, surface = recipe.network, recipe.surface
    module = networks.convnet(1, network.width, network.depth, data.classes, network.seed)
    for _ in train(module, data, recipe.training, [steps]):
        pass
    batch = batch_of_step(len(data.images), surface.batch, surface.batch_seed, 0)
    return Case(module.train(), (data.images[batch], data.labels[batch]), side)


def _noise(batch: int) -> Batch:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(10, (batch,), generator=generator)
    return torch.randn(batch, 3, 32, 32, generator=generator), labels


def convnet() -> nn.Module:
    """Build the convnet of many an introduction: twice convolution, BatchNorm, ReLU, pooling."""
    layers: list[nn.Module] = []
    for channels, width in ((1, 16), (16, 32)):
        layers += [nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width)]
        layers += [nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(32 * 7 * 7, 10))


def resnet20(skips: bool = True) -> nn.Module:
    """Build the ResNet-20 for CIFAR of He et al. 2015, section 4.2, skips without parameters."""
    layers: list[nn.Module] = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    channels = 16
    for width in (16, 32, 64):
        for _ in range(3):
            layers.append(_Block(channels, width, skips))
            channels = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


class _Block(nn.Module):
    """Two convolutions, and around them a skip; where channels double, the image is halved."""

    def __init__(self, channels: int, width: int, skips: bool) -> None:
        super().__init__()
        self.skips, self.stride = skips, width // channels
        self.new = width - channels
        self.conv1 = nn.Conv2d(channels, width, 3, self.stride, 1, bias=False)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.norm1, self.norm2 = nn.BatchNorm2d(width), nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        if self.skips:
            x = x[:, :, :: self.stride, :: self.stride]
            y = y + F.pad(x, (0, 0, 0, 0, 0, self.new))
        return F.relu(y)
