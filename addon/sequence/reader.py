"""Sequence files: opened, and checked.

A file is checked whole before anything is taken from it, and every fault is one sentence that names
the file, the dataset and what was expected. Losses stay in the file until they are asked for.
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

from .format import DATASETS, FORMAT, OPTIONAL, VERSION, SequenceError, check_shapes
from .surface import Surface


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
    check_shapes(datasets | optional, DATASETS | declared, f"{path}: surfaces/{name}")
    for key in ("alpha", "beta"):
        values = datasets[key][:]
        if len(values) < 2 or not np.all(np.isfinite(values)) or not np.all(np.diff(values) > 0):
            raise SequenceError(
                f"{path}: surfaces/{name}/{key}: expected two or more increasing numbers."
            )
    frames = _complete(datasets["evaluated"], f"{path}: surfaces/{name}/evaluated")
    for key, values in (("origin", datasets["origin"]), ("minimizer", datasets["minimizer"])):
        if not np.all(np.isfinite(values[:, :2])):  # a minimizer's loss may be anything
            raise SequenceError(f"{path}: surfaces/{name}/{key}: expected finite coordinates.")
    paths, posterior = _members(optional, "paths"), _members(optional, "posterior")
    _check_posterior(posterior, f"{path}: surfaces/{name}/posterior")
    return Surface(
        name=name,
        alpha=datasets["alpha"][:],
        beta=datasets["beta"][:],
        frames=frames,
        step=datasets["step"][:][frames],
        origin=datasets["origin"][:][frames],
        minimizer=datasets["minimizer"][:][frames],
        scalars={key: curve[frames] for key, curve in _members(optional, "scalars").items()},
        paths={key: line[frames] if line.ndim == 3 else line for key, line in paths.items()},
        posterior=posterior,
        attrs=dict(group.attrs),
        dataset=datasets["loss"],
    )


def _complete(evaluated: h5py.Dataset, where: str) -> NDArray[np.int64]:
    """Return the frames none of whose points is missing.

    A frame whose bytes in the file are those of the frame before has the same codes, and is not
    unpacked again: most frames of a large sequence were measured everywhere.
    """
    whole = evaluated.chunks == (1, *evaluated.shape[1:])
    before, complete, found = None, False, []
    for t in range(len(evaluated)):
        stored = _stored(evaluated, t) if whole else None
        if stored is None or stored != before:
            try:
                complete = bool(evaluated[t].all())
            except OSError:
                raise SequenceError(f"{where}: damaged at frame {t}.") from None
        before = stored
        if complete:
            found.append(t)
    if not found:
        raise SequenceError(f"{where}: no frame is complete yet.")
    return np.array(found, dtype=np.int64)


def _stored(dataset: h5py.Dataset, frame: int) -> tuple[int, bytes] | None:
    """Return a chunk's filters and bytes as they are in the file, None where it has none."""
    try:
        return dataset.id.read_direct_chunk((frame, 0, 0))
    except (OSError, RuntimeError):
        return None


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


def _members(optional: dict[str, Any], part: str) -> dict[str, Any]:
    """Return what a part such as "scalars" holds, by name, read."""
    return {
        key.removeprefix(f"{part}/"): dataset[:]
        for key, dataset in optional.items()
        if key.startswith(f"{part}/")
    }


def _check_posterior(posterior: dict[str, Any], where: str) -> None:
    """Refuse a Gaussian that is none."""
    if not np.all(np.isfinite(posterior.get("mean", 0.0))):
        raise SequenceError(f"{where}/mean: expected finite coordinates.")
    spread = posterior.get("covariance", np.eye(2))
    symmetric = np.all(np.isfinite(spread)) and np.allclose(spread, spread.T)
    if not symmetric or np.linalg.eigvalsh(spread)[0] < -1e-9 * np.abs(spread).max():
        raise SequenceError(
            f"{where}/covariance: expected a symmetric matrix without negative eigenvalues."
        )
