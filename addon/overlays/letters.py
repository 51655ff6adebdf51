"""Texts that change from frame to frame, set in letters that are filled once.

To fill outlines takes milliseconds, too long for every frame. So one hidden object holds every
letter as a mesh, and a text picks its letters there. The typeface of all labels is that of the
String to Curves node of this object.
"""

from __future__ import annotations

import string
from typing import Any

import bpy

from ..blender import compat
from ..nodes.geometry import object_of, shared
from ..nodes.graph import Graph, Number
from . import materials
from .layout import SPACING, condensed_font

LONGEST = 24
"""Most letters that a text can have; further ones are not shown."""

CHARACTERS = string.digits + string.ascii_letters + string.punctuation + " "
"""What a text can be written in."""

ADVANCE = "advance"
"""Attribute of a letter: from where it begins to where the next one does, in sizes of text."""


def letters_object() -> bpy.types.Object:
    """Build the hidden object that holds every letter as an instance of its own, in size 1."""
    graph = Graph.new("Letters")
    text = graph.join(_characters(graph), "0")  # to see where the last one ends
    curves = graph.add("GeometryNodeStringToCurves", String=text, Size=1.0)
    curves.inputs["Character Spacing"].default_value = SPACING
    compat.set_font(curves, condensed_font())
    filled = graph.add("GeometryNodeFillCurve", Curve=curves.outputs[0]).outputs[0]
    filled = graph.painted(filled, materials.bright())
    position = graph.add("GeometryNodeInputPosition").outputs[0]

    def begins(letter: Number) -> Number:
        x, _, _ = graph.axes(_of_letter(graph, filled, position, letter, "FLOAT_VECTOR"))
        return x

    letter = graph.number(graph.add("GeometryNodeInputIndex").outputs[0])
    advance = begins(letter + 1.0) - begins(letter)
    stored = graph.add(
        "GeometryNodeStoreNamedAttribute",
        {"data_type": "FLOAT", "domain": "INSTANCE"},
        Geometry=filled,
        Name=ADVANCE,
        Value=advance,
    )
    origin = graph.vector()
    piled = graph.add("GeometryNodeSetPosition", Geometry=stored.outputs[0], Position=origin)
    graph.output(Geometry=piled.outputs[0])
    letters = object_of(graph.tree)
    letters.hide_render = letters.hide_viewport = True
    return letters


def set_text(graph: Graph, text: Any, size: Any, letters: bpy.types.Object) -> Any:
    """Return a text as filled letters, from the origin to the right.

    Parameters
    ----------
    graph : Graph
        The label's.
    text : NodeSocket
        Of at most ``LONGEST`` letters.
    size : float or Number
        In the picture's longer sides.
    letters : Object
        What ``letters_object`` returned.
    """
    tree = shared("Text in Letters", _text)
    return graph.group(tree, Text=text, Size=size, Letters=letters).outputs[0]


def _text(graph: Graph) -> None:
    text, size = graph.input("Text", "String"), graph.input("Size", "Float")
    info = graph.add("GeometryNodeObjectInfo", Object=graph.input("Letters", "Object"))
    letters, letter = info.outputs["Geometry"], _letter(graph, text)
    named = graph.add("GeometryNodeInputNamedAttribute", {"data_type": "FLOAT"}, Name=ADVANCE)
    advance = _of_letter(graph, letters, named.outputs[0], letter, "FLOAT")
    before = graph.add("GeometryNodeAccumulateField", Value=advance).outputs["Trailing"]
    length = graph.add("FunctionNodeStringLength", String=text).outputs[0]
    places = graph.add("GeometryNodePoints", Count=length).outputs[0]
    begins = graph.vector(graph.number(before) * size)
    places = graph.add("GeometryNodeSetPosition", Geometry=places, Position=begins).outputs[0]
    placed = graph.add(
        "GeometryNodeInstanceOnPoints",
        Points=places,
        Selection=letter > -0.5,  # none for what is not among the characters
        Instance=letters,
        Pick_Instance=True,
        Instance_Index=letter,
        Scale=graph.vector(size, size, size),
    )
    whole = graph.add("GeometryNodeRealizeInstances", Geometry=placed.outputs[0])
    graph.output(Geometry=whole.outputs[0])


def _letter(graph: Graph, text: Any) -> Number:
    """Return, for the n-th point, which of the characters the n-th one of a text is."""
    characters = _characters(graph)
    index = graph.add("GeometryNodeInputIndex").outputs[0]
    picked = graph.add("GeometryNodeIndexSwitch", {"data_type": "INT"}, Index=index)
    while len(picked.index_switch_items) < LONGEST:
        picked.index_switch_items.new()
    for n in range(LONGEST):
        one = graph.add("FunctionNodeSliceString", String=text, Position=n, Length=1).outputs[0]
        found = graph.add("FunctionNodeFindInString", String=characters, Search=one)
        graph.feed(picked.inputs[n + 1], found.outputs["First Found"])
    return graph.number(picked.outputs[0])


def _characters(graph: Graph) -> bpy.types.NodeSocket:
    """Return the characters; they stand in a group of their own, for an artist to add to."""
    tree = shared("Characters", lambda group: group.output(String=group.string(CHARACTERS)))
    return graph.group(tree).outputs[0]


def _of_letter(graph: Graph, letters: Any, value: Any, letter: Any, kind: str) -> Any:
    """Return a value of one of the letters."""
    settings = {"data_type": kind, "domain": "INSTANCE", "clamp": True}
    node = graph.add("GeometryNodeSampleIndex", settings, Geometry=letters, Index=letter)
    graph.feed(node.inputs["Value"], value)
    return node.outputs[0]
