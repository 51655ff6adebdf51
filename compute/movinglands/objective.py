"""What is measured at a point of weight space: a pure function of weights, buffers and the point.

A loss is any function of a module and a batch. Here it becomes a function without memory: the
module is a copy, its weights and buffers are arguments (``torch.func``), and what is random (a
batch drawn at every point, dropout's noise) is a hash of the point's number. So a point has one
value, whoever asks, together with whatever others, as often as they like.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MethodType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.fx.experimental.proxy_tensor import get_proxy_mode
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase
from torch.nn.modules.dropout import _DropoutNd
from torch.utils import _pytree as pytree

from .directions import Weights
from .errors import UserError

Batch = Any
"""Tensors in any arrangement (a pair, a dict, ...); the first dimension of the first counts."""

Loss = Callable[[nn.Module, Batch], "Tensor | Mapping[str, Tensor]"]
"""From a module and a batch to a scalar, or to scalars by name of which one is ``"loss"``."""

MODES = ("train", "eval")
BATCH_NORMS = ("batch", "stored", "recomputed")
NOISES = ("fixed", "point")
PRECISIONS = ("float32", "tf32", "bf16")


class Part(NamedTuple):
    """Batches that one pass takes, and what their loss counts for in the mean over all."""

    batches: tuple[Batch, ...]
    share: float
    test: bool


@dataclass(frozen=True)
class Measure:
    """How the loss is measured.

    Attributes
    ----------
    mode : {"train", "eval"}
        The module's.
    batch_norm : {"batch", "stored", "recomputed"}, optional
        BatchNorm's statistics: of the batch; as the snapshot stored them; or recomputed at every
        point over all batches, as Garipov et al. 2018 do. By default of the batch in train mode,
        as stored in eval mode.
    minibatch : int, optional
        Samples drawn anew at every point, without repetition: a furred surface. By default every
        point sees all batches.
    noise : {"fixed", "point"}
        Dropout and other randomness: the same at every point, or each point's own.
    seed : int
        Of both.
    precision : {"float32", "tf32", "bf16"}
        tf32: matrix products and convolutions on a GPU; bf16: torch's autocast.

    Raises
    ------
    UserError
        Where a value is none of these.
    """

    mode: str = "train"
    batch_norm: str | None = None
    minibatch: int | None = None
    noise: str = "fixed"
    seed: int = 0
    precision: str = "float32"

    def __post_init__(self) -> None:
        for name, choices in (
            ("mode", MODES),
            ("batch_norm", (None, *BATCH_NORMS)),
            ("noise", NOISES),
            ("precision", PRECISIONS),
        ):
            if getattr(self, name) not in choices:
                expected = ", ".join(str(choice) for choice in choices)
                raise UserError(f"{name}: expected one of {expected}, got {getattr(self, name)!r}.")

    @property
    def statistics(self) -> str:
        """Where BatchNorm's statistics come from, resolved."""
        return self.batch_norm or ("batch" if self.mode == "train" else "stored")


