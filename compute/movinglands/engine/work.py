"""What is evaluated tile by tile, and by whom: here (``local``) or on a cluster."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..evaluation.batches import Batch, Count
from ..evaluation.measure import Measure
from ..evaluation.objective import Objective
from ..evaluation.own import OwnNetwork
from ..evaluation.pure import Loss
from ..planes.plane import Plane
from ..planes.weights import Weights
from .plan import Plan


class Tile(NamedTuple):
    """Points of a frame that are evaluated together and kept in one file."""

    frame: int
    file: Path
    points: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Ingredients:
    """What an objective on a plane is made of, for another process to make it again."""

    network: nn.Module
    loss: Loss
    batches: Sequence[Batch]
    test: Sequence[Batch]
    measure: Measure
    plane: Plane
    count: Count | None
    own: str  # why the user's own network is evaluated, where it is

    def objective(self, device: torch.device) -> Objective:
        """Make the objective on a device."""
        made = Objective(
            self.network, self.loss, self.batches, self.measure, self.test, device, self.count
        )
        if self.own:
            made.own = OwnNetwork(made, self.own)
        return made


class Work(Protocol):
    """What is to be evaluated: an objective on a plane whose origin differs from frame to frame.

    Attributes
    ----------
    objective : Objective
        What is measured.
    plane : Plane
        Its directions count.
    packages : Path
        A folder for what is compiled.
    frames : list of int
        Their numbers; a plan is found in the last of them.
    """

    objective: Objective
    plane: Plane
    packages: Path
    frames: list[int]

    @property
    def ingredients(self) -> Ingredients:
        """What objective and plane are made of."""

    def centre(self, t: int) -> tuple[Weights, dict[str, Tensor]]:
        """Return the weights and buffers at the window's centre in frame t."""

    def coordinates(self, index: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return alpha and beta ``(n, 2)`` of points by their number in the grid."""


class Backend(Protocol):
    """Evaluates the tiles of a work; a context manager.

    Attributes
    ----------
    where : str
        The machine and device that its plans are for.
    """

    @property
    def where(self) -> str:
        """The machine and device that its plans are for."""

    def tune(self, points: int, compiling: bool | None = None) -> Plan:
        """Find the fastest plan; the rest is as in ``Evaluator.tune``."""

    def use(self, plan: Plan) -> None:
        """Evaluate by this plan from now on."""

    def evaluate(self, tiles: Iterable[Tile]) -> Iterator[tuple[Tile, NDArray]]:
        """Evaluate tiles, and return them with their values in any order."""
