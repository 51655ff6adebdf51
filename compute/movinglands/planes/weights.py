"""Weights as dictionaries of tensors by parameter name, as ``named_parameters`` gives them.

A complex parameter counts as its real and imaginary parts.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..errors import UserError

Weights = dict[str, Tensor]


def weights_of(module: nn.Module) -> Weights:
    """Return a copy of what a plane can move: the parameters of floating point, no buffers.

    Tied parameters are one, under their first name.
    """
    return {
        name: p.detach().clone()
        for name, p in module.named_parameters()
        if p.is_floating_point() or p.is_complex()
    }


def check(weights: Weights, origin: Weights, what: str) -> None:
    """Refuse weights that are not of the origin's names and shapes; ``what`` opens the sentence."""
    for name in [*origin, *weights]:
        if name not in weights:
            raise UserError(f"{what}: {name} is missing.")
        if name not in origin:
            raise UserError(f"{what}: the network has no parameter {name}.")
        found, expected = tuple(weights[name].shape), tuple(origin[name].shape)
        if found != expected:
            raise UserError(f"{what}: {name} is of shape {found}, expected {expected}.")


def working_dtype(w: Tensor) -> torch.dtype:
    """Return what weights are moved in: their own precision, float32 at least."""
    return torch.promote_types(w.dtype, torch.float32)


def flatten(weights: Weights) -> Tensor:
    """Return all weights in one vector of float64, on their device where it has such numbers."""
    return torch.cat([real_double(w).flatten() for w in weights.values()])


def unflatten(vector: Tensor, like: Weights) -> Weights:
    """Return a vector of `flatten` as weights of the shapes, precision and device of others."""
    sizes = [w.numel() * (2 if w.is_complex() else 1) for w in like.values()]
    shaped = {}
    for (name, w), part in zip(like.items(), vector.split(sizes), strict=True):
        if w.is_complex():
            part = torch.complex(*part.view(-1, 2).unbind(1))
        shaped[name] = part.view(w.shape).to(w)
    return shaped


def real_double(w: Tensor) -> Tensor:
    """Return a tensor's real numbers in float64, which Apple's GPUs do not have."""
    w = w.detach()
    if w.device.type == "mps":
        w = w.cpu()
    return (torch.view_as_real(w) if w.is_complex() else w).double()


def dot(a: Weights, b: Weights) -> float:
    """Return the scalar product of all weights, waiting for the device once."""
    return torch.stack([(real_double(a[n]) * real_double(b[n])).sum() for n in a]).sum().item()
