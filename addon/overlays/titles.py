"""Blocks of text: title and sentence lower left, the recipe of the run lower right.

Plain text objects, to be edited by hand, and one soft shade behind them.
"""

from __future__ import annotations

import bpy

from . import paint, picture
from .nodes import Graph, Number, object_of
from .picture import Layout, only_seen, picture_frame

WRITTEN = "moving_lands_text"
"""Custom property of a text: what was written into it."""

BLOCKS = ("Title", "Sentence"), ("Recipe",)
"""Texts that stand together."""

LINE = 44
"""Most characters in a line of the sentence: it stays clear of the recipe."""


def titles(camera: bpy.types.Object, layout: Layout) -> dict[str, bpy.types.Object]:
    """Build the title block, lower left, and the recipe of the run, lower right.

    Parameters
    ----------
    camera : Object
        What the text stands before, whatever its lens and shift become.
    layout : Layout
        Of the picture.

    Returns
    -------
    dict of Object
        By what they are: the texts, empty yet, and what is behind them.
    """
    made = {
        "Title": _text("Title", "LEFT", layout.title, picture.TITLE, paint.bright()),
        "Sentence": _text("Sentence", "LEFT", -layout.top, picture.SMALL, paint.dim()),
        "Recipe": _text("Recipe", "RIGHT", layout.recipe, picture.SMALL, paint.dim()),
    }
    for name, text in made.items():
        text.location.x = layout.right if name == "Recipe" else -layout.right
    made["Shade"] = _shade(*([made[name] for name in block] for block in BLOCKS))
    for thing in made.values():
        thing.parent = picture_frame(camera)
        only_seen(thing)
    return made


def write(text: bpy.types.Object, body: str) -> bool:
    """Write a text in capitals, unless an artist changed it; return whether it was written."""
    body, curve = body.upper(), text.data
    if curve.get(WRITTEN, curve.body) != curve.body:
        return False
    curve.body = curve[WRITTEN] = body
    return True


def _text(
    name: str, align: str, y: float, size: float, material: bpy.types.Material
) -> bpy.types.Object:
    curve = bpy.data.curves.new(name, "FONT")
    curve.font = picture.condensed_font()
    curve.size = size
    curve.space_character = 1.06
    curve.space_line = picture.LEADING
    curve.align_x, curve.align_y = align, "BOTTOM"
    curve.materials.append(material)
    text = bpy.data.objects.new(name, curve)
    text.location.y = y
    return text


def _shade(*blocks: list[bpy.types.Object]) -> bpy.types.Object:
    """Build what darkens the land behind blocks of text, wherever they go."""
    graph = Graph("Shade")
    shades = []
    for index, block in enumerate(blocks):
        (left, low, _), (right, high, _) = graph.bounds(
            graph.together(*(seen_from(graph, text) for text in block))
        )
        shade = graph.group(
            paint.soft_shade(),
            X=(left + right) * 0.5,
            Y=(low + high) * 0.5,
            Half_Width=(right - left) * 0.5,
            Half_Height=(high - low) * 0.5,
            Softness=0.12,
            Back=0.003 + 0.0005 * index,
        ).outputs[0]
        nothing = graph.add("GeometryNodeJoinGeometry").outputs[0]
        shown = _unless_hidden(graph, f"Shown {index + 1}", block)
        shades.append(graph.either((right - left) * shown > 0.0, shade, nothing, "GEOMETRY"))
    graph.output(Geometry=graph.together(*shades))
    return object_of(graph.tree)


def _unless_hidden(graph: Graph, name: str, texts: list[bpy.types.Object]) -> Number:
    """Return 0 while all of these texts are hidden in renders; it is driven by that."""
    shown = graph.value(name)
    path = f'nodes["{name}"].outputs[0].default_value'
    driver = graph.tree.driver_add(path).driver
    for index, text in enumerate(texts):
        variable = driver.variables.new()
        variable.name = f"hidden{index}"
        target = variable.targets[0]
        target.id, target.data_path = text, "hide_render"
    driver.expression = " + ".join(f"1 - {variable.name}" for variable in driver.variables)
    return shown


def seen_from(graph: Graph, thing: bpy.types.Object) -> bpy.types.NodeSocket:
    """Return the geometry of another object, where it is from here."""
    info = graph.add("GeometryNodeObjectInfo", {"transform_space": "RELATIVE"}, Object=thing)
    return info.outputs["Geometry"]
