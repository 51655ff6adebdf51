"""The lamps of a shot.

They are area lights on an Empty that turns all of them to the camera's azimuth. In the viewport
they are marks and no more: lines to a hidden parent are not drawn, and neither is a ray longer than
the lamp's cutoff distance, which has no effect while it is not in use. They are not hidden, for
Blender lights a viewport by nothing that is.
"""

from __future__ import annotations

from math import radians

import bpy
from mathutils import Vector

from ..blender.edits import LOOK, checksum, stamp
from ..nodes.color import linear
from ..units import WIDTH
from .look import Lamp, Look

RIG = "Light Rig"
"""What the Empty is called."""

FORMERLY = {"Sky": "Top"}
"""What lamps were called in shots of earlier versions."""

RAY = 0.05 * WIDTH
"""Length at which a lamp's direction is drawn."""


def light_rig(look: Look, relief: float, azimuth: float) -> dict[str, bpy.types.Object]:
    """Build the lamps of a look.

    Parameters
    ----------
    look : Look
        Whose lamps.
    relief : float
        Height of the land in Blender units.
    azimuth : float
        Of the camera, in degrees.

    Returns
    -------
    dict of Object
        The Empty that they hang on and the lamps, by their names: the same for every look.
    """
    rig = bpy.data.objects.new(RIG, None)
    rig.empty_display_type = "SINGLE_ARROW"
    rig.empty_display_size = 0.2 * WIDTH
    rig.rotation_euler.z = radians(azimuth)
    rig.hide_viewport = True
    parts = {RIG: rig}
    for name, lamp in look.lamps.items():
        light = bpy.data.lights.new(name, "AREA")
        light.cutoff_distance = RAY
        thing = bpy.data.objects.new(name, light)
        thing.parent = rig
        thing.visible_camera = False
        set_lamp(thing, lamp, relief)
        parts[name] = thing
    return parts


def set_lamp(thing: bpy.types.Object, lamp: Lamp, relief: float) -> None:
    """Place a lamp, and give it its size, colour and power."""
    thing.data.type = "AREA"
    light = thing.data  # of another type by now, if it was another
    light.shape = "DISK"
    light.size = lamp.size * WIDTH
    light.energy = lamp.watts
    light.color = linear(lamp.color)
    light.spread = radians(lamp.spread)
    x, y, z = lamp.place
    thing.location = (x * WIDTH, y * WIDTH, z * relief)
    middle = Vector((0.0, 0.0, lamp.aim * relief))
    thing.rotation_euler = (middle - thing.location).to_track_quat("-Z", "Y").to_euler()
    stamp(thing, LOOK, lamp_state(thing))


def lamp_state(thing: bpy.types.Object) -> str:
    """Return what tells a lamp from one that was changed."""
    light = thing.data
    size, spread = (getattr(light, name, 0.0) for name in ("size", "spread"))  # of area lights
    numbers = (size, light.energy, spread, *light.color, *thing.scale)
    said = [light.type, getattr(light, "shape", "")]
    said += [f"{n:.4g}" for n in (*thing.location, *thing.rotation_euler, *numbers)]
    said += [bool(thing.animation_data), bool(light.animation_data), len(thing.constraints)]
    return checksum(said)
