"""The learning rate: a thin inset below the step counter, with a dot that runs along it."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np

from ..blender.edits import checksum, is_untouched, stamp
from ..blender.parts import Part, Parts
from ..land.mesh import Clock, clock
from ..nodes.geometry import shared
from ..nodes.graph import Graph, Number
from ..sequence.surface import Surface
from . import labels, materials
from .layout import CAPITAL, HAIRLINE, SMALL, Picture
from .letters import set_text
from .number_format import loss_text
from .overlay import Content, Overlay, Written

RATE = "learning_rate"
"""The curve over the training that is shown."""

INSET = 0.2, 0.062
"""Width and height of the inset."""

DOT = 0.0058
"""Radius of the dot that runs along it."""

WIDE_RANGE = 100
"""A learning rate that changes by more than this is drawn on a log scale."""

CURVE = "moving_lands_curve"
"""Stamp of the inset's mesh, an older one than ``edits.SHAPE``: of the curve's points."""


def make(picture: Picture, there: Parts, content: Content) -> dict[Part, bpy.types.Object]:
    """Build the inset of the first surface, where its learning rate is known, without a curve yet.

    The curve is the object's own mesh, a point for each snapshot, in the unit square.
    """
    made = {}
    for surface in content.surfaces[:1]:
        if RATE in surface.scalars:
            graph = Graph.new("Learning Rate")
            numbers = {name: graph.value(name) for name in ("Rate", "Snapshot")}
            numbers["Curve"] = graph.input("Geometry", "Geometry")
            drawing = shared("Learning Rate Label", _draw)
            drawn = picture.label(graph, drawing, Prefix="LEARNING RATE ", Size=SMALL, **numbers)
            graph.output(Geometry=drawn)
            made[Part("Learning Rate", surface.name)] = labels.hung(graph, picture.frame)
    return made


def write(there: Parts, content: Content) -> Written:
    """Draw the learning rates over the steps, and let the dot run along them."""
    return {
        inset: key_rate(inset, surface, clock(land))
        for surface in content.surfaces
        if RATE in surface.scalars
        and (land := there.get(Part("Land", surface.name)))
        and (inset := there.get(Part("Learning Rate", surface.name)))
    }


OVERLAY = Overlay(("Learning Rate",), make, write)


def key_rate(inset: bpy.types.Object, surface: Surface, time: Clock) -> bool:
    """Draw a surface's learning rates; return whether the curve was ours to draw.

    Where a rate is not known, it is as between those that are.
    """
    mesh, steps, rates = inset.data, surface.step, surface.scalars[RATE]
    known = np.isfinite(rates)
    edited = CURVE in mesh and not is_untouched(mesh, CURVE, _state(mesh))
    if edited or not known.any():
        return False
    snapshots = np.arange(len(rates))
    rates = np.interp(snapshots, snapshots[known], rates[known])
    low = min(0.0, rates.min())
    if rates.min() > 0 and rates.max() > WIDE_RANGE * rates.min():
        high = np.log(rates / rates.min())
    else:
        high = rates - low
    run = (steps - steps[0]) / max(steps[-1] - steps[0], 1)
    _draw_line(mesh, np.column_stack([run, high / (high.max() or 1.0), np.zeros(len(run))]))
    return labels.key_numbers(inset, time, {"Rate": rates, "Snapshot": snapshots})


def _draw_line(mesh: bpy.types.Mesh, points: np.ndarray) -> None:
    """Give a mesh the points ``(n, 3)`` of a line."""
    mesh.clear_geometry()
    mesh.vertices.add(len(points))
    mesh.vertices.foreach_set("co", points.astype(np.float32).ravel())
    mesh.edges.add(len(points) - 1)
    pairs = np.arange(len(points) - 1)[:, None] + [0, 1]
    mesh.edges.foreach_set("vertices", pairs.astype(np.int32).ravel())
    mesh.update()
    stamp(mesh, CURVE, _state(mesh))


def _state(mesh: bpy.types.Mesh) -> str:
    points = np.empty(3 * len(mesh.vertices), np.float32)
    mesh.vertices.foreach_get("co", points)
    return checksum(points.tobytes())


def _draw(graph: Graph) -> None:
    rate, snapshot = graph.input("Rate", "Float"), graph.input("Snapshot", "Float")
    curve, prefix = graph.input("Curve", "Geometry"), graph.input("Prefix", "String")
    size, letters = graph.input("Size", "Float"), graph.input("Letters", "Object")
    right, top = graph.input("Right", "Float"), graph.input("Top", "Float")
    wide, high = INSET
    left, low = right - wide - DOT, top - size * 2.4 - high

    placed = graph.add(
        "GeometryNodeTransform",
        Geometry=curve,
        Scale=graph.vector(wide, high, 1.0),
        Translation=graph.vector(left, low),
    ).outputs[0]
    dot_x, dot_y = _between(graph, placed, snapshot)
    line = graph.add("GeometryNodeMeshToCurve", Mesh=placed).outputs[0]
    line = graph.painted(graph.tube(line, HAIRLINE), materials.line())
    x, _, _ = graph.axes(graph.add("GeometryNodeInputPosition").outputs[0])
    line = graph.stored(line, materials.FADE, (x > dot_x) * 0.6)
    dot = graph.painted(graph.moved(graph.disc(DOT), dot_x, dot_y, 0.001), materials.line())
    number = graph.group(loss_text(), Value=rate).outputs[0]
    words = set_text(graph, graph.join(prefix, number), size, letters)
    under = size * (0.8 + CAPITAL)
    caption = graph.moved(words, left, low - under)
    graph.output(Geometry=graph.together(line, dot, caption))


def _between(graph: Graph, curve: Any, at: Number) -> tuple[Number, Number]:
    """Return x and y of a line at one of its points, or so far between two."""
    position = graph.add("GeometryNodeInputPosition").outputs[0]
    index = graph.math("FLOOR", at)
    ends = []
    for point in (index, index + 1.0):
        node = graph.add(
            "GeometryNodeSampleIndex",
            {"data_type": "FLOAT_VECTOR", "clamp": True},
            Geometry=curve,
            Value=position,
            Index=point,
        )
        ends.append(graph.axes(node.outputs[0]))
    (x, y, _), (next_x, next_y, _) = ends
    return graph.blend(at - index, x, next_x), graph.blend(at - index, y, next_y)
