"""The sequence file: declared once here, written whole, read by ``lands info``.

A file is always complete or absent under its name: it is written beside itself and then moved
there in one step, also while a computation grows, so a reader never meets half a file or a lock.
Format version 1 is described in docs/format.md.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from . import __version__
from .errors import UserError

FORMAT = "moving-lands"
VERSION = 1


class Dataset(NamedTuple):
    """One dataset of a surface: its type, its dimensions by name, what it holds."""

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
"""What every surface has. ``scalars/<name>``, f8 (frames), come beside them."""


@dataclass(frozen=True)
class SurfaceData:
    """One surface, ready to be written.

    ``frame(t)`` returns the losses ``(rows, cols)`` of frame t, or None while they are missing,
    so that a long sequence need not be in memory.
    """

    alpha: NDArray[np.float64]
    beta: NDArray[np.float64]
    step: NDArray[np.int64]
    origin: NDArray[np.float64]
    minimizer: NDArray[np.float64]
    frame: Callable[[int], NDArray[np.float32] | None]
    scalars: dict[str, NDArray[np.float64]] = field(default_factory=dict)
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
    partial = path.with_name(path.name + ".writing")
    with h5py.File(partial, "w") as file:
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
    with open(partial, "rb") as written:
        os.fsync(written.fileno())
    os.replace(partial, path)


def _write_surface(group: h5py.Group, surface: SurfaceData) -> None:
    group.attrs.update(surface.attrs)
    for name in ("alpha", "beta", "step", "origin", "minimizer"):
        group.create_dataset(name, data=getattr(surface, name), dtype=DATASETS[name].dtype)
    for name, values in surface.scalars.items():
        group.create_dataset(f"scalars/{name}", data=values, dtype="f8")
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
    for t in range(len(surface.step)):
        if (values := surface.frame(t)) is not None:
            loss[t] = values
            evaluated[t] = 1


def read_header(path: Path) -> dict[str, Any]:
    """Return the attributes of a sequence file.

    Raises
    ------
    UserError
        Where there is no such file, it is not HDF5, or not a sequence of this version.
    """
    with open_sequence(path) as file:
        return dict(file.attrs)


def open_sequence(path: Path) -> h5py.File:
    """Open a sequence file for reading, without locking it.

    Raises
    ------
    UserError
        As ``read_header``.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file.")
    try:
        file = h5py.File(path, "r", locking=False)
    except OSError:
        raise UserError(f"{path}: not an HDF5 file, or a damaged one.") from None
    found = file.attrs.get("format"), file.attrs.get("version")
    if found != (FORMAT, VERSION):
        file.close()
        raise UserError(
            f"{path}: expected format {FORMAT!r} version {VERSION}, "
            f"found format {found[0]!r} version {found[1]!r}."
        )
    return file


def describe(path: Path) -> dict[str, Any]:
    """Summarise a sequence file: what is in it, how far it is, how it was made.

    Returns
    -------
    dict
        Plain values only, ready for JSON: title, software, created, and for each surface its
        frames, rows, cols, complete frames, steps, loss range and attributes.
    """
    with open_sequence(path) as file:
        head = {key: str(file.attrs.get(key, "")) for key in ("title", "software", "created")}
        try:
            surfaces = {name: _describe(group) for name, group in file["surfaces"].items()}
        except KeyError as error:
            raise UserError(f"{path}: {error.args[0]}") from None
    return {"file": str(path), "version": VERSION, **head, "surfaces": surfaces}


def _describe(group: h5py.Group) -> dict[str, Any]:
    loss, evaluated = group["loss"], group["evaluated"]
    low, high, complete = np.inf, -np.inf, 0
    for t in range(len(loss)):
        known = evaluated[t] > 0
        complete += bool(known.all())
        values = loss[t][known]
        values = values[np.isfinite(values)]
        if values.size:
            low, high = min(low, float(values.min())), max(high, float(values.max()))
    return {
        "frames": len(loss),
        "complete": complete,
        "rows": loss.shape[1],
        "cols": loss.shape[2],
        "steps": [int(group["step"][0]), int(group["step"][-1])],
        "loss": [low, high] if low <= high else None,
        "minimizer_loss": [float(group["minimizer"][0, 2]), float(group["minimizer"][-1, 2])],
        **{
            key: value.item() if hasattr(value, "item") else value
            for key, value in group.attrs.items()
        },
    }
