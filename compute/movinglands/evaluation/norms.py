"""Norm layers under a measure: whose statistics they take, and that they keep none of them.

In the pure copy of a network the layers' forwards are replaced, so that nothing is updated in
place. In the user's own network they stay as they are, and only their modes are set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import get_proxy_mode
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase

from ..errors import UserError


def norm_layers(network: nn.Module) -> Iterator[tuple[str, Any]]:
    """Yield the layers that take statistics of a batch or store them, by name."""
    for name, part in network.named_modules():
        if isinstance(part, _NormBase):
            yield name, part


def set_modes(network: nn.Module, statistics: str | None) -> None:
    """Have norm layers use statistics of the "batch" or "stored" ones; else the network decides."""
    if statistics in ("batch", "stored"):
        for _, norm in norm_layers(network):
            norm.training = statistics == "batch"


def sources(network: nn.Module) -> dict[str, int]:
    """Return how many norm layers take which statistics, in the modes they are in."""
    found: dict[str, int] = {}
    for _, norm in norm_layers(network):
        of_batch = norm.training or norm.running_mean is None
        source = "batch" if of_batch else "stored"
        found[source] = found.get(source, 0) + 1
    return found


def make_pure(network: nn.Module, recomputed: bool) -> dict[str, Any]:
    """Replace what norm layers do in their modes by the same without updates.

    Parameters
    ----------
    network : nn.Module
        A copy, in its modes.
    recomputed : bool
        Whether statistics are to be recomputed over all batches.

    Returns
    -------
    dict of layers
        Those that recompute, by name; they wait for ``recompute``.

    Raises
    ------
    UserError
        Where a layer cannot recompute.
    """
    found = {}
    for name, part in norm_layers(network):
        norm: Any = part  # whose methods are about to be replaced
        own = type(norm).forward not in (_BatchNorm.forward, nn.SyncBatchNorm.forward)
        own = own or "forward" in vars(norm)
        of_batches = isinstance(part, _BatchNorm)
        if recomputed and of_batches:
            if own:
                raise UserError(
                    f"batch_norm: {name} is a {type(norm).__name__} with a forward of its own, "
                    "whose statistics cannot be recomputed."
                )
            norm.seen = None
            norm.forward = MethodType(_normalise_by_recomputed, norm)
            if norm.running_mean is None:  # it stores none, but has to be given some
                for key in ("running_mean", "running_var"):
                    norm.register_buffer(key, torch.zeros(norm.num_features))
            found[name] = norm
        elif norm.training and of_batches and not own:
            norm.forward = MethodType(_normalise_by_batch, norm)
        elif norm.training:
            norm.track_running_stats = False
            norm.running_mean = norm.running_var = None
    return found


def recompute(
    norms: dict[str, Any], passes: Iterable[tuple[Callable[[], object], float | None]]
) -> dict[str, Tensor]:
    """Return norm layers' statistics over several passes, as buffers by name.

    Each batch counts as its samples: a running mean with momentum b / (n + b) after n samples, as
    ``update_bn`` of Garipov et al. 2018 (arXiv 1802.10026, appendix A.1) keeps it. That of torch
    weighs all batches alike.

    Parameters
    ----------
    norms : dict of layers
        Of ``make_pure``.
    passes : iterable of (callable, float or None)
        Runs the network on a batch, and the samples in it; None counts the layer's own input.
    """
    seen: dict[str, list[tuple[list[Tensor], float]]] = {name: [] for name in norms}
    for run, samples in passes:
        for norm in norms.values():
            norm.seen = []
        run()
        for name, norm in norms.items():
            seen[name] += [([m, v], samples or count) for m, v, count in norm.seen]
            norm.seen = None
    found = {}
    for name, values in seen.items():
        total = sum(count for _, count in values)
        for position, key in enumerate(("mean", "var") if values else ()):
            shares = [moments[position] * (count / total) for moments, count in values]
            found[f"{name}.running_{key}"] = torch.stack(shares).sum(0)
    return found


def recompute_in_place(
    network: nn.Module, passes: Iterable[tuple[Callable[[], object], float | None]]
) -> None:
    """Let a network's own norm layers gather statistics over several passes, and use them.

    The same as ``recompute``, by torch's own running means.
    """
    norms = [norm for _, norm in norm_layers(network) if isinstance(norm, _BatchNorm)]
    for norm in norms:
        norm.training = True
        norm.track_running_stats = True
        norm.running_mean, norm.running_var = (
            torch.zeros(norm.num_features, device=_device(network)) for _ in range(2)
        )
        norm.num_batches_tracked = None
    before = 0.0
    for run, samples in passes:
        for norm in norms:
            norm.momentum = (samples or 1.0) / (before + (samples or 1.0))
        run()
        before += samples or 1.0
    for norm in norms:
        norm.training = False


def _device(network: nn.Module) -> torch.device:
    return next((w.device for w in network.parameters()), torch.device("cpu"))


def _normalise_by_batch(norm: _BatchNorm, x: Tensor) -> Tensor:
    if get_proxy_mode() is None:
        return F.batch_norm(x, None, None, norm.weight, norm.bias, True, 0.0, norm.eps)
    # Traced for a compiler: spelled out, it fuses, and its two sums vectorise.
    return _normalised(norm, x, *_moments(x))


def _normalise_by_recomputed(norm: Any, x: Tensor) -> Tensor:
    if norm.seen is None:  # torch's own cannot be differentiated by the statistics
        return _normalised(norm, x, norm.running_mean, norm.running_var)
    mean, var = _moments(x)
    count = x.numel() // x.shape[1]
    norm.seen.append((mean, var * (count / max(count - 1, 1)), float(len(x))))
    return _normalise_by_batch(norm, x)


def _normalised(norm: _BatchNorm, x: Tensor, mean: Tensor, var: Tensor) -> Tensor:
    y = (x - _along(mean, x)) * _along(torch.rsqrt(var + norm.eps), x)
    return y if norm.weight is None else y * _along(norm.weight, x) + _along(norm.bias, x)


def _moments(x: Tensor) -> tuple[Tensor, Tensor]:
    over = [d for d in range(x.ndim) if d != 1]
    mean = x.mean(over)
    return mean, (x - _along(mean, x)).square().mean(over)


def _along(channels: Tensor, x: Tensor) -> Tensor:
    return channels.view(1, -1, *[1] * (x.ndim - 2))
