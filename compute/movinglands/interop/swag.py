"""Surfaces of Maddox et al. 2019 (arXiv 1902.02476): swa_gaussian."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .arrays import Arrays, take, take_metrics
from .surface import ImportedSurface, Kind, Ranges


def read(arrays: Arrays, _: Ranges) -> ImportedSurface:
    """Read a plane.npz of SWAG (Maddox et al. 2019, arXiv 1902.02476), indexed [x, y].

    The network is the mean of the snapshots, the origin of the plane and of their Gaussian.
    """
    alpha, beta = take(arrays, "xs", "points"), take(arrays, "ys", "points")

    def on_grid(name: str) -> NDArray[np.float64]:
        return take(arrays, name, len(alpha), len(beta)).T

    names = {"train_acc": "accuracy", "test_loss": "test_loss", "test_acc": "test_accuracy"}
    paths = {}
    if "trajectory_projection" in arrays:
        paths["trajectory"] = take(arrays, "trajectory_projection", 2, "snapshots").T
    attrs = {
        "mode": "eval, BatchNorm recomputed at every point",
        "directions": "principal components of a training",
        "normalisation": "orthonormal",
    }
    return ImportedSurface(
        alpha,
        beta,
        on_grid("train_loss"),
        take_metrics(arrays, names, on_grid),
        paths=paths,
        covariance=take(arrays, "E_cov", 2, 2) if "E_cov" in arrays else None,
        attrs=attrs,
    )


KIND = Kind("npz", ("xs", "ys", "train_loss"), "swa_gaussian (Maddox et al. 2019)", read)
