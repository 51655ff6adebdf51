"""Labels that hang on places of the land, by thin lines: the live loss, and round loss badges.

A label is where its place is seen, but drawn in the picture: always of one size, upright, within
the margins, beside the minimizer and never on it. The nodes see to that in every frame, whatever
the camera does. What is live stands to the right of the minimizer, badges to the left of it, each
at a height of its own; when a badge's place leaves the picture the badge stays, at the margin.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import bpy
import numpy as np

from ..blender.keyframes import key_driven
from ..blender.rays import only_seen
from ..land.mesh import Clock
from ..nodes.geometry import object_of, shared, tree_with
from ..nodes.graph import Graph, Number
from . import materials as paint
from .layout import (
    CAPITAL,
    GAP,
    HAIRLINE,
    NUMBER,
    SMALL,
    TITLE,
    Layout,
    condensed_font,
    picture_frame,
)
from .number_format import keyable, loss_text

BESIDE, BELOW = 0.055, 0.062
"""From the minimizer to its label."""

CLEAR = 0.028
"""Between a label and a block of text."""

RETICLE = 0.0145
"""Least radius of the thin ring around the minimizer, which the land may hide."""

BADGE = 0.031
"""Radius of a badge."""

AWAY = 0.14
"""From a badge's place to the badge, at least as far from the minimizer."""

RISE = 0.05
"""From a badge's place up to the badge, where its band allows."""

APPEARS = 0.6
"""Snapshots that a badge takes to appear, once the minimizer has passed."""


def live_loss(
    mark: bpy.types.Object,
    camera: bpy.types.Object,
    layout: Layout,
    blocks: Iterable[bpy.types.Object] = (),
) -> bpy.types.Object:
    """Build the label beside the minimizer: the original loss, counting.

    Parameters
    ----------
    mark : Object
        What the label stands beside and moves with.
    camera : Object
        What it is seen by.
    layout : Layout
        Of the picture.
    blocks : iterable of Object
        Texts that it keeps clear of.
    """
    graph = Graph.new("Live loss")
    loss = graph.value("Loss")
    number = graph.group(loss_text(), Value=loss).outputs[0]
    text = graph.letters(graph.join("LOSS ", number), NUMBER, condensed_font())
    _, (wide, _, _) = graph.bounds(text)
    high = CAPITAL * NUMBER

    frame = picture_frame(camera)
    x, y, unit, ahead = _seen_at(graph, frame, camera)
    inside = _inside(graph, x, y, layout)
    x, y = _held(graph, x, y, layout)
    fits = x + wide + BESIDE < layout.right
    left = graph.either(fits, x + BESIDE, x - wide - BESIDE)
    left = graph.clamp(left, -layout.right, layout.right - wide)
    low = graph.most(y - BELOW - high / 2, -layout.top)
    for block in blocks:
        low = graph.most(low, _clear_of(graph, block, frame, left, wide))
    low = graph.least(low, layout.top - high)

    bead = unit * max((v.co.length for v in mark.data.vertices), default=0.0)
    around = graph.most(bead + GAP / 2, RETICLE)
    reticle = _reticle(graph, x, y, around)
    to_x = graph.either(fits, left - GAP, left + wide + GAP)
    leader = _leader(graph, x, y, around, to_x, low + high / 2, 0.0)
    text = graph.painted(graph.moved(text, left, low), paint.bright())
    gone = 1.0 - ahead * inside  # the number stays, even where the minimizer is out of the picture
    leading = graph.stored(graph.together(reticle, leader), paint.FADE, gone)
    graph.output(Geometry=_in_picture(graph, graph.together(leading, text), frame))
    return _label(graph, mark)


def key_loss(label: bpy.types.Object, clock: Clock, losses: np.ndarray) -> bool:
    """Let a label count the losses ``(n,)`` of the snapshots; return whether it was ours."""
    tree = tree_with(label, "Loss")
    if tree is None:
        return False
    *source, each = clock
    path = 'nodes["Loss"].outputs[0].default_value'
    return key_driven(tree, path, source, each * np.arange(len(losses)), keyable(losses))


