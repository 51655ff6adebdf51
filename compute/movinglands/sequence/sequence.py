"""The sequence file: declared once here, written whole, read by ``lands info``.

A file is always complete or absent under its name: it is written beside itself and then moved
there in one step, also while a computation grows, so a reader never meets half a file or a lock.
Format version 1 is described in docs/format.md.
"""

from __future__ import annotations

import datetime
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from .. import __version__
from ..errors import UserError
from ..files import replacing

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


def open_sequence(path: Path) -> h5py.File:
    """Open a sequence file for reading, without locking it, and hold it against what is declared.

    Raises
    ------
    UserError
        Where there is no such file, it is not HDF5, not a sequence of this version, or what a
        surface must have is missing, or what it has is misshapen or not in the file itself.
    """
    if not path.is_file():
        raise UserError(f"{path}: {'a folder' if path.is_dir() else 'no such file'}.")
    try:
        file = h5py.File(path, "r", locking=False)
    except OSError:
        raise UserError(f"{path}: not an HDF5 file, or a damaged one.") from None
    try:
        _check(file)
    except UserError as error:
        file.close()
        raise UserError(f"{path}: {error}") from None
    return file


def _check(file: h5py.File) -> None:
    found = tuple(str(file.attrs.get(key)) for key in ("format", "version"))
    if found != (FORMAT, str(VERSION)):
        raise UserError(
            f"expected format {FORMAT} version {VERSION}, "
            f"found format {found[0]} version {found[1]}."
        )
    surfaces = _inside(file, "surfaces", h5py.Group)
    if not len(surfaces):
        raise UserError("surfaces: expected at least one surface.")
    for name in surfaces:
        _check_surface(_inside(surfaces, name, h5py.Group))


def _check_surface(group: h5py.Group) -> None:
    where = group.name.strip("/")
    loss = _inside(group, "loss", h5py.Dataset)
    if loss.ndim != 3 or not all(loss.shape):
        raise UserError(f"{where}/loss: expected (frames, rows, cols), found {loss.shape}.")
    sizes = dict(zip(("frames", "rows", "cols"), loss.shape, strict=True))
    for name, declared in (DATASETS | _optional(group)).items():
        parent, _, key = name.rpartition("/")
        found = _inside(group[parent] if parent else group, key, h5py.Dataset)
        shapes = _shapes(declared, sizes)
        if not any(fits(found.shape, shape) for shape in shapes):
            expected = " or ".join(str(shape).replace("'", "") for shape in shapes)
            raise UserError(f"{where}/{name}: expected shape {expected}, found {found.shape}.")
        if found.dtype.kind != np.dtype(declared.dtype).kind:
            raise UserError(f"{where}/{name}: expected type {declared.dtype}, found {found.dtype}.")


def _optional(group: h5py.Group) -> dict[str, Dataset]:
    """Return the declarations of what a surface has besides ``DATASETS``."""
    declared: dict[str, Dataset] = {}
    for name, dataset in OPTIONAL.items():
        parent, _, key = name.partition("/")
        if group.get(parent, getlink=True) is not None:
            present = _inside(group, parent, h5py.Group)
            declared |= {f"{parent}/{n}": dataset for n in present if key in (n, "<name>")}
    return declared


def _shapes(declared: Dataset, sizes: dict[str, int]) -> list[tuple[str | int, ...]]:
    """Return the shapes a dataset may have: numbers where they are settled, names where not."""
    whole = tuple(sizes.get(str(d).strip("[]"), d) for d in declared.shape)
    return [whole[1:], whole] if str(declared.shape[0]).startswith("[") else [whole]


def fits(found: tuple[int, ...] | None, shape: tuple[str | int, ...]) -> bool:
    """Return whether a shape is the expected one, where a name is any size but zero."""
    return len(found or ()) == len(shape) and all(
        size > 0 if isinstance(expected, str) else size == expected
        for size, expected in zip(found or (), shape, strict=True)
    )


def _inside(group: h5py.Group, name: str, kind: type) -> Any:
    """Return what a group itself holds under a name: never what lies elsewhere."""
    where = f"{group.name}/{name}".strip("/")
    link = group.get(name, getlink=True)
    if link is None:
        raise UserError(f"{where}: missing.")
    if not isinstance(link, h5py.HardLink):
        raise UserError(f"{where}: expected data in this file, found a link.")
    found = group[name]
    if not isinstance(found, kind):
        raise UserError(f"{where}: expected a {kind.__name__.lower()}.")
    if isinstance(found, h5py.Dataset) and (found.external or found.is_virtual):
        raise UserError(f"{where}: expected data in this file, found data in another.")
    return found


def complete_frames(surface: h5py.Group) -> NDArray[np.bool_]:
    """Return which frames of a surface have all their losses."""
    return np.array([bool(frame.all()) for frame in surface["evaluated"]])


def finished_frames(surface: h5py.Group) -> NDArray[np.bool_]:
    """Return which frames of a surface are as they will stay: complete, or of diverged weights."""
    return complete_frames(surface) | np.isin(surface["step"], surface.attrs.get("diverged", ()))


def describe(path: Path) -> dict[str, Any]:
    """Summarise a sequence file: what is in it, how far it is, how it was made.

    Returns
    -------
    dict
        Plain values only, ready for JSON: title, software, created, and for each surface its
        frames, rows, cols, complete frames, steps, loss range, what else it has, attributes.

    Raises
    ------
    UserError
        As ``open_sequence``.
    """
    with open_sequence(path) as file:
        head = {key: str(file.attrs.get(key, "")) for key in ("title", "software", "created")}
        surfaces = {name: _describe(group) for name, group in file["surfaces"].items()}
    return {"file": str(path), "version": VERSION, **head, "surfaces": surfaces}


def _describe(group: h5py.Group) -> dict[str, Any]:
    loss, evaluated = group["loss"], group["evaluated"]
    low, high = np.inf, -np.inf
    for values, state in zip(loss, evaluated, strict=True):
        known = values[(state > 0) & np.isfinite(values)]
        if known.size:
            low, high = min(low, float(known.min())), max(high, float(known.max()))
    return {
        "frames": len(loss),
        "complete": int(complete_frames(group).sum()),
        "rows": loss.shape[1],
        "cols": loss.shape[2],
        "steps": [int(group["step"][t]) for t in (0, -1)],
        "loss": [low, high] if low <= high else None,
        "minimizer_loss": [float(group["minimizer"][t, 2]) for t in (0, -1)],
        **{
            part: ", ".join(group[part])
            for part in ("metrics", "scalars", "paths", "posterior")
            if part in group
        },
        **{key: _plain(value) for key, value in group.attrs.items()},
    }


def _plain(value: Any) -> str | int | float:
    """Return an attribute as JSON has it; what is not one number or text, as text."""
    value = value.item() if isinstance(value, np.generic) else value
    return value if isinstance(value, str | int | float) else str(value)
