"""Surfaces that other tools wrote, made into sequences: ``lands import``.

Each kind of file is one function from its arrays to a plane with rows beta and columns alpha; the
rest is the same for all. A file is recognised by what is in it, and nothing in it is ever run:
pickles stay closed. No loss is made up: a path's losses are NaN, since no tool keeps the true ones,
and where the bead's loss had to be interpolated the file says so.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from ..errors import UserError
from ..sequence import Frame, SurfaceData, fits, lies_elsewhere, open_sequence, write_sequence

Arrays = dict[str, Any]
Ranges = Sequence[tuple[float, float]]
"""What ``--coordinates`` gave: nothing, one range for both axes, or alpha's and beta's."""

CLOSE = 1e-6
"""In grid steps: what counts as being on a grid point."""

DAMAGE = (OSError, ValueError, EOFError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error)
"""What HDF5, zip and NumPy say of a damaged file."""


@dataclass(frozen=True)
class Plane:
    """One surface, in the coordinates of its plane.

    Attributes
    ----------
    alpha, beta : ndarray
        ``(cols,)`` and ``(rows,)``.
    loss : ndarray
        ``(rows, cols)``, NaN where missing.
    metrics : dict of ndarray
        ``(rows, cols)`` each, NaN where missing.
    missing : ndarray of bool, optional
        ``(rows, cols)``: the points that were never computed.
    network : tuple of float
        Alpha and beta of the network that the plane was laid through.
    paths : dict of ndarray
        ``(points, 2)`` each.
    covariance : ndarray, optional
        ``(2, 2)``, of a Gaussian about the network.
    attrs : dict
        How the surface was made, as far as the tool fixes it.
    """

    alpha: NDArray[np.float64]
    beta: NDArray[np.float64]
    loss: NDArray[np.float64]
    metrics: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    missing: NDArray[np.bool_] | None = None
    network: tuple[float, float] = (0.0, 0.0)
    paths: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    covariance: NDArray[np.float64] | None = None
    attrs: dict[str, str] = field(default_factory=dict)


def import_surfaces(
    files: Sequence[Path],
    output: Path,
    kind: str | None = None,
    coordinates: Ranges = (),
    trajectory: Path | None = None,
    title: str | None = None,
) -> None:
    """Write a sequence of other tools' surfaces.

    Parameters
    ----------
    files : sequence of Path
        One for each frame, in their order, all of one kind, shape and coordinates.
    output : Path
        The sequence. A file that is there already is replaced only if it was imported too.
    kind : str, optional
        One of ``KINDS``; recognised by the first file's content where not given.
    coordinates : sequence of (low, high)
        For bare arrays, which have none: one range for both axes, or alpha's and beta's.
    trajectory : Path, optional
        Li et al.'s projection of a training on the plane.
    title : str, optional
        By default the output's name.

    Raises
    ------
    UserError
        Where a file is not what it should be, or the files do not go together.
    """
    _check_output(output, [*files, *([trajectory] if trajectory else [])])
    if kind is None:
        kind = _recognise(files[0])
    elif kind not in KINDS:
        raise UserError(f"--kind {kind}: expected one of {', '.join(KINDS)}.")
    if trajectory and kind != "li":
        raise UserError(f"--trajectory: a projection of Li et al. goes with --kind li, not {kind}.")
    ranges = _ranges(coordinates, kind)
    planes = [_read(file, kind, ranges) for file in files]
    for file, plane in zip(files, planes, strict=True):
        if not _same_grid(plane, planes[0]):
            raise UserError(f"{file}: expected the shape and coordinates of {files[0]}.")
    surface = _surface(planes, KINDS[kind].tool)
    if trajectory:
        surface.paths["trajectory"] = _without_losses(_read_trajectory(trajectory))
    lowest = min(np.nanmin(plane.loss) for plane in planes)
    recipe = "" if lowest > 0 else '[look]\nscale = "symlog"\n'  # no logarithm goes there
    output.parent.mkdir(parents=True, exist_ok=True)
    write_sequence(output, title or output.stem, recipe, {"network": surface})


def _check_output(output: Path, inputs: Sequence[Path]) -> None:
    if output.resolve() in [file.resolve() for file in inputs]:
        raise UserError(f"{output}: to be imported: give another file with -o.")
    if output.exists():
        with open_sequence(output) as file:
            if not all("imported" in surface.attrs for surface in file["surfaces"].values()):
                raise UserError(f"{output}: a sequence not imported: give another file with -o.")


def _same_grid(plane: Plane, other: Plane) -> bool:
    return plane.loss.shape == other.loss.shape and all(
        np.allclose(axis, expected, rtol=0, atol=CLOSE * np.diff(expected).min())
        for axis, expected in ((plane.alpha, other.alpha), (plane.beta, other.beta))
    )


def _surface(planes: list[Plane], tool: str) -> SurfaceData:
    """Gather planes of one grid, a frame each.

    Metrics and paths are those that all of them have; there is one posterior in a file, so that
    of several planes is left out.
    """
    first = planes[0]
    centre = np.array([(axis[0] + axis[-1]) / 2 for axis in (first.alpha, first.beta)])
    metrics = tuple(name for name in first.metrics if all(name in p.metrics for p in planes))
    minimizers, ways = zip(*map(_minimizer, planes), strict=True)

    def frame(t: int) -> Frame:
        plane = planes[t]
        with np.errstate(over="ignore"):  # beyond float32 is infinite
            return Frame(
                plane.loss.astype(np.float32),
                None if plane.missing is None else (~plane.missing).astype(np.uint8),
                {name: plane.metrics[name].astype(np.float32) for name in metrics},
            )

    paths = {}
    for name, path in first.paths.items():
        others = [plane.paths[name] for plane in planes if name in plane.paths]
        if [other.shape for other in others] == [path.shape] * len(planes):
            paths[name] = _without_losses(np.stack(others) if len(planes) > 1 else path)
    posterior = {}
    if len(planes) == 1 and first.covariance is not None:
        posterior = {"mean": np.array(first.network), "covariance": first.covariance}
    return SurfaceData(
        alpha=first.alpha - centre[0],
        beta=first.beta - centre[1],
        step=np.arange(len(planes)),
        origin=np.tile(centre, (len(planes), 1)),
        minimizer=np.array(minimizers),
        frame=frame,
        metrics=metrics,
        paths=paths,
        posterior=posterior,
        attrs={
            "imported": tool,
            "minimizer_from": "; ".join(dict.fromkeys(ways)),
            "window": "fixed",
            **first.attrs,
        },
    )


def _without_losses(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Put NaN behind coordinates ``(..., 2)``."""
    return np.concatenate([points, np.full((*points.shape[:-1], 1), np.nan)], axis=-1)


