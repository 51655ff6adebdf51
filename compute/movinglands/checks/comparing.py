"""Where the checks look, and what counts as the same there."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..planes.weights import Weights

DISTANCES = (0.1, 1.0)
"""How far weights are moved for the check, in means of their magnitude: near, and at the rim."""

SAME, REPEATED = 2e-6, 2e-5
"""Relative differences: of a copy that is the network, of one network that is asked twice."""


def moved(weights: Weights, seed: int, distance: float = DISTANCES[0]) -> Weights:
    """Return weights with noise added, ``distance`` times each tensor's mean magnitude."""
    generator = torch.Generator().manual_seed(seed)
    found = {}
    for name, w in weights.items():
        real = torch.view_as_real(w) if w.is_complex() else w
        noise = torch.randn(real.shape, generator=generator).to(real.device)
        step = distance * real.float().abs().mean().clamp(min=1e-3) * noise
        there = (real.float() + step).to(real.dtype) if real.dtype != torch.float64 else real + step
        found[name] = torch.view_as_complex(there) if w.is_complex() else there
    return found


def spread(things: list[Any], most: int) -> list[Any]:
    """Return at most so many of some things, evenly spaced, the first and the last among them."""
    count = min(len(things), most)
    return [things[round(k * (len(things) - 1) / max(count - 1, 1))] for k in range(count)]


def close(one: Tensor, other: Tensor, tolerance: float = SAME) -> bool:
    """Tell whether values are the same up to a relative difference."""
    if one.shape != other.shape:
        return False
    return torch.allclose(one, other, rtol=tolerance, atol=0, equal_nan=True)


def number(values: Tensor) -> str:
    """Return the first of some values as text."""
    return f"{float(values[0]):.8g}"
