"""Keys of a recipe's tables: fields of dataclasses, with their defaults and bounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from importlib import import_module
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


def kind(package: str | None, place: str) -> Any:
    """Return a class by its place in a package, ``"module:Class"``."""
    module, _, name = place.partition(":")
    return getattr(import_module(f".{module}", package), name)


def kinds(package: str | None, places: Mapping[str, str]) -> dict[str, Any]:
    """Return classes by the names that a recipe has for them."""
    return {name: kind(package, place) for name, place in places.items()}
