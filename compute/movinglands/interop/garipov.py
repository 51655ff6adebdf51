"""Surfaces of Garipov et al. 2018 (arXiv 1802.10026): dnn-mode-connectivity."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..errors import UserError
from .arrays import Arrays, take, take_metrics
from .surface import ImportedSurface, Kind, Ranges


def read(arrays: Arrays, _: Ranges) -> ImportedSurface:
    """Read a plane.npz of Garipov et al. 2018 (arXiv 1802.10026), indexed [x, y].

    ``alphas`` and ``betas`` are fractions of the axes' lengths; ``grid`` has the coordinates that
    the curve's are in too. The loss is ``tr_nll``: ``tr_loss`` has weight decay's term on top. The
    network is the curve's first end point, the origin of the plane.
    """
    grid = take(arrays, "grid", "points", "points", 2)
    alpha, beta = grid[:, 0, 0], grid[0, :, 1]
    if not np.array_equal(grid, np.stack(np.meshgrid(alpha, beta, indexing="ij"), axis=-1)):
        raise UserError("grid: expected coordinates in rows and columns.")

    def on_grid(name: str) -> NDArray[np.float64]:
        return take(arrays, name, len(alpha), len(beta)).T

    names = {
        "tr_loss": "loss_with_decay",
        "tr_acc": "accuracy",
        "te_nll": "test_loss",
        "te_acc": "test_accuracy",
    }
    paths = {
        ours: take(arrays, theirs, "points", 2)
        for theirs, ours in (("curve_coordinates", "curve"), ("bend_coordinates", "bends"))
        if theirs in arrays
    }
    attrs = {
        "mode": "eval, BatchNorm recomputed at every point",
        "directions": "through the end points and the bend of a curve",
        "normalisation": "orthonormal",
    }
    metrics = take_metrics(arrays, names, on_grid)
    return ImportedSurface(alpha, beta, on_grid("tr_nll"), metrics, paths=paths, attrs=attrs)


KIND = Kind("npz", ("grid", "tr_nll"), "dnn-mode-connectivity (Garipov et al. 2018)", read)
