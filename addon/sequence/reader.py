"""Sequence files, read: opened, checked and sliced.

No bpy here. A file is checked whole before anything is taken from it, and every fault is one
sentence that names the file, the dataset and what was expected. Losses stay in the file until they
are asked for, a frame at a time. The format is described in docs/format.md.
"""

from __future__ import annotations

import tomllib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
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


HOW = (
    "network",
    "parameters",
    "data",
    "optimizer",
    "batch",
    "mode",
    "batch_norm",
    "minibatch",
    "noise",
    "directions",
    "normalisation",
    "window",
    "precision",
    "seed",
    "refine_error",
    "imported",
)
"""Attributes of a surface that say how it was made, in the order in which people ask."""

GLANCE = 8
"""Frames that are read to tell a range of losses at once, evenly spread."""

READERS = 2
"""Threads that read ahead: HDF5 unpacks in one of them while the other computes."""

Frame = NDArray[np.float32]


class SequenceError(ValueError):
    """A file that cannot be used, said in one sentence."""


@dataclass(frozen=True)
class Selection:
    """Which snapshots and points of a surface are shown.

    Attributes
    ----------
    first, last : int
        The first and the last complete snapshot, counted from 0, or from the end if negative; a
        last one that is not there yet stands for the latest.
    every : int
        Only every n-th snapshot. The last is always among them, however near: a film ends where
        the training does.
    thin : int
        About every n-th row and column. Both borders and the middle stay, so the land keeps its
        size and its tip, and left mirrors right; steps between differ by one at most.
    """

    first: int = 0
    last: int = -1
    every: int = 1
    thin: int = 1

    def __post_init__(self) -> None:
        for key in ("every", "thin"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key} {getattr(self, key)}: expected 1 or more.")

    def snapshots(self, count: int) -> NDArray[np.int64]:
        """Return which of so many snapshots are shown."""
        first, last = (at + count if at < 0 else at for at in (self.first, self.last))
        last = min(last, count - 1)
        if not 0 <= first <= last:
            raise ValueError(
                f"snapshots {self.first} to {self.last}: expected some of 0 to {count - 1}, "
                "the first one first."
            )
        return np.union1d(np.arange(first, last, self.every), [last])

    def lines(self, count: int) -> NDArray[np.int64]:
        """Return which of so many rows, or columns, are shown."""
        odd = (count - 1) % 2  # of an odd number of steps none is the middle, of an even one one is
        pieces = odd + 2 * max(1 - odd, round(((count - 1) / self.thin - odd) / 2))
        half = np.linspace(0, count - 1, pieces + 1)[: pieces // 2 + 1].round().astype(np.int64)
        return np.union1d(half, count - 1 - half)


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
    paths : dict of ndarray
        ``(points, 3)`` or ``(n, points, 3)`` each: alpha, beta and loss along a line in the plane.
    posterior : dict of ndarray
        Of a Gaussian in the plane, what there is: ``mean`` (2,), ``covariance`` (2, 2) and
        ``samples`` (samples, 3).
    attrs : dict
        How it was made.
    taken : tuple of ndarray, optional
        The file's rows and columns that are shown, where not all are.
    """

    name: str
    alpha: NDArray[np.float64]
    beta: NDArray[np.float64]
    frames: NDArray[np.int64]
    step: NDArray[np.int64]
    origin: NDArray[np.float64]
    minimizer: NDArray[np.float64]
    scalars: dict[str, NDArray[np.float64]]
    paths: dict[str, NDArray[np.float64]]
    posterior: dict[str, NDArray[np.float64]]
    attrs: dict[str, Any]
    dataset: h5py.Dataset
    taken: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None

    def loss(self, index: int) -> Frame:
        """Return the losses ``(rows, cols)`` of the index-th complete frame."""
        try:
            loss = self.dataset[self.frames[index]]
        except OSError:
            file, name = self.dataset.file.filename, self.dataset.name.strip("/")
            raise SequenceError(f"{file}: {name}: damaged at frame {index}.") from None
        return loss if self.taken is None else loss[np.ix_(*self.taken)]

    def losses(self, then: Callable[[Frame], Frame] = lambda loss: loss) -> Iterator[Frame]:
        """Yield ``then`` of each frame's losses; the next ones are read and computed meanwhile.

        The file must stay open until the end, or until this is closed.
        """
        count = len(self.frames)
        with ThreadPoolExecutor(READERS) as readers:
            coming: deque[Future[Frame]] = deque()
            for index in range(count + READERS):
                if index < count:
                    coming.append(readers.submit(lambda at: then(self.loss(at)), index))
                if index >= READERS:
                    yield coming.popleft().result()

    def select(self, selection: Selection) -> Surface:
        """Return the same surface with fewer frames and points.

        Raises
        ------
        ValueError
            Where none of its frames is selected.
        """
        try:
            shown = selection.snapshots(len(self.frames))
        except ValueError as error:
            raise ValueError(f"{self.name}: {error}") from None
        rows, cols = (selection.lines(len(axis)) for axis in (self.beta, self.alpha))
        taken = (self.taken[0][rows], self.taken[1][cols]) if self.taken else (rows, cols)
        return replace(
            self,
            alpha=self.alpha[cols],
            beta=self.beta[rows],
            frames=self.frames[shown],
            step=self.step[shown],
            origin=self.origin[shown],
            minimizer=self.minimizer[shown],
            scalars={name: curve[shown] for name, curve in self.scalars.items()},
            paths={k: line[shown] if line.ndim == 3 else line for k, line in self.paths.items()},
            taken=taken if selection.thin > 1 else self.taken,
        )

    def points(self) -> int:
        """Return the number of points of one frame."""
        return len(self.alpha) * len(self.beta)


@dataclass(frozen=True)
class Facts:
    """What to know of a surface before it is imported.

    Attributes
    ----------
    snapshots, complete : int
        How many the file is to have, and how many of these can be shown.
    rows, cols : int
        Of the grid of points.
    lowest, highest : float
        The range of finite losses in some of the snapshots; NaN where there are none.
    glanced : int
        How many snapshots that range is of.
    keys_memory, cache_memory : int
        Bytes the land takes in Blender with shape keys, and with a mesh cache.
    cache_size : int
        Bytes the mesh cache takes on disk.
    made : list of str
        How it was made, a line each.
    """

    name: str
    snapshots: int
    complete: int
    rows: int
    cols: int
    lowest: float
    highest: float
    glanced: int
    keys_memory: int
    cache_memory: int
    cache_size: int
    made: list[str]


def facts(surface: Surface) -> Facts:
    """Look a surface over, in well under a second whatever its size.

    The losses are looked at in ``GLANCE`` snapshots only, the first and the last among them.

    Raises
    ------
    SequenceError
        Where one of these is damaged.
    """
    count = len(surface.frames)
    glanced = np.linspace(0, count - 1, min(GLANCE, count)).round().astype(int)
    ranges = []
    for index in glanced:
        loss = surface.loss(index)
        finite = loss[np.isfinite(loss)]
        ranges += [finite.min(), finite.max()] if finite.size else []
    told = [(key.replace("_", " "), surface.attrs[key]) for key in HOW if key in surface.attrs]
    return Facts(
        name=surface.name,
        snapshots=len(surface.dataset),
        complete=count,
        rows=len(surface.beta),
        cols=len(surface.alpha),
        lowest=float(min(ranges, default=np.nan)),
        highest=float(max(ranges, default=np.nan)),
        glanced=len(glanced),
        keys_memory=keys_memory(surface),
        cache_memory=cache_memory(surface),
        cache_size=cache_size(surface),
        made=[f"{key.capitalize()}: {' '.join(str(value).split())}" for key, value in told],
    )


def cache_size(surface: Surface) -> int:
    """Return the bytes of a surface's moving points, which is what a mesh cache takes on disk."""
    return 12 * surface.points() * len(surface.frames)


def keys_memory(surface: Surface) -> int:
    """Estimate the bytes of a land with shape keys, and of its copies for undo and rendering."""
    return 3 * cache_size(surface)


def cache_memory(surface: Surface) -> int:
    """Estimate the bytes of a land with a mesh cache: one mesh, and its copies while rendering."""
    return 300 * surface.points()


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
