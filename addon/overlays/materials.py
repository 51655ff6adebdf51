"""Emission materials of the overlays.

A scene whose overlays are laid over its picture by the compositor says so (``COMPOSITED``); in it,
and only while it renders, they are clear as air. Points may carry ``FADE``, from 0 to 1.
"""

from __future__ import annotations

import bpy

from ..nodes.color import linear
from ..nodes.materials import glow, new_material

COMPOSITED = "moving_lands_overlays_apart"
"""Custom property of a scene: 1 where its overlays are rendered by a scene of their own."""

FADE = "fade"
"""Attribute of points: how far gone they are."""

KIND = "moving_lands_paint"
"""Custom property of a material: which of these it is."""

LINE = "Overlay Line"
"""The kind of all that is no text."""

PALE = "f6efe9"


def bright() -> bpy.types.Material:
    """Return the material of what is read first."""
    return _material("Overlay Bright", PALE, 2.0)


def dim() -> bpy.types.Material:
    """Return the material of what is read second."""
    return _material("Overlay Dim", PALE, 1.4)


def line() -> bpy.types.Material:
    """Return the material of thin lines, dots and rings."""
    return _material(LINE, PALE, 1.6)


def plate() -> bpy.types.Material:
    """Return the material of badges: a dark one, and no black hole in a bright picture."""
    return _material("Overlay Plate", "1b1517", 1.0, 0.98)


def casing() -> bpy.types.Material:
    """Return the material beside thin lines, on which they stand out from what is bright."""
    return _material("Overlay Casing", "000000", 0.0, 0.9)


def _material(name: str, color: str, strength: float, alpha: float = 1.0) -> bpy.types.Material:
    """Return a material by its kind; it is built where there is none."""
    for material in bpy.data.materials:
        if material.get(KIND) == name:
            return material
    material, graph = new_material(name)
    material[KIND] = name
    material.diffuse_color = (*linear(color), alpha)

    def attribute(name: str, kind: str = "GEOMETRY") -> bpy.types.NodeOutputs:
        node = graph.add("ShaderNodeAttribute")
        node.attribute_type, node.attribute_name = kind, name
        return node.outputs

    gone = graph.math("MAXIMUM", attribute(COMPOSITED, "VIEW_LAYER")["Fac"], attribute(FADE)["Fac"])
    seen = graph.math("MULTIPLY", graph.math("SUBTRACT", 1.0, gone), alpha)
    light = glow(graph, color, strength)
    mixed = graph.add("ShaderNodeMixShader")
    graph.feed(mixed.inputs[0], seen)
    graph.feed(mixed.inputs[1], graph.add("ShaderNodeBsdfTransparent").outputs[0])
    graph.feed(mixed.inputs[2], light)
    graph.add("ShaderNodeOutputMaterial", Surface=mixed.outputs[0])
    graph.arrange()
    return material
