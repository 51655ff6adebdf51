"""The networks of our own pieces, plain ``nn.Module``s."""

from __future__ import annotations

import torch
from torch import nn


def convnet(channels: int, width: int, depth: int, classes: int, seed: int) -> nn.Module:
    """Build a plain convnet: 3 x 3 convolution, BatchNorm, ReLU, ``depth`` times; no skips.

    Parameters
    ----------
    channels, classes : int
        Of the images, and of the answer.
    width, depth : int
        Channels of each convolution, and how many there are.
    seed : int
        Of the initial weights (torch's default initialisation). The global generator is left as
        it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed a GPU, too
        layers: list[nn.Module] = []
        for index in range(depth):
            layers += [
                nn.Conv2d(channels if index == 0 else width, width, 3, padding=1),
                nn.BatchNorm2d(width),
                nn.ReLU(),
            ]
        layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes)]
        return nn.Sequential(*layers)
