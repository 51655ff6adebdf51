"""From loss to height: one scale for a whole shot.

No bpy here. Labels show the losses of the file; heights only serve to see the surface. They are
computed in float64, a few thousand at a time where there are many, and rounded once.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..steps import drained

SCALES = ("log", "linear", "symlog")

BLOCK = 1 << 15
"""Heights computed at a time: few enough for a processor's cache."""

SAMPLE = 1 << 14
"""Points of a large frame, evenly spread, that percentages are computed from."""


@dataclass(frozen=True)
class HeightScale:
    """The transform from loss to height, fixed for a shot.

    ``low`` and ``high`` are the losses that get the heights 0 and ``relief``, or ``relief`` and 0
    if it is reversed: valleys become peaks. Losses outside are clamped, and so is infinity; NaN,
    of a diverged network, counts as ``high``.
    """

    scale: str
    low: float
    high: float
    relief: float
    reverse: bool = False

    def __call__(self, loss: ArrayLike) -> NDArray[np.float64]:
        """Return the heights of losses, of any shape, between 0 and ``relief``."""
        heights = np.array(loss, dtype=np.float64)
        np.fmin(heights, self.high, out=heights)  # of a number and NaN, the number
        np.maximum(heights, self.low, out=heights)
        low, high = _transform(np.array([self.low, self.high]), self.scale)
        heights = _transform(heights, self.scale)
        heights -= low
        heights /= high - low
        heights *= self.relief
        return self.relief - heights if self.reverse else heights

    def of_frame(self, loss: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the heights of a frame's losses, whatever its size without large temporaries."""
        heights = np.empty(loss.size, np.float32)
        losses = loss.reshape(-1)
        for start in range(0, loss.size, BLOCK):
            heights[start : start + BLOCK] = self(losses[start : start + BLOCK])
        return heights.reshape(loss.shape)


def _transform(values: NDArray[np.float64], scale: str) -> NDArray[np.float64]:
    """Return transformed losses, in the memory of the losses where that can be."""
    if scale == "log":
        return np.log(values, out=values)
    if scale == "symlog":
        return np.copysign(np.log1p(np.abs(values)), values, out=values)
    return values


def fit(
    losses: Iterable[NDArray],
    scale: str,
    relief: float,
    clip: tuple[float, float] = (0.0, 100.0),
    reverse: bool = False,
) -> HeightScale:
    """Find the scale of a shot: ``fitting``, in one go."""
    return drained(fitting(losses, scale, relief, clip, reverse))


def fitting(
    losses: Iterable[NDArray],
    scale: str,
    relief: float,
    clip: tuple[float, float] = (0.0, 100.0),
    reverse: bool = False,
) -> Generator[None, None, HeightScale]:
    """Find the scale that holds all losses of a shot; yield after each frame.

    Parameters
    ----------
    losses : iterable of ndarray
        Of any shape, one frame after the other; what is not finite is passed over.
    scale : {"log", "linear", "symlog"}
        "symlog" is ``sign(x) log(1 + |x|)``, for losses that are negative at times.
    relief : float
        Height of the highest loss over the lowest.
    clip : float, float
        Percentiles of all losses between which heights differ: with ``(0, 98)`` the highest 2 % of
        the points become a plateau, and the others have the whole relief. In large frames they are
        computed from ``SAMPLE`` points; 0 and 100 are always exact.
    reverse : bool
        Whether valleys become peaks.

    Raises
    ------
    ValueError
        Where no loss is finite, a logarithm is asked of losses that are not positive, or ``clip``
        is not two percentages, the lower one first.
    """
    if scale not in SCALES:
        raise ValueError(f"scale {scale!r}: expected one of {', '.join(SCALES)}.")
    if not 0 <= clip[0] < clip[1] <= 100:
        raise ValueError(
            f"clip {clip[0]:g} to {clip[1]:g}: expected two percentages from 0 to 100, "
            "the lower one first."
        )
    low, high = np.inf, -np.inf
    samples = []
    for frame in losses:
        least, most = _finite_range(frame)
        low, high = min(low, least), max(high, most)
        if clip != (0, 100):
            samples.append(_sample(frame))
        yield
    if low > high:
        raise ValueError("no loss is a finite number.")
    if samples:
        within = np.percentile(np.concatenate(samples), clip)
        low = float(within[0]) if clip[0] > 0 else low
        high = float(within[1]) if clip[1] < 100 else high
    if scale == "log" and low <= 0:
        raise ValueError(
            f"the lowest loss is {low:g}: a log scale needs positive losses, "
            'set look.scale = "symlog".'
        )
    if low == high:  # a flat land is still a land
        high = low + max(abs(low), 1.0) * 1e-6
    return HeightScale(scale, low, high, relief, reverse)


def _finite_range(frame: NDArray) -> tuple[float, float]:
    """Return the lowest and the highest finite value; infinity and its opposite without any."""
    least, most = frame.min(initial=np.inf), frame.max(initial=-np.inf)
    if not (np.isfinite(least) and np.isfinite(most)):
        finite = frame[np.isfinite(frame)]
        least, most = finite.min(initial=np.inf), finite.max(initial=-np.inf)
    return float(least), float(most)


def _sample(frame: NDArray) -> NDArray:
    """Return the finite values of a frame; of a large one, of about ``SAMPLE`` of its points."""
    every = ceil((frame.size / SAMPLE) ** (1 / max(frame.ndim, 1)))
    taken = frame[(slice(None, None, max(every, 1)),) * frame.ndim]
    return taken[np.isfinite(taken)]
