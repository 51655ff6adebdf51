"""Looks: material, lights and world.

All texture comes from the data: hue follows height and side, edges brighten with the facing
ratio, and nothing is procedural noise. Lights are area lights sized by the land.
"""

from __future__ import annotations

from math import radians
from typing import Any

import bpy
from mathutils import Vector

from . import compat
from .surface import WIDTH

Color = tuple[float, float, float]

FLESH_ROSE = ("5a68c4", "8982c1", "9a5fae", "a04d5a", "bd6858", "d4866e")
FLESH_GOLD = ("4b62c0", "8f86c9", "8a559a", "976548", "b97444", "d69a60")
"""Colours by height, from the tip of the funnel to the rim, on either side of the land."""


def linear(hexadecimal: str) -> Color:
    """Return the linear RGB of an sRGB colour such as "da9c8c"."""
    channels = [int(hexadecimal[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    red, green, blue = (
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels
    )
    return red, green, blue


def flesh_material() -> bpy.types.Material:
    """Build the flesh material: skin over a height ramp, rose on one side and gold on the other.

    What is high, it learns from the land itself: its custom property ``relief``.
    """
    material = bpy.data.materials.new("Flesh")
    tree = compat.use_nodes(material)
    tree.nodes.clear()
    graph = _Graph(tree)

    place = graph.add("ShaderNodeTexCoord").outputs["Object"]
    axes = graph.add("ShaderNodeSeparateXYZ", Vector=place).outputs
    relief = graph.add("ShaderNodeAttribute")
    relief.attribute_type, relief.attribute_name = "OBJECT", "relief"
    height = graph.math("DIVIDE", axes["Z"], relief.outputs["Fac"])
    side = graph.map_range(axes["X"], -0.3 * WIDTH, 0.3 * WIDTH, smooth=True)
    color = graph.mix(side, graph.ramp(height, FLESH_ROSE), graph.ramp(height, FLESH_GOLD))

    # Edges: seen at a grazing angle, skin turns pale and catches the light.
    facing = graph.add("ShaderNodeLayerWeight", Blend=0.2).outputs["Facing"]
    color = graph.mix(graph.math("MULTIPLY", facing, 0.28), color, (1.0, 0.74, 0.6, 1.0))

    skin = graph.add(
        "ShaderNodeBsdfPrincipled",
        **{
            "Base Color": color,
            "Roughness": 0.5,
            "Specular IOR Level": 0.1,
            "Subsurface Weight": 0.18,
            "Subsurface Radius": (1.0, 0.38, 0.3),
            "Subsurface Scale": 0.008 * WIDTH,
            "Sheen Weight": 0.12,
            "Sheen Roughness": 0.4,
        },
    )
    output = graph.add("ShaderNodeOutputMaterial", Surface=skin.outputs["BSDF"])
    output.is_active_output = True
    return material


def flesh_lights(relief: float, azimuth: float) -> dict[str, bpy.types.Object]:
    """Build the flesh rig: a raking key, a cool rim and fill from the other side.

    Places are in widths of the land and in reliefs, seen from a camera at -y; the lamps hang on
    an Empty that turns the whole rig to the camera's azimuth.

    Parameters
    ----------
    relief : float
        Height of the land in Blender units.
    azimuth : float
        Of the camera, in degrees.

    Returns
    -------
    dict of Object
        The Empty and its lamps, by what they are.
    """
    rig = bpy.data.objects.new("Light Rig", None)
    rig.empty_display_type = "SINGLE_ARROW"
    rig.empty_display_size = 0.2 * WIDTH
    rig.rotation_euler.z = radians(azimuth)
    lamps = {
        "Key": _area("Key", (0.68, -0.4, 0.62), 0.1, 4000, "ffdcc2", relief),
        "Rim": _area("Rim", (-0.55, 0.6, 0.5), 0.05, 420, "c9bcff", relief),
        "Fill": _area("Fill", (-0.9, -0.3, 0.5), 0.9, 840, "e6bcf5", relief),
    }
    for lamp in lamps.values():
        lamp.parent = rig
    return {"Light Rig": rig, **lamps}


def _area(
    name: str,
    place: tuple[float, float, float],
    size: float,
    watts: float,
    color: str,
    relief: float,
) -> bpy.types.Object:
    light = bpy.data.lights.new(name, "AREA")
    light.shape = "DISK"
    light.size = size * WIDTH
    light.energy = watts
    light.color = linear(color)
    lamp = bpy.data.objects.new(name, light)
    lamp.location = (place[0] * WIDTH, place[1] * WIDTH, place[2] * relief)
    middle = Vector((0.0, 0.0, 0.35 * relief))
    lamp.rotation_euler = (middle - lamp.location).to_track_quat("-Z", "Y").to_euler()
    lamp.visible_camera = False
    return lamp


def black_world() -> bpy.types.World:
    """Build a world without light."""
    world = bpy.data.worlds.new("Black")
    background = next(node for node in compat.use_nodes(world).nodes if node.type == "BACKGROUND")
    background.inputs["Color"].default_value = (0, 0, 0, 1)
    world.color = (0, 0, 0)
    return world


def glowing_material(name: str, color: str, strength: float) -> bpy.types.Material:
    """Build a material that only shines: for text and for the minimizer."""
    material = bpy.data.materials.new(name)
    tree = compat.use_nodes(material)
    tree.nodes.clear()
    graph = _Graph(tree)
    glow = graph.add("ShaderNodeEmission", Color=(*linear(color), 1.0), Strength=strength)
    graph.add("ShaderNodeOutputMaterial", Surface=glow.outputs["Emission"])
    return material


class _Graph:
    """Nodes by what goes into them: sockets by name, values or other nodes' outputs."""

    def __init__(self, tree: bpy.types.NodeTree) -> None:
        self.tree = tree
        self.column = 0

    def add(self, kind: str, **inputs: Any) -> bpy.types.Node:
        node = self.tree.nodes.new(kind)
        node.location = (self.column * 190, -60 * (self.column % 3))
        self.column += 1
        for name, value in inputs.items():
            self.feed(node.inputs[name], value)
        return node

    def feed(self, socket: bpy.types.NodeSocket, value: Any) -> None:
        if isinstance(value, bpy.types.NodeSocket):
            self.tree.links.new(value, socket)
        else:
            socket.default_value = value

    def math(self, operation: str, *values: Any) -> bpy.types.NodeSocket:
        node = self.add("ShaderNodeMath")
        node.operation = operation
        for socket, value in zip(node.inputs, values, strict=False):
            self.feed(socket, value)
        return node.outputs["Value"]

    def map_range(
        self, value: Any, low: float, high: float, smooth: bool = False
    ) -> bpy.types.NodeSocket:
        node = self.add("ShaderNodeMapRange", Value=value)
        node.interpolation_type = "SMOOTHSTEP" if smooth else "LINEAR"
        node.inputs["From Min"].default_value = low
        node.inputs["From Max"].default_value = high
        return node.outputs["Result"]

    def ramp(self, value: Any, colors: tuple[str, ...]) -> bpy.types.NodeSocket:
        node = self.add("ShaderNodeValToRGB", Fac=value)
        node.color_ramp.interpolation = "EASE"
        elements = node.color_ramp.elements
        while len(elements) < len(colors):
            elements.new(0.5)
        for index, color in enumerate(colors):
            elements[index].position = index / (len(colors) - 1)
            elements[index].color = (*linear(color), 1.0)
        return node.outputs["Color"]

    def mix(self, factor: Any, first: Any, second: Any) -> bpy.types.NodeSocket:
        node = self.add("ShaderNodeMix")
        node.data_type = "RGBA"
        # The node carries a set of sockets for each data type: names alone are ambiguous.
        sockets = {s.identifier: s for s in (*node.inputs, *node.outputs)}
        self.feed(sockets["Factor_Float"], factor)
        self.feed(sockets["A_Color"], first)
        self.feed(sockets["B_Color"], second)
        return sockets["Result_Color"]
