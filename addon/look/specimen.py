"""Specimen: a body under glass, hot at its tip, and lit a little from within."""

from __future__ import annotations

import bpy

from . import shading
from .look import Grade, Lamp, Look

PANELS = {
    "Palette": shading.palette("ffe9b4", "eebb7c", "c07a5c", "956252", "6e4e46"),
    "Side": shading.side("b06a3a", 0.0),
    "Heat": {
        "Heat": shading.Input(0.2, "How strongly it shines by itself, most at the tip", 0.0, 10.0),
    },
    "Edges": shading.edges("ffb890", 0.6, 0.28),
    "Skin": {
        **shading.skin(0.12, 0.06),
        "Translucency": shading.Input(0.1, "How far light goes into the body"),
        **shading.relief("1d110d", 0.45, 0.45, 0.75),
    },
    "Contour Lines": shading.contours("1c0806", 0.0, 16.0),
}


def group() -> bpy.types.NodeTree:
    """Build the node group."""
    tip = "A body to compare: hot at its tip, dark at its rim"
    graph, data = shading.begin("Specimen", PANELS, tip)
    hue = shading.hue(graph, data)
    color = shading.drawn(graph, data, hue)
    with graph.section("Heat"):
        cold = 1.0 - data["Height"]
        heat = cold * cold * graph.input("Heat")
    with graph.section("Skin"):
        edged = graph.mix(shading.edge(graph, data), color, graph.input("Edge Colour"))
        skin = graph.add(
            "ShaderNodeBsdfPrincipled",
            Base_Color=edged,
            Subsurface_Weight=graph.input("Translucency"),
            Subsurface_Radius=(1.0, 0.4, 0.2),
            Emission_Color=color,
            Emission_Strength=heat,
        )
        return shading.finish(graph, data, skin, hue)


LOOK = Look(
    label="Specimen",
    description="A hot gradient from tip to rim, for bodies side by side",
    group=group,
    lamps={
        "Key": Lamp((0.7, -0.44, 0.55), 0.14, 2400, "fff0dc"),
        "Rim": Lamp((-0.65, 0.55, 0.45), 0.08, 900, "ffd0a8"),
        "Fill": Lamp((-0.8, -0.6, -0.3), 0.9, 60, "ffe4d4"),
        "Top": Lamp((0.8, 0.3, 1.75), 0.1, 2300, "fff0dc", aim=0.9),
        "Funnel": Lamp((0.0, 0.0, 2.4), 0.2, 100, "ffcf9a", aim=0.0, spread=80),
    },
    grade=Grade("140d0b", "d8c4bc", 0.01, exposure=0.2),
    black=(0.0, 100.0),
    asset="A body to compare: hot at its tip, dark at its rim",
    tags=("specimen", "heat"),
)
