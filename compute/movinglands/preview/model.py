"""What a quick look without Blender shows of a sequence: ``sheet.py`` and ``page.py`` draw it.

Seconds, also for a long sequence or one that still grows: only the complete frames that are shown
are read, one at a time, and thinned to what a picture can show. Hue follows height, and height is
the loss on one scale for all frames, as in the film; every number is an original loss.
"""

from __future__ import annotations

import math
import textwrap
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from ..errors import UserError
from ..scales import SCALES
from ..sequence import complete_frames, open_sequence
from .scale import Scale, fit
from .style import Array

RELIEF = 0.24
"""Height of the land over the width of its window, where the recipe does not say."""


@dataclass(frozen=True)
class View:
    """What is shown of one surface.

    Attributes
    ----------
    name : str
        The surface's.
    lines : list of str
        How it was made, for people.
    alpha, beta : ndarray
        ``(cols,)`` and ``(rows,)``: evenly spaced coordinates in the window.
    frames : ndarray
        ``(shown,)`` indices of the frames shown, all of them complete.
    heights : ndarray
        ``(shown, rows, cols)`` between 0 and 1, by ``scale``.
    scale : Scale
        From loss to height.
    step : ndarray
        ``(all frames,)`` optimizer steps; where they do not increase, numbers of frames.
    clock : str
        What ``step`` counts: "step" or "frame".
    place : ndarray
        ``(all frames, 2)`` alpha and beta of the minimizer in the plane.
    origin : ndarray
        ``(all frames, 2)`` where the window's centre lies in the plane.
    losses : dict of ndarray
        ``(all frames,)`` by name: "true", the minimizer's, and "train" and "test" if known.
    """

    name: str
    lines: list[str]
    alpha: Array
    beta: Array
    frames: NDArray[np.int64]
    heights: NDArray[np.float32]
    scale: Scale
    step: NDArray[np.int64]
    clock: str
    place: Array
    origin: Array
    losses: dict[str, Array]


@dataclass(frozen=True)
class Preview:
    """What is shown of a sequence file; ``relief`` is the land's height over its width."""

    title: str
    sentence: str = ""
    relief: float = RELIEF
    views: list[View] = field(default_factory=list)


def read(path: Path, frames: int, points: int) -> Preview:
    """Read what a preview shows of a sequence file.

    Parameters
    ----------
    path : Path
        A sequence file, complete or growing.
    frames, points : int
        Most frames of a surface, chosen evenly from the complete ones, and most points along a
        side of each.

    Raises
    ------
    UserError
        As ``open_sequence``; or where no surface has a complete frame, none of its losses is
        finite, coordinates are not finite or do not increase, or the recipe cannot be read.
    """
    with open_sequence(path) as file:
        recipe = _recipe(file, path)
        look = recipe.get("look", {})
        samples = {}
        for name, group in file["surfaces"].items():
            complete = np.flatnonzero(complete_frames(group))
            if len(complete):
                samples[name] = _sample(group, complete, frames, points, path)
        if not samples:
            raise UserError(f"{path}: no frame is complete yet: there is nothing to show.")
        scales = _scales(samples, look.get("scale", "log"))
        views = [
            _view(file["surfaces"][name], sample, scales[name]) for name, sample in samples.items()
        ]
        title = str(file.attrs.get("title", "")) or path.stem
        relief = float(look.get("relief", RELIEF))
        return Preview(title, str(recipe.get("sentence", "")), relief, views)


def _recipe(file: h5py.File, path: Path) -> dict[str, Any]:
    """Return the file's recipe, its look checked: the file can come from anywhere."""
    try:
        recipe = tomllib.loads(str(file.attrs.get("recipe", "")))
    except ValueError as error:
        raise UserError(f"{path}: recipe: not TOML: {error}.") from None
    look = recipe.get("look", {})
    if not isinstance(look, dict):
        raise UserError(f"{path}: recipe: look: expected a table of keys, got {look!r}.")
    if (scale := look.get("scale", "log")) not in SCALES:
        expected = ", ".join(SCALES)
        raise UserError(f"{path}: recipe: look.scale: expected one of {expected}, got {scale!r}.")
    relief = look.get("relief", RELIEF)
    if type(relief) not in (int, float) or not 0 < relief < math.inf:
        raise UserError(f"{path}: recipe: look.relief: expected a positive number, got {relief!r}.")
    return recipe


class _Sample(NamedTuple):
    """What is read of a surface: places and losses of the frames shown, thinned; all's extremes."""

    complete: int
    frames: NDArray[np.int64]
    alpha: Array
    beta: Array
    losses: list[NDArray[np.float32]]
    extremes: NDArray[np.float32]


