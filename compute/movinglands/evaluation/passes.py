"""A loss on the batches of one pass, as a pure function of weights, buffers and the point.

A loss is any function of a module and a batch. Here it becomes a function without memory: the
module is a copy, its weights and buffers are arguments (``torch.func``), and what is random (a
batch drawn at every point, dropout's noise) is a hash of the point's number. So a point has one
value, whoever asks, together with whatever others, as often as they like.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial

import torch
from torch import Tensor, nn

from ..planes.weights import Weights
from . import batches as arranged
from . import norms, randomness
from .answers import Answers, mean_of, mean_of_weighted
from .batches import Batch
from .measure import Measure
from .parts import Minibatch, Part
from .precision import Precisions, exactly
from .pure import Loss, PureCopy
from .randomness import POSITIVE, hashed


class Passes:
    """A network under its loss, at one point at a time, by a copy.

    Parameters
    ----------
    module : nn.Module
        Copied: its weights, buffers and mode stay as they are.
    loss : callable
        As ``Objective`` takes it.
    measure : Measure
        Modes, randomness, precision.
    device : torch.device
        Where the copy lives.
    shown : int
        How many batches are measured, held-out ones not counted.

    Attributes
    ----------
    answers : Answers
        What the loss returns.
    precisions : Precisions
        What the network computes in.
    copy : PureCopy
        The copy, once ``renew`` has made it.
    minibatch : Minibatch or None
        What draws the samples of a point, where they are drawn.
    """

    def __init__(
        self, module: nn.Module, loss: Loss, measure: Measure, device: torch.device, shown: int
    ) -> None:
        self.module, self.given_loss = module, loss
        self.measure, self.device, self.shown = measure, device, shown
        self.answers = Answers()
        self.precisions = Precisions()
        self.minibatch: Minibatch | None = None
        self.takes_gradients = False
        self.written: set[str] = set()  # buffers that a pass writes to
        self.writes_batches = False
        self.counters: set[tuple[str, str]] = set()  # layers and names of what a pass counts

    def renew(self) -> None:
        """Copy the network anew: a copy that something was tried with may have kept some of it."""
        with self.seeded(0):  # what prepares a mode may draw, as a layer that is made anew does
            self.copy = PureCopy(
                self.module, self.given_loss, self.answers, self.measure, self.device
            )

    def each(
        self,
        parts: Iterable[Part],
        weights: Weights,
        buffers: dict[str, Tensor] | None = None,
        index: int = 0,
    ) -> list[Tensor]:
        """Return the values of parts at one point, evaluated by itself."""
        buffers = self.buffers() if buffers is None else buffers
        number = torch.tensor(index, device=self.device)
        weights = {name: w.clone() for name, w in weights.items()}  # forward may write to them
        values = []
        with exactly(self.measure.precision), torch.set_grad_enabled(self.takes_gradients):
            for part in parts:
                with self.seeded(index):  # each, as a launch does
                    found = self.part(part.batches, weights, buffers, number, part.counts)
                values.append(found.detach())
        return values

    def part(
        self,
        batches: Sequence[Batch],
        weights: Weights,
        buffers: dict[str, Tensor],
        index: Tensor,
        counts: Sequence[float] | None = None,
    ) -> Tensor:
        """Return the values ``(k,)`` that a part's batches have at weights, by torch operations.

        ``index``, an int64 scalar, is the point's number in its grid: the source of randomness.
        Where the loss is weighted, the weight comes last.
        """
        written = {name: buffers[name].clone() for name in self.written}  # a point's own
        state = {**buffers, **written, **weights, **self.keys(index)}
        batches = self.chosen(batches, index)
        self.copy.rewind(self.counters)
        with self.cast():
            if self.measure.batch_norm == "recomputed":
                run = partial(self.copy, state)
                state |= norms.recompute(self.copy.norms, self.passes(batches, counts, run))
                batches = batches[self.shown :] or batches
                counts = counts[self.shown :] or counts if counts else None
            values = [self.copy(state, batch) for batch in batches]
        return self.mean(values, counts)

    def passes(
        self,
        batches: Sequence[Batch],
        counts: Sequence[float] | None,
        run: Callable[[Batch], object],
    ) -> Iterator[tuple[Callable[[], object], float | None]]:
        """Yield a pass over each batch that is no test, with its samples."""
        for n, batch in enumerate(batches[: self.shown]):
            yield partial(run, batch), counts[n] if counts else None

    def chosen(self, batches: Sequence[Batch], index: Tensor) -> Sequence[Batch]:
        """Return what a point sees of batches: samples of its own, copies where they are changed.

        A part of which samples are drawn is one batch.
        """
        if self.minibatch:
            batches = (self.minibatch.of(batches[0], index),)
        if self.writes_batches:
            batches = arranged.fresh(tuple(batches))
        return batches

    def cast(self) -> AbstractContextManager:
        """Return the context of what is measured: torch's autocast, where it is asked for."""
        if self.measure.precision != "bf16":
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)

    def mean(self, values: Sequence[Tensor], counts: Sequence[float] | None) -> Tensor:
        """Return the mean of batches' values ``(k,)``; a weight comes last, and is summed."""
        if len(values) == 1:
            return values[0]
        if self.answers.weighted:
            return mean_of_weighted(values)
        assert counts is not None
        return mean_of(values, [n / sum(counts) for n in counts])

    @contextmanager
    def seeded(self, index: int) -> Iterator[None]:
        """Seed the global generators for a point, and put them back: for other randomness."""
        seed = self.measure.seed
        if self.measure.noise == "point":
            seed = int(hashed(torch.tensor(index), seed)) & POSITIVE
        with randomness.seeded(seed, self.device):
            yield

    def buffers(self, state: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        """Return the network's buffers, those of a state dict where it has them."""
        return self.copy.buffers(state)

    def keys(self, index: Tensor) -> Weights:
        """Return the keys of dropout layers' noise at a point."""
        point = index if self.measure.noise == "point" else torch.zeros_like(index)
        return {
            name: hashed(point, self.measure.seed, number + 3)
            for number, name in enumerate(self.copy.keys)
        }

    def weights(self) -> Weights:
        """Return the weights that the network was given with."""
        here = dict(self.copy.network.named_parameters())  # but what its mode took away
        return {name: here.get(name, w).detach() for name, w in self.module.named_parameters()}