class Objective:
    """A loss, as a pure function.

    Parameters
    ----------
    module : nn.Module
        Copied: its weights, buffers and mode stay as they are.
    loss : callable
        From a module and a batch to a scalar, or to a dict of scalars: ``"loss"`` and metrics.
    batches : iterable of batches
        The loss is the mean over them, each weighted by its samples: exact for the whole set.
    measure : Measure
        Modes, randomness, precision.
    test : iterable of batches, optional
        Held-out ones; their values become metrics, ``test_loss`` and so on.
    device : torch.device, optional
        Where the copy and the batches live.

    Attributes
    ----------
    names : tuple of str
        Of the values of a point, "loss" first.

    Raises
    ------
    UserError
        For no batches, a minibatch larger than the data, or a loss that is no scalar.
    """

    def __init__(
        self,
        module: nn.Module,
        loss: Loss,
        batches: Iterable[Batch],
        measure: Measure | None = None,
        test: Iterable[Batch] = (),
        device: torch.device | None = None,
    ) -> None:
        self.measure = measure or Measure()
        self.device = device or next(
            (t.device for t in (*module.parameters(), *module.buffers())), torch.device("cpu")
        )
        self._network = _Measured(_copied(module, self.device), loss)
        self._network.train(self.measure.mode == "train")
        self._norms = _prepare_norms(self._network, self.measure.statistics)
        self._keys = _prepare_dropout(self._network)
        shown, held_out = (
            [pytree.tree_map_only(Tensor, lambda t: t.to(self.device), b) for b in given]
            for given in (batches, test)
        )
        if not shown:
            raise UserError("batches: expected at least one.")
        self._shown = len(shown)
        self.parts = [*self._split(shown), *self._split(held_out, shown)]
        self._strides = self._coprimes() if self.measure.minibatch else None
        self.takes_gradients = False
        self._written: list[str] = []
        self.names = self._probe()

    def at(
        self, weights: Weights, buffers: dict[str, Tensor] | None = None, index: int = 0
    ) -> Tensor:
        """Return the values ``(len(names),)`` of one point, plainly."""
        number = torch.tensor(index, device=self.device)
        buffers = self.buffers() if buffers is None else buffers
        values = []
        with torch.set_grad_enabled(self.takes_gradients):
            for part in self.parts:
                with self.seeded(index):  # each, as a launch does
                    values.append(self.part(part.batches, weights, buffers, number).detach())
        return self.assemble(values)

    def loss(self, weights: Weights, buffers: dict[str, Tensor] | None = None) -> Tensor:
        """Return the loss at weights, a scalar that can be differentiated by them."""
        buffers = self.buffers() if buffers is None else buffers
        number = torch.tensor(0, device=self.device)
        losses = []
        for part in self.parts:
            if not part.test:
                with self.seeded(0):
                    value = self.part(part.batches, weights, buffers, number)[0]
                losses.append(part.share * value)
        return torch.stack(losses).sum()

    def part(
        self,
        batches: tuple[Batch, ...],
        weights: Weights,
        buffers: dict[str, Tensor],
        index: Tensor,
    ) -> Tensor:
        """Return the values ``(k,)`` that a part's batches have at weights, by torch operations.

        ``index``, an int64 scalar, is the point's number in its grid: the source of randomness.
        """
        written = {name: buffers[name].clone() for name in self._written}
        state = {**buffers, **written, **weights, **self._noise(index)}
        state = {f"network.{name}": value for name, value in state.items()}
        if self._strides is not None:
            batches = (pytree.tree_map_only(Tensor, lambda t: t[self._drawn(index)], batches[0]),)
        with torch.autocast(
            self.device.type, torch.bfloat16, enabled=self.measure.precision == "bf16"
        ):
            if self.measure.statistics == "recomputed":
                state |= self._recomputed(state, batches[: self._shown])
                batches = batches[self._shown :] or batches
            sizes = [_samples(batch) for batch in batches]
            values = [functional_call(self._network, state, (batch,)) for batch in batches]
        return sum(v * (n / sum(sizes)) for v, n in zip(values, sizes, strict=True))

    @contextmanager
    def seeded(self, index: int) -> Iterator[None]:
        """Seed torch's global generators for a point, and restore them: for other randomness."""
        seed = self.measure.seed
        if self.measure.noise == "point":
            seed = int(hashed(torch.tensor(index), seed)) & _POSITIVE
        on_gpu = self.device.type == "cuda"
        with torch.random.fork_rng(devices=[self.device] if on_gpu else []):
            # Not torch.manual_seed, which is slow, and seeds what is not restored here.
            torch.default_generator.manual_seed(seed)
            if on_gpu:
                with torch.cuda.device(self.device):
                    torch.cuda.manual_seed(seed)
            yield

    def assemble(self, values: Iterable[Tensor]) -> Tensor:
        """Return all values ``(..., len(names))`` of points from those of the parts, in order."""
        sums: dict[bool, Tensor] = {}
        for part, value in zip(self.parts, values, strict=True):
            if part.share != 1:  # many small shares: a sum that does not lose them
                exact = torch.float32 if self.device.type == "mps" else torch.float64
                value = value.to(exact) * part.share
            sums[part.test] = sums[part.test] + value if part.test in sums else value
        return torch.cat(list(sums.values()), dim=-1)

    def buffers(self, state: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        """Return the network's buffers, those of a state dict where it has them."""
        own = self._network.network.named_buffers()
        state = state or {}
        return {
            name: state.get(name, buffer).to(buffer)
            for name, buffer in own
            if name not in self._keys
        }

    def _split(self, batches: list[Batch], shown: list[Batch] | None = None) -> list[Part]:
        """Return the parts of batches; of held-out ones, where those ``shown`` are given."""
        test = shown is not None
        if not batches:
            return []
        if self.measure.minibatch:
            whole = pytree.tree_map(
                lambda *leaves: torch.cat(leaves) if isinstance(leaves[0], Tensor) else leaves[0],
                *batches,
            )
            return [Part((whole,), 1, test)]
        if self.measure.statistics == "recomputed":  # over all shown, before any counts
            return [Part((*(shown or ()), *batches), 1, test)]
        total = sum(_samples(batch) for batch in batches)
        return [Part((batch,), _samples(batch) / total, test) for batch in batches]

    def _coprimes(self) -> Tensor:
        count, minibatch = _samples(self.parts[0].batches[0]), self.measure.minibatch or 0
        if not 0 < minibatch <= count:
            raise UserError(f"minibatch = {minibatch}: expected 1 to {count}, the samples given.")
        if len(self.parts) > 1:
            raise UserError("test: a minibatch at every point goes without held-out batches.")
        strides = [n for n in range(1, count + 1) if math.gcd(n, count) == 1]
        return torch.tensor(strides, device=self.device)

    def _drawn(self, index: Tensor) -> Tensor:
        """Return the samples of a point: steps around the data, coprime to it, never repeat."""
        assert self._strides is not None
        count = _samples(self.parts[0].batches[0])
        start, stride = (hashed(index, self.measure.seed, salt) & _POSITIVE for salt in (1, 2))
        stride = self._strides[(stride % len(self._strides))[None]][0]
        steps = torch.arange(self.measure.minibatch or 0, device=self.device)
        return (start % count + steps * stride) % count

    def _noise(self, index: Tensor) -> Weights:
        point = index if self.measure.noise == "point" else torch.zeros_like(index)
        return {
            name: hashed(point, self.measure.seed, number + 3)
            for number, name in enumerate(self._keys)
        }

    def _recomputed(self, state: dict[str, Tensor], batches: tuple[Batch, ...]) -> Weights:
        for norm in self._norms.values():
            norm.seen = []
        for batch in batches:
            functional_call(self._network, state, (batch,))
        found = {}
        for name, norm in self._norms.items():
            if norm.seen:
                for key, values in zip(("mean", "var"), zip(*norm.seen, strict=True), strict=True):
                    found[f"{name}.running_{key}"] = torch.stack(values).mean(0)
            norm.seen = None
        return found

    def _probe(self) -> tuple[str, ...]:
        """Evaluate a first time: learn the values' names, and whether gradients are taken.

        And which buffers are written to, as spectral normalisation does: a point gets copies.
        """
        with self.seeded(0):
            weights = {n: w.detach() for n, w in self._network.network.named_parameters()}
            buffers = {name: buffer.clone() for name, buffer in self.buffers().items()}
            versions = {name: buffer._version for name, buffer in buffers.items()}
            index = torch.tensor(0, device=self.device)
            first = self.parts[0].batches
            try:
                with torch.no_grad():
                    self.part(first, weights, buffers, index)
            except RuntimeError as error:
                if "require grad" not in str(error):
                    raise
                self.takes_gradients = True  # a gradient penalty, say
                self.part(first, weights, buffers, index)
        self._written = [name for name, b in buffers.items() if b._version != versions[name]]
        names = self._network.names
        held_out = any(part.test for part in self.parts)
        return (*names, *(f"test_{name}" for name in names)) if held_out else names


class _Measured(nn.Module):
    """A network under its loss: one module, whose weights ``functional_call`` replaces."""

    loss: Loss
    names: tuple[str, ...] = ()

    def __init__(self, network: nn.Module, loss: Loss) -> None:
        super().__init__()
        self.network = network
        self.__dict__["loss"] = loss  # not a part of the network, should it be a module

    def forward(self, batch: Batch) -> Tensor:
        values = self.loss(self.network, batch)
        named = dict(values) if isinstance(values, Mapping) else {"loss": values}
        for name, value in named.items():
            if not isinstance(name, str) or "/" in name or not name.strip("."):
                raise UserError(f"The loss function returned {name!r}: expected names without /.")
            if not isinstance(value, Tensor) or value.ndim or value.is_complex():
                found = type(value).__name__
                if isinstance(value, Tensor):
                    found = f"{value.dtype} tensor of shape {tuple(value.shape)}"
                raise UserError(
                    f"The loss function returned a {found} as {name}: expected a scalar tensor."
                )
        returned = ", ".join(named) or "nothing"
        if "loss" not in named:
            raise UserError(f'The loss function returned {returned}: expected a "loss".')
        loss = named.pop("loss")
        self.names = self.names or ("loss", *named)
        if named.keys() != {*self.names[1:]}:
            expected = ", ".join(self.names)
            raise UserError(f"The loss function returned {returned}, and before, {expected}.")
        loss = loss if loss.dtype == torch.float64 else loss.float()
        return torch.stack([loss, *(named[name].to(loss.dtype) for name in self.names[1:])])


def _copied(module: nn.Module, device: torch.device) -> nn.Module:
    try:
        return copy.deepcopy(module).to(device)
    except RuntimeError:  # what torch.nn.utils.spectral_norm leaves behind after a training step
        raise UserError(
            f"module: torch cannot copy this {type(module).__name__} once it has been trained; "
            "give a newly made one, as the weights are those of the snapshots."
        ) from None


def _samples(batch: Batch) -> int:
    tensors = [leaf for leaf in pytree.tree_leaves(batch) if isinstance(leaf, Tensor) and leaf.ndim]
    if not tensors:
        raise UserError("batches: a batch has no tensor with a dimension for its samples.")
    return len(tensors[0])


def _prepare_norms(network: nn.Module, statistics: str) -> dict[str, Any]:
    """Give the norm layers their statistics; nothing of theirs is updated in place any more."""
    found = {}
    for name, part in network.named_modules():
        if not isinstance(part, _NormBase):
            continue
        norm: Any = part  # whose methods are about to be replaced
        plain = type(part).forward in (_BatchNorm.forward, nn.SyncBatchNorm.forward)
        if statistics == "stored":
            norm.eval()
        elif not isinstance(part, _BatchNorm) or (statistics == "batch" and not plain):
            norm.track_running_stats = False
            norm.running_mean = norm.running_var = None
        elif statistics == "batch":
            norm.forward = MethodType(_normalise_by_batch, norm)
        elif not plain:
            raise UserError(
                f"batch_norm: {name.removeprefix('network.')} is a {type(norm).__name__} with a "
                "forward of its own, whose statistics cannot be recomputed."
            )
        else:
            norm.seen = None
            norm.forward = MethodType(_normalise_by_recomputed, norm)
            if norm.running_mean is None:  # it stores none, but has to be given some
                for key in ("running_mean", "running_var"):
                    norm.register_buffer(key, torch.zeros(norm.num_features))
            found[name] = norm
    return found


def _normalise_by_batch(norm: _BatchNorm, x: Tensor) -> Tensor:
    if get_proxy_mode() is None:
        return F.batch_norm(x, None, None, norm.weight, norm.bias, True, 0.0, norm.eps)
    # Traced for a compiler: spelled out, it fuses, and its two sums vectorise.
    return _normalised(norm, x, *_moments(x))


def _normalise_by_recomputed(norm: Any, x: Tensor) -> Tensor:
    if norm.seen is None:  # torch's own cannot be differentiated by the statistics
        return _normalised(norm, x, norm.running_mean, norm.running_var)
    mean, var = _moments(x)
    count = x.numel() // x.shape[1]
    norm.seen.append((mean, var * (count / max(count - 1, 1))))
    return _normalise_by_batch(norm, x)


def _normalised(norm: _BatchNorm, x: Tensor, mean: Tensor, var: Tensor) -> Tensor:
    y = (x - _along(mean, x)) * _along(torch.rsqrt(var + norm.eps), x)
    return y if norm.weight is None else y * _along(norm.weight, x) + _along(norm.bias, x)


def _moments(x: Tensor) -> tuple[Tensor, Tensor]:
    over = [d for d in range(x.ndim) if d != 1]
    mean = x.mean(over)
    return mean, (x - _along(mean, x)).square().mean(over)


def _along(channels: Tensor, x: Tensor) -> Tensor:
    return channels.view(1, -1, *[1] * (x.ndim - 2))


_GOLDEN = 0x9E3779B97F4A7C15 - (1 << 64)  # splitmix64's increment and multipliers, as signed
_FIRST, _SECOND = 0xBF58476D1CE4E5B9 - (1 << 64), 0x94D049BB133111EB - (1 << 64)
_POSITIVE = (1 << 63) - 1


def hashed(number: Tensor, seed: int = 0, use: int = 0) -> Tensor:
    """Return 64 well mixed bits of each int64 number (splitmix64; Steele et al. 2014).

    Another seed, or another use of the same one, gives other bits.
    """
    x = (number + (seed + 1 + (use << 40))) * _GOLDEN
    x = (x ^ ((x >> 30) & ((1 << 34) - 1))) * _FIRST
    x = (x ^ ((x >> 27) & ((1 << 37) - 1))) * _SECOND
    return x ^ ((x >> 31) & ((1 << 33) - 1))


def _prepare_dropout(network: nn.Module) -> dict[str, nn.Module]:
    """Give dropout layers a key, a buffer, to hash their noise from; return the keys' names."""
    keys: dict[str, nn.Module] = {}
    for name, part in network.named_modules():
        forward = type(part).forward  # one of another kind draws its noise itself
        whole_channels = forward in (d.forward for d in (nn.Dropout1d, nn.Dropout2d, nn.Dropout3d))
        if part.training and (whole_channels or forward is nn.Dropout.forward):
            assert isinstance(part, _DropoutNd)
            device = next((p.device for p in network.parameters()), None)
            part.register_buffer("key", torch.tensor(0, device=device), persistent=False)
            part.forward = MethodType(_drop_channels if whole_channels else _drop, part)
            keys[f"{name.removeprefix('network.')}.key" if name != "network" else "key"] = part
    return keys


def _drop(dropout: Any, x: Tensor) -> Tensor:
    return x * _kept(dropout, x.shape, x)


def _drop_channels(dropout: Any, x: Tensor) -> Tensor:
    return x * _kept(dropout, (*x.shape[:2], *[1] * (x.ndim - 2)), x)


def _kept(dropout: Any, shape: Iterable[int], like: Tensor) -> Tensor:
    """Return dropout's factors of a shape: 0 with probability p, else 1 / (1 - p)."""
    shape = tuple(shape)
    numbers = torch.arange(math.prod(shape), device=like.device).view(shape)
    bits = hashed(dropout.key ^ numbers) & ((1 << 24) - 1)
    kept = bits >= round(dropout.p * (1 << 24))
    return kept.to(like.dtype) / max(1 - dropout.p, 2**-24)
