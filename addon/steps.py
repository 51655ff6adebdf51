"""Work in steps: generators that yield their progress from 0 to 1, and return what they made."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, TypeVar

T = TypeVar("T")


def within(
    begin: float,
    end: float,
    steps: Generator[Any, None, T],
    progress: Callable[[Any], float] = float,
) -> Generator[float, None, T]:
    """Take steps whose progress is a part of a larger one's.

    Parameters
    ----------
    begin, end : float
        Progress of the larger work as these steps begin and end.
    steps : generator
        It is closed with this one.
    progress : callable
        From what the steps yield to their progress, 0 to 1.
    """
    try:
        while True:
            yield begin + (end - begin) * progress(next(steps))
    except StopIteration as done:
        return done.value
    finally:
        steps.close()


def drained(steps: Generator[Any, None, T]) -> T:
    """Take all steps at once, and return what they return."""
    while True:
        try:
            next(steps)
        except StopIteration as done:
            return done.value
