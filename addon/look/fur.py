"""Fur: matt, dark at its roots, its hue jumping to the complement inside the funnel."""

from __future__ import annotations

import bpy

from . import shading
from .look import Grade, Lamp, Look

PANELS = {
    "Palette": {
        **shading.palette("5f4aa8", "8470bc", "a97fae", "b5762e", "cf9f52"),
        "Balance": shading.Input(
            0.62, "Height of the rim of the pit, where the hue jumps", 0.05, 0.95
        ),
        "Jump": shading.Input(0.8, "How suddenly the pit's hues turn into the plate's"),
    },
    "Side": shading.side("c0566a", 0.45),
    "Edges": shading.edges("ffd9a0", 0.12, 0.4),
    "Fur": {**shading.relief("150b1d", 0.7, 0.6, 0.22), **shading.skin(0.05, 0.1)},
    "Contour Lines": shading.contours("140818", 0.9, 90.0, 1.4),
}


def group() -> bpy.types.NodeTree:
    """Build the node group."""
    tip = "Fur in raking light: the hue jumps inside the funnel"
    graph, data = shading.begin("Fur", PANELS, tip)
    hue = shading.hue(graph, data)
    color = shading.drawn(graph, data, hue)
    with graph.section("Fur"):
        color = graph.mix(shading.edge(graph, data), color, graph.input("Edge Colour"))
        skin = graph.add("ShaderNodeBsdfPrincipled", Base_Color=color)
        return shading.finish(graph, data, skin, hue)


LOOK = Look(
    label="Fur",
    description="A pelt under hard raking light, for furred surfaces",
    group=group,
    lamps={
        "Key": Lamp((0.6, -0.5, 0.62), 0.1, 3200, "ffd9a8"),
        "Rim": Lamp((-0.55, 0.6, 0.45), 0.05, 1500, "b9b4ff"),
        "Fill": Lamp((-0.9, -0.5, -0.4), 0.9, 250, "d9c6ff"),
        "Top": Lamp((0.85, 0.35, 1.6), 0.07, 3150, "ffdcae", aim=0.95),
        "Funnel": Lamp((-0.25, 0.1, 2.7), 0.35, 100, "d8ccff", aim=0.1, spread=42),
    },
    grade=Grade("0e0a12", "8f7fb8", 0.03, exposure=0.2),
    black=(0.0, 5.0),
    asset="Matt spikes in raking light, the hue jumps inside the funnel",
    tags=("fur", "macro"),
    preview=(60.0, 40.0),
)
