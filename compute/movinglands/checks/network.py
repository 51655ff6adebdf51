"""Is what is evaluated the user's network? Asked once, before hours are spent on it.

A pure copy stands for most networks, and for some it does not: a forward that was wrapped on the
instance still runs the original's layers, a hook's object catches the original's features, a layer
keeps what it computed of its last weights. So the copy's loss at moved weights is held against
that of the user's own network with those weights in place, and asked again. Where they differ, the
own network is evaluated, slowly; where that does not give one value either, nothing is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import UserError, said
from ..evaluation.copies import Kept, put_back
from ..evaluation.objective import Objective
from ..evaluation.own import OwnNetwork, modules_with
from ..evaluation.parts import Part
from ..evaluation.trial import changing
from ..planes.weights import Weights

DISTANCES = (0.1, 1.0)
"""How far weights are moved for the check, in means of their magnitude: near, and at the rim."""

SAME, REPEATED = 2e-6, 2e-5
"""Relative differences: of a copy that is the network, of one network that is asked twice."""

PARTS = 8
"""Of how many parts at most a copy is held against the network."""


def check_network(
    objective: Objective, weights: Weights, buffers: dict[str, Tensor]
) -> dict[str, str]:
    """Hold an objective's copy against the user's network, and settle which is evaluated.

    Parameters
    ----------
    objective : Objective
        Its ``own`` is set where its copy is not the network.
    weights, buffers : dict of Tensor
        Of a snapshot. The weights are moved for the check.

    Returns
    -------
    dict of str
        What there is to say, for the sequence file: ``unused`` names weights without effect.

    Raises
    ------
    UserError
        Where neither gives one value for one point, or weights have no effect because the network
        holds what it computed of others.
    """
    with put_back(objective.module) as kept:
        return _checked(objective, weights, buffers, kept)


def _checked(
    objective: Objective, weights: Weights, buffers: dict[str, Tensor], kept: Kept
) -> dict[str, str]:
    parts = spread(objective.parts, PARTS)
    places = [moved(weights, 0, distance) for distance in DISTANCES]
    own = objective.own or OwnNetwork(objective)

    def ask(whom: Any, where: Sequence[Weights] = places) -> Tensor:
        try:
            return torch.cat([v for there in where for v in whom.each(parts, there, buffers, 1)])
        finally:
            kept.put_back()  # a copy may hold the user's own layers, and run them

    if objective.own:  # no copy does
        _check_repeats(objective, own, ask)
        return {}
    copys, fault = _asked(ask, objective)
    owns, failed = _asked(ask, own)
    again, late = _asked(partial(ask, where=places[:1]), objective)
    fault, repeats = fault or late, _close(copys[: len(again)], again)
    if failed and not fault and repeats:
        return {"checked": f"not against the network itself, which fails ({failed})"}
    if failed:
        raise UserError(f"The loss fails with moved weights in place ({failed}).")
    # On a GPU no sum is the same twice, to the last digits.
    same = _close(copys, owns, SAME if objective.device.type == "cpu" else REPEATED)
    if fault or not (same and repeats):
        _check_repeats(objective, own, ask)
        found = fault
        if not fault and same:
            found = f"it gives {_number(copys)} and then {_number(again)}"
        elif not fault:
            worst = slice(int((copys - owns).nan_to_num().abs().argmax()), None)
            found = f"it gives {_number(copys[worst])} where yours gives {_number(owns[worst])}"
        objective.own = OwnNetwork(
            objective, f"a copy of it will not do: {found}; {_traits(objective)}"
        )
        return {}
    return _check_effect(objective, parts[:1], places[0], buffers)


def _check_repeats(objective: Objective, own: OwnNetwork, ask: Callable[[Any], Tensor]) -> None:
    """Refuse a network that has two values for the same weights."""
    once, twice = ask(own), ask(own)
    if not _close(once, twice, REPEATED):
        raise UserError(
            f"The loss is {_number(once)} and then {_number(twice)} for the same weights "
            f"({_traits(objective)}): what it draws must come from torch's, NumPy's or "
            "Python's global generators or from one that the network holds, and what it "
            "counts or keeps must lie in the network."
        )


def _asked(ask: Callable[[Any], Tensor], whom: Objective | OwnNetwork) -> tuple[Tensor, str]:
    """Return the values that one gives, and why it gives none."""
    try:
        return ask(whom), ""
    except UserError:
        raise
    except Exception as error:  # whatever a copy that is not the network raises
        return torch.empty(0), said(error)


def moved(weights: Weights, seed: int, distance: float = DISTANCES[0]) -> Weights:
    """Return weights moved by noise, so far as a multiple of each tensor's mean magnitude."""
    generator = torch.Generator().manual_seed(seed)
    found = {}
    for name, w in weights.items():
        real = torch.view_as_real(w) if w.is_complex() else w
        noise = torch.randn(real.shape, generator=generator).to(real.device)
        step = distance * real.float().abs().mean().clamp(min=1e-3) * noise
        there = (real.float() + step).to(real.dtype) if real.dtype != torch.float64 else real + step
        found[name] = torch.view_as_complex(there) if w.is_complex() else there
    return found


def spread(things: list[Any], most: int) -> list[Any]:
    """Return as many as that, evenly spaced, the first and the last among them."""
    count = min(len(things), most)
    return [things[round(k * (len(things) - 1) / max(count - 1, 1))] for k in range(count)]


class Steadiness:
    """Whether one point keeps its loss, whatever has been evaluated meanwhile.

    It is asked now, and again at every ``check``: what a loss counts or keeps may show late.
    """

    def __init__(self, objective: Objective, weights: Weights, buffers: dict[str, Tensor]) -> None:
        self._ask = partial(objective.at, weights, buffers)
        self._first = self._ask()

    def check(self) -> None:
        """Refuse a loss that has changed.

        Raises
        ------
        UserError
            With both values.
        """
        now = self._ask()
        if not _close(self._first, now, REPEATED):
            raise UserError(
                f"The loss of the same weights was {_number(self._first)} and is now "
                f"{_number(now)}: it counts or keeps something from pass to pass, so no frame is "
                "what it seems. Make the loss a function of network and batch alone."
            )


def _close(one: Tensor, other: Tensor, tolerance: float = SAME) -> bool:
    if one.shape != other.shape:
        return False
    return torch.allclose(one, other, rtol=tolerance, atol=0, equal_nan=True)


def _number(values: Tensor) -> str:
    return f"{float(values[0]):.8g}"


def _traits(objective: Objective) -> str:
    """Return what of a network or its loss is known to make copies differ, as far as it is seen."""
    module = objective.module
    traits: dict[str, Callable[[nn.Module], bool]] = {
        "forward is wrapped on the instance of {}": _wrapped,
        "hooks of {} belong to other objects": _hooked,
        "train() and eval() of {} do more than set modes": _has_own_modes,
        "{} has scripted code": lambda part: isinstance(part, torch.jit.ScriptModule),
    }
    found = [
        text.format(_listed(names))
        for text, trait in traits.items()
        if (names := modules_with(module, trait))
    ]
    if changed := changing(objective):
        found.append(f"every pass changes {_listed(changed)}")
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


def _listed(names: Iterable[str], most: int = 3) -> str:
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _check_effect(
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
    return {"unused": f"{len(unused)} of {len(there)} weights: {_listed(unused)}"}


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
    """Return the names of weights that the loss has no gradient by: all, where it has none."""
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
