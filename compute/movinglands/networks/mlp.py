"""A multilayer perceptron: every pixel to every unit, layer after layer, and ReLU between."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from .. import keys
from .network import Network

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Mlp(Network):
    """``depth`` hidden layers of ``width`` units."""

    name: str = "mlp"
    width: int = keys.number(64, 1, 65_536)
    depth: int = keys.number(2, 1, 200)
    seed: int = keys.seed()

    def build(self, channels: int, size: int, classes: int) -> nn.Module:
        """Build the network."""
        import torch
        from torch import nn

        widths = [channels * size**2, *[self.width] * self.depth]
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(self.seed)
            layers: list[nn.Module] = [nn.Flatten()]
            for before, after in pairwise(widths):
                layers += [nn.Linear(before, after), nn.ReLU()]
            return nn.Sequential(*layers, nn.Linear(widths[-1], classes))

    def described(self) -> str:
        """Return it in a few words."""
        return f"{self.name}, {self.depth} hidden of {self.width}"
