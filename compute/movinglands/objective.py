"""What is measured at a point of weight space: a pure function of weights, buffers and the point.

A loss is any function of a module and a batch. Here it becomes a function without memory: the
module is a copy, its weights and buffers are arguments (``torch.func``), and what is random (a
batch drawn at every point, dropout's noise) is a hash of the point's number. So a point has one
value, whoever asks, together with whatever others, as often as they like. Where a copy is not the
network (``check``), the user's own is evaluated instead, and put back.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call

from . import batches as arranged
from . import norms, randomness
from .answers import Answers
from .batches import Batch, Count
from .copies import copied, put_back
from .directions import Weights
from .dropout import key_layers
from .errors import UserError
from .measure import Measure
from .own import OwnNetwork
from .precision import Precisions, exactly
from .randomness import POSITIVE, hashed

Loss = Callable[[nn.Module, Batch], "Tensor | Mapping[str, Tensor]"]
"""From a module and a batch to a scalar, or to scalars by name of which one is ``"loss"``.

One that is called ``"weight"`` is what the batch counts for in the mean.
"""


class Part(NamedTuple):
    """Batches that one pass takes, and what their loss counts for in the mean over all."""

    batches: tuple[Batch, ...]
    share: float
    test: bool
    counts: tuple[float, ...] | None  # of each batch; None where nobody needs to know

    @property
    def shapes(self) -> tuple:
        """What a compiled launch depends on."""
        tensors = arranged.tensors_of(self.batches)
        return tuple((tuple(t.shape), t.dtype, t.layout) for t in tensors), self.counts


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
        self._written: list[str] = []
        self._writes_batches = False
        self._counters: set[tuple[str, str]] = set()  # numbers that a pass changes, by layer
        self.shown = len(shown)
        known = [arranged.counts(given, count) for given in (shown, held_out)]
        self.samples = None if known[0] is None else sum(known[0])
        self.guessed = count is None
        self._strides: Tensor | None = None
        self.precisions = Precisions()
        with put_back(module):  # a copy may hold the user's own layers, and run them
            self.renew()
            if self.measure.minibatch:
                self.parts = self._split(shown, known[0])
                self._strides = self._coprimes(bool(held_out))
                self._learn(self.parts[0])
            else:
                self._learn(Part((shown[0],), 1, False, None))
                self.parts = self._split(shown, known[0])
            self.parts += self._split(held_out, known[1], (shown, known[0]))
            self._try_parts()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of a point's values: the loss, metrics, and those of held-out batches."""
        shown = ("loss", *(self.answers.metrics or ()))
        held_out = any(part.test for part in self.parts)
        return (*shown, *(f"test_{name}" for name in shown)) if held_out else shown

    @property
    def statistics(self) -> str:
        """Where norm layers' statistics come from, for the sequence file."""
        if self.measure.batch_norm or len(self.norm_sources) < 2:
            return self.measure.batch_norm or next(iter(self.norm_sources), self.measure.statistics)
        total = sum(self.norm_sources.values())
        return ", ".join(
            f"{source} in {n} of {total} layers" for source, n in self.norm_sources.items()
        )

    @property
    def noise(self) -> str:
        """What is random, and from which seed; nothing where nothing is."""
        measure = self.measure
        if not (measure.minibatch or measure.noise == "point" or self._keys):
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
        network = copied(self.module, self.device)
        with self.seeded(0):  # what prepares a mode may draw, as a layer that is made anew does
            network.train(self.measure.mode == "train")
        self.prepare_modes(network)
        self.norm_sources = norms.sources(network)
        self._network = _Measured(network, self.given_loss, self.answers)
        recomputed = self.measure.batch_norm == "recomputed"
        self._norms = norms.make_pure(self._network, recomputed)
        self._keys = key_layers(self._network)
        self._layers = dict(network.named_modules())
        self._numbers = _numbers(self._layers)

    def prepare_modes(self, network: nn.Module) -> None:
        """Have a network's norm layers take the statistics that are asked for."""
        asked = self.measure.batch_norm
        norms.set_modes(network, None if asked == "recomputed" else asked)

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
        written = {name: buffers[name].clone() for name in self._written}  # a point's own
        state = {**buffers, **written, **weights, **self.keys(index)}
        state = {f"network.{name}": value for name, value in state.items()}
        batches = self.chosen(batches, index)
        self._rewind()
        with self.cast():
            if self.measure.batch_norm == "recomputed":
                state |= norms.recompute(self._norms, self.passes(batches, counts, state))
                batches = batches[self.shown :] or batches
                counts = counts[self.shown :] or counts if counts else None
            values = [functional_call(self._network, state, (batch,)) for batch in batches]
        return self.mean(values, counts)

    def _rewind(self) -> None:
        """Set what the network counts back to where it begins."""
        for layer, name in self._counters:
            state: dict[str, Any] = self._layers[layer].__dict__
            if (layer, name) in self._numbers:
                state[name] = self._numbers[layer, name]
            else:
                state.pop(name, None)

    def passes(
        self, batches: Sequence[Batch], counts: Sequence[float] | None, state: dict[str, Tensor]
    ) -> Iterator[tuple[Callable[[], object], float | None]]:
        """Yield a pass over each batch that is no test, with its samples."""
        for n, batch in enumerate(batches[: self.shown]):
            run = partial(functional_call, self._network, state, (batch,))
            yield run, counts[n] if counts else None

    def chosen(self, batches: Sequence[Batch], index: Tensor) -> Sequence[Batch]:
        """Return what a point sees of batches: samples of its own, copies where they are changed.

        A part of which samples are drawn is one batch.
        """
        if self._strides is not None:
            assert self.samples is not None
            batches = (arranged.sample(batches[0], self.samples, self._drawn(index)),)
        if self._writes_batches:
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
        own = self._network.network.named_buffers()
        state = state or {}
        keys = {key.removeprefix("network.") for key in self._keys}
        return {
            name: state.get(name, buffer).to(buffer, copy=True)  # forward may write to them
            for name, buffer in own
            if name not in keys
        }

    def keys(self, index: Tensor) -> Weights:
        """Return the keys of dropout layers' noise at a point."""
        point = index if self.measure.noise == "point" else torch.zeros_like(index)
        return {
            name.removeprefix("network."): hashed(point, self.measure.seed, number + 3)
            for number, name in enumerate(self._keys)
        }

    def changing(self) -> list[str]:
        """Return the names of plain attributes of the network that a pass changes."""
        self.renew()
        before = _attributes(self._network.network)
        with put_back(self.module), suppress(Exception):  # it may be why this is asked
            self.each(self.parts[:1], self.weights())
        after = _attributes(self._network.network)
        self.renew()
        return [name for name, value in after.items() if before.get(name) != value]

    def _split(
        self,
        batches: list[Batch],
        counts: list[float] | None,
        shown: tuple[list[Batch], list[float] | None] | None = None,
    ) -> list[Part]:
        """Return the parts of batches; of held-out ones, where those ``shown`` are given."""
        test = shown is not None
        if not batches:
            return []
        if counts is None and (
            self.measure.minibatch or (len(batches) > 1 and not self.answers.weighted)
        ):
            raise UserError(arranged.untold(batches))
        if self.measure.minibatch:
            assert counts is not None
            return [Part((self._whole(batches, counts),), 1, test, None)]
        if self.measure.batch_norm == "recomputed":  # over all shown, before any counts
            before, counted = shown or ([], [])
            both = None if counts is None or counted is None else (*counted, *counts)
            return [Part((*before, *batches), 1, test, both)]
        shares = [n / sum(counts) for n in counts] if counts else [1 / len(batches)] * len(batches)
        return [Part((b,), share, test, None) for b, share in zip(batches, shares, strict=True)]

    def _whole(self, batches: list[Batch], counts: list[float]) -> Batch:
        try:
            whole = arranged.joined(batches, counts) if len(batches) > 1 else batches[0]
        except ValueError as fault:
            raise UserError(
                f"minibatch: the batches cannot be drawn from together: {fault}."
            ) from None
        if not any(size == sum(counts) for size in arranged.sizes(whole)):
            raise UserError(
                f"minibatch: no tensor of a batch has its {sum(counts):g} samples as its first "
                "dimension, so none can be drawn."
            )
        return whole

    def _coprimes(self, test: bool) -> Tensor:
        count, minibatch = int(self.samples or 0), self.measure.minibatch or 0
        if not 0 < minibatch <= count:
            raise UserError(f"minibatch = {minibatch}: expected 1 to {count}, the samples given.")
        if test:
            raise UserError("test: a minibatch at every point goes without held-out batches.")
        strides = [n for n in range(1, count + 1) if math.gcd(n, count) == 1]
        return torch.tensor(strides, device=self.device)

    def _drawn(self, index: Tensor) -> Tensor:
        """Return the samples of a point: steps around the data, coprime to it, never repeat."""
        assert self._strides is not None
        count = int(self.samples or 0)
        start, stride = (hashed(index, self.measure.seed, salt) & POSITIVE for salt in (1, 2))
        stride = self._strides[(stride % len(self._strides))[None]][0]
        steps = torch.arange(self.measure.minibatch or 0, device=self.device)
        return (start % count + steps * stride) % count

    def _learn(self, first: Part) -> None:
        """Evaluate a first part: what the values are called, and in what precision.

        And whether gradients are taken, as by a penalty on them.
        """

        def ask() -> None:
            self._try(first, self.precisions)

        def ask_with_gradients() -> None:
            try:
                ask()
            except RuntimeError as error:
                if "require grad" not in str(error):
                    raise
                self.takes_gradients = True
                ask()

        self._settle(ask_with_gradients)

    def _try(self, part: Part, seeing: AbstractContextManager | None = None) -> Tensor:
        """Return a part's values, and notice what is written to."""
        given = arranged.fresh(part.batches)
        flags = [tensor.requires_grad for tensor in arranged.tensors_of(given)]
        buffers, before = self.buffers(), self.buffers()
        with seeing or nullcontext():
            (values,) = self.each([part._replace(batches=given)], self.weights(), buffers)
        self._written += [
            name
            for name, buffer in buffers.items()
            if name not in self._written and not torch.equal(buffer, before[name])
        ]
        numbers = _numbers(self._layers)
        self._counters |= {k for k, n in numbers.items() if self._numbers.get(k) != n}
        same = flags == [tensor.requires_grad for tensor in arranged.tensors_of(given)]
        if not (same and arranged.alike(given, part.batches)):
            self._writes_batches = True
        return values

    def _try_parts(self) -> None:
        """Evaluate every part, before hours are spent on them."""
        weights: dict[bool, list[float]] = {}
        for part in self.parts:
            values = self._settle(partial(self._try, part))
            if self.answers.weighted:
                weights.setdefault(part.test, []).append(float(values[-1]))
        for found in weights.values():
            wrong = [w for w in found if not 0 <= w < math.inf]
            if wrong or not sum(found):
                raise UserError(
                    f"The loss function returned {[*wrong, 0][0]:g} as weight: expected what a "
                    "batch counts for in the mean, 0 or more, and more than 0 for some."
                )

    def weights(self) -> Weights:
        """Return the weights that the network was given with."""
        here = dict(self._network.network.named_parameters())  # but what its mode took away
        return {name: here.get(name, w).detach() for name, w in self.module.named_parameters()}

    def _settle(self, ask: Callable[[], Any]) -> Any:
        """Ask the copy, and where it fails the user's own network; refuse where that fails, too."""
        try:
            return ask()
        except UserError:
            raise
        except Exception as error:  # whatever a user's network or loss raises
            if self.own is None:
                self.own = OwnNetwork(self, f"a copy of it fails ({said(error)})")
                with suppress(Exception):
                    return ask()
                self.own = None
            raise UserError(self._failed(error)) from error

    def _failed(self, error: Exception) -> str:
        if "Expected more than 1 value per channel" in str(error):
            return (
                "batches: one has a single sample, and BatchNorm needs two in train mode: leave "
                "it out, as drop_last=True does, or measure in eval mode."
            )
        if self.measure.minibatch and self._strides is not None:
            return (
                f"minibatch: the loss fails on {self.measure.minibatch} samples that were drawn "
                f"({said(error)}): keep what is no sample, such as weights of classes, out of the "
                "batch, in the loss itself."
            )
        hint = ""
        if isinstance(error, AttributeError) and error.name == "module":
            hint = ": it is given the network without DataParallel or the like around it"
        return f"The loss fails on a batch{hint} ({said(error)})."


