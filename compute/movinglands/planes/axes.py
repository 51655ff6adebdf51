"""Planes of two axes that were found as vectors of all weights.

They come out of float64 as two unit axes. How far to go along them depends on the network:
``half_width`` tells it from points to be seen, and axes may be asked for as long as the weights, so
that 1 is a step as far as on a filter-normalised plane.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from ..errors import UserError
from .plane import Attributes, Plane
from .weights import Weights, flatten, unflatten


def plane_of_axes(origin: Weights, axes: Tensor, length: str, attrs: Attributes) -> Plane:
    """Return the plane of two axes ``(2, weights)``, brought to their length."""
    lengths = {"one": 1.0, "weights": flatten(origin).norm().item()}
    if length not in lengths:
        raise UserError(f"length = {length!r}: expected one of {', '.join(lengths)}.")
    axes = axes * (lengths[length] / axes.norm(dim=1, keepdim=True))
    settings = {"one": "unit length", "weights": "length of the origin's weights"}
    u, v = (unflatten(axis, origin) for axis in axes)
    return Plane(origin, u, v, {**attrs, "normalisation": settings[length]})


def rounding(weights: Weights) -> float:
    """Return the relative rounding error of the coarsest weights."""
    return max(torch.finfo(w.dtype).eps for w in weights.values())


def listed(numbers: ArrayLike) -> str:
    """Return numbers as text, for an attribute."""
    return ", ".join(f"{number:.6g}" for number in np.asarray(numbers))
