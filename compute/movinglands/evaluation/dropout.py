"""Dropout whose noise is a hash of the point, the layer and the place: the same whoever asks."""

from __future__ import annotations

import math
from collections.abc import Iterable
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from .randomness import hashed


def key_layers(network: nn.Module) -> list[str]:
    """Give dropout layers a key, a buffer, to hash their noise from; return the keys' names."""
    keys = []
    for name, part in network.named_modules():
        if not isinstance(part, _DropoutNd) or "forward" in vars(part) or not part.training:
            continue
        forward = type(part).forward  # one of another kind draws its noise itself
        whole_channels = forward in (d.forward for d in (nn.Dropout1d, nn.Dropout2d, nn.Dropout3d))
        if whole_channels or forward is nn.Dropout.forward:
            device = next((p.device for p in network.parameters()), None)
            part.register_buffer("key", torch.tensor(0, device=device), persistent=False)
            part.forward = MethodType(_drop_channels if whole_channels else _drop, part)
            keys.append(f"{name}.key" if name else "key")
    return keys


def _drop(dropout: Any, x: Tensor) -> Tensor:
    return x * _kept(dropout, x.shape, x)


def _drop_channels(dropout: Any, x: Tensor) -> Tensor:
    return x * _kept(dropout, (*x.shape[:2], *[1] * (x.ndim - 2)), x)


def _kept(dropout: Any, shape: Iterable[int], like: Tensor) -> Tensor:
    """Return dropout's factors of a shape: 0 with probability p, else 1 / (1 - p)."""
    shape = tuple(shape)
    numbers = torch.arange(math.prod(shape), device=like.device).view(shape)
    bits = hashed(dropout.key ^ numbers) & ((1 << 24) - 1)
    kept = bits >= round(dropout.p * (1 << 24))
    return kept.to(like.dtype) / max(1 - dropout.p, 2**-24)
