"""The camera rigs: a file and a line for each.

No bpy here. A rig is where the camera would be, seen from what it looks at, and how far it moves
during its act; a planner finds the calm path nearest to that.

A new one is a file beside ``ride.py`` and a line in ``RIGS``: menus, panels and the checks of acts
come from it. The computing half, which knows nothing of this one, and docs/camera.md name it, too;
tests compare them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from importlib import import_module

from .rig import Course, Framing, Rig

__all__ = ["RIGS", "Course", "Framing", "Rig", "joined"]

FILES = (
    "ride",
    "coaster",
    "orbit",
    "below",
    "goblin",
    "crawl",
    "wide",
    "twin",
    "fly_line",
)
"""Files beside this one, each with its ``RIG``, in the order of menus."""

RIGS: dict[str, Rig] = {
    rig.name: rig for rig in (import_module(f".{file}", __name__).RIG for file in FILES)
}
"""By the name that recipes have for them."""


def joined(names: Iterable[str]) -> Rig:
    """Return the rig of acts that one camera films: the first, with the widest bounds of all."""
    found = [RIGS[name] for name in names]
    lows, highs = zip(*(rig.elevations for rig in found), strict=True)
    emptiest, fullest = zip(*(rig.filled for rig in found), strict=True)
    return replace(
        found[0],
        elevations=(min(lows), max(highs)),
        borders=max(rig.borders for rig in found),
        filled=(min(emptiest), max(fullest)),
        whole=any(rig.whole for rig in found),
        allowed=tuple(sorted(bound for rig in found for bound in rig.allowed)),
    )
