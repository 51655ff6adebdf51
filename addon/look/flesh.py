"""Flesh: skin on black. Light goes a little way in, and pales at its edges."""

from __future__ import annotations

import bpy

from . import shading
from .look import Grade, Lamp, Look

PANELS = {
    "Palette": shading.palette("5a63c8", "6f4fa8", "93447f", "b0564e", "d8977a"),
    "Side": shading.side("c88440", 0.8),
    "Edges": shading.edges("ffc4a8", 0.8, 0.38),
    "Skin": {
        **shading.skin(0.1, 0.15),
        "Translucency": shading.Input(0.2, "How far light goes into the skin"),
        **shading.relief("190f28", 0.55, 0.9, 0.58),
    },
    "Contour Lines": shading.contours("2a1016", 0.0, 16.0),
}


def group() -> bpy.types.NodeTree:
    """Build the node group."""
    tip = "Skin on black: two hues across, violet at the tip"
    graph, data = shading.begin("Flesh", PANELS, tip)
    hue = shading.hue(graph, data)
    color = shading.drawn(graph, data, hue)
    with graph.section("Skin"):
        edge, pale = shading.edge(graph, data), graph.input("Edge Colour")
        skin = graph.add(
            "ShaderNodeBsdfPrincipled",
            Base_Color=graph.mix(edge, color, pale),
            Emission_Color=pale,
            Emission_Strength=edge * edge * 0.3,
            Subsurface_Weight=graph.input("Translucency"),
            Subsurface_Radius=(1.0, 0.38, 0.3),
        )
        return shading.finish(graph, data, skin, hue)


LOOK = Look(
    label="Flesh",
    description="Skin on black, lit from the side",
    group=group,
    lamps={
        "Key": Lamp((0.66, -0.46, 0.5), 0.12, 3000, "ffdcc2"),
        "Rim": Lamp((-0.55, 0.6, 0.45), 0.06, 1600, "b9b4ff"),
        "Fill": Lamp((-0.9, -0.5, -0.4), 0.9, 470, "c9a6f5"),
        "Top": Lamp((0.8, 0.3, 1.75), 0.1, 2200, "ffdcc2", aim=0.9),
        "Funnel": Lamp((-0.12, 0.1, 2.2), 0.15, 110, "b9a8ff", aim=0.0, spread=80),
    },
    grade=Grade("000000", "b9a0d8", 0.03),
    black=(25.0, 65.0),
    asset="Skin on black: two hues across, violet at the tip, bright edges",
    tags=("skin", "clay"),
)
