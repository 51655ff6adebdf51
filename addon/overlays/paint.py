"""What overlays are painted in: light that nothing else casts or takes, and soft shade.

A scene whose overlays are laid over its picture by the compositor says so (``APART``); in it, and
only while it renders, they are clear as air. Points may carry ``FADE``, from 0 to 1.
"""

from __future__ import annotations

from typing import Any

import bpy

from .. import compat
from ..graph import Graph as Nodes
from ..graph import linear
from .nodes import Graph, shared

APART = "moving_lands_overlays_apart"
"""Custom property of a scene: 1 where its overlays are rendered by a scene of their own."""

FADE, PLACE, HALF, SOFT = "fade", "shade_place", "shade_half", "shade_soft"
"""Attributes of points: how far gone they are; of shade: where from its middle, half its size, how
far it fades out beyond."""

PAINT = "moving_lands_paint"
"""Custom property of a material: which of these it is."""

LINE = "Overlay Line"
"""Which of these is the paint of all that is no text."""

PALE = "f6efe9"


def bright() -> bpy.types.Material:
    """Return the paint of what is read first."""
    return _paint("Overlay Bright", PALE, 2.0)


def dim() -> bpy.types.Material:
    """Return the paint of what is read second."""
    return _paint("Overlay Dim", PALE, 1.0)


def line() -> bpy.types.Material:
    """Return the paint of thin lines, dots and rings."""
    return _paint(LINE, PALE, 1.6)


def shade() -> bpy.types.Material:
    """Return the paint behind text: it darkens what is behind, and softly ends."""
    return _paint("Overlay Shade", "000000", 0.0, 0.86, soft=True)


def plate() -> bpy.types.Material:
    """Return the paint of badges: a dark one, and no black hole in a bright picture."""
    return _paint("Overlay Plate", "1b1517", 1.0, 0.98)


def casing() -> bpy.types.Material:
    """Return the paint on both sides of thin lines, on which they stand out from what is bright."""
    return _paint("Overlay Casing", "000000", 0.0, 0.9)


def _paint(
    name: str, color: str, strength: float, alpha: float = 1.0, soft: bool = False
) -> bpy.types.Material:
    """Return a material by its mark; it is built where there is none."""
    for material in bpy.data.materials:
        if material.get(PAINT) == name:
            return material
    material = bpy.data.materials.new(name)
    material[PAINT] = name
    # In solid shading there is no soft end: a hard rectangle would only be in the way.
    material.diffuse_color = (*linear(color), 0.0 if soft else alpha)
    tree = compat.use_nodes(material)
    tree.nodes.clear()
    graph = Nodes(tree)

    def attribute(name: str, kind: str = "GEOMETRY") -> bpy.types.NodeOutputs:
        node = graph.add("ShaderNodeAttribute")
        node.attribute_type, node.attribute_name = kind, name
        return node.outputs

    def vector(operation: str, *values: Any) -> bpy.types.NodeOutputs:
        node = graph.add("ShaderNodeVectorMath")
        node.operation = operation
        for socket, value in zip(node.inputs, values, strict=False):
            graph.feed(socket, value)
        return node.outputs

    gone = graph.math("MAXIMUM", attribute(APART, "VIEW_LAYER")["Fac"], attribute(FADE)["Fac"])
    seen = graph.math("MULTIPLY", graph.math("SUBTRACT", 1.0, gone), alpha)
    if soft:
        beside = vector("ABSOLUTE", attribute(PLACE)["Vector"])["Vector"]
        beyond = vector("SUBTRACT", beside, attribute(HALF)["Vector"])["Vector"]
        beyond = vector("MAXIMUM", beyond, (0.0, 0.0, 0.0))["Vector"]
        far = vector("LENGTH", beyond)["Value"]
        ended = graph.map_range(far, 0.0, attribute(SOFT)["Fac"])
        seen = graph.math("MULTIPLY", seen, graph.math("SUBTRACT", 1.0, ended))
    light = graph.add("ShaderNodeEmission", Color=(*linear(color), 1.0), Strength=strength)
    mixed = graph.add("ShaderNodeMixShader")
    graph.feed(mixed.inputs[0], seen)
    graph.feed(mixed.inputs[1], graph.add("ShaderNodeBsdfTransparent").outputs[0])
    graph.feed(mixed.inputs[2], light.outputs[0])
    graph.add("ShaderNodeOutputMaterial", Surface=mixed.outputs[0])
    graph.arrange()
    return material


def soft_shade() -> bpy.types.NodeTree:
    """Return the group that makes a shade behind a rectangle, in the paint for it.

    "Back" is how far: no two shades may lie in one plane, where neither would be before the other.
    """
    return shared("Soft Shade", _soft_shade)


def _soft_shade(graph: Graph) -> None:
    x, y = graph.input("X"), graph.input("Y")
    half_x, half_y = graph.input("Half Width"), graph.input("Half Height")
    soft, back = graph.input("Softness"), graph.input("Back")
    grid = graph.add(
        "GeometryNodeMeshGrid",
        Size_X=(half_x + soft) * 2.0,
        Size_Y=(half_y + soft) * 2.0,
        Vertices_X=2,
        Vertices_Y=2,
    ).outputs["Mesh"]
    position = graph.add("GeometryNodeInputPosition").outputs[0]
    grid = graph.stored(grid, PLACE, position)
    grid = graph.stored(grid, HALF, graph.vector(half_x, half_y, 1.0))
    grid = graph.stored(grid, SOFT, soft)
    graph.output(Geometry=graph.painted(graph.moved(grid, x, y, -back), shade()))
