"""The directions that a recipe can name: each is a file of this folder and a line here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..keys import kind

if TYPE_CHECKING:  # torch is imported when a plane is laid: a recipe is read without it
    from torch import Tensor

    from .plane import Plane

DIRECTIONS = {
    "random": "random:RandomDirections",
    "trajectory": "pca:TrajectoryDirections",
    "hessian": "hessian:HessianDirections",
    "file": "file:DirectionsOfFile",
}
"""Modules of this folder, and the class in each that is derived from ``Directions``."""


@dataclass(frozen=True)
class Course:
    """A training, for a plane to be laid through it.

    Attributes
    ----------
    weights : callable
        From a snapshot's number to its weights.
    count : int
        How many snapshots there are.
    terms : callable
        From weights to the loss there, as terms that add up to it.
    seed : int
        Of what is drawn.
    normalisation, one_dimensional : str
        As in ``normalise``.
    """

    weights: Callable[[int], dict[str, Tensor]]
    count: int
    terms: Callable[[dict[str, Tensor]], Iterator[Tensor]]
    seed: int
    normalisation: str
    one_dimensional: str

    @property
    def final(self) -> dict[str, Tensor]:
        """The weights of the last snapshot."""
        return self.weights(self.count - 1)


@dataclass(frozen=True)
class Directions:
    """Two directions; what is derived from it may have fields, which are keys of the recipe."""

    def plane(self, course: Course) -> Plane:
        """Return the plane that they span through the final weights."""
        raise NotImplementedError


def directions_class(name: str) -> type[Directions]:
    """Return the dataclass of directions by their name."""
    return kind(__package__, DIRECTIONS[name])


def directions_of(value: str | dict[str, Any]) -> Directions:
    """Return directions by their name, or by a table of it and their keys.

    Raises
    ------
    ValueError
        Where a key is missing.
    """
    keys = {"name": value} if isinstance(value, str) else dict(value)
    return directions_class(keys.pop("name"))(**keys)
