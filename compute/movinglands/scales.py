"""From a loss to the height that is looked at, and back."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

SCALES = ("log", "linear", "symlog")
"""Which there are; "symlog" is ``sign(x) log(1 + |x|)``, for losses below zero."""


def to_height(loss: ArrayLike, scale: str) -> NDArray[np.float64]:
    """Return the heights of losses, of any shape; NaN where there is none."""
    loss = np.asarray(loss, np.float64)
    if scale == "log":
        return np.log(np.where(loss > 0, loss, np.nan))
    if scale == "symlog":
        return np.sign(loss) * np.log1p(np.abs(loss))
    return loss


def to_loss(height: NDArray[np.float64], scale: str) -> NDArray[np.float32]:
    """Return the losses of heights, of any shape."""
    with np.errstate(over="ignore", invalid="ignore"):
        if scale == "log":
            height = np.exp(height)
        elif scale == "symlog":
            height = np.sign(height) * np.expm1(np.abs(height))
        return height.astype(np.float32)
