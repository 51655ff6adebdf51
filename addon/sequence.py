"""Sequence files, read: opened, checked and sliced.

No bpy here. A file is checked whole before anything is taken from it, and every fault is one
sentence that names the file, the dataset and what was expected. The format is described in
docs/format.md.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

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
"""Type and dimensions of what every surface has."""


class SequenceError(ValueError):
    """A file that cannot be used, said in one sentence."""


@dataclass(frozen=True)
class Surface:
    """One network's surfaces. Only the losses stay in the file.

    Attributes
    ----------
    alpha, beta : ndarray
        ``(cols,)`` and ``(rows,)``: coordinates from the window's centre.
    frames : ndarray of int
        The frames of the file that are complete; everything below is of these.
    step, origin, minimizer : ndarray
        ``(n,)``, ``(n, 2)``, ``(n, 3)``.
    scalars : dict of ndarray
        ``(n,)`` each.
    attrs : dict
        How it was made.
    """

    name: str
    alpha: NDArray[np.float64]
    beta: NDArray[np.float64]
    frames: NDArray[np.int64]
    step: NDArray[np.int64]
    origin: NDArray[np.float64]
    minimizer: NDArray[np.float64]
    scalars: dict[str, NDArray[np.float64]]
    attrs: dict[str, Any]
    dataset: h5py.Dataset

    def loss(self, index: int) -> NDArray[np.float32]:
        """Return the losses ``(rows, cols)`` of the index-th complete frame."""
        try:
            return self.dataset[self.frames[index]]
        except OSError:
            file, name = self.dataset.file.filename, self.dataset.name.strip("/")
            raise SequenceError(f"{file}: {name}: damaged at frame {index}.") from None

    def points(self) -> int:
        """Return the number of points of one frame."""
        return len(self.alpha) * len(self.beta)


@dataclass(frozen=True)
class Sequence:
    """An open sequence file."""

    path: Path
    title: str
    recipe: dict[str, Any]
    surfaces: dict[str, Surface]


@contextmanager
def open_sequence(path: str | Path) -> Iterator[Sequence]:
    """Open a sequence file, without locking it, and check it.

    Raises
    ------
    SequenceError
        No such file, not HDF5, another format or version, a missing or misshapen dataset,
        coordinates that do not increase, a link to another file, no complete frame.
    """
    path = Path(path)
    if not path.is_file():
        raise SequenceError(f"{path}: no such file.")
    try:
        file = h5py.File(path, "r", locking=False)
    except OSError:
        raise SequenceError(f"{path}: not an HDF5 file, or a damaged one.") from None
    with file:
        yield _read(file, path)


def _read(file: h5py.File, path: Path) -> Sequence:
    found = tuple(str(file.attrs.get(key)) for key in ("format", "version"))
    if found != (FORMAT, str(VERSION)):
        raise SequenceError(
            f"{path}: expected format {FORMAT} version {VERSION}, "
            f"found format {found[0]} version {found[1]}."
        )
    try:
        recipe = tomllib.loads(str(file.attrs.get("recipe", "")))
    except tomllib.TOMLDecodeError as error:
        raise SequenceError(f"{path}: attribute recipe: not TOML: {error}.") from None
    groups = _inside(file, "surfaces", path)
    if not isinstance(groups, h5py.Group) or not len(groups):
        raise SequenceError(f"{path}: surfaces: expected a group with at least one surface.")
    surfaces = {name: _read_surface(groups, name, path) for name in groups}
    return Sequence(path, str(file.attrs.get("title", path.stem)), recipe, surfaces)


def _inside(group: h5py.Group, name: str, path: Path) -> Any:
    """Return what a group itself holds under a name, never what lies elsewhere."""
    where = f"{path}: {group.name.strip('/')}/{name}".replace(": /", ": ")
    if name not in group:
        raise SequenceError(f"{where}: missing.")
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise SequenceError(f"{where}: expected data in this file, found a link.")
    found = group[name]
    if isinstance(found, h5py.Dataset) and (found.external or found.is_virtual):
        raise SequenceError(f"{where}: expected data in this file, found data in another.")
    return found


def _read_surface(groups: h5py.Group, name: str, path: Path) -> Surface:
    group = _inside(groups, name, path)
    if not isinstance(group, h5py.Group):
        raise SequenceError(f"{path}: surfaces/{name}: expected a group.")
    datasets = {key: _inside(group, key, path) for key in DATASETS}
    curves = _inside(group, "scalars", path) if "scalars" in group else {}
    if isinstance(curves, h5py.Dataset):
        raise SequenceError(f"{path}: surfaces/{name}/scalars: expected a group.")
    scalars = {key: _inside(curves, key, path) for key in curves}
    _check_shapes(datasets, scalars, f"{path}: surfaces/{name}")
    for key in ("alpha", "beta"):
        values = datasets[key][:]
        if len(values) < 2 or not np.all(np.isfinite(values)) or not np.all(np.diff(values) > 0):
            raise SequenceError(
                f"{path}: surfaces/{name}/{key}: expected two or more increasing numbers."
            )
    evaluated = datasets["evaluated"]
    frames = np.array([t for t in range(len(evaluated)) if evaluated[t].all()], dtype=np.int64)
    if not len(frames):
        raise SequenceError(f"{path}: surfaces/{name}/evaluated: no frame is complete yet.")
    for key, values in (("origin", datasets["origin"]), ("minimizer", datasets["minimizer"])):
        if not np.all(np.isfinite(values[:, :2])):  # a minimizer's loss may be anything
            raise SequenceError(f"{path}: surfaces/{name}/{key}: expected finite coordinates.")
    return Surface(
        name=name,
        alpha=datasets["alpha"][:],
        beta=datasets["beta"][:],
        frames=frames,
        step=datasets["step"][:][frames],
        origin=datasets["origin"][:][frames],
        minimizer=datasets["minimizer"][:][frames],
        scalars={key: curve[:][frames] for key, curve in scalars.items()},
        attrs=dict(group.attrs),
        dataset=datasets["loss"],
    )


def _check_shapes(datasets: dict[str, Any], scalars: dict[str, Any], where: str) -> None:
    """Hold every dataset against its declaration; ``loss`` settles what the dimensions are."""
    loss = datasets["loss"]
    if not isinstance(loss, h5py.Dataset) or loss.ndim != 3:
        raise SequenceError(f"{where}/loss: expected (frames, rows, cols) numbers.")
    sizes = dict(zip(("frames", "rows", "cols"), loss.shape, strict=True))
    declared = DATASETS | {f"scalars/{key}": ("f8", ("frames",)) for key in scalars}
    found_under = datasets | {f"scalars/{key}": curve for key, curve in scalars.items()}
    for key, (dtype, dimensions) in declared.items():
        expected = tuple(sizes[d] if isinstance(d, str) else d for d in dimensions)
        found = found_under[key]
        if not isinstance(found, h5py.Dataset) or found.shape != expected:
            shape = getattr(found, "shape", "a group")
            raise SequenceError(f"{where}/{key}: expected shape {expected}, found {shape}.")
        if found.dtype.kind != np.dtype(dtype).kind:
            raise SequenceError(f"{where}/{key}: expected type {dtype}, found {found.dtype}.")
