"""Surfaces and trajectories of Li et al. 2018 (arXiv 1712.09913): loss-landscape."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import UserError
from .arrays import Arrays, load, look_into, take, take_metrics
from .surface import ImportedSurface, Kind, Ranges


def read(arrays: Arrays, _: Ranges) -> ImportedSurface:
    """Read a surface of Li et al. 2018 (arXiv 1712.09913), at whatever stage it is.

    Arrays are declared (x, y) and filled in the order of a mesh grid, x fastest. -1 stands for what
    is not computed; of the eigenvalues, the largest one's.
    """
    if "ycoordinates" not in arrays:
        raise UserError("a line, not a surface: it has no ycoordinates.")
    alpha, beta = (take(arrays, f"{axis}coordinates", "points") for axis in "xy")

    def on_grid(name: str) -> NDArray[np.float64]:
        values = take(arrays, name, len(alpha), len(beta))
        return np.where(values == -1, np.nan, values).reshape(len(beta), len(alpha))

    names = {
        "train_acc": "accuracy",
        "test_loss": "test_loss",
        "test_acc": "test_accuracy",
        "min_eig": "smallest_eigenvalue",
        "max_eig": "largest_eigenvalue",
    }
    metrics = take_metrics(arrays, names, on_grid)
    if {"min_eig", "max_eig"} <= arrays.keys():
        metrics["smallest_eigenvalue"][np.isnan(metrics["largest_eigenvalue"])] = np.nan
    loss = on_grid("train_loss")
    attrs = {"mode": "eval"}
    if isinstance(directions := arrays.get("dir_file"), bytes):  # the settings are in its name
        attrs["directions"] = Path(directions.decode(errors="replace")).name
    missing = arrays["train_loss"].reshape(loss.shape) == -1
    return ImportedSurface(alpha, beta, loss, metrics, missing, attrs=attrs)


def read_trajectory(file: Path) -> NDArray[np.float64]:
    """Return the points ``(checkpoints, 2)`` of Li et al.'s projection of a training."""
    container, names = look_into(file)
    if container != "HDF5":
        raise UserError(f"{file}: expected HDF5 for --trajectory, found {container}.")
    arrays = load(file, container, names)
    try:
        x = take(arrays, "proj_xcoord", "checkpoints")
        return np.column_stack([x, take(arrays, "proj_ycoord", len(x))])
    except UserError as error:
        raise UserError(f"{file}: {error}") from None


KIND = Kind("HDF5", ("xcoordinates",), "loss-landscape (Li et al. 2018)", read)