def _sample(
    group: h5py.Group, complete: NDArray[np.int64], frames: int, points: int, path: Path
) -> _Sample:
    alpha, beta = (_coordinates(group[axis], path) for axis in ("alpha", "beta"))
    for key in ("origin", "minimizer"):
        if not np.all(np.isfinite(group[key][:, :2])):  # a minimizer's loss may be anything
            where = group[key].name.strip("/")
            raise UserError(f"{path}: {where}: expected finite coordinates.")
    rows, cols = _evenly(len(beta), points), _evenly(len(alpha), points)
    chosen = complete[_evenly(len(complete), frames)]
    losses, extremes = [], []
    for t in chosen:
        loss = group["loss"][t]
        losses.append(loss[np.ix_(rows, cols)])
        extremes.append(_extremes(loss))
    found = np.concatenate(extremes)
    if not found.size:
        where = group["loss"].name.strip("/")
        raise UserError(f"{path}: {where}: none of the losses shown is a finite number.")
    return _Sample(len(complete), chosen, alpha[cols], beta[rows], losses, found)


def _scales(samples: dict[str, _Sample], name: str) -> dict[str, Scale]:
    """Return a scale for each surface: one and the same where all losses are of a kind.

    Networks compared are seen on one scale. Losses below zero are a GAN's, whose generator and
    critic do not measure the same: each has its own.
    """
    own = {surface: fit([sample.extremes], name) for surface, sample in samples.items()}
    if any(scale.low < 0 for scale in own.values()):
        return own
    return dict.fromkeys(own, fit([sample.extremes for sample in samples.values()], name))


def _view(group: h5py.Group, sample: _Sample, scale: Scale) -> View:
    rows, cols = len(sample.beta), len(sample.alpha)
    heights = np.empty((len(sample.frames), rows, cols), np.float32)
    for height, loss in zip(heights, sample.losses, strict=True):
        by_row = _on_even_places(scale(loss), sample.alpha)
        height[:] = _on_even_places(by_row.T, sample.beta).T
    step, minimizer, origin = (group[key][:] for key in ("step", "minimizer", "origin"))
    increasing = bool(np.all(np.diff(step) > 0))
    losses = {"true": minimizer[:, 2]}
    for known in ("train", "test"):
        if f"scalars/{known}_loss" in group:
            losses[known] = group[f"scalars/{known}_loss"][:]
    return View(
        name=group.name.rpartition("/")[2],
        lines=_how_made(group, sample.complete, scale),
        alpha=np.linspace(sample.alpha[0], sample.alpha[-1], cols),
        beta=np.linspace(sample.beta[0], sample.beta[-1], rows),
        frames=sample.frames,
        heights=heights,
        scale=scale,
        step=step if increasing else np.arange(len(step)),
        clock="step" if increasing else "frame",
        place=minimizer[:, :2],
        origin=origin,
        losses=losses,
    )


def _extremes(loss: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what ``fit`` needs of a frame: its finite losses' ends, and its positive ones'."""
    finite = loss[np.isfinite(loss)]
    parts = (finite, finite[finite > 0])
    return np.array([end(part) for part in parts if part.size for end in (np.min, np.max)])


def _coordinates(dataset: h5py.Dataset, path: Path) -> Array:
    values = dataset[:].astype(np.float64)
    if len(values) < 2 or not np.all(np.isfinite(values)) or np.any(np.diff(values) <= 0):
        where = dataset.name.strip("/")
        raise UserError(f"{path}: {where}: expected two or more finite numbers that increase.")
    return values


def _evenly(count: int, most: int) -> NDArray[np.int64]:
    """Return at most so many indices of a list, evenly spread, its ends among them."""
    return np.linspace(0, count - 1, min(count, most)).round().astype(np.int64)


def _on_even_places(values: Array, places: Array) -> Array:
    """Interpolate along the last axis, linearly, from places that increase to even ones."""
    even = np.linspace(places[0], places[-1], len(places))
    right = np.searchsorted(places, even).clip(1, len(places) - 1)
    share = (even - places[right - 1]) / (places[right] - places[right - 1])
    return values[..., right - 1] * (1 - share) + values[..., right] * share


def _how_made(group: h5py.Group, complete: int, scale: Scale) -> list[str]:
    """Say how a surface was made, in the few lines that stand in the picture."""
    attrs = {key: str(value) for key, value in group.attrs.items()}
    frames, rows, cols = group["loss"].shape
    parameters = attrs.get("parameters", "")
    if parameters.isdecimal():
        parameters = f"{int(parameters):,} parameters".replace(",", " ")
    batch = f"loss of a batch of {attrs['batch']}" if "batch" in attrs else ""
    mode = f"{attrs['mode']} mode" if "mode" in attrs else ""
    directions = f"directions {attrs['directions']}" if "directions" in attrs else ""
    normalisation = f"normalisation {attrs['normalisation']}" if "normalisation" in attrs else ""
    shown = f"{frames} frame{'s' * (frames > 1)}"
    if complete < frames:
        diverged = np.size(group.attrs.get("diverged", ()))
        of_these = f", {diverged} diverged" if diverged else ""
        shown = f"{complete} of {shown}" + (of_these or " so far")
    lines = (
        (attrs.get("network", ""), parameters),
        (attrs.get("data", ""), attrs.get("optimizer", "")),
        (batch, mode, directions),
        (normalisation,),
        (shown, f"{cols} x {rows} points"),
        (f"{scale.name} scale, losses from {scale.low:.3g} to {scale.high:.3g}",),
    )
    said = ("  ·  ".join(part for part in line if part) for line in lines)
    return [textwrap.shorten(line, 110, placeholder=" …") for line in said if line]
