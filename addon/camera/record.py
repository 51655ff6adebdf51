"""What a camera was planned for, recorded on it."""

from __future__ import annotations

import bpy

from ..units import WIDTH
from .planner import Plan
from .rigs import RIGS, Rig, joined

RECORD = "moving_lands_take"
"""Custom property of a camera: the rigs and film frames that it was planned for, and from where it
looks: azimuth in degrees, distance in Blender units."""

AND = " - "
"""Between the rigs of acts that one camera films, in its record."""


def record(camera: bpy.types.Object, planned: Plan) -> None:
    """Record on a camera what it is planned for."""
    first, last = planned.acts[0], planned.acts[-1]
    camera[RECORD] = {
        "name": AND.join(act.rig for act in planned.acts),
        "rig": first.rig,
        "first": first.first,
        "last": last.last,
        "azimuth": planned.azimuth,
        "distance": first.framing.distance * WIDTH,
    }


def rig_of(camera: bpy.types.Object) -> Rig:
    """Return the rig of a camera, with its bounds; that of any other camera is the first."""
    names = camera.get(RECORD, {}).get("name", "").split(AND)
    return joined([name for name in names if name in RIGS] or [next(iter(RIGS))])
