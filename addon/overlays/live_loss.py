"""The live loss: the original loss, counting, to the right of the minimizer."""

from __future__ import annotations

from typing import Any

import bpy

from ..blender.parts import Part, Parts
from ..land.mesh import clock
from ..nodes.geometry import shared, tree_with
from ..nodes.graph import Graph, Number
from . import labels, materials
from .layout import CAPITAL, GAP, NUMBER, Picture
from .letters import set_text
from .number_format import keyable, loss_text
from .overlay import Content, Overlay, Written

BELOW = 0.062
"""From the minimizer down to its label."""

CLEAR = 0.028
"""Between a label and a block of text."""

RETICLE = 0.0145
"""Least radius of the thin ring around the minimizer, which the land may hide."""

TEXTS = 3
"""Blocks of text, at most, that a label keeps clear of."""


def make(picture: Picture, there: Parts, content: Content) -> dict[Part, bpy.types.Object]:
    """Build the label beside each minimizer."""
    texts = [thing for thing in there.values() if thing.type == "FONT"]
    return {
        Part("Live loss", surface.name): label(
            picture, there[Part("Bead", surface.name)], texts[:TEXTS]
        )
        for surface in content.surfaces
    }


def write(there: Parts, content: Content) -> Written:
    """Let the labels count the losses of the snapshots."""
    for label in there.all("Live loss"):
        _let_go(label)
    return {
        label: labels.key_numbers(label, clock(land), {"Loss": keyable(surface.minimizer[:, 2])})
        for surface in content.surfaces
        if (land := there.get(Part("Land", surface.name)))
        and (label := there.get(Part("Live loss", surface.name)))
    }


OVERLAY = Overlay(("Live loss",), make, write)


def label(
    picture: Picture, bead: bpy.types.Object, texts: list[bpy.types.Object]
) -> bpy.types.Object:
    """Build the label beside a minimizer's bead, which keeps clear of blocks of text."""
    graph = Graph.new("Live loss")
    radius = max((v.co.length for v in bead.data.vertices), default=0.0)
    blocks = {f"Text_{n + 1}": text for n, text in enumerate(texts)}
    drawing = shared("Live Loss Label", _draw)
    graph.output(
        Geometry=picture.label(
            graph,
            drawing,
            Loss=graph.value("Loss"),
            Bead_Radius=radius,
            Prefix="LOSS ",
            Size=NUMBER,
            **blocks,
        )
    )
    return labels.hung(graph, bead)


def _let_go(label: bpy.types.Object) -> None:
    """Let a label no longer keep clear of texts that were deleted."""
    tree = tree_with(label, "Loss")
    for node in tree.nodes if tree else ():
        for socket in node.inputs:
            text = socket.default_value if socket.type == "OBJECT" else None
            if text and text.type == "FONT" and not text.users_scene:
                socket.default_value = None


def _draw(graph: Graph) -> None:
    loss, radius = graph.input("Loss", "Float"), graph.input("Bead Radius", "Float")
    prefix, size = graph.input("Prefix", "String"), graph.input("Size", "Float")
    frame, camera, letters = (graph.input(n, "Object") for n in ("Frame", "Camera", "Letters"))
    shape = graph.input("Width", "Float"), graph.input("Height", "Float")
    right, top = graph.input("Right", "Float"), graph.input("Top", "Float")
    blocks = [graph.input(f"Text {n + 1}", "Object") for n in range(TEXTS)]

    number = graph.group(loss_text(), Value=loss).outputs[0]
    text = set_text(graph, graph.join(prefix, number), size, letters)
    _, (wide, _, _) = graph.bounds(text)
    high = size * CAPITAL
    x, y, unit, ahead = labels.seen_at(graph, frame, camera)
    inside = labels.inside(graph, x, y, *shape)
    x, y = labels.held(graph, x, y, *shape)
    beside = labels.BESIDE
    fits = x + wide + beside < right
    left = graph.either(fits, x + beside, x - wide - beside)
    left = graph.clamp(left, -right, right - wide)
    low = graph.most(y - BELOW - high * 0.5, -top)
    for block in blocks:
        low = graph.most(low, _clear_of(graph, block, frame, left, wide))
    low = graph.least(low, top - high)

    around = graph.most(unit * radius + GAP / 2, RETICLE)
    to_x = graph.either(fits, left - GAP, left + wide + GAP)
    leader = labels.leader(graph, x, y, around, to_x, low + high * 0.5, 0.0)
    text = graph.moved(text, left, low)
    gone = 1.0 - ahead * inside  # the number stays, even where the minimizer is out of the picture
    leading = graph.together(_reticle(graph, x, y, around), leader)
    leading = graph.stored(leading, materials.FADE, gone)
    graph.output(Geometry=labels.in_picture(graph, graph.together(leading, text), frame))


def _reticle(graph: Graph, x: Number, y: Number, radius: Number) -> bpy.types.NodeSocket:
    """Return a thin ring around a place."""
    circle = graph.add("GeometryNodeCurvePrimitiveCircle", Resolution=64, Radius=radius)
    return graph.moved(labels.cased(graph, circle.outputs[0]), x, y)


def _clear_of(graph: Graph, block: Any, frame: Any, left: Number, wide: Number) -> Number:
    """Return how high a label must stand over a block of text: the higher, the nearer it comes."""
    text = graph.add("GeometryNodeObjectInfo", Object=block).outputs["Geometry"]
    into = graph.add("FunctionNodeInvertMatrix", Matrix=labels.placed(graph, frame, "Transform"))
    seen = graph.add("FunctionNodeMatrixMultiply")
    graph.feed(seen.inputs[0], into.outputs[0])
    graph.feed(seen.inputs[1], labels.placed(graph, block, "Transform"))
    box = graph.add("GeometryNodeBoundBox", Geometry=text)

    def corner(name: str) -> tuple[Number, Number, Number]:
        point = graph.add("FunctionNodeTransformPoint", Vector=box.outputs[name])
        graph.feed(point.inputs["Transform"], seen.outputs[0])
        return graph.axes(point.outputs[0])

    (from_x, _, _), (to_x, high, _) = corner("Min"), corner("Max")
    apart = graph.most(from_x - (left + wide), left - to_x)
    needed = high + CLEAR - graph.most(apart - CLEAR, 0.0) * 3.0
    return graph.either(to_x > from_x, needed, -1.0)
