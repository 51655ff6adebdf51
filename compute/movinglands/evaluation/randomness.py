"""Randomness: hashes that give each point its own, and global generators that are put back."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

_GOLDEN = 0x9E3779B97F4A7C15 - (1 << 64)  # splitmix64's increment and multipliers, as signed
_FIRST, _SECOND = 0xBF58476D1CE4E5B9 - (1 << 64), 0x94D049BB133111EB - (1 << 64)
_WORD, POSITIVE = (1 << 64) - 1, (1 << 63) - 1


def hashed(number: Tensor, seed: int = 0, use: int = 0) -> Tensor:
    """Return 64 well mixed bits of each int64 number (splitmix64; Steele et al. 2014).

    Another seed, or another use of the same one, gives other bits: a stream of its own, since the
    seed is mixed before the numbers are counted from it.
    """
    x = number * _GOLDEN + _signed(_mixed(_mixed(seed) + use))
    x = (x ^ ((x >> 30) & ((1 << 34) - 1))) * _FIRST
    x = (x ^ ((x >> 27) & ((1 << 37) - 1))) * _SECOND
    return x ^ ((x >> 31) & ((1 << 33) - 1))


def _mixed(number: int) -> int:
    """Return splitmix64 of one Python number."""
    x = ((number + 1) * _GOLDEN) & _WORD
    x = ((x ^ (x >> 30)) * _FIRST) & _WORD
    x = ((x ^ (x >> 27)) * _SECOND) & _WORD
    return x ^ (x >> 31)


def _signed(word: int) -> int:
    return word - (1 << 64) if word > POSITIVE else word


def states(device: torch.device) -> list[object]:
    """Return the states of all global generators: torch's, on a GPU its own, Python's, NumPy's."""
    on_gpu = [torch.cuda.get_rng_state(device)] if device.type == "cuda" else []
    numpys = np.random.get_state(legacy=False)  # noqa: NPY002
    inner = numpys["state"]
    return [
        *(state.numpy().tobytes() for state in (torch.get_rng_state(), *on_gpu)),
        random.getstate(),
        (inner["key"].tobytes(), inner["pos"], numpys["has_gauss"]),
    ]


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed all global generators, and put them back: torch's, Python's and NumPy's."""
    on_gpu = device.type == "cuda"
    pythons, numpys = random.getstate(), np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng(devices=[device] if on_gpu else []):
        try:
            # Not torch.manual_seed, which is slow, and seeds what is not put back here.
            torch.default_generator.manual_seed(seed)
            random.seed(seed)
            np.random.seed(seed & 0xFFFFFFFF)  # noqa: NPY002
            if on_gpu:
                with torch.cuda.device(device):
                    torch.cuda.manual_seed(seed)
            yield
        finally:
            random.setstate(pythons)
            np.random.set_state(numpys)  # noqa: NPY002
