"""What is measured at a point of weight space: a pure function of weights, buffers and the point.

A loss is any function of a module and a batch. Here it becomes a function without memory: the
module is a copy, its weights and buffers are arguments (``torch.func``), and what is random (a
batch drawn at every point, dropout's noise) is a hash of the point's number. So a point has one
value, whoever asks, together with whatever others, as often as they like. Where a copy is not the
network (``check``), the user's own is evaluated instead, and put back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial

import torch
from torch import Tensor, nn

from ..errors import UserError
from ..planes.weights import Weights
from . import batches as arranged
from . import norms, randomness, trial
from .answers import Answers
from .batches import Batch, Count
from .copies import put_back
from .measure import Measure
from .own import OwnNetwork
from .parts import Minibatch, Part, parts_of
from .precision import Precisions, exactly
from .pure import Loss, PureCopy
from .randomness import POSITIVE, hashed


class Objective:
    """A loss, as a pure function.

    Parameters
    ----------
    module : nn.Module
        Copied: its weights, buffers and mode stay as they are.
    loss : callable
        From a module and a batch to a scalar, or to a dict of scalars: ``"loss"`` and metrics, and
        ``"weight"`` where the batch counts for something else than its samples.
    batches : iterable of batches
        The loss is the mean over them, each weighted by its samples: exact for the whole set.
    measure : Measure
        Modes, randomness, precision.
    test : iterable of batches, optional
        Held-out ones; their values become metrics, ``test_loss`` and so on.
    device : torch.device, optional
        Where the copy and the batches live.
    count : callable, optional
        From a batch to its samples. By default the first dimension of its tensors, where all agree.

    Attributes
    ----------
    answers : Answers
        What the loss returns.
    samples : float or None
        In all batches that are no test, where that is known.
    precisions : Precisions
        What the network computes in.
    own : OwnNetwork or None
        The user's network, where it has to be evaluated itself.

    Raises
    ------
    UserError
        For no batches, batches whose samples nobody can tell, a minibatch larger than the data, a
        loss that is no scalar, or a loss or network that fails.
    """

    def __init__(
        self,
        module: nn.Module,
        loss: Loss,
        batches: Iterable[Batch],
        measure: Measure | None = None,
        test: Iterable[Batch] = (),
        device: torch.device | None = None,
        count: Count | None = None,
    ) -> None:
        self.measure = measure or Measure()
        self.device = device or next(
            (t.device for t in (*module.parameters(), *module.buffers())), torch.device("cpu")
        )
        self.module, self.given_loss = module, loss
        shown, held_out = (
            [arranged.moved(batch, self.device) for batch in given] for given in (batches, test)
        )
        if not shown:
            raise UserError(
                "batches: expected at least one; a generator gives its batches once, a list again."
            )
        self.takes_gradients = False
        self.own: OwnNetwork | None = None
        self.answers = Answers()
        self.precisions = Precisions()
        self.written: set[str] = set()
        self.writes_batches = False
        self.counters: set[tuple[str, str]] = set()  # layers and names of what a pass counts
        self.minibatch: Minibatch | None = None
        self.shown = len(shown)
        known = [arranged.counts(given, count) for given in (shown, held_out)]
        self.samples = None if known[0] is None else sum(known[0])
        self.guessed = count is None
        with put_back(module):  # a copy may hold the user's own layers, and run them
            self.renew()
            self.parts = self._split(shown, held_out, *known)
            trial.try_parts(self)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of a point's values: the loss, metrics, and those of held-out batches."""
        shown = ("loss", *(self.answers.metrics or ()))
        held_out = any(part.test for part in self.parts)
        return (*shown, *(f"test_{name}" for name in shown)) if held_out else shown

    @property
    def statistics(self) -> str:
        """Where norm layers' statistics come from, for the sequence file."""
        if self.measure.batch_norm or len(self.copy.sources) < 2:
            return self.measure.batch_norm or next(iter(self.copy.sources), self.measure.statistics)
        total = sum(self.copy.sources.values())
        return ", ".join(
            f"{source} in {n} of {total} layers" for source, n in self.copy.sources.items()
        )

    @property
    def noise(self) -> str:
        """What is random, and from which seed; nothing where nothing is."""
        measure = self.measure
        if not (measure.minibatch or measure.noise == "point" or self.copy.keys):
            return ""
        return f"{measure.noise}, seed {measure.seed}"

    @property
    def precision(self) -> str:
        """What the network computes in, at its coarsest."""
        return "tf32" if self.measure.precision == "tf32" else self.precisions.coarsest

    @property
    def weighing(self) -> str:
        """What a batch counts for in the mean over all."""
        if self.answers.weighted:
            return "weighted by what the loss returned as weight"
        return "weighted by samples" + ("" if self.guessed else ", as counted by the caller")

    def renew(self) -> None:
        """Copy the network anew: a copy that something was tried with may have kept some of it."""
        with self.seeded(0):  # what prepares a mode may draw, as a layer that is made anew does
            self.copy = PureCopy(
                self.module, self.given_loss, self.answers, self.measure, self.device
            )

    def at(
        self, weights: Weights, buffers: dict[str, Tensor] | None = None, index: int = 0
    ) -> Tensor:
        """Return the values ``(len(names),)`` of one point, plainly."""
        return self.assemble(self.each(self.parts, weights, buffers, index))

    def each(
        self,
        parts: Iterable[Part],
        weights: Weights,
        buffers: dict[str, Tensor] | None = None,
        index: int = 0,
    ) -> list[Tensor]:
        """Return the values of parts at one point, plainly."""
        buffers = self.buffers() if buffers is None else buffers
        if self.own:
            return self.own.each(parts, weights, buffers, index)
        number = torch.tensor(index, device=self.device)
        weights = {name: w.clone() for name, w in weights.items()}  # forward may write to them
        values = []
        with exactly(self.measure.precision), torch.set_grad_enabled(self.takes_gradients):
            for part in parts:
                with self.seeded(index):  # each, as a launch does
                    found = self.part(part.batches, weights, buffers, number, part.counts)
                values.append(found.detach())
        return values

    def loss(self, weights: Weights, buffers: dict[str, Tensor] | None = None) -> Tensor:
        """Return the loss at weights, a scalar that can be differentiated by them."""
        return torch.stack([term() for term in self.terms(weights, buffers)]).sum()

    def terms(
        self, weights: Weights, buffers: dict[str, Tensor] | None = None
    ) -> list[Callable[[], Tensor]]:
        """Return the loss at weights as functions whose sum it is, one for each pass."""
        if self.answers.weighted and len(self.parts) > 1:
            raise UserError('A loss that returns a "weight" has no terms over several batches.')
        buffers = self.buffers() if buffers is None else buffers
        number = torch.tensor(0, device=self.device)

        def term(part: Part) -> Tensor:
            with self.seeded(0):
                value = self.part(part.batches, weights, buffers, number, part.counts)[0]
            return part.share * value

        return [partial(term, part) for part in self.parts if not part.test]

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
            weights = torch.stack([v[-1] for v in values])
            seen = [torch.where(v[-1] > 0, v[:-1] * v[-1], 0) for v in values]  # NaN of nothing
            return torch.cat([sum(seen) / weights.sum(), weights.sum()[None]])
        assert counts is not None
        total = sum(counts)
        shares = [v * (n / total) for v, n in zip(values, counts, strict=True) if n]
        return torch.stack(shares).sum(0)

    @contextmanager
    def seeded(self, index: int) -> Iterator[None]:
        """Seed the global generators for a point, and put them back: for other randomness."""
        seed = self.measure.seed
        if self.measure.noise == "point":
            seed = int(hashed(torch.tensor(index), seed)) & POSITIVE
        with randomness.seeded(seed, self.device):
            yield

    def assemble(self, values: Iterable[Tensor]) -> Tensor:
        """Return all values ``(..., len(names))`` of points from those of the parts, in order."""
        exact = torch.float32 if self.device.type == "mps" else torch.float64
        groups: dict[bool, list[tuple[Tensor, float]]] = {}
        for part, value in zip(self.parts, values, strict=True):
            groups.setdefault(part.test, []).append((value, part.share))
        return torch.cat([self._summed(group, exact) for group in groups.values()], dim=-1)

    def _summed(self, group: list[tuple[Tensor, float]], exact: torch.dtype) -> Tensor:
        if len(group) == 1:  # many small shares need a sum that does not lose them; one does not
            value = group[0][0]
            return value[..., :-1] if self.answers.weighted else value
        if not self.answers.weighted:
            return torch.stack([v.to(exact) * share for v, share in group if share]).sum(0)
        values = torch.stack([v.to(exact) for v, _ in group])
        weights = values[..., -1:]
        seen = torch.where(weights > 0, values[..., :-1] * weights, 0)  # NaN is what nothing has
        return seen.sum(0) / weights.sum(0)

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

    def _split(
        self,
        shown: list[Batch],
        held_out: list[Batch],
        counted: list[float] | None,
        counted_out: list[float] | None,
    ) -> list[Part]:
        """Return all batches in parts, once the loss was asked what it returns."""
        if self.measure.minibatch:
            if counted is None:
                raise UserError(arranged.untold(shown))
            if held_out:
                raise UserError("test: a minibatch at every point goes without held-out batches.")
            size, seed = self.measure.minibatch, self.measure.seed
            self.minibatch = Minibatch(shown, counted, size, seed, self.device)
            parts = parts_of([self.minibatch.whole], None)
            trial.learn(self, parts[0])
            return parts
        trial.learn(self, parts_of(shown[:1], None)[0])
        for batches, counts in ((shown, counted), (held_out, counted_out)):
            if counts is None and len(batches) > 1 and not self.answers.weighted:
                raise UserError(arranged.untold(batches))
        if self.measure.batch_norm != "recomputed":
            return parts_of(shown, counted) + parts_of(held_out, counted_out, test=True)
        parts = parts_of(shown, counted, together=True)
        if held_out:  # over all shown, before any counts
            both = None if counted is None or counted_out is None else counted + counted_out
            parts += parts_of(shown + held_out, both, test=True, together=True)
        return parts
