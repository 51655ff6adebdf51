"""Is what is evaluated the user's network? Asked once, before hours are spent on it.

A pure copy stands for most networks, and for some it does not: a forward that was wrapped on the
instance still runs the original's layers, a hook's object catches the original's features, a layer
keeps what it computed of its last weights. So the copy's loss at moved weights is held against
that of the user's own network with those weights in place, and asked again. Where they differ, the
own network is evaluated, slowly; where that does not give one value either, nothing is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ..errors import UserError, said
from ..evaluation.copies import Kept, put_back
from ..evaluation.objective import Objective
from ..evaluation.own import OwnNetwork
from ..planes.weights import Weights
from .comparing import DISTANCES, REPEATED, SAME, close, moved, number, spread
from .effect import check_effect
from .traits import traits_of

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
    fault, repeats = fault or late, close(copys[: len(again)], again)
    if failed and not fault and repeats:
        return {"checked": f"not against the network itself, which fails ({failed})"}
    if failed:
        raise UserError(f"The loss fails with moved weights in place ({failed}).")
    # On a GPU no sum is the same twice, to the last digits.
    same = close(copys, owns, SAME if objective.device.type == "cpu" else REPEATED)
    if fault or not (same and repeats):
        _check_repeats(objective, own, ask)
        found = fault
        if not fault and same:
            found = f"it gives {number(copys)} and then {number(again)}"
        elif not fault:
            worst = slice(int((copys - owns).nan_to_num().abs().argmax()), None)
            found = f"it gives {number(copys[worst])} where yours gives {number(owns[worst])}"
        objective.own = OwnNetwork(
            objective, f"a copy of it will not do: {found}; {traits_of(objective)}"
        )
        return {}
    return check_effect(objective, parts[:1], places[0], buffers)


def _check_repeats(objective: Objective, own: OwnNetwork, ask: Callable[[Any], Tensor]) -> None:
    """Refuse a network that has two values for the same weights."""
    once, twice = ask(own), ask(own)
    if not close(once, twice, REPEATED):
        raise UserError(
            f"The loss is {number(once)} and then {number(twice)} for the same weights "
            f"({traits_of(objective)}): what it draws must come from torch's, NumPy's or "
            "Python's global generators or from one that the network holds, and what it "
            "counts or keeps must lie in the network."
        )


def _asked(ask: Callable[[Any], Tensor], whom: Objective | OwnNetwork) -> tuple[Tensor, str]:
    """Return the values that the copy or the network gives, or why it gives none."""
    try:
        return ask(whom), ""
    except UserError:
        raise
    except Exception as error:  # whatever a copy that is not the network raises
        return torch.empty(0), said(error)
