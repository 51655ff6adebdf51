"""Asking a network and its loss a first time, before hours are spent on them.

What is learnt: the names of the values, in what precision they come, whether gradients are taken,
what is written to. Where the copy of the network fails the user's own is asked instead.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial

import torch
from torch import Tensor

from ..errors import UserError, said
from . import batches as arranged
from .own import OwnNetwork
from .parts import Part
from .passes import Passes


class Trial:
    """Asks a network and its loss, and notes what it learns in what is to evaluate them.

    Attributes
    ----------
    own : OwnNetwork or None
        The user's own network, where the copy has failed.
    """

    def __init__(self, passes: Passes) -> None:
        self.passes = passes
        self.own: OwnNetwork | None = None
        self._learnt: tuple[Part, Tensor]

    def learn(self, first: Part) -> None:
        """Evaluate a first part, and note what it shows.

        Raises
        ------
        UserError
            Where it fails, or returns no scalars.
        """
        ask = partial(self._asked, first, self.passes.precisions)

        def ask_with_gradients() -> Tensor:
            try:
                return ask()
            except RuntimeError as error:
                if "require grad" not in str(error):
                    raise
                self.passes.takes_gradients = True
                return ask()

        self._learnt = first, self._settle(ask_with_gradients)

    def try_parts(self, parts: Iterable[Part]) -> None:
        """Evaluate every part that was not the first.

        Raises
        ------
        UserError
            Where one fails, or returns a weight that is none.
        """
        weights: dict[bool, list[float]] = {}
        first, known = self._learnt
        for part in parts:
            same = [*map(id, part.batches)] == [*map(id, first.batches)]
            values = known if same else self._settle(partial(self._asked, part))
            if self.passes.answers.weighted:
                weights.setdefault(part.test, []).append(float(values[-1]))
        for found in weights.values():
            wrong = [w for w in found if not 0 <= w < math.inf]
            if wrong or not sum(found):
                raise UserError(
                    f"The loss function returned {[*wrong, 0][0]:g} as weight: expected what a "
                    "batch counts for in the mean, 0 or more, and more than 0 for some."
                )

    def _asked(self, part: Part, seeing: AbstractContextManager | None = None) -> Tensor:
        """Return a part's values, and notice what is written to."""
        passes = self.passes
        given = arranged.fresh(part.batches)
        flags = [tensor.requires_grad for tensor in arranged.tensors_of(given)]
        buffers, before = passes.buffers(), passes.buffers()
        each = self.own.each if self.own else passes.each
        with seeing or nullcontext():
            (values,) = each([part._replace(batches=given)], passes.weights(), buffers, 0)
        passes.written |= {n for n, b in buffers.items() if not torch.equal(b, before[n])}
        passes.counters |= passes.copy.counted()
        same = flags == [tensor.requires_grad for tensor in arranged.tensors_of(given)]
        if not (same and arranged.alike(given, part.batches)):
            passes.writes_batches = True
        return values

    def _settle(self, ask: Callable[[], Tensor]) -> Tensor:
        """Ask the copy, and where it fails the user's network; refuse where that fails, too."""
        try:
            return ask()
        except UserError:
            raise
        except Exception as error:  # whatever a user's network or loss raises
            if self.own is None:
                self.own = OwnNetwork(self.passes, f"a copy of it fails ({said(error)})")
                with suppress(Exception):
                    return ask()
                self.own = None
            raise UserError(_failure(self.passes, error)) from error


def _failure(passes: Passes, error: Exception) -> str:
    if "Expected more than 1 value per channel" in str(error):
        return (
            "batches: one has a single sample, and BatchNorm needs two in train mode: leave it "
            "out, as drop_last=True does, or measure in eval mode."
        )
    if passes.minibatch:
        return (
            f"minibatch: the loss fails on {passes.minibatch.size} samples that were drawn "
            f"({said(error)}): keep what is no sample, such as weights of classes, out of the "
            "batch, in the loss itself."
        )
    hint = ""
    if isinstance(error, AttributeError) and error.name == "module":
        hint = ": it is given the network without DataParallel or the like around it"
    return f"The loss fails on a batch{hint} ({said(error)})."
