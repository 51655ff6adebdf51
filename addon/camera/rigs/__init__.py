"""The camera rigs: a file and a line for each.

No bpy here. A rig is where the camera would be, seen from what it looks at, and how far it moves
during its act; a planner finds the calm path nearest to that.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from . import below, coaster, crawl, fly_line, goblin, orbit, ride, twin, wide
from .rig import Course, Framing, Rig

__all__ = ["RIGS", "Course", "Framing", "Rig", "joined"]

RIGS = {
    module.RIG.name: module.RIG
    for module in (
        ride,
        coaster,
        orbit,
        below,
        goblin,
        crawl,
        wide,
        twin,
        fly_line,
    )
}
"""By name, in the order of menus."""


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
