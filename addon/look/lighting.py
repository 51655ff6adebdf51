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

from ..blender import compat
from ..nodes.color import linear
from ..nodes.graph import Graph
from ..units import WIDTH


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
        "Key": Lamp((0.66, -0.46, 0.5), 0.12, 3000, "ffdcc2"),
        "Rim": Lamp((-0.55, 0.6, 0.45), 0.06, 1600, "b9b4ff"),
        "Fill": Lamp((-0.9, -0.5, -0.4), 0.9, 470, "c9a6f5"),
        "Sky": Lamp((0.8, 0.3, 1.75), 0.1, 2200, "ffdcc2", aim=0.9),
        "Funnel": Lamp((-0.12, 0.1, 2.2), 0.15, 110, "b9a8ff", aim=0.0, spread=80),
    },
    "fur": {
        "Key": Lamp((0.6, -0.5, 0.62), 0.1, 3200, "ffd9a8"),
        "Rim": Lamp((-0.55, 0.6, 0.45), 0.05, 1500, "b9b4ff"),
        "Fill": Lamp((-0.9, -0.5, -0.4), 0.9, 250, "d9c6ff"),
        "Sky": Lamp((0.85, 0.35, 1.6), 0.07, 3150, "ffdcae", aim=0.95),
        "Funnel": Lamp((-0.25, 0.1, 2.7), 0.35, 100, "d8ccff", aim=0.1, spread=42),
    },
    "ink": {
        "Key": Lamp((0.64, -0.5, 0.5), 0.12, 2700, "e6e6ff"),
        "Rim": Lamp((-0.55, 0.6, 0.45), 0.08, 1300, "8fa0ff"),
        "Fill": Lamp((-0.9, -0.5, -0.4), 0.9, 420, "e4e0ff"),
        "Sky": Lamp((0.8, 0.3, 1.75), 0.1, 1700, "dfe2ff", aim=0.9),
        "Funnel": Lamp((-0.12, 0.1, 2.2), 0.15, 110, "ff9ccb", aim=0.0, spread=80),
    },
    "specimen": {
        "Key": Lamp((0.7, -0.44, 0.55), 0.14, 2400, "fff0dc"),
        "Rim": Lamp((-0.65, 0.55, 0.45), 0.08, 900, "ffd0a8"),
        "Fill": Lamp((-0.8, -0.6, -0.3), 0.9, 60, "ffe4d4"),
        "Sky": Lamp((0.8, 0.3, 1.75), 0.1, 2300, "fff0dc", aim=0.9),
        "Funnel": Lamp((0.0, 0.0, 2.4), 0.2, 100, "ffcf9a", aim=0.0, spread=80),
    },
}


@dataclass(frozen=True)
class Grade:
    """World and colour management.

    Attributes
    ----------
    ground : str
        What is seen behind the land, sRGB before the view transform.
    ambient : str
        The light that comes from everywhere, so that no shadow is a hole.
    strength : float
        Of that light.
    exposure : float
        In stops.
    contrast : str
        The view transform's look.
    """

    ground: str
    ambient: str
    strength: float
    exposure: float = 0.0
    contrast: str = "AgX - Medium High Contrast"


GRADES = {
    "flesh": Grade("000000", "b9a0d8", 0.03),
    "fur": Grade("0e0a12", "8f7fb8", 0.03, exposure=0.2),
    "ink": Grade("000000", "98a2d8", 0.03, exposure=0.35),
    "specimen": Grade("140d0b", "d8c4bc", 0.01, exposure=0.2),
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
    world = bpy.data.worlds.new("Sky")
    set_world(world, name)
    return world


def set_world(world: bpy.types.World, name: str) -> None:
    """Make a world a look's: its light is one thing, what the camera sees of it another."""
    grade = GRADES[name]
    tree = compat.use_nodes(world)
    tree.nodes.clear()
    graph = Graph(tree)
    seen = graph.add("ShaderNodeLightPath").outputs["Is Camera Ray"]
    light = tuple(grade.strength * c for c in linear(grade.ambient))
    color = graph.mix(seen, (*light, 1.0), (*linear(grade.ground), 1.0))
    background = graph.add("ShaderNodeBackground", Color=color)
    graph.add("ShaderNodeOutputWorld", Surface=background.outputs["Background"])
    graph.arrange()
    world.color = linear(grade.ground)


def set_view(scene: bpy.types.Scene, name: str) -> None:
    """Set a scene's colour management."""
    view, grade = scene.view_settings, GRADES[name]
    view.view_transform = "AgX"
    view.look = grade.contrast
    view.exposure, view.gamma = grade.exposure, 1.0
