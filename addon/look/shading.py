"""What the node groups of looks have in common, and the material that is made of one.

All texture comes from the data. Hue follows height, and what a look adds follows from how the land
is seen, how steep it is and how it is curved: nothing is procedural noise. Height is the object's
own, Z over its custom property ``relief``, so that a look fits whichever land it is dragged on.

A look's group begins with ``begin``, has the sections ``hue`` and ``drawn`` and one of its own with
a Principled BSDF, and ends with ``finish``. The other functions are its inputs, panel by panel.
"""

from __future__ import annotations

import bpy

from ..blender.edits import LOOK, stamp
from ..nodes.graph import Graph, Number
from ..nodes.interface import Input, Panels, new_group
from ..nodes.materials import glow, new_material
from ..nodes.signature import deduplicated, signature
from ..units import WIDTH
from .look import Look

Data = dict[str, Number]
"""What a land says of itself at every point, by the outputs of the group "Land Data"."""

BLACK, WHITE = (0.0, 0.0, 0.0, 1.0), (1.0, 1.0, 1.0, 1.0)

HANDED_ON = 0.9
"""Part of a spike's colour that it has from its neighbours' light, at a full *Spike Light*."""

PALED = 0.6
"""How much of a spike's paint is white, at a full *Spike Light*."""

CURVATURE = 4.0
"""From Cycles' pointiness, which is 0.5 where it is flat, to about -1 in creases and 1 on edges."""


def look_material(look: Look) -> bpy.types.Material:
    """Build the material of a look: its node group, and nothing else.

    A group in this file that nobody changed is used again.
    """
    material, graph = new_material(look.label)
    group = look.group()
    group.name = look.label
    skin = graph.group(deduplicated(group))
    skin.name = skin.label = look.label
    skin.width = 240
    output = graph.add("ShaderNodeOutputMaterial", Surface=skin.outputs["Surface"])
    output.location = (320, 0)
    output.is_active_output = True
    # What shines here shines softly: as a lamp it would only be noise.
    material.cycles.emission_sampling = "NONE"
    material.diffuse_color = skin.inputs["Middle"].default_value  # in Solid display
    stamp(material, LOOK, signature(graph.tree))
    return material


# Groups within all looks


def _land_data() -> bpy.types.ShaderNodeTree:
    """What a land says of itself at every point."""
    outputs = dict.fromkeys(
        ("Height", "Side", "Slope", "Edge", "Curvature", "Furred", "Relief", "Distance"),
        "NodeSocketFloat",
    )
    tip = "Height, slope and curvature of a land, and how it is seen: from its data alone"
    tree = new_group("Land Data", {}, outputs, tip)
    graph = Graph(tree)
    place = graph.add("ShaderNodeTexCoord")
    across, _, height = graph.axes(place.outputs["Object"])
    attribute = {"attribute_type": "OBJECT", "attribute_name": "relief"}
    relief = graph.number(graph.add("ShaderNodeAttribute", attribute).outputs["Fac"])
    _, _, up = graph.axes(place.outputs["Normal"])
    level = up * up
    edge = graph.add("ShaderNodeLayerWeight", Blend=0.5).outputs["Facing"]
    pointiness = graph.number(graph.add("ShaderNodeNewGeometry").outputs["Pointiness"])
    bent = (pointiness - 0.5) * CURVATURE
    # The root brings out what is smooth, and holds back what is furred.
    much = graph.math("SQRT", abs(bent))
    slope = graph.math("SQRT", graph.math("SUBTRACT", 1.0, level, clamp=True))
    # Spikes are bent at their ends; in between they are bent less, but steeper than a fold is.
    wall = graph.smooth(slope, 0.9, 0.97)
    wall = wall * graph.smooth(much, 0.15, 0.3)
    far = graph.number(graph.add("ShaderNodeCameraData").outputs["View Distance"])
    graph.output(
        Height=graph.math("DIVIDE", height, relief, clamp=True),
        Side=graph.smooth(across, -0.35 * WIDTH, 0.35 * WIDTH),
        Slope=slope,
        Edge=edge,
        Curvature=much * graph.math("SIGN", bent),
        Furred=graph.most(graph.smooth(much, 0.3, 0.55), wall),
        Relief=relief / WIDTH,
        Distance=far / WIDTH,
    )
    return deduplicated(tree)


