"""The step counter, and the learning rate as a thin inset below it: upper right.

Both begin at a fixed place, so that nothing but the figures moves while they count.
"""

from __future__ import annotations

import zlib
from typing import Any

import bpy
import numpy as np

from ..blender.keyframes import key_driven
from ..blender.rays import only_seen
from ..land.mesh import Clock
from ..nodes.geometry import object_of, tree_with
from ..nodes.graph import Graph, Number
from . import materials as paint
from .layout import CAPITAL, HAIRLINE, SMALL, Layout, condensed_font, picture_frame
from .number_format import count_text, loss_text

CURVE = "moving_lands_curve"
"""Custom property of the inset's mesh: the checksum of the curve as it was written."""

INSET = 0.2, 0.062
"""Width and height of the inset."""

DOT = 0.0058
"""Radius of the dot that runs along it."""

WIDE_RANGE = 100
"""A learning rate that changes by more than this is drawn on a log scale."""


def step_counter(camera: bpy.types.Object, layout: Layout) -> bpy.types.Object:
    """Build the counter of optimizer steps, in the upper right corner."""
    graph = Graph.new("Step")
    step, last = graph.value("Step"), graph.value("Last Step")
    _, (widest, _, _) = graph.bounds(_counted(graph, last))
    left, low = layout.right - widest, layout.top - CAPITAL * SMALL
    text = graph.painted(graph.moved(_counted(graph, step), left, low), paint.bright())
    graph.output(Geometry=text)
    return _in_frame(object_of(graph.tree), camera)


def key_step(counter: bpy.types.Object, clock: Clock, steps: np.ndarray) -> bool:
    """Let a counter count the steps ``(n,)`` of the snapshots; return whether it was ours."""
    return _key(counter, clock, {"Step": steps, "Last Step": np.full(len(steps), steps.max())})


def rate_inset(camera: bpy.types.Object, layout: Layout) -> bpy.types.Object:
    """Build the inset of the learning rate, without a curve yet.

    The curve is the object's own mesh, a point for each snapshot, in the unit square.
    """
    wide, high = INSET
    left, low = layout.right - wide - DOT, layout.top - 2.4 * SMALL - high
    graph = Graph.new("Learning Rate")
    curve = graph.input("Geometry", "Geometry")
    rate, snapshot = graph.value("Rate"), graph.value("Snapshot")

    size = graph.vector(wide, high, 1.0)
    curve = graph.add("GeometryNodeTransform", Geometry=curve, Scale=size).outputs[0]
    curve = graph.moved(curve, left, low)
    dot_x, dot_y = _sampled(graph, curve, snapshot)
    line = graph.add("GeometryNodeMeshToCurve", Mesh=curve).outputs[0]
    line = graph.painted(graph.tube(line, HAIRLINE), paint.line())
    x, _, _ = graph.axes(graph.add("GeometryNodeInputPosition").outputs[0])
    line = graph.stored(line, paint.FADE, (x > dot_x) * 0.6)
    dot = graph.painted(graph.moved(graph.disc(DOT), dot_x, dot_y, 0.001), paint.line())
    words = graph.group(loss_text(), Value=rate).outputs[0]
    words = graph.letters(graph.join("LEARNING RATE ", words), SMALL, condensed_font())
    under = 0.8 * SMALL + CAPITAL * SMALL
    caption = graph.painted(graph.moved(words, left, low - under), paint.bright())
    graph.output(Geometry=graph.together(line, dot, caption))
    return _in_frame(object_of(graph.tree), camera)


def key_rate(inset: bpy.types.Object, clock: Clock, steps: np.ndarray, rates: np.ndarray) -> bool:
    """Draw learning rates over the steps of the snapshots, and let the dot run along them.

    Where a rate is not known, it is as between those that are.

    Returns
    -------
    bool
        Whether it was ours to draw; an edited curve is not.
    """
    mesh, known = inset.data, np.isfinite(rates)
    if mesh.get(CURVE) not in (None, _checksum(mesh)) or not known.any():
        return False
    snapshots = np.arange(len(rates))
    rates = np.interp(snapshots, snapshots[known], rates[known])
    low = min(0.0, rates.min())
    if rates.min() > 0 and rates.max() > WIDE_RANGE * rates.min():
        high = np.log(rates / rates.min())
    else:
        high = rates - low
    run = (steps - steps[0]) / max(steps[-1] - steps[0], 1)
    _draw(mesh, np.column_stack([run, high / (high.max() or 1.0), np.zeros(len(run))]))
    return _key(inset, clock, {"Rate": rates, "Snapshot": snapshots})


def _draw(mesh: bpy.types.Mesh, points: np.ndarray) -> None:
    """Give a mesh the points ``(n, 3)`` of a line."""
    mesh.clear_geometry()
    mesh.vertices.add(len(points))
    mesh.vertices.foreach_set("co", points.astype(np.float32).ravel())
    mesh.edges.add(len(points) - 1)
    pairs = np.arange(len(points) - 1)[:, None] + [0, 1]
    mesh.edges.foreach_set("vertices", pairs.astype(np.int32).ravel())
    mesh.update()
    mesh[CURVE] = _checksum(mesh)


def _checksum(mesh: bpy.types.Mesh) -> str:
    points = np.empty(3 * len(mesh.vertices), np.float32)
    mesh.vertices.foreach_get("co", points)
    return f"{zlib.crc32(points.tobytes()):08x}"


def _key(thing: bpy.types.Object, clock: Clock, curves: dict[str, np.ndarray]) -> bool:
    """Key values of an object's tree over the land's clock, by their names."""
    tree = tree_with(thing, *curves)
    if tree is None:
        return False
    *source, each = clock
    path = 'nodes["{}"].outputs[0].default_value'
    return all(
        [
            key_driven(tree, path.format(name), source, each * np.arange(len(curve)), curve)
            for name, curve in curves.items()
        ]
    )


def _counted(graph: Graph, step: Number) -> bpy.types.NodeSocket:
    words = graph.group(count_text(), Value=step).outputs[0]
    return graph.letters(graph.join("STEP ", words), SMALL, condensed_font())


def _sampled(graph: Graph, curve: Any, at: Number) -> tuple[Number, Number]:
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


def _in_frame(thing: bpy.types.Object, camera: bpy.types.Object) -> bpy.types.Object:
    thing.parent = picture_frame(camera)
    only_seen(thing)
    return thing
