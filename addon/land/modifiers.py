"""Modifiers that make the land a solid: walls down to a base, or a thickness.

A new land has neither. Both are ordinary modifiers, which an artist sets, orders and removes like
any other, and which an update leaves as they are. Blender evaluates them at every frame: for a land
of 300 000 points, that takes about a tenth of a second.
"""

from __future__ import annotations

from math import inf

import bpy

from ..nodes.graph import Graph
from ..nodes.interface import Input
from ..units import WIDTH

BASE = "Height of the walls' lower edge; the lowest loss is at 0"


def add_thickness(land: bpy.types.Object, thickness: float = 0.01 * WIDTH) -> bpy.types.Modifier:
    """Thicken a land downwards: its upper side stays at the heights of the losses.

    Parameters
    ----------
    land : Object
        Its modifiers come before.
    thickness : float
        In Blender units.
    """
    solidify = land.modifiers.new("Land Thickness", "SOLIDIFY")
    solidify.thickness = thickness
    solidify.offset = -1.0
    return solidify


def add_skirt(land: bpy.types.Object, base: float = -0.04 * WIDTH) -> bpy.types.Modifier:
    """Add walls from a land's border down to a base, as on a block cut out of it.

    Parameters
    ----------
    land : Object
        Its modifiers come before.
    base : float
        Height of the walls' lower edge, in Blender units; the lowest loss is at 0.
    """
    skirt = land.modifiers.new("Land Skirt", "NODES")
    skirt.node_group = _skirt_group(base)
    return skirt


def _skirt_group(base: float) -> bpy.types.NodeTree:
    """Build the nodes: edges with one face are extruded, and what is new is set on the base."""
    graph = Graph.new("Land Skirt")
    graph.tree.is_modifier = True
    land = graph.input("Geometry", "Geometry")
    height = graph.input("Base", Input(base, BASE, -inf, inf, "DISTANCE"))
    faces = graph.add("GeometryNodeInputMeshEdgeNeighbors").outputs["Face Count"]
    border = graph.add("FunctionNodeCompare", {"data_type": "INT", "operation": "EQUAL"})
    count, one = (socket for socket in border.inputs if socket.type == "INT")
    graph.feed(count, faces)
    graph.feed(one, 1)
    walls = graph.add(
        "GeometryNodeExtrudeMesh",
        {"mode": "EDGES"},
        Mesh=land,
        Selection=border.outputs["Result"],
        Offset_Scale=0.0,
    )
    x, y, _ = graph.axes(graph.add("GeometryNodeInputPosition").outputs["Position"])
    down = graph.vector(x, y, height)
    moved = graph.add(
        "GeometryNodeSetPosition",
        Geometry=walls.outputs["Mesh"],
        Selection=walls.outputs["Top"],
        Position=down,
    )
    flat = graph.add(
        "GeometryNodeSetShadeSmooth",
        Geometry=moved.outputs["Geometry"],
        Selection=walls.outputs["Side"],
        Shade_Smooth=False,
    )
    graph.output(Geometry=flat.outputs[0])
    return graph.tree
