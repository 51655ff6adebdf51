"""Is the loss of several batches the mean of their losses? Asked where samples were guessed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import UserError
from ..evaluation import batches as arranged
from ..evaluation import norms
from ..evaluation.copies import copied, put_back
from ..evaluation.objective import Objective
from ..evaluation.own import put_in_place
from ..evaluation.randomness import states
from ..planes.weights import Weights
from .comparing import moved, spread

BATCHES = 256
"""Of how many batches at most the mean is checked."""


def check_mean(objective: Objective, weights: Weights, buffers: dict[str, Tensor]) -> None:
    """Refuse batches whose losses, weighted by guessed samples, do not average to that of all.

    The loss of samples together must be the mean of the losses of some and the rest, as it is not
    where a loss is a mean over tokens, pixels that are labelled, or weights of classes. Norm
    layers take stored statistics meanwhile and nothing is dropped. What is random otherwise, or
    does not go together or apart, cannot be checked.

    Raises
    ------
    UserError
        Where it is not.
    """
    if objective.answers.weighted or not objective.guessed or objective.samples is None:
        return
    with put_back(objective.module):  # a copy may hold the user's own layers, and run them
        ask = _plainly(objective, moved(weights, 0), buffers)
        for test in (False, True):
            parts = [part.batches for part in objective.parts if part.test == test]
            batches = [batch for given in parts for batch in given]
            known = arranged.counts(batches, None)
            if known and (len(batches) > 1 or objective.minibatch):
                _check_divisions(ask, _divisions(batches, [int(n) for n in known]))


def _check_divisions(
    ask: Callable[[Any], float], divisions: Iterable[tuple[Any, list[Any], list[int]]]
) -> None:
    for whole, pieces, counted in divisions:
        try:
            together, *apart = (ask(batch) for batch in (whole, *pieces))
        except _Drawn:
            return
        except Exception:  # a network or a loss that takes batches of one size only
            continue
        mean = sum(n * value for n, value in zip(counted, apart, strict=True)) / sum(counted)
        if abs(mean - together) > 3e-5 * max(abs(mean), abs(together)) + 1e-6:
            raise UserError(
                f"batches: the loss of {sum(counted)} samples is {together:.6g} together, but "
                f"{mean:.6g} as the mean of {' and '.join(map(str, counted))}, so it is no mean "
                'over samples: return {"loss": ..., "weight": ...} with what it is the mean of '
                "(tokens, labelled pixels, sums of class weights), keep what is no sample out of "
                "the batch, or say that samples count, as in count=lambda batch: len(batch[1])."
            )


def _plainly(
    objective: Objective, weights: Weights, buffers: dict[str, Tensor]
) -> Callable[[Any], float]:
    """Return a function from a batch to its loss without noise; it raises where some is left."""
    own = objective.own
    network = own.module if own else copied(objective.module, objective.device)
    device = own.device if own else objective.device

    def prepare() -> None:
        put_in_place(network, weights, buffers, objective.measure.mode)
        norms.set_modes(network, "stored")
        for part in network.modules():
            if isinstance(part, nn.modules.dropout._DropoutNd):
                part.eval()

    def ask(batch: Any) -> float:
        with (
            put_back(network),
            torch.set_grad_enabled(objective.takes_gradients),
            objective.seeded(1),
        ):
            prepare()
            unstable = "batch" in norms.sources(network)
            before = states(objective.device)
            given = arranged.fresh(arranged.moved(batch, device))
            values = objective.answers.read(objective.given_loss(network, given))
            same = states(objective.device) == before
        if unstable or not same:
            raise _Drawn
        return float(values[0])

    return ask


class _Drawn(Exception):
    """A batch's loss depends on more than that batch."""


def _divisions(batches: list[Any], counts: list[int]) -> Iterable[tuple[Any, list[Any], list[int]]]:
    """Yield a whole, its pieces and their samples: the first batch, and that with others."""
    if (count := counts[0]) > 1:
        some = max(1, count // 3)
        with suppress(UserError):  # what cannot be taken apart
            pieces = [
                arranged.piece(batches[0], count, *ends) for ends in ((0, some), (some, count))
            ]
            yield batches[0], pieces, [some, count - some]
    for n in spread(list(range(1, len(batches))), BATCHES):
        both, counted = [batches[0], batches[n]], [counts[0], counts[n]]
        with suppress(ValueError):  # they do not go together
            yield arranged.joined(both, counted), both, counted
