"""Batches in the parts that one pass takes, and the samples of them that a point sees."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import UserError
from . import batches as arranged
from .batches import Batch
from .randomness import POSITIVE, hashed


class Part(NamedTuple):
    """Batches that one pass takes, and what their loss counts for in the mean over all."""

    batches: tuple[Batch, ...]
    share: float
    test: bool
    counts: tuple[float, ...] | None  # of each batch; None where nobody needs to know

    @property
    def shapes(self) -> tuple:
        """What a compiled launch depends on."""
        tensors = arranged.tensors_of(self.batches)
        return tuple((tuple(t.shape), t.dtype, t.layout) for t in tensors), self.counts


def parts_of(
    batches: list[Batch], counts: list[float] | None, test: bool = False, together: bool = False
) -> list[Part]:
    """Return batches as parts: one for each, or one of all where they go ``together``."""
    known = None if counts is None else tuple(counts)
    if together:
        return [Part(tuple(batches), 1, test, known)]
    shares = [n / sum(counts) for n in counts] if counts else [1 / len(batches) for _ in batches]
    return [Part((b,), share, test, None) for b, share in zip(batches, shares, strict=True)]


class Minibatch:
    """Samples drawn anew at every point, without repetition.

    Parameters
    ----------
    batches : list of batches
        What is drawn from.
    counts : list of float
        Their samples.
    size : int
        Samples to draw.
    seed : int
    device : torch.device

    Attributes
    ----------
    whole : batch
        All batches as one.

    Raises
    ------
    UserError
        Where the batches do not go together, hold no samples to draw, or fewer than are asked for.
    """

    def __init__(
        self,
        batches: list[Batch],
        counts: list[float],
        size: int,
        seed: int,
        device: torch.device,
    ) -> None:
        self.count, self.size, self.seed = int(sum(counts)), size, seed
        if not 0 < size <= self.count:
            raise UserError(f"minibatch = {size}: expected 1 to {self.count}, the samples given.")
        try:
            self.whole = arranged.joined(batches, counts) if len(batches) > 1 else batches[0]
        except ValueError as fault:
            raise UserError(
                f"minibatch: the batches cannot be drawn from together: {fault}."
            ) from None
        if self.count not in arranged.sizes(self.whole):
            raise UserError(
                f"minibatch: no tensor of a batch has its {self.count} samples as its first "
                "dimension, so none can be drawn."
            )
        coprime = [n for n in range(1, self.count + 1) if math.gcd(n, self.count) == 1]
        self._strides = torch.tensor(coprime, device=device)

    def of(self, batch: Batch, index: Tensor) -> Batch:
        """Return the samples of a point, by its number ``()``, from the whole batch.

        They are steps around the data, coprime to it, which never repeat.
        """
        start, stride = (hashed(index, self.seed, salt) & POSITIVE for salt in (1, 2))
        stride = self._strides[(stride % len(self._strides))[None]][0]
        steps = torch.arange(self.size, device=self._strides.device)
        return arranged.sample(
            batch, self.count, (start % self.count + steps * stride) % self.count
        )
