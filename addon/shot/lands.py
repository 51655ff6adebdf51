"""The lands of a shot: which surface each of them shows, on one scale of heights."""

from __future__ import annotations

from collections.abc import Generator
from itertools import chain, count

from ..blender.parts import Parts
from ..sequence import heights
from ..sequence.reader import Sequence
from ..sequence.surface import Surface
from ..steps import within
from ..units import WIDTH
from .parts import Options
from .settings import Settings


def selected(sequence: Sequence, options: Options) -> list[Surface]:
    """Return the surfaces of a sequence, the snapshots and points of them that are wanted."""
    return [given.select(options.selection) for given in sequence.surfaces.values()]


def paired(there: Parts, surfaces: list[Surface]) -> tuple[Parts, list[Surface]]:
    """Give the lands of a shot their surfaces: by name, those that are left over in order.

    Returns the parts by the surfaces' names, and the surfaces that have a land, in its order.
    """
    given = {surface.name: surface for surface in surfaces}
    names = {name: name for name in there.surfaces if name in given}
    left = [name for name in given if name not in names]
    unknown = [name for name in there.surfaces if name not in names]
    names |= dict(zip(unknown, left, strict=False))
    shown = [given[names[name]] for name in there.surfaces if name in names]
    return there.renamed(names), shown


def fitting(
    shown: list[Surface], settings: Settings
) -> Generator[float, None, heights.HeightScale]:
    """Fit one scale to all surfaces of a shot."""
    losses = chain.from_iterable(given.losses() for given in shown)
    clip = settings.clip_low, settings.clip_high
    relief = settings.relief * WIDTH
    steps = heights.fitting(losses, settings.scale, relief, clip, settings.reverse)
    counted = count(1)
    total = sum(len(given.frames) for given in shown)
    return (yield from (within(0.0, 1.0, steps, lambda _: next(counted) / total)))


def shares(n: int, total: int) -> tuple[float, float, float]:
    """Return where in the work the n-th land begins, is done, and what lies on it, too."""
    return n / total, (n + 0.9) / total, (n + 1) / total
