"""What labels have in common that hang on places of the land, by thin lines.

A label is where its place is seen, but drawn in the picture: always of one size, upright, within
the margins, beside the minimizer and never on it. The nodes see to that in every frame, whatever
the camera does. A label's own tree holds only its numbers, because Blender makes a driven tree anew
at every frame; what draws it is a group, made once.
"""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np

from ..blender.keyframes import key_driven
from ..blender.rays import only_seen
from ..land.mesh import Clock
from ..nodes.geometry import object_of, shared, tree_with
from ..nodes.graph import Graph, Number
from . import materials
from .layout import GAP, HAIRLINE

BESIDE = 0.055
"""From the minimizer to a label beside it."""

VALUE = 'nodes["{}"].outputs[0].default_value'
"""Data path of a number that stands in a label's tree."""


def hung(graph: Graph, holder: bpy.types.Object) -> bpy.types.Object:
    """Make an object of a label's tree, and hang it on another one."""
    label = object_of(graph.tree)
    label.parent = holder
    only_seen(label)
    return label


def key_numbers(label: bpy.types.Object, clock: Clock, curves: dict[str, np.ndarray]) -> bool:
    """Key numbers of a label's tree over the land's clock; return whether it was ours.

    Parameters
    ----------
    label : Object
        What was made by an overlay's ``make``.
    clock : bpy.types.ID, str, float
        What says which snapshot is seen: data-block, data path, its value per snapshot.
    curves : dict of ndarray
        ``(n,)`` a number at each snapshot, by its name in the tree.
    """
    tree = tree_with(label, *curves)
    if tree is None:
        return False
    *source, each = clock
    return all(
        [
            key_driven(tree, VALUE.format(name), source, each * np.arange(len(curve)), curve)
            for name, curve in curves.items()
        ]
    )


# Where things are seen


def seen_at(
    graph: Graph, frame: Any, camera: Any, point: Any = (0.0, 0.0, 0.0)
) -> tuple[Number, Number, Number, Number]:
    """Return x and y in the picture of a place, a unit's size there, and whether it is ahead."""
    tree = shared("Place in Picture", _place)
    node = graph.group(tree, Frame=frame, Camera=camera, Point=point)
    x, y, unit, ahead = (graph.number(socket) for socket in node.outputs)
    return x, y, unit, ahead


def _place(graph: Graph) -> None:
    frame, camera = graph.input("Frame", "Object"), graph.input("Camera", "Object")
    point = graph.input("Point", "Vector")
    into = graph.add("FunctionNodeInvertMatrix", Matrix=placed(graph, frame, "Transform"))

    def seen_by_frame(place: Any) -> tuple[Number, Number, Number]:
        moved = graph.add("FunctionNodeTransformPoint", Vector=place, Transform=into.outputs[0])
        return graph.axes(moved.outputs[0])

    lens_x, lens_y, lens_z = seen_by_frame(placed(graph, camera, "Location"))
    x, y, z = seen_by_frame(point)
    far = graph.most(lens_z - z, 1e-6)
    nearer = lens_z / far
    beside = graph.add("ShaderNodeVectorMath", {"operation": "ADD"})
    graph.feed(beside.inputs[0], point)
    beside.inputs[1].default_value = (1.0, 0.0, 0.0)
    steps = [a - b for a, b in zip(seen_by_frame(beside.outputs[0]), (x, y, z), strict=True)]
    unit = graph.math("SQRT", sum((step * step for step in steps[1:]), steps[0] * steps[0]))
    graph.output(
        X=lens_x + (x - lens_x) * nearer,
        Y=lens_y + (y - lens_y) * nearer,
        Unit=unit * nearer,
        Ahead=lens_z - z > 1e-3,
    )


def placed(graph: Graph, thing: Any, output: str) -> bpy.types.NodeSocket:
    """Return the "Transform" or the "Location" of an object, seen from the label's own."""
    info = graph.add("GeometryNodeObjectInfo", {"transform_space": "RELATIVE"}, Object=thing)
    return info.outputs[output]


def in_picture(graph: Graph, drawn: Any, frame: Any) -> bpy.types.NodeSocket:
    """Put what is drawn in the picture there, from wherever the label hangs."""
    position = graph.add("GeometryNodeInputPosition").outputs[0]
    transform = placed(graph, frame, "Transform")
    moved = graph.add("FunctionNodeTransformPoint", Vector=position, Transform=transform)
    put = graph.add("GeometryNodeSetPosition", Geometry=drawn, Position=moved.outputs[0])
    return put.outputs[0]


def inside(graph: Graph, x: Number, y: Number, width: Number, height: Number) -> Number:
    """Return 1 for what is well within the picture, 0 for what is outside, softly."""
    left = width * 0.5 - graph.math("ABSOLUTE", x)
    above = height * 0.5 - graph.math("ABSOLUTE", y)
    return graph.smooth(graph.least(left, above), 0.0, 0.04)


def held(
    graph: Graph, x: Number, y: Number, width: Number, height: Number
) -> tuple[Number, Number]:
    """Return the place of the picture that is the nearest to one."""
    half_x, half_y = width * 0.5, height * 0.5
    return graph.clamp(x, -half_x, half_x), graph.clamp(y, -half_y, half_y)


# Lines


def leader(
    graph: Graph, x: Number, y: Number, clear: Any, to_x: Number, to_y: Any, end: float
) -> bpy.types.NodeSocket:
    """Return a thin line from beside a place to a label, with a dark casing.

    It begins a gap off what is ``clear`` around the place, and ends ``end`` before its aim.
    """
    run, rise = to_x - x, to_y - y
    length = graph.most(graph.math("SQRT", run * run + rise * rise), 1e-6)
    begins = graph.least((clear + GAP) / length, 1.0)
    ends = graph.most(1.0 - end / length, begins)
    start = graph.vector(x + run * begins, y + rise * begins)
    stop = graph.vector(x + run * ends, y + rise * ends)
    rod = graph.add("GeometryNodeCurvePrimitiveLine", Start=start, End=stop)
    return cased(graph, rod.outputs[0])


def cased(graph: Graph, curve: Any) -> bpy.types.NodeSocket:
    """Return a curve as a thin line with a dark casing."""
    line = graph.painted(graph.tube(curve, HAIRLINE), materials.line())
    casing = graph.painted(graph.tube(curve, 3 * HAIRLINE), materials.casing())
    return graph.together(line, graph.moved(casing, 0.0, 0.0, -0.004))
