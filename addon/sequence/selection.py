"""Which snapshots and points of a surface are shown."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Selection:
    """Which snapshots and points of a surface are shown.

    Attributes
    ----------
    first, last : int
        The first and the last complete snapshot, counted from 0, or from the end if negative. A
        number beyond the last complete snapshot stands for that.
    every : int
        Only every n-th snapshot. The last is always shown, even if it is nearer to the one before:
        a film ends where the training does.
    thin : int
        About every n-th row and column. Both borders and the middle stay, so that the land keeps
        its size and its minimum, and the choice is symmetric; gaps differ by one at most.
    """

    first: int = 0
    last: int = -1
    every: int = 1
    thin: int = 1

    def __post_init__(self) -> None:
        for key in ("every", "thin"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key} {getattr(self, key)}: expected 1 or more.")

    def snapshots(self, count: int) -> NDArray[np.int64]:
        """Return which of so many snapshots are shown."""
        first, last = (at + count if at < 0 else at for at in (self.first, self.last))
        last = min(last, count - 1)
        if not 0 <= first <= last:
            raise ValueError(
                f"snapshots {self.first} to {self.last}: expected some of 0 to {count - 1}, "
                "the first one first."
            )
        return np.union1d(np.arange(first, last, self.every), [last])

    def lines(self, count: int) -> NDArray[np.int64]:
        """Return which of so many rows, or columns, are shown."""
        odd = (count - 1) % 2  # an even number of gaps has a line in its middle
        pieces = odd + 2 * max(1 - odd, round(((count - 1) / self.thin - odd) / 2))
        half = np.linspace(0, count - 1, pieces + 1)[: pieces // 2 + 1].round().astype(np.int64)
        return np.union1d(half, count - 1 - half)
