"""The step counter: upper right.

It begins at a fixed place, so that nothing but the figures moves while they count.
"""

from __future__ import annotations

import bpy
import numpy as np

from ..blender.parts import Part, Parts
from ..land.mesh import clock
from ..nodes.geometry import shared
from ..nodes.graph import Graph
from . import labels
from .layout import CAPITAL, SMALL, Picture
from .letters import set_text
from .number_format import count_text
from .overlay import Content, Overlay, Written


def make(picture: Picture, there: Parts, content: Content) -> dict[Part, bpy.types.Object]:
    """Build the counter of the first surface's optimizer steps."""
    graph = Graph.new("Step")
    numbers = {"Step": graph.value("Step"), "Last_Step": graph.value("Last Step")}
    drawing = shared("Step Label", _draw)
    drawn = picture.label(graph, drawing, Prefix="STEP ", Size=SMALL, **numbers)
    graph.output(Geometry=drawn)
    label = labels.hung(graph, picture.frame)
    return {Part("Step", surface.name): label for surface in content.surfaces[:1]}


def write(there: Parts, content: Content) -> Written:
    """Let the counter count the steps of the snapshots."""
    return {
        label: labels.key_numbers(
            label,
            clock(land),
            {"Step": surface.step, "Last Step": np.full(len(surface.step), surface.step.max())},
        )
        for surface in content.surfaces
        if (land := there.get(Part("Land", surface.name)))
        and (label := there.get(Part("Step", surface.name)))
    }


OVERLAY = Overlay(("Step",), make, write)


def _draw(graph: Graph) -> None:
    step, last = graph.input("Step", "Float"), graph.input("Last Step", "Float")
    prefix, size = graph.input("Prefix", "String"), graph.input("Size", "Float")
    letters = graph.input("Letters", "Object")
    right, top = graph.input("Right", "Float"), graph.input("Top", "Float")
    texts = [
        set_text(
            graph,
            graph.join(prefix, graph.group(count_text(), Value=number).outputs[0]),
            size,
            letters,
        )
        for number in (step, last)
    ]
    _, (widest, _, _) = graph.bounds(texts[1])
    graph.output(Geometry=graph.moved(texts[0], right - widest, top - size * CAPITAL))
