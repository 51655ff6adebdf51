"""What a network of a recipe is: a name, its keys, and how it is built."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # torch is imported when a network is built: a recipe is read without it
    from torch import nn


@dataclass(frozen=True)
class Network:
    """A network; its fields are the keys of the recipe's table.

    Attributes
    ----------
    name : str
        By which the recipe chooses it.
    """

    name: str = ""

    def build(self, channels: int, size: int, classes: int) -> nn.Module:
        """Build the network, leaving the global generator as it was.

        Parameters
        ----------
        channels, size : int
            Of the images: ``(channels, size, size)``.
        classes : int
            Of the answer.
        """
        raise NotImplementedError

    def described(self) -> str:
        """Return it in a few words, for the sequence file."""
        return self.name
