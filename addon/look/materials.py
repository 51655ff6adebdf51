"""The four looks as materials: each is one node group with few inputs.

All texture comes from the data. Hue follows height, and what a look adds follows from how the land
is seen, how steep it is and how it is curved: nothing is procedural noise. Height is the object's
own, Z over its custom property ``relief``, so that a look fits whichever land it is dragged on.
"""

from __future__ import annotations

from collections.abc import Callable

import bpy

from ..nodes.graph import Graph
from ..nodes.interface import Input, Panels, new_group
from ..nodes.materials import new_material
from ..nodes.signature import deduplicated, signature
from ..units import WIDTH

NOTE = "moving_lands_look"
"""Custom property of what a look is made of: a checksum of how it was made."""

HANDED_ON = 0.9
"""Part of a spike's colour that it has from its neighbours' light, at a full *Spike Light*."""

PALED = 0.6
"""How much of a spike's paint is white, at a full *Spike Light*."""

CURVATURE = 4.0
"""From Cycles' pointiness, which is 0.5 where it is flat, to about -1 in creases and 1 on edges."""


def look_material(name: str) -> bpy.types.Material:
    """Build the material of a look, such as "flesh": its node group, and nothing else."""
    material, graph = new_material(name.title())
    skin = graph.group(look_group(name))
    skin.name = skin.label = name.title()
    skin.width = 240
    output = graph.add("ShaderNodeOutputMaterial", Surface=skin.outputs["Surface"])
    output.location = (320, 0)
    output.is_active_output = True
    # What shines here shines softly: as a lamp it would only be noise.
    material.cycles.emission_sampling = "NONE"
    material.diffuse_color = skin.inputs["Middle"].default_value  # in Solid display
    material[NOTE] = signature(graph.tree)
    return material


def look_group(name: str) -> bpy.types.ShaderNodeTree:
    """Return the node group of a look; one in this file that nobody changed is used again."""
    return _shared(name.title(), GROUPS[name])


def _shared(
    name: str, build: Callable[[str], bpy.types.ShaderNodeTree]
) -> bpy.types.ShaderNodeTree:
    return deduplicated(build(name))


# What all looks go by


def _data(name: str) -> bpy.types.ShaderNodeTree:
    """What a land says of itself at every point."""
    outputs = dict.fromkeys(
        ("Height", "Side", "Slope", "Edge", "Curvature", "Furred", "Relief", "Distance"),
        "NodeSocketFloat",
    )
    tip = "Height, slope and curvature of a land, and how it is seen: from its data alone"
    tree = new_group(name, {}, outputs, tip)
    graph = Graph(tree)
    place = graph.add("ShaderNodeTexCoord")
    axes = graph.add("ShaderNodeSeparateXYZ", Vector=place.outputs["Object"]).outputs
    relief = graph.add("ShaderNodeAttribute")
    relief.attribute_type, relief.attribute_name = "OBJECT", "relief"
    up = graph.add("ShaderNodeSeparateXYZ", Vector=place.outputs["Normal"]).outputs["Z"]
    level = graph.math("MULTIPLY", up, up)
    graze = graph.add("ShaderNodeLayerWeight", Blend=0.5).outputs["Facing"]
    point = graph.add("ShaderNodeNewGeometry").outputs["Pointiness"]
    bent = graph.math("MULTIPLY", graph.math("SUBTRACT", point, 0.5), CURVATURE)
    # The root brings out what is smooth, and holds back what is furred.
    much = graph.math("SQRT", graph.math("ABSOLUTE", bent))
    slope = graph.math("SQRT", graph.math("SUBTRACT", 1.0, level, clamp=True))
    # Spikes are bent at their ends; in between they are bent less, but steeper than a fold is.
    wall = graph.smooth(slope, 0.9, 0.97)
    wall = graph.math("MULTIPLY", wall, graph.smooth(much, 0.15, 0.3))
    far = graph.add("ShaderNodeCameraData").outputs["View Distance"]
    graph.output(
        Height=graph.math("DIVIDE", axes["Z"], relief.outputs["Fac"], clamp=True),
        Side=graph.smooth(axes["X"], -0.35 * WIDTH, 0.35 * WIDTH),
        Slope=slope,
        Edge=graze,
        Curvature=graph.math("MULTIPLY", much, graph.math("SIGN", bent)),
        Furred=graph.math("MAXIMUM", graph.smooth(much, 0.3, 0.55), wall),
        Relief=graph.math("DIVIDE", relief.outputs["Fac"], WIDTH),
        Distance=graph.math("DIVIDE", far, WIDTH),
    )
    graph.arrange()
    return tree


