"""What is measured at a point of weight space: the loss over all batches, and its metrics.

It is a pure function of weights, buffers and the point, by a copy of the network. Where a copy is
not the network (``checks.network``), the user's own is evaluated instead, and put back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

import torch
from torch import Tensor, nn

from ..errors import UserError
from ..planes.weights import Weights
from . import batches as arranged
from .answers import mean_of, mean_of_weighted
from .batches import Batch, Count
from .copies import put_back
from .measure import Measure
from .own import OwnNetwork
from .parts import Minibatch, Part, parts_of
from .passes import Passes
from .pure import Loss
from .trial import Trial


class Objective(Passes):
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
        device = device or next(
            (t.device for t in (*module.parameters(), *module.buffers())), torch.device("cpu")
        )
        shown, held_out = (
            [arranged.moved(batch, device) for batch in given] for given in (batches, test)
        )
        if not shown:
            raise UserError(
                "batches: expected at least one; a generator gives its batches once, a list again."
            )
        super().__init__(module, loss, measure or Measure(), device, len(shown))
        self.own: OwnNetwork | None = None
        known = [arranged.counts(given, count) for given in (shown, held_out)]
        self.samples = None if known[0] is None else sum(known[0])
        self.guessed = count is None
        with put_back(module):  # a copy may hold the user's own layers, and run them
            self.renew()
            trial = Trial(self)
            self.parts = self._split(trial, shown, held_out, *known)
            trial.try_parts(self.parts)
            self.own = trial.own

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

    def at(
        self, weights: Weights, buffers: dict[str, Tensor] | None = None, index: int = 0
    ) -> Tensor:
        """Return the values ``(len(names),)`` of one point, evaluated by itself."""
        return self.assemble(self.each(self.parts, weights, buffers, index))

    def each(
        self,
        parts: Iterable[Part],
        weights: Weights,
        buffers: dict[str, Tensor] | None = None,
        index: int = 0,
    ) -> list[Tensor]:
        """Return the values of parts at one point, evaluated by itself."""
        if self.own:
            buffers = self.buffers() if buffers is None else buffers
            return self.own.each(parts, weights, buffers, index)
        return super().each(parts, weights, buffers, index)

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

    def assemble(self, values: Iterable[Tensor]) -> Tensor:
        """Return all values ``(..., len(names))`` of points from those of the parts, in order."""
        exact = torch.float32 if self.device.type == "mps" else torch.float64
        groups: dict[bool, list[tuple[Tensor, float]]] = {}
        for part, value in zip(self.parts, values, strict=True):
            groups.setdefault(part.test, []).append((value, part.share))
        return torch.cat([self._summed(group, exact) for group in groups.values()], dim=-1)

    def _summed(self, group: list[tuple[Tensor, float]], exact: torch.dtype) -> Tensor:
        values, shares = zip(*group, strict=True)
        if len(group) > 1:  # many small shares need a sum that does not lose them; one does not
            values = tuple(v.to(exact) for v in values)
            whole = mean_of_weighted(values) if self.answers.weighted else mean_of(values, shares)
        else:
            whole = values[0]
        return whole[..., :-1] if self.answers.weighted else whole

    def _split(
        self,
        trial: Trial,
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
            trial.learn(parts[0])
            return parts
        trial.learn(parts_of(shown[:1], None)[0])
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
