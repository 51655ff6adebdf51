"""Does a point keep its loss? Asked after every frame: what a loss counts may show late."""

from __future__ import annotations

from functools import partial

from torch import Tensor

from ..errors import UserError
from ..evaluation.objective import Objective
from ..planes.weights import Weights
from .comparing import REPEATED, close, number


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
        if not close(self._first, now, REPEATED):
            raise UserError(
                f"The loss of the same weights was {number(self._first)} and is now "
                f"{number(now)}: it counts or keeps something from pass to pass, so no frame is "
                "what it seems. Make the loss a function of network and batch alone."
            )
