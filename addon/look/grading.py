"""World and colour management of a shot."""

from __future__ import annotations

import bpy

from ..blender import compat
from ..blender.edits import LOOK, checksum, stamp
from ..nodes.color import linear
from ..nodes.graph import Graph
from ..nodes.signature import signature
from .look import Grade


def grade_world(grade: Grade) -> bpy.types.World:
    """Build a world."""
    world = bpy.data.worlds.new("Sky")
    set_world(world, grade)
    return world


def set_world(world: bpy.types.World, grade: Grade) -> None:
    """Make a world a look's: its light is one thing, what the camera sees of it another."""
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
    stamp(world, LOOK, signature(tree))


def set_view(scene: bpy.types.Scene, grade: Grade) -> None:
    """Set a scene's colour management."""
    view = scene.view_settings
    view.view_transform = "AgX"
    view.look = grade.contrast
    view.exposure, view.gamma = grade.exposure, 1.0
    stamp(scene, LOOK, view_state(scene))


def view_state(scene: bpy.types.Scene) -> str:
    """Return what tells a scene's colour management from one that was changed."""
    view = scene.view_settings
    numbers = [f"{number:.4g}" for number in (view.exposure, view.gamma)]
    return checksum([view.view_transform, view.look, *numbers])