def _minimizer(plane: Plane) -> tuple[tuple[float, float, float], str]:
    """Return alpha, beta and loss of a plane's network, and where the loss is from.

    The network lies in the plane, so what is interpolated there is an estimate of its true loss.
    Outside the window, and among missing points, the lowest point stands in for it.
    """
    (columns, over), (rows, down) = (
        _neighbours(axis, x)
        for axis, x in zip((plane.alpha, plane.beta), plane.network, strict=True)
    )
    if len(columns) and len(rows):
        loss = float(down @ plane.loss[np.ix_(rows, columns)] @ over)
        if not np.isnan(loss):
            measured = len(columns) == len(rows) == 1
            return (*plane.network, loss), "measured" if measured else "interpolated on the grid"
    finite = np.where(np.isfinite(plane.loss), plane.loss, np.inf)
    i, j = np.unravel_index(finite.argmin(), finite.shape)
    return (plane.alpha[j], plane.beta[i], plane.loss[i, j]), "the lowest point"


def _neighbours(axis: NDArray[np.float64], x: float) -> tuple[list[int], NDArray[np.float64]]:
    """Return the points of an axis beside x and their weights: one on a point, none outside."""
    i = int(np.clip(np.searchsorted(axis, x), 1, len(axis) - 1))
    t = (x - axis[i - 1]) / (axis[i] - axis[i - 1])
    if abs(t - round(t)) < CLOSE and round(t) in (0, 1):
        return [i - 1 + round(t)], np.ones(1)
    return ([i - 1, i], np.array([1 - t, t])) if 0 < t < 1 else ([], np.ones(0))