def _contour_lines() -> bpy.types.ShaderNodeTree:
    """Lines of equal height, as wide on a cliff as on a plain."""
    tip = "1 on lines of equal height; as wide where it is steep as where it is flat"
    tree = new_group("Contour Lines", {"": _CONTOURS}, {"Line": "NodeSocketFloat"}, tip)
    graph = Graph(tree)
    count = graph.input("Count")
    data = graph.numbers(graph.group(_land_data()))
    band = data["Height"] * count
    off = abs(band - graph.math("ROUND", band))
    rise = off * data["Relief"] / count
    away = rise / graph.most(data["Slope"], 0.05)
    # Seen from afar, lines are as wide in the picture as seen from near.
    width = graph.input("Width") * data["Distance"]
    line = away < width * 0.0005
    # None at the very bottom and top, where a clipped land is flat.
    above = band > 0.5
    line = line * (above * (band < count - 0.5))
    # Nor on spikes, where they would be a scribble.
    smooth = 1.0 - data["Furred"]
    graph.output(Line=line * smooth)
    return deduplicated(tree)


_CONTOURS = {
    "Count": Input(12.0, "How many bands of equal height there are", 1.0, 200.0),
    "Width": Input(2.0, "Width of a line, in thousandths of its distance", 0.0, 20.0),
}


# Inputs, panel by panel


def palette(low: str, lower: str, middle: str, high: str, rim: str) -> dict[str, Input]:
    """Return the colours that follow height, sRGB from the lowest loss to the highest."""
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


def side(tint: str, amount: float) -> dict[str, Input]:
    """Return the hue of the far side."""
    return {
        "Side Tint": Input(tint, "Hue of the land's far side, along its own X axis"),
        "Side Amount": Input(amount, "How much of the side's hue there is; none of it at the tip"),
    }


def edges(color: str, glow: float, width: float) -> dict[str, Input]:
    """Return what becomes of edges."""
    return {
        "Edge Colour": Input(color, "What a surface turns to where it is seen at a grazing angle"),
        "Edge Glow": Input(glow, "How much it does"),
        "Edge Width": Input(width, "How far from the edge it begins"),
    }


def contours(color: str, strength: float, count: float, width: float = 2.0) -> dict[str, Input]:
    """Return the lines of equal height."""
    return {
        "Contour Colour": Input(color, "Colour of the lines of equal height"),
        "Contour Strength": Input(strength, "How strong lines of equal height are"),
        "Contour Count": Input(count, _CONTOURS["Count"].tip, 1.0, 200.0),
        "Contour Width": Input(width, _CONTOURS["Width"].tip, 0.0, 20.0),
    }


def relief(shadow: str, shade: float, light: float, spikes: float) -> dict[str, Input]:
    """Return light and shadow of creases, ridges and spikes."""
    return {
        "Shadow Colour": Input(shadow, "What the deepest shadow turns to: no shadow is a hole"),
        "Crease Shade": Input(shade, "How dark it is in creases, between folds and between spikes"),
        "Ridge Light": Input(light, "How light it is on ridges and on the tips of spikes"),
        "Spike Light": Input(spikes, "How pale spikes are, which take each other's light"),
    }


def skin(wetness: float, velvet: float) -> dict[str, Input]:
    """Return how a surface mirrors."""
    return {
        "Wetness": Input(wetness, "From matt to wet: how sharply it mirrors the lamps"),
        "Velvet": Input(velvet, "Soft sheen, as of fine hair"),
    }


# Sections, in the order in which a group has them


def begin(name: str, panels: Panels, tip: str) -> tuple[Graph, Data]:
    """Begin a look's node group with what the land says."""
    graph = Graph(new_group(name, panels, {"Surface": "NodeSocketShader"}, tip))
    with graph.section("What the land says"):
        return graph, graph.numbers(graph.group(_land_data()))