def _contours(name: str) -> bpy.types.ShaderNodeTree:
    """Lines of equal height, as wide on a cliff as on a plain."""
    tip = "1 on lines of equal height; as wide where it is steep as where it is flat"
    tree = new_group(name, {"": _CONTOURS}, {"Line": "NodeSocketFloat"}, tip)
    graph = Graph(tree)
    count = graph.input("Count")
    data = graph.group(_shared("Land Data", _data)).outputs
    band = graph.math("MULTIPLY", data["Height"], count)
    off = graph.math("ABSOLUTE", graph.math("SUBTRACT", band, graph.math("ROUND", band)))
    rise = graph.math("DIVIDE", graph.math("MULTIPLY", off, data["Relief"]), count)
    away = graph.math("DIVIDE", rise, graph.math("MAXIMUM", data["Slope"], 0.05))
    # Seen from afar, lines are as wide in the picture as seen from near.
    width = graph.math("MULTIPLY", graph.input("Width"), data["Distance"])
    half = graph.math("MULTIPLY", width, 0.0005)
    line = graph.math("LESS_THAN", away, half)
    # None at the very bottom and top, where a clipped land is flat.
    above = graph.math("GREATER_THAN", band, 0.5)
    below = graph.math("LESS_THAN", band, graph.math("SUBTRACT", count, 0.5))
    line = graph.math("MULTIPLY", line, graph.math("MULTIPLY", above, below))
    # Nor on spikes, where they would be a scribble.
    smooth = graph.math("SUBTRACT", 1.0, data["Furred"])
    graph.output(Line=graph.math("MULTIPLY", line, smooth))
    graph.arrange()
    return tree


_CONTOURS = {
    "Count": Input(12.0, "How many bands of equal height there are", 1.0, 200.0),
    "Width": Input(2.0, "Width of a line, in thousandths of its distance", 0.0, 20.0),
}


def _palette(low: str, lower: str, middle: str, high: str, rim: str) -> dict[str, Input]:
    return {
        "Tip": Input(low, "Colour at the lowest loss"),
        "Low": Input(lower, "Colour at a quarter of the height"),
        "Middle": Input(middle, "Colour at half the height"),
        "High": Input(high, "Colour at three quarters of the height"),
        "Rim": Input(rim, "Colour at the highest loss"),
        "Balance": Input(
            0.5, "Which height has the middle colour: less for more of the high ones", 0.05, 0.95
        ),
        "Jump": Input(
            0.0, "How suddenly the low colours turn into the high ones, at the middle's height"
        ),
    }


def _side(tint: str, amount: float) -> dict[str, Input]:
    return {
        "Side Tint": Input(tint, "Hue of the land's far side, along its own X axis"),
        "Side Amount": Input(amount, "How much of the side's hue there is; none of it at the tip"),
    }


def _edge(color: str, glow: float, width: float) -> dict[str, Input]:
    return {
        "Edge Colour": Input(color, "What a surface turns to where it is seen at a grazing angle"),
        "Edge Glow": Input(glow, "How much it does"),
        "Edge Width": Input(width, "How far from the edge it begins"),
    }


def _lines(color: str, strength: float, count: float, width: float = 2.0) -> dict[str, Input]:
    return {
        "Contour Colour": Input(color, "Colour of the lines of equal height"),
        "Contour Strength": Input(strength, "How strong lines of equal height are"),
        "Contour Count": Input(count, _CONTOURS["Count"].tip, 1.0, 200.0),
        "Contour Width": Input(width, _CONTOURS["Width"].tip, 0.0, 20.0),
    }


def _relief(shadow: str, shade: float, light: float, spikes: float) -> dict[str, Input]:
    return {
        "Shadow Colour": Input(shadow, "What the deepest shadow turns to: no shadow is a hole"),
        "Crease Shade": Input(shade, "How dark it is in creases, between folds and between spikes"),
        "Ridge Light": Input(light, "How light it is on ridges and on the tips of spikes"),
        "Spike Light": Input(spikes, "How pale spikes are, which take each other's light"),
    }


def _skin(wetness: float, velvet: float) -> dict[str, Input]:
    return {
        "Wetness": Input(wetness, "From matt to wet: how sharply it mirrors the lamps"),
        "Velvet": Input(velvet, "Soft sheen, as of fine hair"),
    }