def _recognise(file: Path) -> str:
    """Return the kind of a file by its arrays' names."""
    container, names = _look(file)
    if container == "npy":
        raise UserError(
            f"{file}: a bare array does not say what wrote it: give --kind loss-landscapes, "
            "or --kind array for rows beta and columns alpha."
        )
    if "proj_xcoord" in names:
        raise UserError(f"{file}: a projected training: give its surface, and this --trajectory.")
    found = [
        name
        for name, kind in KINDS.items()
        if kind.container == container and set(kind.marks) <= set(names)
    ]
    if not found:
        raise UserError(f"{file}: not a surface of a known kind: {', '.join(KINDS)}.")
    if len(found) > 1:
        raise UserError(f"{file}: may be {' or '.join(found)}: say which with --kind.")
    return found[0]


def _read(file: Path, kind: str, ranges: Ranges) -> Plane:
    container, names = _look(file)
    expected = KINDS[kind].container
    if container != expected:
        raise UserError(f"{file}: expected {expected} for --kind {kind}, found {container}.")
    arrays = _load(file, container, names)
    try:
        return _ordered(KINDS[kind].read(arrays, ranges))
    except UserError as error:
        raise UserError(f"{file}: {error}") from None


def _ranges(coordinates: Ranges, kind: str) -> Ranges:
    """Return one range for each axis of a bare array, none for the kinds that have their own."""
    if KINDS[kind].container != "npy":
        if coordinates:
            raise UserError(f"--coordinates: files of --kind {kind} have their own.")
        return ()
    if not 1 <= len(coordinates) <= 2:
        raise UserError(
            f"--kind {kind}: a bare array has no coordinates: give --coordinates LOW HIGH, "
            "once for both axes or once for alpha and once for beta."
        )
    for low, high in coordinates:
        if not -np.inf < low < high < np.inf:
            raise UserError(f"--coordinates {low:g} {high:g}: expected LOW below HIGH.")
    return coordinates[0], coordinates[-1]


def _ordered(plane: Plane) -> Plane:
    """Return a plane with increasing coordinates; refuse one that is none."""
    for name, axis in (("alpha", plane.alpha), ("beta", plane.beta)):
        if len(axis) < 2 or not np.isfinite(axis).all() or len(np.unique(axis)) < len(axis):
            raise UserError(f"{name}: expected two or more different finite coordinates.")
    if not np.isfinite(plane.loss).any():
        raise UserError("expected at least one finite loss.")
    columns, rows = np.argsort(plane.alpha), np.argsort(plane.beta)

    def turned(values: NDArray[Any]) -> NDArray[Any]:
        return values[np.ix_(rows, columns)]

    return replace(
        plane,
        alpha=plane.alpha[columns],
        beta=plane.beta[rows],
        loss=turned(plane.loss),
        metrics={name: turned(values) for name, values in plane.metrics.items()},
        missing=None if plane.missing is None else turned(plane.missing),
    )


def _look(file: Path) -> tuple[str, list[str]]:
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


def _load(file: Path, container: str, names: Sequence[str]) -> Arrays:
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


def _take(arrays: Arrays, name: str, *shape: int | str) -> NDArray[np.float64]:
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


def _take_metrics(
    arrays: Arrays, names: dict[str, str], take: Callable[[str], NDArray[np.float64]]
) -> dict[str, NDArray[np.float64]]:
    """Return the metrics that are there; accuracies, percent with all these tools, as fractions."""
    return {
        ours: take(theirs) / (100 if ours.endswith("accuracy") else 1)
        for theirs, ours in names.items()
        if theirs in arrays
    }


