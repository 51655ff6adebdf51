"""What benchmarks have in common: taking turns on the clock, and a line of the table."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import NamedTuple

import torch

THREADS = torch.get_num_threads()
"""All cores, for everybody; OMP_NUM_THREADS says otherwise."""


class Row(NamedTuple):
    """A figure: its key in bench.json, what is ours, and what it is held against."""

    key: str
    value: float | None  # None: it could not be measured, and ``ours`` says why
    ours: str = ""
    beside: str = ""


def by_turns(turns: dict[str, Callable[[], object]], rounds: int = 5) -> dict[str, float]:
    """Return the median seconds of each, taken in turns.

    So whatever else this machine does meets all of them alike. The first round warms up and does
    not count.
    """
    times: dict[str, list[float]] = {name: [] for name in turns}
    for counts in [False] + [True] * rounds:
        for name, turn in turns.items():
            torch.set_num_threads(THREADS)  # another's workers may have changed MKL's
            start = time.perf_counter()
            turn()
            if counts:
                times[name].append(time.perf_counter() - start)
    return {name: median(taken) for name, taken in times.items()}
