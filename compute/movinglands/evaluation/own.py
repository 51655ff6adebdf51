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
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ..planes.weights import Weights
from . import batches as arranged
from . import norms
from .batches import Batch
from .copies import Kept, copied, put_back
from .dropout import key_layers
from .precision import exactly

if TYPE_CHECKING:
    from .objective import Objective
    from .parts import Part


_BELONGS_TO = ("_trainer", "_fabric")
"""What a LightningModule logs to while it is trained, and complains of afterwards."""


class OwnNetwork:
    """The network and the loss of an objective as the user has them.

    Parameters
    ----------
    objective : Objective
        What is measured; its copy of the network is not used.
    why : str
        Why its copy does not do.
    """

    def __init__(self, objective: Objective, why: str = "") -> None:
        self.objective, self.why = objective, why
        self._kept: Kept | None = None
        module = objective.module
        if any(w.is_meta for w in module.parameters()):  # a skeleton: nobody can ask that one
            module = copied(module, objective.device)
        self.module = module
        self.device = next((w.device for w in module.parameters()), objective.device)

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
        """Return the values of parts at one point; the rest is as in ``Objective.each``."""
        objective, values = self.objective, []
        gradients = torch.set_grad_enabled(objective.takes_gradients)
        with self.borrowed(), exactly(objective.measure.precision), gradients:
            for part in parts:
                with objective.seeded(index):  # what prepares a mode may draw
                    self._place(weights, buffers, index)
                with objective.seeded(index):
                    value = self._part(part.batches, part.counts, index)
                values.append(value.detach().to(objective.device))
        return values

    def _place(self, weights: Weights, buffers: dict[str, Tensor], index: int) -> None:
        assert self._kept is not None
        self._kept.put_back()
        for part in self.module.modules():
            for name in _BELONGS_TO:
                if name in vars(part):
                    vars(part)[name] = None
        put_in_place(self.module, weights, buffers, self.objective.measure.mode)
        norms.set_modes(self.module, self.objective.measure.batch_norm)
        parts = dict(self.module.named_modules())
        keys = self.objective.keys(torch.tensor(index))
        for name in key_layers(self.module):
            parts[name.rpartition(".")[0]].key = keys[name].to(self.device)

    def _part(self, batches: Sequence[Batch], counts: Sequence[float] | None, index: int) -> Tensor:
        objective = self.objective
        number = torch.tensor(index, device=objective.device)
        chosen = [arranged.moved(batch, self.device) for batch in objective.chosen(batches, number)]
        with objective.cast():
            if objective.measure.batch_norm == "recomputed":
                run = partial(objective.given_loss, self.module)
                norms.recompute_in_place(self.module, objective.passes(chosen, counts, run))
                shown = objective.shown
                chosen = chosen[shown:] or chosen
                counts = counts[shown:] or counts if counts else None
            read = objective.answers.read
            values = [read(objective.given_loss(self.module, batch)) for batch in chosen]
        return objective.mean(values, counts)


def put_in_place(
    module: nn.Module, weights: Weights, buffers: dict[str, Tensor], mode: str
) -> None:
    """Give a network those weights and buffers that it has, in train mode, and then set its mode.

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