def badge(
    land: bpy.types.Object,
    mark: bpy.types.Object,
    camera: bpy.types.Object,
    layout: Layout,
    slot: int,
    slots: int,
) -> bpy.types.Object:
    """Build a round badge that will hang on a place of the land; it has no loss yet.

    Parameters
    ----------
    land : Object
        What its place is on.
    mark : Object
        The minimizer, which it does not cover.
    camera : Object
        What it is seen by.
    layout : Layout
        Of the picture.
    slot, slots : int
        Which one it is, from above, of how many: each has a band of the picture to itself.
    """
    graph = Graph.new(f"Badge {slot + 1}")
    loss, shown = graph.value("Loss"), graph.value("Shown")
    number = graph.group(loss_text(), Value=loss).outputs[0]
    text = graph.letters(number, SMALL, condensed_font())
    _, (wide, _, _) = graph.bounds(text)
    scale = graph.least(1.55 * BADGE / graph.most(wide, 1e-6), 1.0)

    frame = picture_frame(camera)
    x, y, _, ahead = _seen_at(graph, frame, camera)
    inside = _inside(graph, x, y, layout) * ahead
    x, y = _held(graph, x, y, layout)
    minimizer = graph.add("GeometryNodeObjectInfo", {"transform_space": "RELATIVE"}, Object=mark)
    tip_x, tip_y, _, _ = _seen_at(graph, frame, camera, minimizer.outputs["Location"])
    tip_x, _ = _held(graph, tip_x, tip_y, layout)
    column = -layout.right + BADGE
    beside = graph.least(x - AWAY, tip_x - (BADGE + BESIDE))
    to_x = graph.most(graph.blend(inside, column, beside), column)
    band = (layout.top - layout.title - TITLE) / slots
    highest = layout.top - BADGE - slot * band
    lowest = highest - max(band - 2.4 * BADGE, 0.0)
    to_y = graph.blend(inside, highest, graph.clamp(y + RISE, lowest, highest))

    leader = _leader(graph, x, y, 0.0035, to_x, to_y, BADGE)
    dot = graph.painted(graph.moved(graph.disc(0.0035), x, y), paint.line())
    leader = graph.stored(graph.together(leader, dot), paint.FADE, 1.0 - inside * shown)
    plate = graph.painted(graph.moved(graph.disc(BADGE), 0, 0, -0.002), paint.plate())
    ring = graph.painted(graph.ring(BADGE, HAIRLINE), paint.line())
    size = graph.vector(scale, scale, 1.0)
    text = graph.add("GeometryNodeTransform", Geometry=text, Scale=size).outputs[0]
    text = graph.moved(text, wide * scale * -0.5, scale * (-0.5 * CAPITAL * SMALL))
    text = graph.painted(text, paint.bright())
    round_ = graph.moved(graph.together(plate, ring, text), to_x, to_y)
    round_ = graph.stored(round_, paint.FADE, 1.0 - shown)
    graph.output(Geometry=_in_picture(graph, graph.together(leader, round_), frame))
    return _label(graph, land)


def key_badge(
    label: bpy.types.Object, clock: Clock, at: int, places: np.ndarray, loss: float
) -> bool:
    """Hang a badge on the place of a snapshot; return whether it was ours to hang.

    Parameters
    ----------
    label : Object
        The badge.
    clock : bpy.types.ID, str, float
        What says which snapshot is seen.
    at : int
        The snapshot that it marks: it appears when that has passed.
    places : ndarray
        ``(n, 3)`` where that place is on the land at each snapshot: a window may travel.
    loss : float
        The original one.
    """
    tree = tree_with(label, "Loss", "Shown")
    if tree is None:
        return False
    *source, each = clock
    when = each * np.arange(len(places))
    value = 'nodes["{}"].outputs[0].default_value'
    numbers = [loss, loss]
    appears, seen = np.array([0.0, len(places)]), [1.0, 1.0]
    if at:  # the first one is there from the start
        appears, seen = np.array([0.0, at, at + APPEARS, len(places)]), [0.0, 0.0, 1.0, 1.0]
    return all(
        [
            key_driven(tree, value.format("Loss"), source, [0, each], keyable(numbers)),
            key_driven(tree, value.format("Shown"), source, each * appears, seen),
            *(
                key_driven(label, "location", source, when, places[:, axis], axis)
                for axis in range(3)
            ),
        ]
    )


def _label(graph: Graph, holder: bpy.types.Object) -> bpy.types.Object:
    label = object_of(graph.tree)
    label.parent = holder
    only_seen(label)
    return label


# Where things are seen


def _seen_at(
    graph: Graph, frame: bpy.types.Object, camera: bpy.types.Object, point: Any = (0.0, 0.0, 0.0)
) -> tuple[Number, Number, Number, Number]:
    """Return x and y in the picture of a place, a unit's size there, and whether it is ahead."""
    tree = shared("Place in Picture", _place)
    node = graph.group(tree, Frame=frame, Camera=camera, Point=point)
    x, y, unit, ahead = (graph.number(socket) for socket in node.outputs)
    return x, y, unit, ahead


