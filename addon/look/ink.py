"""Ink: facets with dark outlines, and a glow where the loss is least."""

from __future__ import annotations

import bpy

from ..nodes.graph import Graph, Number
from . import shading
from .look import Grade, Lamp, Look

PANELS = {
    "Palette": shading.palette("b4a7d5", "8880c4", "6a70bd", "5864b4", "4a58a4"),
    "Side": shading.side("6f5fb0", 0.3),
    "Minimum": {
        "Glow Colour": shading.Input("ff5fa8", "What shines at the lowest loss"),
        "Glow": shading.Input(1.6, "How strongly it shines", 0.0, 20.0),
        "Glow Height": shading.Input(0.3, "Up to which height it shines"),
    },
    "Outlines": {
        "Outline Colour": shading.Input("05060c", "Colour of silhouettes"),
        "Outline": shading.Input(0.92, "How strong silhouettes are"),
        "Outline Width": shading.Input(0.22, "How far from the edge they begin"),
        "Facets": shading.Input(0.7, "From smooth to planes, as if cut"),
        "Facet Size": shading.Input(0.28, "How much the slope turns from one plane to the next"),
    },
    "Skin": {**shading.relief("0e1434", 0.4, 0.7, 0.6), **shading.skin(0.1, 0.0)},
    "Contour Lines": shading.contours("070914", 0.95, 18.0, 2.6),
}


def group() -> bpy.types.NodeTree:
    """Build the node group."""
    tip = "Indigo facets in dark outline, the minimum glowing"
    graph, data = shading.begin("Ink", PANELS, tip)
    hue = shading.hue(graph, data)
    color = shading.drawn(graph, data, hue)
    with graph.section("Outlines"):
        outline = _outline(graph, data)
        color = graph.mix(outline, color, graph.input("Outline Colour"))
    with graph.section("The minimum glows"):
        glow = graph.smooth(data["Height"], graph.input("Glow Height"), 0.0)
        glow = glow * glow * (1.0 - outline) * graph.input("Glow")
        shine = graph.input("Glow Colour")
    with graph.section("Facets"):
        skin = graph.add(
            "ShaderNodeBsdfPrincipled",
            Base_Color=color,
            Normal=_facets(graph),
            Emission_Color=shine,
            Emission_Strength=glow,
        )
        return shading.finish(graph, data, skin, hue)


def _outline(graph: Graph, data: shading.Data) -> Number:
    """Add how much of an outline there is."""
    begin = 1.0 - graph.input("Outline Width")
    inner = 1.0 - graph.input("Outline Width") * 0.7
    outline = graph.smooth(data["Edge"], begin, inner, to=graph.input("Outline"))
    # All of a spike is an edge.
    return outline * (1.0 - data["Furred"])


def _facets(graph: Graph) -> bpy.types.NodeSocket:
    """Add normals that turn in steps: each step is one plane, as if cut."""
    facing = graph.add("ShaderNodeNewGeometry").outputs["Normal"]
    cut = graph.add("ShaderNodeVectorMath", {"operation": "SNAP"}, Vector=facing)
    graph.feed(cut.inputs[1], graph.input("Facet Size"))
    plane = graph.add(
        "ShaderNodeVectorMath", {"operation": "NORMALIZE"}, Vector=cut.outputs["Vector"]
    )
    return graph.mix(graph.input("Facets"), facing, plane.outputs["Vector"], kind="Vector")


LOOK = Look(
    label="Ink",
    description="Indigo with dark lines, and a glow at the minimum",
    group=group,
    lamps={
        "Key": Lamp((0.64, -0.5, 0.5), 0.12, 2700, "e6e6ff"),
        "Rim": Lamp((-0.55, 0.6, 0.45), 0.08, 1300, "8fa0ff"),
        "Fill": Lamp((-0.9, -0.5, -0.4), 0.9, 420, "e4e0ff"),
        "Top": Lamp((0.8, 0.3, 1.75), 0.1, 1700, "dfe2ff", aim=0.9),
        "Funnel": Lamp((-0.12, 0.1, 2.2), 0.15, 110, "ff9ccb", aim=0.0, spread=80),
    },
    grade=Grade("000000", "98a2d8", 0.03, exposure=0.35),
    black=(25.0, 65.0),
    asset="Indigo facets, dark outlines and contours, the minimum glows",
    tags=("ink", "contours"),
)
