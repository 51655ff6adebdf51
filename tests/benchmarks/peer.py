"""loss-landscapes 3.0.6 from PyPI, in a process of its own: no thread of ours slows it down."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import NamedTuple

import loss_landscapes
import torch
from loss_landscapes.metrics import Loss
from torch import Tensor, nn
from torch.nn import functional as F


class Case(NamedTuple):
    """A network, its batch, and how many points a side a turn takes."""

    module: nn.Module
    batch: tuple[Tensor, Tensor]
    side: int


@contextmanager
def peer(case: Case, threads: int) -> Iterator[Callable[[], object]]:
    """Yield what evaluates a case's plane of random directions, on this many threads."""
    spawning = torch.multiprocessing.get_context("spawn")
    ours, theirs = spawning.Pipe()
    process = spawning.Process(target=_serve, args=(theirs, case, threads), daemon=True)
    process.start()

    def turn() -> object:
        ours.send(True)
        return ours.recv()

    yield turn
    ours.send(False)
    process.join()


def _serve(ask: Connection, case: Case, threads: int) -> None:
    torch.set_num_threads(threads)
    metric = Loss(F.cross_entropy, *case.batch)
    while ask.recv():
        # Its filter normalisation divides by each filter's norm, and a fresh BatchNorm's biases
        # have none: ZeroDivisionError. Which normalisation it is makes no difference in speed.
        loss_landscapes.random_plane(
            case.module, metric, steps=case.side, normalization="model", deepcopy_model=True
        )
        ask.send(True)
