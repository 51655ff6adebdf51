"""The land as a solid: a skirt down to a base, or a thickness.

Neither is there by default. Both are native modifiers, which an artist sets, orders and removes
like any other, and which importing again leaves alone. Every frame builds them anew: with one of
them, a land of 300 000 points takes about a tenth of a second for it.
"""

from __future__ import annotations

from itertools import pairwise

import bpy

from ..units import WIDTH


def add_thickness(land: bpy.types.Object, thickness: float = 0.01 * WIDTH) -> bpy.types.Modifier:
    """Thicken a land downwards: its upper side stays where the losses are.

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
    """Draw a land's border down to a base: walls as a block of it would have.

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
    tree = bpy.data.node_groups.new("Land Skirt", "GeometryNodeTree")
    tree.is_modifier = True
    socket = tree.interface.new_socket
    socket("Geometry", in_out="INPUT", socket_type="NodeSocketGeometry")
    height = socket("Base", in_out="INPUT", socket_type="NodeSocketFloat")
    height.subtype, height.default_value = "DISTANCE", base
    height.description = "Height of the walls' lower edge; the lowest loss is at 0"
    socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")

    kinds = (
        "NodeGroupInput",
        "GeometryNodeInputMeshEdgeNeighbors",
        "FunctionNodeCompare",
        "GeometryNodeExtrudeMesh",
        "GeometryNodeInputPosition",
        "ShaderNodeSeparateXYZ",
        "ShaderNodeCombineXYZ",
        "GeometryNodeSetPosition",
        "GeometryNodeSetShadeSmooth",
        "NodeGroupOutput",
    )
    given, faces, border, extrude, place, axes, down, move, flat, out = map(tree.nodes.new, kinds)
    border.data_type, border.operation = "INT", "EQUAL"
    next(s for s in border.inputs if s.name == "B" and s.type == "INT").default_value = 1
    extrude.mode = "EDGES"
    extrude.inputs["Offset Scale"].default_value = 0.0
    flat.inputs["Shade Smooth"].default_value = False

    link = tree.links.new
    link(faces.outputs["Face Count"], next(s for s in border.inputs if s.type == "INT"))
    link(border.outputs["Result"], extrude.inputs["Selection"])
    link(place.outputs["Position"], axes.inputs["Vector"])
    link(axes.outputs["X"], down.inputs["X"])
    link(axes.outputs["Y"], down.inputs["Y"])
    link(given.outputs["Base"], down.inputs["Z"])
    link(down.outputs["Vector"], move.inputs["Position"])
    link(extrude.outputs["Top"], move.inputs["Selection"])
    link(extrude.outputs["Side"], flat.inputs["Selection"])
    for before, after in pairwise((given, extrude, move, flat, out)):
        link(before.outputs[0], after.inputs[0])
    for column, node in enumerate((given, faces, border, place, axes, down, extrude, move, flat)):
        node.location = (200 * column, -200 * (node in (faces, border, place, axes, down)))
    out.location = (1800, 0)
    return tree