def _hue(graph: Graph, data: bpy.types.NodeOutputs) -> bpy.types.NodeSocket:
    """Add a section: the colour that follows height, and the hue of the far side."""
    with graph.section("Hue follows height"):
        height, middle = data["Height"], graph.input("Balance")
        # The middle's height comes to 0.5, what is below and above keeps its ends.
        lower = graph.math("DIVIDE", height, middle, clamp=True)
        upper = graph.math(
            "DIVIDE",
            graph.math("SUBTRACT", height, middle),
            graph.math("SUBTRACT", 1.0, middle),
            clamp=True,
        )
        even = graph.math("MULTIPLY", graph.math("ADD", lower, upper), 0.5)
        sudden = graph.smooth(even, 0.46, 0.54)
        jump = graph.input("Jump")
        rest = graph.math("MULTIPLY", even, graph.math("SUBTRACT", 1.0, jump))
        at = graph.math("ADD", rest, graph.math("MULTIPLY", sudden, jump))
        color = graph.input("Tip")
        for index, stop in enumerate(("Low", "Middle", "High", "Rim")):
            rising = graph.smooth(at, 0.25 * index, 0.25 * (index + 1))
            color = graph.mix(rising, color, graph.input(stop))
    with graph.section("Another hue on the far side"):
        amount = graph.math("MULTIPLY", data["Side"], graph.input("Side Amount"))
        amount = graph.math("MULTIPLY", amount, graph.smooth(data["Height"], 0.1, 0.6))
        return graph.mix(amount, color, graph.input("Side Tint"), "COLOR")


def _drawn(
    graph: Graph, data: bpy.types.NodeOutputs, color: bpy.types.NodeSocket
) -> bpy.types.NodeSocket:
    """Add sections: creases and ridges, then lines of equal height."""
    with graph.section("Spikes, creases and ridges"):
        curvature = data["Curvature"]
        dark = graph.math("MULTIPLY", curvature, -1.0, clamp=True)
        dark = graph.math("MULTIPLY", dark, graph.input("Crease Shade"))
        color = graph.mix(dark, color, (0.0, 0.0, 0.0, 1.0))
        light = graph.math("MULTIPLY", curvature, 1.0, clamp=True)
        light = graph.math("MULTIPLY", light, graph.input("Ridge Light"))
        color = graph.mix(light, color, (1.0, 1.0, 1.0, 1.0), "SOFT_LIGHT")
        pale = graph.math("MULTIPLY", data["Furred"], graph.input("Spike Light"))
        color = graph.mix(graph.math("MULTIPLY", pale, PALED), color, (1.0, 1.0, 1.0, 1.0))
    with graph.section("Lines of equal height"):
        lines = graph.group(
            _shared("Contour Lines", _contours),
            Count=graph.input("Contour Count"),
            Width=graph.input("Contour Width"),
        )
        line = graph.math("MULTIPLY", lines.outputs["Line"], graph.input("Contour Strength"))
        return graph.mix(line, color, graph.input("Contour Colour"))


def _rimmed(graph: Graph, data: bpy.types.NodeOutputs) -> bpy.types.NodeSocket:
    """Add how much of the edge there is."""
    begin = graph.math("SUBTRACT", 1.0, graph.input("Edge Width"))
    return graph.smooth(data["Edge"], begin, 1.0, to=graph.input("Edge Glow"))


def _wet(graph: Graph, skin: bpy.types.Node) -> None:
    """Feed a Principled BSDF's wetness and velvet."""
    wetness = graph.input("Wetness")
    rough = graph.math("SUBTRACT", 0.6, graph.math("MULTIPLY", wetness, 0.42))
    graph.feed(skin.inputs["Roughness"], rough)
    mirror = graph.math("ADD", graph.math("MULTIPLY", wetness, 0.6), 0.05)
    graph.feed(skin.inputs["Specular IOR Level"], mirror)
    graph.feed(skin.inputs["Coat Weight"], graph.math("MULTIPLY", wetness, wetness))
    graph.feed(skin.inputs["Coat Roughness"], 0.12)
    graph.feed(skin.inputs["Sheen Weight"], graph.input("Velvet"))
    graph.feed(skin.inputs["Sheen Roughness"], 0.4)
    # Said also where nothing shows of it: its default is another in 5.x.
    graph.feed(skin.inputs["Subsurface Scale"], 0.008 * WIDTH)


