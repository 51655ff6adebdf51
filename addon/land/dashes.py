"""Dashes: a modifier on a path's curve, which stays an ordinary curve to edit and to update."""

from __future__ import annotations

import bpy

from ..nodes.geometry import shared
from ..nodes.graph import Graph
from ..units import WIDTH

PERIOD, DASH = 0.022 * WIDTH, 0.6
"""From one dash to the next, and how much of that a dash takes."""

PIECES = 12
"""Pieces of a period: where a dash may end."""


def dash(line: bpy.types.Object) -> None:
    """Draw a curve object in dashes, as thick as its bevel was, in its own material."""
    graph = Graph.new("Dashes")
    curve = graph.input("Geometry", "Geometry")
    thickness = graph.value("Thickness", 2 * line.data.bevel_depth)
    line.data.bevel_depth = 0.0  # a tube would be handed on as a mesh
    drawn = graph.group(shared("Dashed Tube", _tube), Curve=curve, Thickness=thickness)
    graph.output(Geometry=graph.painted(drawn.outputs[0], line.data.materials[0]))
    graph.tree.is_modifier = True
    line.modifiers.new("Dashes", "NODES").node_group = graph.tree


def _tube(graph: Graph) -> None:
    """Make a tube of a curve, as thick as its radius says, and leave out what is between dashes."""
    curve, thickness = graph.input("Curve", "Geometry"), graph.input("Thickness", "Float")
    length = graph.number(graph.add("GeometryNodeCurveLength", Curve=curve).outputs[0])
    count = graph.clamp(length * (PIECES / PERIOD), 2.0, 20000.0)
    curve = graph.add("GeometryNodeResampleCurve", Curve=curve, Count=count).outputs[0]
    run = graph.number(graph.add("GeometryNodeSplineParameter").outputs["Length"])
    part = graph.math("FRACT", run / PERIOD)
    curve = graph.stored(curve, "between dashes", part > DASH)
    radius = graph.number(graph.add("GeometryNodeInputRadius").outputs[0])
    profile = graph.add("GeometryNodeCurvePrimitiveCircle", Resolution=8)
    profile.inputs["Radius"].default_value = 0.5
    tube = graph.add(
        "GeometryNodeCurveToMesh",
        Curve=curve,
        Profile_Curve=profile.outputs["Curve"],
        Scale=radius * thickness,
        Fill_Caps=True,
    )
    between = graph.add("GeometryNodeInputNamedAttribute", Name="between dashes").outputs[0]
    left = graph.add(
        "GeometryNodeDeleteGeometry",
        {"domain": "FACE"},
        Geometry=tube.outputs[0],
        Selection=graph.number(between) > 0.5,
    )
    graph.output(Geometry=left.outputs[0])
