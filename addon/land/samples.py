"""Samples on the land: a mesh of points, and Geometry Nodes that show a ball on each.

Points outside of the window, where there is no land, have none.
"""

from __future__ import annotations

from math import inf

import bpy

from ..nodes.graph import Graph
from ..nodes.interface import Input
from ..nodes.materials import glowing_material
from ..sequence.surface import Surface
from ..units import WIDTH, plane_unit
from .styles import style_of


def balls(name: str) -> bpy.types.Object:
    """Build a mesh that shows a ball on each point over the land; it has no points yet."""
    style = style_of(name)
    graph = Graph.new(name)
    graph.tree.is_modifier = True
    points = graph.input("Geometry", "Geometry")
    size = graph.input("Radius", Input(style.radius, "Of a ball", 0.0, inf, "DISTANCE"))
    material = glowing_material(name, style.color, style.strength)
    paint = Input(material, "What balls are made of")
    ball = graph.add("GeometryNodeMeshUVSphere", Segments=24, Rings=12, Radius=size)
    smooth = graph.add("GeometryNodeSetShadeSmooth", Geometry=ball.outputs["Mesh"])
    painted = graph.painted(smooth.outputs[0], graph.input("Material", paint))
    spread = graph.add("GeometryNodeInstanceOnPoints", Points=points, Instance=painted)
    graph.feed(spread.inputs["Selection"], _over_land(graph))
    graph.output(Geometry=spread.outputs[0])

    thing = bpy.data.objects.new(name, bpy.data.meshes.new(name))
    thing.modifiers.new(name, "NODES").node_group = graph.tree
    return thing


def _over_land(graph: Graph) -> bpy.types.NodeSocket:
    """Add nodes that select the points in the window: clamping to it does not move them."""
    place = graph.add("GeometryNodeInputPosition").outputs[0]
    held = place
    for name, operation in (("Low", "MAXIMUM"), ("High", "MINIMUM")):
        bound = graph.add("ShaderNodeVectorMath", {"name": name, "operation": operation})
        graph.feed(bound.inputs[0], held)
        held = bound.outputs[0]
    settings = {"data_type": "VECTOR", "mode": "ELEMENT", "operation": "EQUAL"}
    same = graph.add("FunctionNodeCompare", settings)
    a, b = (socket for socket in same.inputs if socket.name in "AB" and socket.type == "VECTOR")
    graph.feed(a, held)
    graph.feed(b, place)
    return same.outputs[0]


def set_bounds(thing: bpy.types.Object, surface: Surface) -> None:
    """Set the window's corners in the nodes that leave out samples beside the land."""
    unit = plane_unit(surface.alpha)
    far = 1e3 * WIDTH
    for modifier in thing.modifiers:
        tree = modifier.node_group if modifier.type == "NODES" else None
        nodes = tree.nodes if tree else {}
        for name, end, z in (("Low", 0, -far), ("High", -1, far)):
            if name in nodes:
                corner = (surface.alpha[end] * unit, surface.beta[end] * unit, z)
                nodes[name].inputs[1].default_value = corner