def _shaded(
    graph: Graph,
    data: bpy.types.NodeOutputs,
    skin: bpy.types.Node,
    hue: bpy.types.NodeSocket,
) -> bpy.types.NodeSocket:
    """Add the light that is left in the deepest shadow, between spikes as in a fold."""
    shader = skin.outputs["BSDF"]
    # Spikes hand on their own colour, more of it than a few bounces of light bring.
    pale = graph.math("MULTIPLY", data["Furred"], graph.input("Spike Light"))
    for light, strength in (
        (graph.input("Shadow Colour"), 1.0),
        (hue, graph.math("MULTIPLY", pale, HANDED_ON)),
    ):
        shine = graph.add("ShaderNodeEmission", Color=light, Strength=strength)
        both = graph.add("ShaderNodeAddShader")
        graph.feed(both.inputs[0], shader)
        graph.feed(both.inputs[1], shine.outputs["Emission"])
        shader = both.outputs["Shader"]
    return shader


def _begin(name: str, panels: Panels, tip: str) -> tuple[Graph, bpy.types.NodeOutputs]:
    graph = Graph(new_group(name, panels, {"Surface": "NodeSocketShader"}, tip))
    with graph.section("What the land says"):
        data = graph.group(_shared("Land Data", _data)).outputs
    return graph, data


# The looks


def _flesh(name: str) -> bpy.types.ShaderNodeTree:
    """Skin: light goes a little way in, and pales at its edges."""
    panels = {
        "Palette": _palette("5a63c8", "6f4fa8", "93447f", "b0564e", "d8977a"),
        "Side": _side("c88440", 0.8),
        "Edges": _edge("ffc4a8", 0.8, 0.38),
        "Skin": {
            **_skin(0.1, 0.15),
            "Translucency": Input(0.2, "How far light goes into the skin"),
            **_relief("190f28", 0.55, 0.9, 0.58),
        },
        "Contour Lines": _lines("2a1016", 0.0, 16.0),
    }
    graph, data = _begin(name, panels, "Skin on black: two hues across, violet at the tip")
    hue = _hue(graph, data)
    color = _drawn(graph, data, hue)
    with graph.section("Skin"):
        edge, pale = _rimmed(graph, data), graph.input("Edge Colour")
        skin = graph.add(
            "ShaderNodeBsdfPrincipled",
            Base_Color=graph.mix(edge, color, pale),
            Emission_Color=pale,
            Emission_Strength=graph.math("MULTIPLY", graph.math("MULTIPLY", edge, edge), 0.3),
            Subsurface_Weight=graph.input("Translucency"),
            Subsurface_Radius=(1.0, 0.38, 0.3),
        )
        _wet(graph, skin)
        graph.output(Surface=_shaded(graph, data, skin, hue))
    graph.arrange()
    return graph.tree


def _fur(name: str) -> bpy.types.ShaderNodeTree:
    """Fur: matt, dark at its roots, its hue jumping to the complement inside the funnel."""
    panels = {
        "Palette": _palette("5f4aa8", "8470bc", "a97fae", "b5762e", "cf9f52")
        | {
            "Balance": Input(0.62, "Height of the rim of the pit, where the hue jumps", 0.05, 0.95),
            "Jump": Input(0.8, "How suddenly the pit's hues turn into the plate's"),
        },
        "Side": _side("c0566a", 0.45),
        "Edges": _edge("ffd9a0", 0.12, 0.4),
        "Fur": {**_relief("150b1d", 0.7, 0.6, 0.22), **_skin(0.05, 0.1)},
        "Contour Lines": _lines("140818", 0.9, 90.0, 1.4),
    }
    graph, data = _begin(name, panels, "Fur in raking light: the hue jumps inside the funnel")
    hue = _hue(graph, data)
    color = _drawn(graph, data, hue)
    with graph.section("Fur"):
        color = graph.mix(_rimmed(graph, data), color, graph.input("Edge Colour"))
        skin = graph.add("ShaderNodeBsdfPrincipled", Base_Color=color)
        _wet(graph, skin)
        graph.output(Surface=_shaded(graph, data, skin, hue))
    graph.arrange()
    return graph.tree


