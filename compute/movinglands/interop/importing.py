"""Surfaces that other tools wrote, made into sequences: ``lands import``.

No loss is made up: a path's losses are NaN, since no tool keeps the true ones, and where the bead's
loss had to be interpolated the file says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import UserError
from ..sequence import Frame, SurfaceData, open_sequence, write_sequence
from .kinds import KINDS, ranges_of, read, recognise
from .li import read_trajectory
from .surface import ImportedSurface, Ranges

CLOSE = 1e-6
"""In grid steps: what counts as being on a grid point."""


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
        kind = recognise(files[0])
    elif kind not in KINDS:
        raise UserError(f"--kind {kind}: expected one of {', '.join(KINDS)}.")
    if trajectory and kind != "li":
        raise UserError(f"--trajectory: a projection of Li et al. goes with --kind li, not {kind}.")
    ranges = ranges_of(coordinates, kind)
    planes = [read(file, kind, ranges) for file in files]
    for file, plane in zip(files, planes, strict=True):
        if not _same_grid(plane, planes[0]):
            raise UserError(f"{file}: expected the shape and coordinates of {files[0]}.")
    surface = _surface(planes, KINDS[kind].tool)
    if trajectory:
        surface.paths["trajectory"] = _without_losses(read_trajectory(trajectory))
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


def _same_grid(plane: ImportedSurface, other: ImportedSurface) -> bool:
    return plane.loss.shape == other.loss.shape and all(
        np.allclose(axis, expected, rtol=0, atol=CLOSE * np.diff(expected).min())
        for axis, expected in ((plane.alpha, other.alpha), (plane.beta, other.beta))
    )


def _surface(planes: list[ImportedSurface], tool: str) -> SurfaceData:
    """Gather surfaces of one grid as the frames of a sequence.

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


def _minimizer(plane: ImportedSurface) -> tuple[tuple[float, float, float], str]:
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