def hue(graph: Graph, data: Data) -> bpy.types.NodeSocket:
    """Add two sections: the colour that follows height, and the hue of the far side."""
    with graph.section("Hue follows height"):
        height, middle = data["Height"], graph.input("Balance")
        # The middle's height comes to 0.5, what is below and above keeps its ends.
        lower = graph.math("DIVIDE", height, middle, clamp=True)
        upper = graph.math("DIVIDE", height - middle, 1.0 - middle, clamp=True)
        even = (lower + upper) * 0.5
        sudden = graph.smooth(even, 0.46, 0.54)
        jump = graph.input("Jump")
        rest = even * (1.0 - jump)
        at = rest + sudden * jump
        color = graph.input("Tip")
        for index, stop in enumerate(("Low", "Middle", "High", "Rim")):
            rising = graph.smooth(at, 0.25 * index, 0.25 * (index + 1))
            color = graph.mix(rising, color, graph.input(stop))
    with graph.section("Another hue on the far side"):
        amount = data["Side"] * graph.input("Side Amount")
        amount = amount * graph.smooth(data["Height"], 0.1, 0.6)
        return graph.mix(amount, color, graph.input("Side Tint"), "COLOR")


def drawn(graph: Graph, data: Data, color: bpy.types.NodeSocket) -> bpy.types.NodeSocket:
    """Add two sections: creases and ridges, then lines of equal height."""
    with graph.section("Spikes, creases and ridges"):
        curvature = data["Curvature"]
        dark = graph.math("MULTIPLY", curvature, -1.0, clamp=True)
        color = graph.mix(dark * graph.input("Crease Shade"), color, BLACK)
        light = graph.math("MULTIPLY", curvature, 1.0, clamp=True)
        color = graph.mix(light * graph.input("Ridge Light"), color, WHITE, "SOFT_LIGHT")
        pale = data["Furred"] * graph.input("Spike Light")
        color = graph.mix(pale * PALED, color, WHITE)
    with graph.section("Lines of equal height"):
        lines = graph.group(
            _contour_lines(),
            Count=graph.input("Contour Count"),
            Width=graph.input("Contour Width"),
        )
        line = graph.number(lines.outputs["Line"]) * graph.input("Contour Strength")
        return graph.mix(line, color, graph.input("Contour Colour"))


def edge(graph: Graph, data: Data) -> Number:
    """Add how much of the edge there is."""
    begin = 1.0 - graph.input("Edge Width")
    return graph.smooth(data["Edge"], begin, 1.0, to=graph.input("Edge Glow"))


def finish(
    graph: Graph, data: Data, principled: bpy.types.Node, color: bpy.types.NodeSocket
) -> bpy.types.NodeTree:
    """Complete a group: wetness, velvet, and the light that is left in the deepest shadow.

    Parameters
    ----------
    graph : Graph
        Of the group.
    data : dict of Number
        What the land says.
    principled : Node
        The group's Principled BSDF.
    color : NodeSocket
        The hue of the land, which spikes hand on to each other.
    """
    _wet(graph, principled)
    graph.output(Surface=_shaded(graph, data, principled, color))
    return graph.tree


def _wet(graph: Graph, principled: bpy.types.Node) -> None:
    """Feed a Principled BSDF's wetness and velvet."""
    wetness = graph.input("Wetness")
    rough = graph.math("SUBTRACT", 0.6, wetness * 0.42)
    graph.feed(principled.inputs["Roughness"], rough)
    mirror = wetness * 0.6 + 0.05
    graph.feed(principled.inputs["Specular IOR Level"], mirror)
    graph.feed(principled.inputs["Coat Weight"], wetness * wetness)
    graph.feed(principled.inputs["Coat Roughness"], 0.12)
    graph.feed(principled.inputs["Sheen Weight"], graph.input("Velvet"))
    graph.feed(principled.inputs["Sheen Roughness"], 0.4)
    # Said also where nothing shows of it: its default is another in 5.x.
    graph.feed(principled.inputs["Subsurface Scale"], 0.008 * WIDTH)


def _shaded(
    graph: Graph, data: Data, principled: bpy.types.Node, color: bpy.types.NodeSocket
) -> bpy.types.NodeSocket:
    """Add the light that is left in the deepest shadow, between spikes as in a fold."""
    shader = principled.outputs["BSDF"]
    # Spikes hand on their own colour, more of it than a few bounces of light bring.
    pale = data["Furred"] * graph.input("Spike Light")
    for light, strength in ((graph.input("Shadow Colour"), 1.0), (color, pale * HANDED_ON)):
        shine = glow(graph, light, strength)
        both = graph.add("ShaderNodeAddShader")
        graph.feed(both.inputs[0], shader)
        graph.feed(both.inputs[1], shine)
        shader = both.outputs["Shader"]
    return shader