def _li(arrays: Arrays, _: Ranges) -> Plane:
    """Read a surface of Li et al. 2018 (arXiv 1712.09913), at whatever stage it is.

    Arrays are declared (x, y) and filled in the order of a mesh grid, x fastest. -1 stands for what
    is not computed; of the eigenvalues, the largest one's.
    """
    if "ycoordinates" not in arrays:
        raise UserError("a line, not a surface: it has no ycoordinates.")
    alpha, beta = (_take(arrays, f"{axis}coordinates", "points") for axis in "xy")

    def take(name: str) -> NDArray[np.float64]:
        values = _take(arrays, name, len(alpha), len(beta))
        return np.where(values == -1, np.nan, values).reshape(len(beta), len(alpha))

    names = {
        "train_acc": "accuracy",
        "test_loss": "test_loss",
        "test_acc": "test_accuracy",
        "min_eig": "smallest_eigenvalue",
        "max_eig": "largest_eigenvalue",
    }
    metrics = _take_metrics(arrays, names, take)
    if {"min_eig", "max_eig"} <= arrays.keys():
        metrics["smallest_eigenvalue"][np.isnan(metrics["largest_eigenvalue"])] = np.nan
    loss = take("train_loss")
    attrs = {"mode": "eval"}
    if isinstance(directions := arrays.get("dir_file"), bytes):  # the settings are in its name
        attrs["directions"] = Path(directions.decode(errors="replace")).name
    missing = arrays["train_loss"].reshape(loss.shape) == -1
    return Plane(alpha, beta, loss, metrics, missing, attrs=attrs)


def _read_trajectory(file: Path) -> NDArray[np.float64]:
    """Return the points ``(checkpoints, 2)`` of Li et al.'s projection of a training."""
    container, names = _look(file)
    if container != "HDF5":
        raise UserError(f"{file}: expected HDF5 for --trajectory, found {container}.")
    arrays = _load(file, container, names)
    try:
        x = _take(arrays, "proj_xcoord", "checkpoints")
        return np.column_stack([x, _take(arrays, "proj_ycoord", len(x))])
    except UserError as error:
        raise UserError(f"{file}: {error}") from None


def _garipov(arrays: Arrays, _: Ranges) -> Plane:
    """Read a plane.npz of Garipov et al. 2018 (arXiv 1802.10026), indexed [x, y].

    ``alphas`` and ``betas`` are fractions of the axes' lengths; ``grid`` has the coordinates that
    the curve's are in too. The loss is ``tr_nll``: ``tr_loss`` has weight decay's term on top. The
    network is the curve's first end point, the origin of the plane.
    """
    grid = _take(arrays, "grid", "points", "points", 2)
    alpha, beta = grid[:, 0, 0], grid[0, :, 1]
    if not np.array_equal(grid, np.stack(np.meshgrid(alpha, beta, indexing="ij"), axis=-1)):
        raise UserError("grid: expected coordinates in rows and columns.")

    def take(name: str) -> NDArray[np.float64]:
        return _take(arrays, name, len(alpha), len(beta)).T

    names = {
        "tr_loss": "loss_with_decay",
        "tr_acc": "accuracy",
        "te_nll": "test_loss",
        "te_acc": "test_accuracy",
    }
    paths = {
        ours: _take(arrays, theirs, "points", 2)
        for theirs, ours in (("curve_coordinates", "curve"), ("bend_coordinates", "bends"))
        if theirs in arrays
    }
    attrs = {
        "mode": "eval, BatchNorm recomputed at every point",
        "directions": "through the end points and the bend of a curve",
        "normalisation": "orthonormal",
    }
    metrics = _take_metrics(arrays, names, take)
    return Plane(alpha, beta, take("tr_nll"), metrics, paths=paths, attrs=attrs)


