"""Arrays out of other tools' files; nothing in a file is ever run: pickles stay closed."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ..errors import UserError
from ..sequence import fits, lies_elsewhere

Arrays = dict[str, Any]

DAMAGE = (OSError, ValueError, EOFError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error)
"""What HDF5, zip and NumPy say of a damaged file."""


def look_into(file: Path) -> tuple[str, list[str]]:
    """Return what holds a file's arrays, "HDF5", "npz" or "npy", and their names."""
    if not file.is_file():
        raise UserError(
            f"{file}: {'a folder: give its files' if file.is_dir() else 'no such file'}."
        )
    with open(file, "rb") as head:
        if head.read(6) == b"\x93NUMPY":
            return "npy", ["array"]
    try:
        if h5py.is_hdf5(file):
            with h5py.File(file, "r", locking=False) as opened:
                return "HDF5", list(opened)
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                names = archive.namelist()
            if all(name.endswith(".npy") for name in names):
                return "npz", [name.removesuffix(".npy") for name in names]
    except DAMAGE:
        raise UserError(f"{file}: damaged.") from None
    raise UserError(f"{file}: not HDF5, .npz or .npy; pickles and .pt files are not opened.")


def load(file: Path, container: str, names: Sequence[str]) -> Arrays:
    """Return the arrays of a file; of HDF5 the datasets at its root that lie in the file itself."""
    try:
        if container == "HDF5":
            with h5py.File(file, "r", locking=False) as opened:
                return {name: opened[name][()] for name in names if _is_own_dataset(opened, name)}
        loaded = np.load(file, allow_pickle=False)
        if container == "npy":
            return {"array": loaded}
        with loaded:
            return {name: loaded[name] for name in loaded.files}
    except DAMAGE as error:
        if "allow_pickle" in str(error):
            raise UserError(
                f"{file}: holds pickled Python objects, which are not opened."
            ) from None
        raise UserError(f"{file}: damaged.") from None


def _is_own_dataset(file: h5py.File, name: str) -> bool:
    return not lies_elsewhere(file, name) and isinstance(file[name], h5py.Dataset)


def take(arrays: Arrays, name: str, *shape: int | str) -> NDArray[np.float64]:
    """Return an array as float64; a name in the shape is any size."""
    if name not in arrays:
        raise UserError(f"{name}: missing.")
    found = np.asarray(arrays[name])
    if not fits(found.shape, shape):
        expected = str(shape).replace("'", "")
        raise UserError(f"{name}: expected shape {expected}, found {found.shape}.")
    if found.dtype.kind not in "fiu":
        raise UserError(f"{name}: expected real numbers, found {found.dtype}.")
    return found.astype(np.float64)


def take_metrics(
    arrays: Arrays, names: dict[str, str], on_grid: Callable[[str], NDArray[np.float64]]
) -> dict[str, NDArray[np.float64]]:
    """Return the metrics that are there; accuracies, percent with all these tools, as fractions."""
    return {
        ours: on_grid(theirs) / (100 if ours.endswith("accuracy") else 1)
        for theirs, ours in names.items()
        if theirs in arrays
    }
