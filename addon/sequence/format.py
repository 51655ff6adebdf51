"""The format of a sequence file, declared once; docs/format.md describes it."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np

FORMAT = "moving-lands"
VERSION = 1

DATASETS: dict[str, tuple[str, tuple[str | int, ...]]] = {
    "alpha": ("f8", ("cols",)),
    "beta": ("f8", ("rows",)),
    "loss": ("f4", ("frames", "rows", "cols")),
    "evaluated": ("u1", ("frames", "rows", "cols")),
    "step": ("i8", ("frames",)),
    "origin": ("f8", ("frames", 2)),
    "minimizer": ("f8", ("frames", 3)),
}
"""Type and dimensions of what every surface has; ``loss`` settles frames, rows and cols."""

OPTIONAL: dict[str, tuple[str, tuple[str | int, ...]]] = {
    "metrics/<name>": ("f4", ("frames", "rows", "cols")),
    "scalars/<name>": ("f8", ("frames",)),
    "paths/<name>": ("f8", ("[frames]", "points", 3)),
    "posterior/mean": ("f8", (2,)),
    "posterior/covariance": ("f8", (2, 2)),
    "posterior/samples": ("f8", ("samples", 3)),
}
"""What it may have besides; a dimension in brackets may be left out, names stand for any size."""


class SequenceError(ValueError):
    """A file that cannot be used, said in one sentence."""


def check_shapes(datasets: dict[str, Any], declared: dict[str, Any], where: str) -> None:
    """Hold every dataset against its declaration."""
    loss = datasets["loss"]
    if not isinstance(loss, h5py.Dataset) or loss.ndim != 3:
        raise SequenceError(f"{where}/loss: expected (frames, rows, cols) numbers.")
    sizes = dict(zip(("frames", "rows", "cols"), loss.shape, strict=True))
    for key, (dtype, dimensions) in declared.items():
        found = datasets[key]
        shape: Any = getattr(found, "shape", "a group")
        expected = tuple(sizes.get(str(d).strip("[]"), d) for d in dimensions)
        shapes = [expected[1:], expected] if str(dimensions[0]).startswith("[") else [expected]
        if not isinstance(found, h5py.Dataset) or not any(_fits(shape, e) for e in shapes):
            wanted = " or ".join(str(e).replace("'", "") for e in shapes)
            raise SequenceError(f"{where}/{key}: expected shape {wanted}, found {shape}.")
        if found.dtype.kind != np.dtype(dtype).kind:
            raise SequenceError(f"{where}/{key}: expected type {dtype}, found {found.dtype}.")


def _fits(shape: tuple[int, ...] | None, expected: tuple[str | int, ...]) -> bool:
    """Return whether a shape is the expected one, where a name is any size but zero."""
    return len(shape or ()) == len(expected) and all(
        size > 0 if isinstance(wanted, str) else size == wanted
        for size, wanted in zip(shape or (), expected, strict=True)
    )
