"""Have all weights an effect? What has none may be hidden by what the network keeps of others."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..errors import UserError, few
from ..evaluation.objective import Objective
from ..evaluation.parts import Part
from ..planes.weights import Weights
from .comparing import moved


def check_effect(
    objective: Objective, parts: list[Part], there: Weights, buffers: dict[str, Tensor]
) -> dict[str, str]:
    """Find weights that have no effect; refuse where that may be because of a cache."""
    unused = _without_gradient(objective, parts, there, buffers)
    if not unused:
        return {}
    before = objective.each(parts, there, buffers, 1)
    elsewhere = there | {name: w for name, w in moved(there, 1).items() if name in unused}
    after = objective.each(parts, elsewhere, buffers, 1)
    if not _same(before, after):
        return {}  # no gradient reaches them, the loss does
    for layer, name in _kept_tensors(objective.copy.network):
        kept = f"{layer}.{name}".lstrip(".")
        beside = [weight for weight in unused if weight.rpartition(".")[0] == layer]
        if beside or not _same(before, _without(objective, layer, name, parts, there, buffers)):
            raise UserError(
                f"module: {(beside or unused)[0]} has no effect on the loss, and the network keeps "
                f"{kept}, which may have been computed from other weights: give a newly made one."
            )
    return {"unused": f"{len(unused)} of {len(there)} weights: {few(unused)}"}


def _same(some: list[Tensor], others: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(some, others, strict=True))


def _kept_tensors(network: nn.Module) -> list[tuple[str, str]]:
    """Return layers and names of what holds tensors that are neither weights nor buffers."""

    def held(name: str, value: Any) -> bool:
        inside = value.values() if isinstance(value, dict) else [value]
        of_torch = name in ("_parameters", "_buffers")
        return not of_torch and any(isinstance(thing, Tensor) for thing in inside)

    return [
        (layer, name)
        for layer, part in network.named_modules()
        for name, value in vars(part).items()
        if held(name, value)
    ]


def _without(
    objective: Objective,
    layer: str,
    name: str,
    parts: list[Part],
    there: Weights,
    buffers: dict[str, Tensor],
) -> list[Tensor]:
    """Return what the loss is where a layer has to compute anew what it keeps.

    The same as with it, where it can do without or cannot.
    """
    state: dict[str, Any] = dict(objective.copy.network.named_modules())[layer].__dict__
    state[name] = {} if isinstance(state[name], dict) else None
    try:
        return objective.each(parts, there, buffers, 1)
    except Exception:  # a constant that it needs
        objective.renew()
        return objective.each(parts, there, buffers, 1)
    finally:
        objective.renew()


def _without_gradient(
    objective: Objective, parts: list[Part], there: Weights, buffers: dict[str, Tensor]
) -> list[str]:
    """Return the names of weights that get no gradient from the loss: all, where it has none."""
    leaves = {name: w.detach().clone().requires_grad_() for name, w in there.items()}
    number = torch.tensor(1, device=objective.device)
    try:
        with torch.enable_grad(), objective.seeded(1):
            part = parts[0]
            loss = objective.part(part.batches, leaves, buffers, number, part.counts)[0]
            gradients = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
    except RuntimeError:  # not to be differentiated
        return list(there)
    return [name for name, g in zip(leaves, gradients, strict=True) if g is None]
