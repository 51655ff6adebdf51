"""What a sequence file holds, declared once: format version 1, described in docs/format.md."""

from __future__ import annotations

from typing import NamedTuple

FORMAT = "moving-lands"

VERSION = 1


class Dataset(NamedTuple):
    """One dataset of a surface: its type, its dimensions by name, what it holds.

    ``loss`` settles frames, rows and cols. Any other name stands for one or more; a dimension in
    brackets may be left out.
    """

    dtype: str
    shape: tuple[str | int, ...]
    meaning: str


DATASETS = {
    "alpha": Dataset("f8", ("cols",), "coordinates of the columns, from the window's centre"),
    "beta": Dataset("f8", ("rows",), "coordinates of the rows, from the window's centre"),
    "loss": Dataset("f4", ("frames", "rows", "cols"), "the loss itself, never transformed"),
    "evaluated": Dataset("u1", ("frames", "rows", "cols"), "0 missing, 1 measured, 2 interpolated"),
    "step": Dataset("i8", ("frames",), "optimizer step of each frame"),
    "origin": Dataset("f8", ("frames", 2), "where the window's centre lies in the plane"),
    "minimizer": Dataset(
        "f8", ("frames", 3), "alpha and beta of the current weights in the plane, their true loss"
    ),
}
"""What every surface has."""

OPTIONAL = {
    "metrics/<name>": Dataset(
        "f4", ("frames", "rows", "cols"), "accuracy or another quantity, NaN where missing"
    ),
    "scalars/<name>": Dataset("f8", ("frames",), "a curve over the training"),
    "paths/<name>": Dataset(
        "f8", ("[frames]", "points", 3), "alpha, beta and loss along a line, NaN where unknown"
    ),
    "posterior/mean": Dataset("f8", (2,), "alpha and beta of a Gaussian's mean"),
    "posterior/covariance": Dataset("f8", (2, 2), "its covariance in the plane"),
    "posterior/samples": Dataset("f8", ("samples", 3), "alpha, beta and loss of draws from it"),
}
"""What a surface may have besides; ``<name>`` is any."""


def fits(found: tuple[int, ...] | None, shape: tuple[str | int, ...]) -> bool:
    """Return whether a shape is the expected one, where a name is any size but zero."""
    return len(found or ()) == len(shape) and all(
        size > 0 if isinstance(expected, str) else size == expected
        for size, expected in zip(found or (), shape, strict=True)
    )
