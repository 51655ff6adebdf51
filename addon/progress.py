"""A line on the terminal that counts, with an estimate of what is left."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Counter:
    """Counts up to a total on one line of stderr.

    Parameters
    ----------
    label : str
        What is being done.
    total, done : int
        How many there are, and how many were done before.
    """

    def __init__(self, label: str, total: int, done: int = 0) -> None:
        self.label, self.total, self.done = label, total, done
        self.before, self.start, self.shown = done, time.monotonic(), -1.0

    def step(self) -> None:
        """Count one more."""
        self.done += 1
        now = time.monotonic()
        if self.done < self.total and now - self.shown < 0.2:
            return
        self.shown = now
        each = (now - self.start) / (self.done - self.before)
        left = each * (self.total - self.done)
        end = "\n" if self.done == self.total else ""
        line = f"{self.label:>9}: {self.done}/{self.total}, {each:.2f} s each"
        print(f"\r{line}, {_clock(left)} left   ", end=end, file=sys.stderr, flush=True)


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


@contextmanager
def quiet() -> Iterator[None]:
    """Silence what Blender prints on stdout, from C as well."""
    sys.stdout.flush()
    kept = os.dup(1)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
