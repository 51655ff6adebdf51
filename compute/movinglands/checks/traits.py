"""What of a network is known to make copies of it differ."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import few
from ..evaluation.copies import put_back
from ..evaluation.objective import Objective
from ..evaluation.own import modules_with


def traits_of(objective: Objective) -> str:
    """Return what of a network or its loss is known to make copies differ, as far as it is seen."""
    module = objective.module
    traits: dict[str, Callable[[nn.Module], bool]] = {
        "forward is wrapped on the instance of {}": _wrapped,
        "hooks of {} belong to other objects": _hooked,
        "train() and eval() of {} do more than set modes": _has_own_modes,
        "{} has scripted code": lambda part: isinstance(part, torch.jit.ScriptModule),
    }
    found = [
        text.format(few(names))
        for text, trait in traits.items()
        if (names := modules_with(module, trait))
    ]
    if changed := _changing(objective):
        found.append(f"every pass changes {few(changed)}")
    return ", and ".join(found) or "its loss may hold the network or its weights themselves"


def _wrapped(part: nn.Module) -> bool:
    forward = vars(part).get("forward")
    return forward is not None and not (
        isinstance(forward, MethodType) and forward.__self__ is part
    )


def _hooked(part: nn.Module) -> bool:
    hooks = (*part._forward_hooks.values(), *part._forward_pre_hooks.values())
    owners = (getattr(hook, "__self__", None) for hook in hooks)
    return any(owner is not None and not isinstance(owner, nn.Module) for owner in owners)


def _has_own_modes(part: nn.Module) -> bool:
    return type(part).train is not nn.Module.train or type(part).eval is not nn.Module.eval


def _changing(objective: Objective) -> list[str]:
    """Return the names of plain attributes of the network that a pass changes."""
    objective.renew()
    before = _attributes(objective.copy.network)
    with put_back(objective.module), suppress(Exception):  # it may be why this is asked
        objective.each(objective.parts[:1], objective.weights())
    after = _attributes(objective.copy.network)
    objective.renew()
    return [name for name, value in after.items() if before.get(name) != value]


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
