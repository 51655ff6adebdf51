"""Keys of a recipe's tables: fields of dataclasses, with their defaults and bounds."""

from __future__ import annotations

from dataclasses import field
from typing import Any


def one_of(default: str, *others: str) -> Any:
    """Return a field for one of some words."""
    return field(default=default, metadata={"choices": (default, *others)})


def number(default: float | None, low: float, high: float) -> Any:
    """Return a field for a number within bounds; a whole one where the default is whole."""
    return field(default=default, metadata={"low": low, "high": high})


def seed() -> Any:
    """Return a field for a seed."""
    return number(0, 0, 2**32 - 1)
