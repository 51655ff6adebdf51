"""From loss to height: one scale for a whole shot.

No bpy here. The losses in the file are the truth and labels show them; heights are for the eye.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

SCALES = ("log", "linear", "symlog")


@dataclass(frozen=True)
class HeightScale:
    """The transform from loss to height, fixed for a shot.

    ``low`` and ``high`` are the losses that get the heights 0 and ``relief``. What lies outside,
    infinity and NaN (a diverged network) among it, is clamped: NaN counts as high.
    """

    scale: str
    low: float
    high: float
    relief: float

    def __call__(self, loss: ArrayLike) -> NDArray[np.float64]:
        """Return the heights of losses, of any shape, between 0 and ``relief``."""
        loss = np.nan_to_num(
            np.asarray(loss, dtype=np.float64), nan=self.high, posinf=self.high, neginf=self.low
        )
        low, high, values = (
            _transform(x, self.scale) for x in (self.low, self.high, loss.clip(self.low, self.high))
        )
        return (values - low) / (high - low) * self.relief


def _transform(loss: ArrayLike, scale: str) -> NDArray[np.float64]:
    loss = np.asarray(loss, dtype=np.float64)
    if scale == "log":
        return np.log(loss)
    if scale == "symlog":
        return np.sign(loss) * np.log1p(np.abs(loss))
    return loss


def fit(losses: Iterable[NDArray], scale: str, relief: float) -> HeightScale:
    """Find the scale that holds all losses of a shot.

    Parameters
    ----------
    losses : iterable of ndarray
        Of any shape, one frame after the other; what is not finite is passed over.
    scale : {"log", "linear", "symlog"}
        "symlog" is ``sign(x) log(1 + |x|)``, for losses that are negative at times.
    relief : float
        Height of the highest loss over the lowest.

    Raises
    ------
    ValueError
        Where no loss is finite, or a logarithm is asked of losses that are not positive.
    """
    if scale not in SCALES:
        raise ValueError(f"scale {scale!r}: expected one of {', '.join(SCALES)}.")
    low, high = np.inf, -np.inf
    for frame in losses:
        finite = frame[np.isfinite(frame)]
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    if low > high:
        raise ValueError("no loss is a finite number.")
    if scale == "log" and low <= 0:
        raise ValueError(
            f"the lowest loss is {low:g}: a log scale needs positive losses, "
            'set look.scale = "symlog".'
        )
    if low == high:  # a flat land is still a land
        high = low + max(abs(low), 1.0) * 1e-6
    return HeightScale(scale, low, high, relief)