def _numbers(layers: Mapping[str, nn.Module]) -> dict[tuple[str, str], object]:
    """Return what layers hold as numbers and texts, by layer and name."""
    return {
        (layer, name): value
        for layer, part in layers.items()
        for name, value in vars(part).items()
        if value is None or isinstance(value, int | float | str)
    }


def _attributes(network: nn.Module) -> dict[str, Any]:
    """Return plain attributes of a network's parts: numbers themselves, of others which they are.

    Of tensors their version too, which tells whether they were written to.
    """
    found: dict[str, Any] = {}
    for layer, part in network.named_modules():
        for name, value in vars(part).items():
            plain = value is None or isinstance(value, int | float | str)
            version = value._version if isinstance(value, Tensor) else None
            found[f"{layer}.{name}".lstrip(".")] = value if plain else (id(value), version)
    return found


def said(error: Exception) -> str:
    """Return an exception as a part of a sentence."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}"[:200].rstrip(".: ")


class _Measured(nn.Module):
    """A network under its loss: one module, whose weights ``functional_call`` replaces."""

    loss: Loss
    answers: Answers

    def __init__(self, network: nn.Module, loss: Loss, answers: Answers) -> None:
        super().__init__()
        self.network = network
        self.__dict__["loss"] = loss  # not a part of the network, should it be a module
        self.__dict__["answers"] = answers

    def forward(self, batch: Batch) -> Tensor:
        return self.answers.read(self.loss(self.network, batch))
