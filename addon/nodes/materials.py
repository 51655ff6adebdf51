"""Materials: the beginning of every one, and one that only shines."""

from __future__ import annotations

from typing import Any

import bpy

from ..blender import compat
from .color import linear
from .graph import Graph


def new_material(name: str) -> tuple[bpy.types.Material, Graph]:
    """Make a material, and begin its tree."""
    material = bpy.data.materials.new(name)
    tree = compat.use_nodes(material)
    tree.nodes.clear()
    return material, Graph(tree)


def glowing_material(name: str, color: str, strength: float) -> bpy.types.Material:
    """Build a material that only shines, in an sRGB colour such as "da9c8c"."""
    material, graph = new_material(name)
    graph.add("ShaderNodeOutputMaterial", Surface=glow(graph, color, strength))
    graph.arrange()
    return material


def glow(graph: Graph, color: Any, strength: Any) -> bpy.types.NodeSocket:
    """Add light of a colour: an sRGB one such as "da9c8c", or a socket's."""
    color = (*linear(color), 1.0) if isinstance(color, str) else color
    return graph.add("ShaderNodeEmission", Color=color, Strength=strength).outputs["Emission"]