def _ink(name: str) -> bpy.types.ShaderNodeTree:
    """Facets with dark outlines, and a glow where the loss is least."""
    panels = {
        "Palette": _palette("b4a7d5", "8880c4", "6a70bd", "5864b4", "4a58a4"),
        "Side": _side("6f5fb0", 0.3),
        "Minimum": {
            "Glow Colour": Input("ff5fa8", "What shines at the lowest loss"),
            "Glow": Input(1.6, "How strongly it shines", 0.0, 20.0),
            "Glow Height": Input(0.3, "Up to which height it shines"),
        },
        "Outlines": {
            "Outline Colour": Input("05060c", "Colour of silhouettes"),
            "Outline": Input(0.92, "How strong silhouettes are"),
            "Outline Width": Input(0.22, "How far from the edge they begin"),
            "Facets": Input(0.7, "From smooth to planes, as if cut"),
            "Facet Size": Input(0.28, "How much the slope turns from one plane to the next"),
        },
        "Skin": {**_relief("0e1434", 0.4, 0.7, 0.6), **_skin(0.1, 0.0)},
        "Contour Lines": _lines("070914", 0.95, 18.0, 2.6),
    }
    graph, data = _begin(name, panels, "Indigo facets in dark outline, the minimum glowing")
    hue = _hue(graph, data)
    color = _drawn(graph, data, hue)
    with graph.section("Outlines"):
        begin = graph.math("SUBTRACT", 1.0, graph.input("Outline Width"))
        inner = graph.math(
            "SUBTRACT", 1.0, graph.math("MULTIPLY", graph.input("Outline Width"), 0.7)
        )
        outline = graph.smooth(data["Edge"], begin, inner, to=graph.input("Outline"))
        # All of a spike is an edge.
        smooth = graph.math("SUBTRACT", 1.0, data["Furred"])
        outline = graph.math("MULTIPLY", outline, smooth)
        color = graph.mix(outline, color, graph.input("Outline Colour"))
    with graph.section("The minimum glows"):
        glow = graph.smooth(data["Height"], graph.input("Glow Height"), 0.0)
        glow = graph.math("MULTIPLY", glow, glow)
        glow = graph.math("MULTIPLY", glow, graph.math("SUBTRACT", 1.0, outline))
        glow = graph.math("MULTIPLY", glow, graph.input("Glow"))
        shine = graph.input("Glow Colour")
    with graph.section("Facets"):
        facing = graph.add("ShaderNodeNewGeometry").outputs["Normal"]
        # A step of the slope's direction is one plane, as if cut.
        cut = graph.add("ShaderNodeVectorMath", Vector=facing)
        cut.operation = "SNAP"
        graph.feed(cut.inputs[1], graph.input("Facet Size"))
        plane = graph.add("ShaderNodeVectorMath", Vector=cut.outputs["Vector"])
        plane.operation = "NORMALIZE"
        normal = graph.add("ShaderNodeMix")
        normal.data_type = "VECTOR"
        sockets = {s.identifier: s for s in (*normal.inputs, *normal.outputs)}
        graph.feed(sockets["Factor_Float"], graph.input("Facets"))
        graph.feed(sockets["A_Vector"], facing)
        graph.feed(sockets["B_Vector"], plane.outputs["Vector"])
        skin = graph.add(
            "ShaderNodeBsdfPrincipled",
            Base_Color=color,
            Normal=sockets["Result_Vector"],
            Emission_Color=shine,
            Emission_Strength=glow,
        )
        _wet(graph, skin)
        graph.output(Surface=_shaded(graph, data, skin, hue))
    graph.arrange()
    return graph.tree


def _specimen(name: str) -> bpy.types.ShaderNodeTree:
    """A body under glass: hot at its tip, and lit a little from within."""
    panels = {
        "Palette": _palette("ffe9b4", "eebb7c", "c07a5c", "956252", "6e4e46"),
        "Side": _side("b06a3a", 0.0),
        "Heat": {
            "Heat": Input(0.2, "How strongly it shines by itself, most at the tip", 0.0, 10.0),
        },
        "Edges": _edge("ffb890", 0.6, 0.28),
        "Skin": {
            **_skin(0.12, 0.06),
            "Translucency": Input(0.1, "How far light goes into the body"),
            **_relief("1d110d", 0.45, 0.45, 0.75),
        },
        "Contour Lines": _lines("1c0806", 0.0, 16.0),
    }
    graph, data = _begin(name, panels, "A body to compare: hot at its tip, dark at its rim")
    hue = _hue(graph, data)
    color = _drawn(graph, data, hue)
    with graph.section("Heat"):
        cold = graph.math("SUBTRACT", 1.0, data["Height"])
        heat = graph.math("MULTIPLY", graph.math("MULTIPLY", cold, cold), graph.input("Heat"))
    with graph.section("Skin"):
        edged = graph.mix(_rimmed(graph, data), color, graph.input("Edge Colour"))
        skin = graph.add(
            "ShaderNodeBsdfPrincipled",
            Base_Color=edged,
            Subsurface_Weight=graph.input("Translucency"),
            Subsurface_Radius=(1.0, 0.4, 0.2),
            Emission_Color=color,
            Emission_Strength=heat,
        )
        _wet(graph, skin)
        graph.output(Surface=_shaded(graph, data, skin, hue))
    graph.arrange()
    return graph.tree


GROUPS = {"flesh": _flesh, "fur": _fur, "ink": _ink, "specimen": _specimen}
