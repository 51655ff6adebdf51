"""A surface as another tool left it, whatever its file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .arrays import Arrays

Ranges = Sequence[tuple[float, float]]
"""What ``--coordinates`` gave: nothing, one range for both axes, or alpha's and beta's."""


@dataclass(frozen=True)
class ImportedSurface:
    """One surface of another tool, in the coordinates of its plane.

    Attributes
    ----------
    alpha, beta : ndarray
        ``(cols,)`` and ``(rows,)``.
    loss : ndarray
        ``(rows, cols)``, NaN where missing.
    metrics : dict of ndarray
        ``(rows, cols)`` each, NaN where missing.
    missing : ndarray of bool, optional
        ``(rows, cols)``: the points that were never computed.
    network : tuple of float
        Alpha and beta of the network that the plane was laid through.
    paths : dict of ndarray
        ``(points, 2)`` each.
    covariance : ndarray, optional
        ``(2, 2)``, of a Gaussian about the network.
    attrs : dict
        How the surface was made, as far as the tool fixes it.
    """

    alpha: NDArray[np.float64]
    beta: NDArray[np.float64]
    loss: NDArray[np.float64]
    metrics: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    missing: NDArray[np.bool_] | None = None
    network: tuple[float, float] = (0.0, 0.0)
    paths: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    covariance: NDArray[np.float64] | None = None
    attrs: dict[str, str] = field(default_factory=dict)


class Kind(NamedTuple):
    """What one tool writes: in what container, the arrays it is recognised by, how it is read."""

    container: str
    marks: tuple[str, ...]
    tool: str
    read: Callable[[Arrays, Ranges], ImportedSurface]
