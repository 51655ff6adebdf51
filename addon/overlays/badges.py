"""Badges: round marks to the left of the minimizer, at losses that it had on its way.

Each has a height of its own; when its place leaves the picture the badge stays, at the margin.
"""

from __future__ import annotations

import bpy
import numpy as np

from ..blender.keyframes import key_driven
from ..blender.parts import Part, Parts
from ..land.mesh import Clock, clock
from ..land.projection import to_land
from ..nodes.geometry import shared, tree_with
from ..nodes.graph import Graph
from . import labels, materials
from .layout import CAPITAL, HAIRLINE, SMALL, TITLE, Picture
from .letters import set_text
from .number_format import keyable, loss_text
from .overlay import Content, Overlay, Written

BADGES = 3
"""Of the first land: at its start and on the way; how it ends is the live loss."""

BADGE = 0.031
"""Radius of a badge."""

DOT = 0.0035
"""Radius of the dot on the land that it leads to."""

AWAY = 0.14
"""From a badge's place to the badge, at least as far from the minimizer."""

RISE = 0.05
"""From a badge's place up to the badge, where its band allows."""

APPEARS = 0.6
"""Snapshots that a badge takes to appear, once the minimizer has passed."""


def make(picture: Picture, there: Parts, content: Content) -> dict[Part, bpy.types.Object]:
    """Build the badges of the first land."""
    made = {}
    for surface in content.surfaces[:1]:
        land, bead = (there[Part(kind, surface.name)] for kind in ("Land", "Bead"))
        for slot in range(BADGES):
            made[Part("Badge", surface.name, slot)] = badge(picture, land, bead, slot)
    return made


def write(there: Parts, content: Content) -> Written:
    """Hang the badges on the places of their snapshots."""
    written = {}
    for surface in content.surfaces:
        land, last = there.get(Part("Land", surface.name)), len(surface.frames) - 1
        marked = np.unique(np.linspace(0, last, BADGES + 1)[:-1].round().astype(int))
        for slot, at in enumerate(marked):
            label = there.get(Part("Badge", surface.name, slot))
            if land and label:
                places = to_land(surface, content.scale, surface.minimizer[at])
                loss = surface.minimizer[at, 2]
                written[label] = key_badge(label, clock(land), int(at), places, loss)
    return written


OVERLAY = Overlay(("Badge",), make, write)


def badge(
    picture: Picture, land: bpy.types.Object, bead: bpy.types.Object, slot: int
) -> bpy.types.Object:
    """Build a badge that will hang on a place of the land; it has no loss yet.

    Parameters
    ----------
    picture : Picture
        In which it is drawn.
    land, bead : Object
        What its place is on, and the minimizer's mark, which it does not cover.
    slot : int
        Which one it is, from above: each has a band of the picture to itself.
    """
    graph = Graph.new(f"Badge {slot + 1}")
    numbers = {"Loss": graph.value("Loss"), "Shown": graph.value("Shown")}
    drawing = shared("Loss Badge", _draw)
    numbers |= {"Size": SMALL, "Band": float(slot), "Bands": float(BADGES)}
    drawn = picture.label(graph, drawing, Bead=bead, **numbers)
    graph.output(Geometry=drawn)
    return labels.hung(graph, land)


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
    appears, seen = np.array([0.0, len(places)]), [1.0, 1.0]
    if at:  # the first one is there from the start
        appears, seen = np.array([0.0, at, at + APPEARS, len(places)]), [0.0, 0.0, 1.0, 1.0]
    losses = keyable([loss, loss])
    return all(
        [
            key_driven(tree, labels.VALUE.format("Loss"), source, [0, each], losses),
            key_driven(tree, labels.VALUE.format("Shown"), source, each * appears, seen),
            *(
                key_driven(label, "location", source, when, places[:, axis], axis)
                for axis in range(3)
            ),
        ]
    )


def _draw(graph: Graph) -> None:
    loss, shown = graph.input("Loss", "Float"), graph.input("Shown", "Float")
    size, bead = graph.input("Size", "Float"), graph.input("Bead", "Object")
    band, bands = graph.input("Band", "Float"), graph.input("Bands", "Float")
    frame, camera, letters = (graph.input(n, "Object") for n in ("Frame", "Camera", "Letters"))
    shape = graph.input("Width", "Float"), graph.input("Height", "Float")
    right, top, title = (graph.input(name, "Float") for name in ("Right", "Top", "Title"))

    x, y, _, ahead = labels.seen_at(graph, frame, camera)
    inside = labels.inside(graph, x, y, *shape) * ahead
    x, y = labels.held(graph, x, y, *shape)
    minimizer = labels.placed(graph, bead, "Location")
    tip_x, tip_y, _, _ = labels.seen_at(graph, frame, camera, minimizer)
    tip_x, _ = labels.held(graph, tip_x, tip_y, *shape)
    column = BADGE - right
    beside = graph.least(x - AWAY, tip_x - (BADGE + labels.BESIDE))
    to_x = graph.most(graph.blend(inside, column, beside), column)
    high = (top - title - TITLE) / bands
    highest = top - BADGE - band * high
    lowest = highest - graph.most(high - 2.4 * BADGE, 0.0)
    to_y = graph.blend(inside, highest, graph.clamp(y + RISE, lowest, highest))

    leader = labels.leader(graph, x, y, DOT, to_x, to_y, BADGE)
    dot = graph.painted(graph.moved(graph.disc(DOT), x, y), materials.line())
    leader = graph.stored(graph.together(leader, dot), materials.FADE, 1.0 - inside * shown)
    number = graph.group(loss_text(), Value=loss).outputs[0]
    round_ = _round(graph, set_text(graph, number, size, letters), size)
    round_ = graph.stored(graph.moved(round_, to_x, to_y), materials.FADE, 1.0 - shown)
    drawn = labels.in_picture(graph, graph.together(leader, round_), frame)
    # Until it appears, nothing of it is worked out.
    seen = graph.add("GeometryNodeSwitch", {"input_type": "GEOMETRY"}, Switch=shown > 0.0)
    graph.feed(seen.inputs["True"], drawn)
    graph.output(Geometry=seen.outputs[0])


def _round(graph: Graph, text: bpy.types.NodeSocket, size: object) -> bpy.types.NodeSocket:
    """Return a round plate with a text on it, which is made small enough."""
    _, (wide, _, _) = graph.bounds(text)
    scale = graph.least(1.55 * BADGE / graph.most(wide, 1e-6), 1.0)
    plate = graph.painted(graph.moved(graph.disc(BADGE), 0, 0, -0.002), materials.plate())
    ring = graph.painted(graph.ring(BADGE, HAIRLINE), materials.line())
    scaled = graph.add(
        "GeometryNodeTransform",
        Geometry=text,
        Scale=graph.vector(scale, scale, 1.0),
        Translation=graph.vector(wide * scale * -0.5, scale * size * (-0.5 * CAPITAL)),
    )
    return graph.together(plate, ring, scaled.outputs[0])
