"""What to know of a surface before it is imported."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .memory import cache_memory, cache_size, keys_memory
from .surface import Surface

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
"""Attributes of a surface that say how it was made, in the order in which they are shown."""

GLANCE = 8
"""Frames that are read for the range of losses, evenly spread."""


@dataclass(frozen=True)
class Facts:
    """What to know of a surface before it is imported.

    Attributes
    ----------
    snapshots, complete : int
        How many the file has when it is finished, and how many of these are complete.
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
    """Summarise a surface, in well under a second whatever its size.

    Losses are read in ``GLANCE`` snapshots only, the first and the last among them.

    Raises
    ------
    SequenceError
        Where one of these snapshots is damaged.
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
