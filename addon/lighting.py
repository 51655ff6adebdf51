"""Lamps, world and colour management of the four looks.

Every look has the same five lamps in other places and colours, so that a shot changes its look by
changing its lamps. They are area lights, placed in widths of the land and in reliefs, seen from a
camera at -y; they hang on an Empty that turns all of them to the camera's azimuth. Key and Sky are
one light from one side, below and above the plate, Funnel shines into the pit.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import radians

import bpy
from mathutils import Vector

from . import compat
from .graph import linear
from .surface import WIDTH


@dataclass(frozen=True)
class Lamp:
    """An area light.

    Attributes
    ----------
    place : tuple of float
        x and y in widths of the land, z in reliefs.
    size : float
        Widths.
    watts : float
        For a land of 10 units.
    color : str
        sRGB.
    aim : float
        Height of what it looks at, above the land's middle; in reliefs.
    spread : float
        Degrees.
    """

    place: tuple[float, float, float]
    size: float
    watts: float
    color: str
    aim: float = 0.35
    spread: float = 180.0


RIGS = {
    "flesh": {
        "Key": Lamp((0.68, -0.4, 0.62), 0.12, 3000, "ffdcc2"),
        "Rim": Lamp((-0.55, 0.6, 0.45), 0.06, 1500, "b9b4ff"),
        "Fill": Lamp((-0.9, -0.5, -0.4), 0.9, 900, "d9b6f5"),
        "Sky": Lamp((0.8, 0.3, 1.9), 0.12, 2600, "ffdcc2", aim=0.9),
        "Funnel": Lamp((-0.12, 0.1, 2.2), 0.15, 110, "b9a8ff", aim=0.0, spread=80),
    },
    "fur": {
        "Key": Lamp((0.68, -0.4, 0.62), 0.08, 3000, "ffe0b8"),
        "Rim": Lamp((-0.55, 0.6, 0.45), 0.05, 1500, "b9b4ff"),
        "Fill": Lamp((-0.9, -0.5, -0.4), 0.9, 1200, "d9c6ff"),
        "Sky": Lamp((0.8, 0.35, 2.0), 0.05, 3000, "ffe2bd", aim=0.9),
        "Funnel": Lamp((-0.12, 0.1, 2.2), 0.15, 120, "a9b4ff", aim=0.0, spread=80),
    },
    "ink": {
        "Key": Lamp((0.68, -0.4, 0.62), 0.12, 3600, "dfe2ff"),
        "Rim": Lamp((-0.55, 0.6, 0.45), 0.06, 1500, "8fa0ff"),
        "Fill": Lamp((-0.9, -0.5, -0.4), 0.9, 1000, "b8a8ff"),
        "Sky": Lamp((0.8, 0.3, 1.9), 0.12, 4200, "dfe2ff", aim=0.9),
        "Funnel": Lamp((-0.12, 0.1, 2.2), 0.15, 110, "ff9ccb", aim=0.0, spread=80),
    },
    "specimen": {
        "Key": Lamp((0.75, -0.55, 0.9), 0.25, 3600, "fff0dc"),
        "Rim": Lamp((-0.65, 0.55, 0.6), 0.1, 1800, "ffb27a"),
        "Fill": Lamp((-0.8, -0.6, -0.3), 0.9, 1000, "ffd9c0"),
        "Sky": Lamp((0.7, 0.3, 2.2), 0.2, 2600, "fff0dc", aim=0.9),
        "Funnel": Lamp((0.0, 0.0, 2.4), 0.2, 110, "ffcf9a", aim=0.0, spread=80),
    },
}


@dataclass(frozen=True)
class Grade:
    """World and colour management: colour and strength of the sky, and the exposure."""

    sky: str
    strength: float
    exposure: float
    contrast: str = "AgX - Medium High Contrast"


GRADES = {
    "flesh": Grade("000000", 0.0, 0.0),
    "fur": Grade("6a5f8c", 0.25, 0.0),
    "ink": Grade("000000", 0.0, 0.0),
    "specimen": Grade("2a1a16", 0.12, 0.0),
}


def rig(name: str, relief: float, azimuth: float) -> dict[str, bpy.types.Object]:
    """Build the lamps of a look.

    Parameters
    ----------
    name : str
        Of the look.
    relief : float
        Height of the land in Blender units.
    azimuth : float
        Of the camera, in degrees.

    Returns
    -------
    dict of Object
        The Empty and its lamps, by what they are.
    """
    empty = bpy.data.objects.new("Light Rig", None)
    empty.empty_display_type = "SINGLE_ARROW"
    empty.empty_display_size = 0.2 * WIDTH
    empty.rotation_euler.z = radians(azimuth)
    parts = {"Light Rig": empty}
    for part, lamp in RIGS[name].items():
        light = bpy.data.lights.new(part, "AREA")
        thing = bpy.data.objects.new(part, light)
        thing.parent = empty
        thing.visible_camera = False
        set_lamp(thing, lamp, relief)
        parts[part] = thing
    return parts


def set_lamp(thing: bpy.types.Object, lamp: Lamp, relief: float) -> None:
    """Place a lamp, and give it its size, colour and power."""
    light = thing.data
    light.shape = "DISK"
    light.size = lamp.size * WIDTH
    light.energy = lamp.watts
    light.color = linear(lamp.color)
    light.spread = radians(lamp.spread)
    x, y, z = lamp.place
    thing.location = (x * WIDTH, y * WIDTH, z * relief)
    middle = Vector((0.0, 0.0, lamp.aim * relief))
    thing.rotation_euler = (middle - thing.location).to_track_quat("-Z", "Y").to_euler()


def look_world(name: str) -> bpy.types.World:
    """Build the world of a look: a plain colour."""
    grade = GRADES[name]
    world = bpy.data.worlds.new(name.title())
    background = next(node for node in compat.use_nodes(world).nodes if node.type == "BACKGROUND")
    background.inputs["Color"].default_value = (*linear(grade.sky), 1.0)
    background.inputs["Strength"].default_value = grade.strength
    world.color = linear(grade.sky)
    return world


def set_view(scene: bpy.types.Scene, name: str) -> None:
    """Set a scene's colour management."""
    view, grade = scene.view_settings, GRADES[name]
    view.view_transform = "AgX"
    view.look = grade.contrast
    view.exposure, view.gamma = grade.exposure, 1.0
