"""A plain convnet: 3 x 3 convolution, BatchNorm, ReLU, again and again; no skips."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .. import keys
from .network import Network

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Convnet(Network):
    """``depth`` 3 x 3 convolutions of ``width`` channels with BatchNorm."""

    name: str = "convnet"
    width: int = keys.number(12, 1, 4096)
    depth: int = keys.number(6, 1, 200)
    seed: int = keys.seed()

    def build(self, channels: int, size: int, classes: int) -> nn.Module:
        """Build the network."""
        return convnet(channels, self.width, self.depth, classes, self.seed)

    def described(self) -> str:
        """Return it in a few words."""
        return f"{self.name}, {self.depth} convolutions of {self.width}"


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
    import torch
    from torch import nn

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