def _swag(arrays: Arrays, _: Ranges) -> Plane:
    """Read a plane.npz of SWAG (Maddox et al. 2019, arXiv 1902.02476), indexed [x, y].

    The network is the mean of the snapshots, the origin of the plane and of their Gaussian.
    """
    alpha, beta = _take(arrays, "xs", "points"), _take(arrays, "ys", "points")

    def take(name: str) -> NDArray[np.float64]:
        return _take(arrays, name, len(alpha), len(beta)).T

    names = {"train_acc": "accuracy", "test_loss": "test_loss", "test_acc": "test_accuracy"}
    paths = {}
    if "trajectory_projection" in arrays:
        paths["trajectory"] = _take(arrays, "trajectory_projection", 2, "snapshots").T
    attrs = {
        "mode": "eval, BatchNorm recomputed at every point",
        "directions": "principal components of a training",
        "normalisation": "orthonormal",
    }
    return Plane(
        alpha,
        beta,
        take("train_loss"),
        _take_metrics(arrays, names, take),
        paths=paths,
        covariance=_take(arrays, "E_cov", 2, 2) if "E_cov" in arrays else None,
        attrs=attrs,
    )


def _landscaper(arrays: Arrays, _: Ranges) -> Plane:
    """Read an .npz of landscaper: one axis of coordinates for each direction, loss indexed alike.

    The network is at the middle index, also where an even number of points has no middle.
    """
    alpha, beta = _take(arrays, "coordinates", 2, "steps")
    loss = _take(arrays, "loss", len(alpha), len(beta)).T
    middle = len(alpha) // 2
    return Plane(alpha, beta, loss, network=(float(alpha[middle]), float(beta[middle])))


def _loss_landscapes(arrays: Arrays, ranges: Ranges) -> Plane:
    """Read an array saved from loss-landscapes' random_plane or planar_interpolation.

    Its first index goes along the first direction. Along the second the tool walks forth and back
    and evaluates after the step forth, before the step back, so every other line (the even ones)
    is a step ahead of the rest: entry j of it is point j + 1. Of the points 0 to n of that
    direction all lines have 1 to n - 1, and these make the surface. Point i of n lies at
    LOW + (HIGH - LOW) i / n.
    """
    array = _take(arrays, "array", "steps", "steps")
    steps = len(array)
    if array.shape[1] != steps or steps < 3:
        raise UserError(f"array: expected as many rows as columns, 3 or more, found {array.shape}.")
    even = np.arange(steps)[:, None] % 2 == 0
    aligned = np.where(even, array[:, :-1], array[:, 1:])
    alpha, beta = (low + (high - low) * np.arange(steps) / steps for low, high in ranges)
    return Plane(alpha, beta[1:], aligned.T)


def _array(arrays: Arrays, ranges: Ranges) -> Plane:
    """Read a bare array, rows beta and columns alpha, evenly from LOW to HIGH."""
    loss = _take(arrays, "array", "rows", "cols")
    alpha, beta = (
        np.linspace(low, high, points)
        for (low, high), points in zip(ranges, loss.shape[::-1], strict=True)
    )
    return Plane(alpha, beta, loss)


class Kind(NamedTuple):
    """What one tool writes: in what container, the arrays it is recognised by, how it is read."""

    container: str
    marks: tuple[str, ...]
    tool: str
    read: Callable[[Arrays, Ranges], Plane]


KINDS = {
    "li": Kind("HDF5", ("xcoordinates",), "loss-landscape (Li et al. 2018)", _li),
    "garipov": Kind(
        "npz", ("grid", "tr_nll"), "dnn-mode-connectivity (Garipov et al. 2018)", _garipov
    ),
    "swag": Kind("npz", ("xs", "ys", "train_loss"), "swa_gaussian (Maddox et al. 2019)", _swag),
    "landscaper": Kind("npz", ("loss", "coordinates"), "landscaper", _landscaper),
    "loss-landscapes": Kind("npy", (), "loss-landscapes", _loss_landscapes),
    "array": Kind("npy", (), "an array", _array),
}
"""By the name that ``--kind`` knows them under."""
