"""Sequence files are opened without a lock, and held against what is declared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ..errors import UserError
from .schema import DATASETS, FORMAT, OPTIONAL, VERSION, Dataset, fits


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


def _inside(group: h5py.Group, name: str, kind: type) -> Any:
    """Return what a group itself holds under a name: never what lies elsewhere."""
    where = f"{group.name}/{name}".strip("/")
    if group.get(name, getlink=True) is None:
        raise UserError(f"{where}: missing.")
    if elsewhere := lies_elsewhere(group, name):
        raise UserError(f"{where}: expected data in this file, found {elsewhere}.")
    if not isinstance(found := group[name], kind):
        raise UserError(f"{where}: expected a {kind.__name__.lower()}.")
    return found


def lies_elsewhere(group: h5py.Group, name: str) -> str:
    """Return what leads out of the file, a link or data in another; "" where nothing does."""
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        return "a link"
    found = group[name]
    if isinstance(found, h5py.Dataset) and (found.external or found.is_virtual):
        return "data in another"
    return ""


def complete_frames(surface: h5py.Group) -> NDArray[np.bool_]:
    """Return which frames of a surface have all their losses."""
    return np.array([bool(frame.all()) for frame in surface["evaluated"]])


def finished_frames(surface: h5py.Group) -> NDArray[np.bool_]:
    """Return which frames of a surface are as they will stay: complete, or of diverged weights."""
    return complete_frames(surface) | np.isin(surface["step"], surface.attrs.get("diverged", ()))


def is_finished(file: h5py.File) -> bool:
    """Return whether nothing more is to come in a file."""
    return all(finished_frames(surface).all() for surface in file["surfaces"].values())


def describe(path: Path) -> dict[str, Any]:
    """Summarise a sequence file: what is in it, how far it is, how it was made.

    Returns
    -------
    dict
        Plain values only, ready for JSON: title, software, created, and for each surface its
        frames, rows, cols, complete frames, steps, loss range, what else it has, attributes.
        None where a number is not finite.

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
        "minimizer_loss": [_finite(float(group["minimizer"][t, 2])) for t in (0, -1)],
        **{
            part: ", ".join(group[part])
            for part in ("metrics", "scalars", "paths", "posterior")
            if part in group
        },
        **{key: _plain(value) for key, value in group.attrs.items()},
    }


def _plain(value: Any) -> str | int | float | None:
    """Return an attribute as JSON has it; what is not one number or text, as text."""
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float):
        return _finite(value)
    return value if isinstance(value, str | int) else str(value)


def _finite(value: float) -> float | None:
    """Return a number as JSON has it, which knows neither NaN nor infinity."""
    return value if np.isfinite(value) else None
