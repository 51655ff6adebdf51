"""Points per second on a GPU, beside the rate that its arithmetic and its memory allow."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from movinglands.engine.evaluator import Evaluator, grid
from movinglands.evaluation.objective import Objective
from movinglands.pieces.losses import classification
from movinglands.planes.random import random_plane
from movinglands.planes.weights import weights_of

from .engine import _noise, resnet20
from .report import Row, by_turns

SIDE = 32


def bench() -> Iterator[Row]:
    """Measure where there is a GPU."""
    if torch.cuda.is_available():
        yield _points_per_second(torch.device("cuda"))


def _points_per_second(device: torch.device) -> Row:
    module = resnet20(skips=False).to(device)
    inputs, labels = (tensor.to(device) for tensor in _noise(128))
    objective = Objective(module, classification, [(inputs, labels)], device=device)
    axis = np.linspace(-1.0, 1.0, SIDE)
    points, index = grid(axis, axis), np.arange(SIDE**2)
    with tempfile.TemporaryDirectory() as folder:
        evaluator = Evaluator(objective, random_plane(weights_of(module), seed=0), Path(folder))
        plan = evaluator.tune(1_000_000, compiling=True)
        seconds = by_turns({"ours": lambda: evaluator(points, index)})["ours"]
        evaluator.close()
    arithmetic, memory = _roofline(module, inputs)
    roof = min(arithmetic, memory)
    rate = SIDE**2 / seconds
    return Row(
        "gpu.points_per_second",
        rate,
        f"{plan.way}, {plan.launch} a launch: {rate / roof:.0%} of the roofline",
        f"roofline {roof:.4g}: arithmetic {arithmetic:.4g}, memory {memory:.4g}",
    )


def _roofline(module: nn.Module, inputs: Tensor) -> tuple[float, float]:
    """Return the points per second that float32 arithmetic and memory allow, as measured here.

    A point's arithmetic is that of its convolutions. Of memory it has to write what each
    convolution gives, as BatchNorm wants all of it before it gives any, and to read it again.
    """
    written = 0

    def count(_module: nn.Module, _inputs: object, output: Tensor) -> None:
        nonlocal written
        written += output.numel() * output.element_size()

    hooks = [m.register_forward_hook(count) for m in module.modules() if isinstance(m, nn.Conv2d)]
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(inputs)
    for hook in hooks:
        hook.remove()
    size = 8192
    square = torch.randn(size, size, device=inputs.device)
    arithmetic = 2 * size**3 / _seconds(lambda: square @ square)
    memory = 2 * square.numel() * square.element_size() / _seconds(square.clone)
    return arithmetic / counter.get_total_flops(), memory / (2 * written)


def _seconds(work: Callable[[], Tensor], times: int = 20) -> float:
    """Return what one of many takes, the device having nothing to wait for between them."""
    work()[0, 0].item()
    start = time.perf_counter()
    for _ in range(times):
        result = work()
    result[0, 0].item()
    return (time.perf_counter() - start) / times
