"""Asking a network and its loss a first time, before hours are spent on them.

What is learnt: the names of the values, in what precision they come, whether gradients are taken,
what is written to. Where the copy of the network fails the user's own is asked instead.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ..errors import UserError, said
from . import batches as arranged
from .copies import put_back
from .own import OwnNetwork
from .parts import Part

if TYPE_CHECKING:
    from .objective import Objective


def learn(objective: Objective, first: Part) -> None:
    """Evaluate a first part; the rest is as this module says.

    Raises
    ------
    UserError
        Where it fails, or returns no scalars.
    """
    ask = partial(_asked, objective, first, objective.precisions)

    def ask_with_gradients() -> None:
        try:
            ask()
        except RuntimeError as error:
            if "require grad" not in str(error):
                raise
            objective.takes_gradients = True
            ask()

    _settle(objective, ask_with_gradients)


def try_parts(objective: Objective) -> None:
    """Evaluate every part.

    Raises
    ------
    UserError
        Where one fails, or returns a weight that is none.
    """
    weights: dict[bool, list[float]] = {}
    for part in objective.parts:
        values = _settle(objective, partial(_asked, objective, part))
        if objective.answers.weighted:
            weights.setdefault(part.test, []).append(float(values[-1]))
    for found in weights.values():
        wrong = [w for w in found if not 0 <= w < math.inf]
        if wrong or not sum(found):
            raise UserError(
                f"The loss function returned {[*wrong, 0][0]:g} as weight: expected what a "
                "batch counts for in the mean, 0 or more, and more than 0 for some."
            )


def changing(objective: Objective) -> list[str]:
    """Return the names of plain attributes of the network that a pass changes."""
    objective.renew()
    before = _attributes(objective.copy.network)
    with put_back(objective.module), suppress(Exception):  # it may be why this is asked
        objective.each(objective.parts[:1], objective.weights())
    after = _attributes(objective.copy.network)
    objective.renew()
    return [name for name, value in after.items() if before.get(name) != value]


def _asked(
    objective: Objective, part: Part, seeing: AbstractContextManager | None = None
) -> Tensor:
    """Return a part's values, and notice what is written to."""
    given = arranged.fresh(part.batches)
    flags = [tensor.requires_grad for tensor in arranged.tensors_of(given)]
    buffers, before = objective.buffers(), objective.buffers()
    with seeing or nullcontext():
        (values,) = objective.each([part._replace(batches=given)], objective.weights(), buffers)
    objective.written |= {n for n, b in buffers.items() if not torch.equal(b, before[n])}
    objective.counters |= objective.copy.counted()
    same = flags == [tensor.requires_grad for tensor in arranged.tensors_of(given)]
    if not (same and arranged.alike(given, part.batches)):
        objective.writes_batches = True
    return values


def _settle(objective: Objective, ask: Callable[[], Any]) -> Any:
    """Ask the copy, and where it fails the user's own network; refuse where that fails, too."""
    try:
        return ask()
    except UserError:
        raise
    except Exception as error:  # whatever a user's network or loss raises
        if objective.own is None:
            objective.own = OwnNetwork(objective, f"a copy of it fails ({said(error)})")
            with suppress(Exception):
                return ask()
            objective.own = None
        raise UserError(_failure(objective, error)) from error


def _failure(objective: Objective, error: Exception) -> str:
    if "Expected more than 1 value per channel" in str(error):
        return (
            "batches: one has a single sample, and BatchNorm needs two in train mode: leave it "
            "out, as drop_last=True does, or measure in eval mode."
        )
    if objective.minibatch:
        return (
            f"minibatch: the loss fails on {objective.minibatch.size} samples that were drawn "
            f"({said(error)}): keep what is no sample, such as weights of classes, out of the "
            "batch, in the loss itself."
        )
    hint = ""
    if isinstance(error, AttributeError) and error.name == "module":
        hint = ": it is given the network without DataParallel or the like around it"
    return f"The loss fails on a batch{hint} ({said(error)})."


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
