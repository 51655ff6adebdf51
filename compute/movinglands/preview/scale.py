"""The scale of a preview: heights between 0 and 1, alike for all frames, and round losses on it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..scales import to_height
from .style import Array


@dataclass(frozen=True)
class Scale:
    """The transform from loss to height, fixed for all frames.

    ``low`` and ``high`` are the losses of heights 0 and 1. What lies outside, infinity and NaN (a
    diverged network) among it, is clamped: NaN counts as high.
    """

    name: str
    low: float
    high: float

    def __call__(self, loss: ArrayLike) -> Array:
        """Return the heights of losses, of any shape, between 0 and 1."""
        finite = np.nan_to_num(
            np.asarray(loss, np.float64), nan=self.high, posinf=self.high, neginf=self.low
        )
        return self.open(finite.clip(self.low, self.high)).clip(0, 1)

    def open(self, loss: ArrayLike) -> Array:
        """Return heights that are not clamped; what has none is NaN."""
        low, high, values = (to_height(x, self.name) for x in (self.low, self.high, loss))
        return (values - low) / (high - low)

    def ticks(self, most: int) -> list[float]:
        """Return round losses to label, the roundest first chosen, none too near another."""
        from matplotlib.ticker import MaxNLocator

        chosen = self._apart(self._round_losses(), most)
        if len(chosen) < 3:  # a narrow range, or a linear one
            steps = MaxNLocator(most, steps=[1, 2, 5, 10])
            chosen = self._apart(steps.tick_values(self.low, self.high), most)
        return sorted(chosen)

    def _apart(self, losses: Iterable[float], most: int) -> list[float]:
        """Return those losses within the scale that are not too near one before them."""
        chosen: list[float] = []
        for loss in losses:
            if self.low <= loss <= self.high and all(
                abs(self.open(loss) - self.open(other)) >= 0.7 / most for other in chosen
            ):
                chosen.append(float(loss))
        return chosen

    def _round_losses(self) -> Iterator[float]:
        """Yield powers of ten, then twice and five times those; nothing for a linear scale."""
        if self.name == "linear":
            return
        if self.name == "symlog":
            yield 0.0
        largest = math.floor(math.log10(max(abs(self.low), abs(self.high))))
        smallest = math.floor(math.log10(self.low)) if self.name == "log" else 0
        for digit in (1, 2, 5):
            for exponent in range(largest, smallest - 1, -1):
                yield digit * 10.0**exponent
                yield -digit * 10.0**exponent


def fit(losses: Iterable[NDArray[Any]], name: str) -> Scale:
    """Find the scale that holds all losses, whatever they are.

    Parameters
    ----------
    losses : iterable of ndarray
        Of any shape; what is not finite is passed over.
    name : {"log", "linear", "symlog"}
        What is asked for. Negative losses have no logarithm and get "symlog", which is
        ``sign(x) log(1 + |x|)``; where the lowest is zero, the lowest positive one stands for it.

    Raises
    ------
    ValueError
        Where no loss is finite.
    """
    finite = np.concatenate([part[np.isfinite(part)] for part in losses])
    if not finite.size:
        raise ValueError("no loss is a finite number.")
    low, high = float(finite.min()), float(finite.max())
    if name == "log" and low == 0 < high:
        low = float(finite[finite > 0].min())
    elif name == "log" and low <= 0:
        name = "symlog"
    if low == high:  # a flat land is still a land
        high = low + max(abs(low), 1.0) * 1e-6
    return Scale(name, low, high)
