"""What to measure around a training: a network, its snapshots, a loss, a window."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from torch import nn

from ..errors import UserError
from ..evaluation.batches import Batch, Count
from ..evaluation.measure import Measure
from ..evaluation.pure import Loss
from ..planes.plane import Plane
from ..scales import SCALES
from ..snapshots.snapshots import Snapshots

WINDOWS = ("travelling", "fixed")


@dataclass(frozen=True, eq=False)
class Surface:
    """A network, its training, and what to measure around it.

    Attributes
    ----------
    module : nn.Module
        The network; it is copied, and left as it is.
    snapshots : Snapshots
        Its states along the training: a frame each.
    loss : callable
        From a module and a batch to a scalar, or to scalars by name, one of them ``"loss"``;
        ``"weight"`` is what the batch counts for, the others are metrics.
    batches : iterable of batches
        The loss is the exact mean over all of them, each weighted by its samples or its weight.
        For one fixed batch, a list of one.
    plane : Plane, optional
        By default two random directions, filter-normalised to the last snapshot, seed 0.
    resolution : int or (int, int)
        Points a side, or rows (beta) and columns (alpha).
    range : float
        Half the window's width, in units of the directions.
    window : {"travelling", "fixed"}
        Centred on the current weights, or on the plane's origin with the last snapshot's buffers.
    measure : Measure
        Modes, BatchNorm, randomness, precision.
    test : iterable of batches
        Held-out ones, whose loss and metrics are kept beside the surface.
    tolerance : float, optional
        Measure only where interpolation is wrong by more than this part of the height range.
    scale : {"log", "linear", "symlog"}
        Of the heights that ``tolerance`` is meant in.
    count : callable, optional
        From a batch to how many samples it holds, where its tensors do not say so by their first
        dimensions. A loss that is a mean over something else returns a ``"weight"`` instead.
    attrs : dict
        More to record with the surface: ``network``, ``data``, ``optimizer`` ...

    Raises
    ------
    UserError
        For a window or a scale there is not, a resolution that is none or below 2, a range of
        nothing, or an attribute that is neither text nor a number.
    """

    module: nn.Module
    snapshots: Snapshots
    loss: Loss
    batches: Iterable[Batch]
    plane: Plane | None = None
    resolution: int | tuple[int, int] = 161
    range: float = 1.0
    window: str = "travelling"
    measure: Measure = field(default_factory=Measure)
    test: Iterable[Batch] = ()
    tolerance: float | None = None
    scale: str = "log"
    count: Count | None = None
    attrs: dict[str, str | int | float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, choices in (("window", WINDOWS), ("scale", SCALES)):
            if (value := getattr(self, name)) not in choices:
                expected = " or ".join(choices)
                raise UserError(f"{name}: expected {expected}, got {value!r}.")
        try:
            fits = min(self.shape) >= 2
        except (TypeError, ValueError):  # a fraction, three numbers
            fits = False
        if not fits:
            raise UserError(
                f"resolution = {self.resolution}: expected 2 points a side at least, as a whole "
                "number or as (rows, columns)."
            )
        if not 0 < self.range < np.inf:
            raise UserError(f"range = {self.range}: expected half the window's width, above 0.")
        plain = {n: v.item() if isinstance(v, np.generic) else v for n, v in self.attrs.items()}
        object.__setattr__(self, "attrs", plain)
        for name, value in plain.items():
            if not isinstance(value, str | int | float):
                found = type(value).__name__
                raise UserError(f"attrs: {name} is a {found}, expected text or a number.")

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the grid."""
        size = self.resolution
        rows, cols = size if isinstance(size, tuple | list) else (size, size)
        return operator.index(rows), operator.index(cols)
