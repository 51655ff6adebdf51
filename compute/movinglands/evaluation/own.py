"""The user's own network, with weights put in place, one point at a time, and put back.

Slow, and always the network that the user has: for what no copy can stand for, and to hold copies
against. Every pass begins with the network as the user left it, so that what it counts or keeps
does not add up. The weights go in while it is in train mode and the mode is set after, as what
merges adapters into weights on eval() needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn

from ..planes.weights import Weights
from . import batches as arranged
from . import norms
from .batches import Batch
from .copies import Kept, copied, put_back
from .dropout import key_layers
from .parts import Part
from .passes import Passes
from .precision import exactly

_BELONGS_TO = ("_trainer", "_fabric")
"""What a LightningModule logs to while it is trained, and complains of afterwards."""


class OwnNetwork:
    """The network and the loss as the user has them.

    Parameters
    ----------
    passes : Passes
        What is measured; its copy of the network is not used.
    why : str
        Why its copy does not do.
    """

    def __init__(self, passes: Passes, why: str = "") -> None:
        self.passes, self.why = passes, why
        self._kept: Kept | None = None
        module = passes.module
        if any(w.is_meta for w in module.parameters()):  # a skeleton: nobody can ask that one
            module = copied(module, passes.device)
        self.module = module
        self.device = next((w.device for w in module.parameters()), passes.device)

    @contextmanager
    def borrowed(self) -> Iterator[None]:
        """Keep what the network is, and put it back at the end, whatever happens."""
        if self._kept is not None:
            yield
            return
        with put_back(self.module) as self._kept:
            try:
                yield
            finally:
                self._kept = None

    def each(
        self, parts: Iterable[Part], weights: Weights, buffers: dict[str, Tensor], index: int
    ) -> list[Tensor]:
        """Return the values of parts at one point; the rest is as in ``Passes.each``."""
        passes, values = self.passes, []
        gradients = torch.set_grad_enabled(passes.takes_gradients)
        with self.borrowed(), exactly(passes.measure.precision), gradients:
            for part in parts:
                with passes.seeded(index):  # what prepares a mode may draw
                    self._place(weights, buffers, index)
                with passes.seeded(index):
                    value = self._part(part.batches, part.counts, index)
                values.append(value.detach().to(passes.device))
        return values

    def _place(self, weights: Weights, buffers: dict[str, Tensor], index: int) -> None:
        assert self._kept is not None
        self._kept.put_back()
        for part in self.module.modules():
            for name in _BELONGS_TO:
                if name in vars(part):
                    vars(part)[name] = None
        put_in_place(self.module, weights, buffers, self.passes.measure.mode)
        norms.set_modes(self.module, self.passes.measure.batch_norm)
        parts = dict(self.module.named_modules())
        keys = self.passes.keys(torch.tensor(index))
        for name in key_layers(self.module):
            parts[name.rpartition(".")[0]].key = keys[name].to(self.device)

    def _part(self, batches: Sequence[Batch], counts: Sequence[float] | None, index: int) -> Tensor:
        passes = self.passes
        number = torch.tensor(index, device=passes.device)
        chosen = [arranged.moved(batch, self.device) for batch in passes.chosen(batches, number)]
        with passes.cast():
            if passes.measure.batch_norm == "recomputed":
                run = partial(passes.given_loss, self.module)
                norms.recompute_in_place(self.module, passes.passes(chosen, counts, run))
                shown = passes.shown
                chosen = chosen[shown:] or chosen
                counts = counts[shown:] or counts if counts else None
            read = passes.answers.read
            values = [read(passes.given_loss(self.module, batch)) for batch in chosen]
        return passes.mean(values, counts)


def put_in_place(
    module: nn.Module, weights: Weights, buffers: dict[str, Tensor], mode: str
) -> None:
    """Copy weights and buffers into a network in train mode, and then set its mode.

    In this order, as what merges adapters into weights on eval() needs it.
    """
    module.train()
    mine = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    with torch.no_grad():
        for name, tensor in {**weights, **buffers}.items():
            if name in mine:
                mine[name].copy_(tensor)
    module.train(mode == "train")


def modules_with(module: nn.Module, trait: Callable[[nn.Module], bool]) -> list[str]:
    """Return the names of the parts of a network that have a trait."""
    return [name or type(part).__name__ for name, part in module.named_modules() if trait(part)]
