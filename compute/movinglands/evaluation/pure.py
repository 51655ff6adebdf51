"""A copy of a network that keeps nothing: its weights and buffers are arguments."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from . import norms
from .answers import Answers
from .batches import Batch
from .copies import copied
from .dropout import key_layers
from .measure import Measure

Loss = Callable[[nn.Module, Batch], "Tensor | Mapping[str, Tensor]"]
"""From a module and a batch to a scalar, or to scalars by name of which one is ``"loss"``.

One that is called ``"weight"`` is what the batch counts for in the mean.
"""


class PureCopy:
    """A copy of a network under its loss, in a measure's modes.

    Attributes
    ----------
    network : nn.Module
        The copy.
    norms : dict of layers
        Those that recompute their statistics.
    sources : dict of int
        How many norm layers take which statistics.
    keys : list of str
        Buffers that dropout hashes its noise from.
    """

    def __init__(
        self,
        module: nn.Module,
        loss: Loss,
        answers: Answers,
        measure: Measure,
        device: torch.device,
    ) -> None:
        self.network = copied(module, device)
        self.network.train(measure.mode == "train")
        norms.set_modes(self.network, measure.batch_norm)
        self.sources = norms.sources(self.network)
        self.norms = norms.make_pure(self.network, measure.batch_norm == "recomputed")
        self.keys = key_layers(self.network)
        self._measured = _Measured(self.network, loss, answers)
        self._layers = dict(self.network.named_modules())
        self._numbers = self._now()

    def __call__(self, state: Mapping[str, Tensor], batch: Batch) -> Tensor:
        """Return the answers ``(k,)`` for a batch at weights and buffers by name."""
        named = {f"network.{name}": value for name, value in state.items()}
        return functional_call(self._measured, named, (batch,))

    def buffers(self, state: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        """Return copies of the buffers, those of a state dict where it has them."""
        state = state or {}
        return {
            name: state.get(name, buffer).to(buffer, copy=True)  # forward may write to them
            for name, buffer in self.network.named_buffers()
            if name not in self.keys
        }

    def rewind(self, counters: Iterable[tuple[str, str]]) -> None:
        """Set what the network counts back to where it begins, by layer and name."""
        for layer, name in counters:
            state: dict[str, Any] = self._layers[layer].__dict__
            if (layer, name) in self._numbers:
                state[name] = self._numbers[layer, name]
            else:
                state.pop(name, None)

    def counted(self) -> set[tuple[str, str]]:
        """Return layers and names of what has been counted since the copy was made."""
        return {k for k, n in self._now().items() if self._numbers.get(k) != n}

    def _now(self) -> dict[tuple[str, str], object]:
        """Return what layers hold as numbers and texts, by layer and name."""
        return {
            (layer, name): value
            for layer, part in self._layers.items()
            for name, value in vars(part).items()
            if value is None or isinstance(value, int | float | str)
        }


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
