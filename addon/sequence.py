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
    optional, declared = _read_optional(group, path)
    _check_shapes(datasets | optional, DATASETS | declared, f"{path}: surfaces/{name}")
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
        scalars={
            key.removeprefix("scalars/"): curve[:][frames]
            for key, curve in optional.items()
            if key.startswith("scalars/")
        },
        attrs=dict(group.attrs),
        dataset=datasets["loss"],
    )


def _read_optional(group: h5py.Group, path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what a surface has of ``OPTIONAL``, and the declaration of each."""
    found, declared = {}, {}
    for pattern, declaration in OPTIONAL.items():
        part, _, key = pattern.partition("/")
        if group.get(part, getlink=True) is None:
            continue
        present = _inside(group, part, path)
        if not isinstance(present, h5py.Group):
            raise SequenceError(f"{path}: {group.name.strip('/')}/{part}: expected a group.")
        for name in present:
            if key in (name, "<name>"):
                found[f"{part}/{name}"] = _inside(present, name, path)
                declared[f"{part}/{name}"] = declaration
    return found, declared


def _check_shapes(datasets: dict[str, Any], declared: dict[str, Any], where: str) -> None:
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
