"""Sequence files are written whole.

A file is always complete or absent under its name: it is written beside itself and then moved
there in one step, also while a computation grows, so a reader never meets half a file or a lock.
"""

from __future__ import annotations

import datetime
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from .. import __version__
from ..files import replacing
from .read import open_sequence
from .schema import DATASETS, FORMAT, VERSION


@dataclass(frozen=True)
class Frame:
    """One frame's surface.

    Attributes
    ----------
    loss : ndarray
        ``(rows, cols)``, float32.
    evaluated : ndarray, optional
        ``(rows, cols)``, uint8, coded as in the file; None says measured everywhere.
    metrics : dict of ndarray
        ``(rows, cols)``, float32, by name.
    """

    loss: NDArray[np.float32]
    evaluated: NDArray[np.uint8] | None = None
    metrics: dict[str, NDArray[np.float32]] = field(default_factory=dict)


@dataclass(frozen=True)
class SurfaceData:
    """One surface, ready to be written: the datasets of ``DATASETS`` and ``OPTIONAL``.

    ``frame(t)`` returns frame t, or None while it is missing, so that a long sequence need not be
    in memory. ``metrics`` names what frames carry besides the loss, before there is any.
    """

    alpha: NDArray[np.float64]
    beta: NDArray[np.float64]
    step: NDArray[np.int64]
    origin: NDArray[np.float64]
    minimizer: NDArray[np.float64]
    frame: Callable[[int], Frame | None]
    metrics: tuple[str, ...] = ()
    scalars: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    paths: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    posterior: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    attrs: dict[str, Any] = field(default_factory=dict)


def write_sequence(path: Path, title: str, recipe: str, surfaces: dict[str, SurfaceData]) -> None:
    """Write a sequence file, atomically.

    Parameters
    ----------
    path : Path
        Replaced in one step when everything is written.
    title : str
        The piece's name.
    recipe : str
        TOML text, resolved.
    surfaces : dict of SurfaceData
        By name: one for each network shown.
    """
    with replacing(path) as partial, h5py.File(partial, "w") as file:
        file.attrs.update(
            format=FORMAT,
            version=VERSION,
            title=title,
            recipe=recipe,
            software=f"Moving Lands {__version__}",
            created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        )
        for name, surface in surfaces.items():
            _write_surface(file.create_group(f"surfaces/{name}"), surface)


def update_recipe(path: Path, title: str, recipe: str) -> None:
    """Give a sequence file another title and recipe, where they differ, atomically.

    For what a recipe says of the pictures: the surfaces stay as they are.
    """
    with open_sequence(path) as file:
        if (file.attrs.get("title"), file.attrs.get("recipe")) == (title, recipe):
            return
    with replacing(path) as partial:
        shutil.copyfile(path, partial)
        with h5py.File(partial, "r+") as file:
            file.attrs.update(title=title, recipe=recipe)


def _write_surface(group: h5py.Group, surface: SurfaceData) -> None:
    group.attrs.update(surface.attrs)
    for name in ("alpha", "beta", "step", "origin", "minimizer"):
        group.create_dataset(name, data=getattr(surface, name), dtype=DATASETS[name].dtype)
    for part in ("scalars", "paths", "posterior"):
        for name, values in getattr(surface, part).items():
            group.create_dataset(f"{part}/{name}", data=values, dtype="f8")
    rows, cols = len(surface.beta), len(surface.alpha)
    settings = {
        "shape": (len(surface.step), rows, cols),
        "chunks": (1, rows, cols),
        "compression": "gzip",
        "compression_opts": 4,
        "shuffle": True,
    }
    loss = group.create_dataset("loss", dtype="f4", fillvalue=np.nan, **settings)
    evaluated = group.create_dataset("evaluated", dtype="u1", fillvalue=0, **settings)
    metrics = {
        name: group.create_dataset(f"metrics/{name}", dtype="f4", fillvalue=np.nan, **settings)
        for name in surface.metrics
    }
    for t in range(len(surface.step)):
        if (frame := surface.frame(t)) is not None:
            loss[t] = frame.loss
            evaluated[t] = 1 if frame.evaluated is None else frame.evaluated
            for name, values in frame.metrics.items():
                metrics[name][t] = values
