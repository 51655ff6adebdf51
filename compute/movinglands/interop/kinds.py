"""The kinds of files that are known: each is a file of this folder and a line here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import UserError
from . import bare, garipov, landscaper, li, loss_landscapes, swag
from .arrays import load, look_into
from .surface import ImportedSurface, Ranges

KINDS = {
    "li": li.KIND,
    "garipov": garipov.KIND,
    "swag": swag.KIND,
    "landscaper": landscaper.KIND,
    "loss-landscapes": loss_landscapes.KIND,
    "array": bare.KIND,
}
"""By the name that ``--kind`` knows them under."""


def recognise(file: Path) -> str:
    """Return the kind of a file by its arrays' names."""
    container, names = look_into(file)
    if container == "npy":
        raise UserError(
            f"{file}: a bare array does not say what wrote it: give --kind loss-landscapes, "
            "or --kind array for rows beta and columns alpha."
        )
    if "proj_xcoord" in names:
        raise UserError(f"{file}: a projected training: give its surface, and this --trajectory.")
    found = [
        name
        for name, kind in KINDS.items()
        if kind.container == container and set(kind.marks) <= set(names)
    ]
    if not found:
        raise UserError(f"{file}: not a surface of a known kind: {', '.join(KINDS)}.")
    if len(found) > 1:
        raise UserError(f"{file}: may be {' or '.join(found)}: say which with --kind.")
    return found[0]


def read(file: Path, kind: str, ranges: Ranges) -> ImportedSurface:
    """Return the surface in a file of a kind, its coordinates increasing."""
    container, names = look_into(file)
    expected = KINDS[kind].container
    if container != expected:
        raise UserError(f"{file}: expected {expected} for --kind {kind}, found {container}.")
    arrays = load(file, container, names)
    try:
        return _ordered(KINDS[kind].read(arrays, ranges))
    except UserError as error:
        raise UserError(f"{file}: {error}") from None


def ranges_of(coordinates: Ranges, kind: str) -> Ranges:
    """Return one range for each axis of a bare array, none for the kinds that have their own."""
    if KINDS[kind].container != "npy":
        if coordinates:
            raise UserError(f"--coordinates: files of --kind {kind} have their own.")
        return ()
    if not 1 <= len(coordinates) <= 2:
        raise UserError(
            f"--kind {kind}: a bare array has no coordinates: give --coordinates LOW HIGH, "
            "once for both axes or once for alpha and once for beta."
        )
    for low, high in coordinates:
        if not -np.inf < low < high < np.inf:
            raise UserError(f"--coordinates {low:g} {high:g}: expected LOW below HIGH.")
    return coordinates[0], coordinates[-1]


def _ordered(plane: ImportedSurface) -> ImportedSurface:
    """Return a surface with increasing coordinates; refuse one that cannot have them."""
    for name, axis in (("alpha", plane.alpha), ("beta", plane.beta)):
        if len(axis) < 2 or not np.isfinite(axis).all() or len(np.unique(axis)) < len(axis):
            raise UserError(f"{name}: expected two or more different finite coordinates.")
    if not np.isfinite(plane.loss).any():
        raise UserError("expected at least one finite loss.")
    columns, rows = np.argsort(plane.alpha), np.argsort(plane.beta)

    def turned(values: NDArray[Any]) -> NDArray[Any]:
        return values[np.ix_(rows, columns)]

    return replace(
        plane,
        alpha=plane.alpha[columns],
        beta=plane.beta[rows],
        loss=turned(plane.loss),
        metrics={name: turned(values) for name, values in plane.metrics.items()},
        missing=None if plane.missing is None else turned(plane.missing),
    )