def _place(graph: Graph) -> None:
    frame, camera = graph.input("Frame", "Object"), graph.input("Camera", "Object")
    point = graph.input("Point", "Vector")

    def seen_by_frame(place: Any) -> tuple[Number, Number, Number]:
        into = graph.add("FunctionNodeInvertMatrix", Matrix=transform_of(frame))
        moved = graph.add("FunctionNodeTransformPoint", Vector=place, Transform=into.outputs[0])
        return graph.axes(moved.outputs[0])

    def transform_of(thing: Any) -> bpy.types.NodeSocket:
        info = graph.add("GeometryNodeObjectInfo", {"transform_space": "RELATIVE"}, Object=thing)
        return info.outputs["Transform"]

    lens = graph.add("GeometryNodeObjectInfo", {"transform_space": "RELATIVE"}, Object=camera)
    lens_x, lens_y, lens_z = seen_by_frame(lens.outputs["Location"])
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


def _in_picture(
    graph: Graph, drawn: bpy.types.NodeSocket, frame: bpy.types.Object
) -> bpy.types.NodeSocket:
    """Put what is drawn in the picture there, from wherever the label hangs."""
    info = graph.add("GeometryNodeObjectInfo", {"transform_space": "RELATIVE"}, Object=frame)
    position = graph.add("GeometryNodeInputPosition").outputs[0]
    moved = graph.add("FunctionNodeTransformPoint", Vector=position)
    graph.feed(moved.inputs["Transform"], info.outputs["Transform"])
    put = graph.add("GeometryNodeSetPosition", Geometry=drawn, Position=moved.outputs[0])
    return put.outputs[0]


def _inside(graph: Graph, x: Number, y: Number, layout: Layout) -> Number:
    """Return 1 for what is well within the picture, 0 for what is outside, softly."""
    left = layout.width / 2 - graph.math("ABSOLUTE", x)
    above = layout.height / 2 - graph.math("ABSOLUTE", y)
    return graph.smooth(graph.least(left, above), 0.0, 0.04)


def _held(graph: Graph, x: Number, y: Number, layout: Layout) -> tuple[Number, Number]:
    half_x, half_y = layout.width / 2, layout.height / 2
    return graph.clamp(x, -half_x, half_x), graph.clamp(y, -half_y, half_y)


def _clear_of(
    graph: Graph, block: bpy.types.Object, frame: bpy.types.Object, left: Number, wide: Number
) -> Number:
    """Return how high a label must stand over a block of text: the higher, the nearer it comes."""
    shape = graph.add("GeometryNodeObjectInfo", {"transform_space": "RELATIVE"}, Object=block)
    shape = shape.outputs["Geometry"]
    info = graph.add("GeometryNodeObjectInfo", {"transform_space": "RELATIVE"}, Object=frame)
    into = graph.add("FunctionNodeInvertMatrix", Matrix=info.outputs["Transform"]).outputs[0]
    position = graph.add("GeometryNodeInputPosition").outputs[0]
    seen = graph.add("FunctionNodeTransformPoint", Vector=position, Transform=into).outputs[0]
    flat = graph.add("GeometryNodeSetPosition", Geometry=shape, Position=seen).outputs[0]
    (from_x, _, _), (to_x, top, _) = graph.bounds(flat)
    apart = graph.most(from_x - (left + wide), left - to_x)
    needed = top + CLEAR - graph.most(apart - CLEAR, 0.0) * 3.0
    return graph.either(to_x > from_x, needed, -1.0)


def _reticle(graph: Graph, x: Number, y: Number, radius: Number) -> bpy.types.NodeSocket:
    """Return a thin ring around a place, with a dark casing."""
    circle = graph.add("GeometryNodeCurvePrimitiveCircle", Resolution=64, Radius=radius).outputs[0]
    line = graph.painted(graph.tube(circle, HAIRLINE), paint.line())
    casing = graph.painted(graph.tube(circle, 3 * HAIRLINE), paint.casing())
    return graph.moved(graph.together(line, graph.moved(casing, 0.0, 0.0, -0.004)), x, y)


def _leader(
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
    line = graph.painted(graph.line(start, stop, HAIRLINE), paint.line())
    casing = graph.painted(graph.line(start, stop, 3 * HAIRLINE), paint.casing())
    return graph.together(line, graph.moved(casing, 0.0, 0.0, -0.004))
