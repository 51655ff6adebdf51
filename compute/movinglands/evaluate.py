"""The loss of a network over a plane of weights.

Everything is one function from weights to loss. A plane is that function mapped over
``origin + alpha u + beta v``; many points go through the network in one launch (``torch.func``),
and each point's weights are formed from the origin afresh, so nothing drifts and the user's
module is never touched.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from .directions import Weights

LossOfWeights = Callable[[Weights], Tensor]


def loss_of_weights(
    module: nn.Module,
    loss: Callable[[Tensor, Tensor], Tensor],
    inputs: Tensor,
    targets: Tensor,
    mode: str = "train",
) -> LossOfWeights:
    """Return the loss on one fixed batch as a function of the weights.

    Parameters
    ----------
    module : nn.Module
        Copied: its weights, buffers and mode stay as they are.
    loss : callable
        From the module's output and the targets to a scalar.
    inputs, targets : Tensor
        The batch.
    mode : {"train", "eval"}
        "train": BatchNorm normalises with the batch's own statistics and its running ones are
        neither used nor updated. "eval": with the stored statistics.
    """
    network = copy.deepcopy(module).train(mode == "train")
    buffers = {name: buffer.detach() for name, buffer in network.named_buffers()}
    if mode == "train":
        for part in network.modules():
            if isinstance(part, nn.modules.batchnorm._NormBase):
                # Running statistics are updated in place, which has no meaning on a surface.
                part.track_running_stats = False

    def of_weights(weights: Weights) -> Tensor:
        return loss(functional_call(network, {**buffers, **weights}, (inputs,)), targets)

    return of_weights


def evaluate(
    of_weights: LossOfWeights,
    origin: Weights,
    u: Weights,
    v: Weights,
    points: Tensor,
    launch: int = 128,
) -> Iterator[Tensor]:
    """Evaluate the loss at points of a plane, many at a time.

    Parameters
    ----------
    of_weights : callable
        From a dictionary of weights to a scalar loss.
    origin, u, v : dict of Tensor
        The plane ``origin + alpha u + beta v``.
    points : Tensor
        ``(n, 2)``, alpha and beta of each point.
    launch : int
        Points that go through the network at once.

    Yields
    ------
    Tensor
        The losses of the next ``launch`` points, float32.
    """
    mapped = vmap(of_weights)

    def at(name: str, alpha: Tensor, beta: Tensor) -> Tensor:
        shape = (-1, *[1] * origin[name].ndim)
        return origin[name] + alpha.view(shape) * u[name] + beta.view(shape) * v[name]

    with torch.no_grad():
        for alpha, beta in (chunk.unbind(1) for chunk in points.float().split(launch)):
            yield mapped({name: at(name, alpha, beta) for name in origin}).float()


def grid(alpha: Tensor, beta: Tensor) -> Tensor:
    """Return the points ``(rows * cols, 2)`` of a grid, beta (rows) varying slowest."""
    b, a = torch.meshgrid(beta, alpha, indexing="ij")
    return torch.stack([a.flatten(), b.flatten()], dim=1)
