"""A group's inputs as an artist sees them: named, explained, in panels."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

import bpy

from .color import linear


@dataclass(frozen=True)
class Input:
    """An input of a node group.

    Attributes
    ----------
    default : str, tuple, float or Material
        An sRGB colour such as "da9c8c", linear RGBA, a number, or a material.
    tip : str
        What it does.
    low, high : float
        Bounds of a number; from 0 to 1 it is a slider.
    subtype : str
        Blender's word for what a number is, such as "DISTANCE".
    """

    default: str | tuple[float, float, float, float] | float | bpy.types.Material
    tip: str
    low: float = 0.0
    high: float = 1.0
    subtype: str = ""


Panels = dict[str, dict[str, Input]]
"""Inputs of a node group by panel and name, in the order in which they are seen."""


def new_group(
    name: str,
    panels: Panels,
    outputs: dict[str, str],
    tip: str = "",
    kind: str = "ShaderNodeTree",
) -> bpy.types.NodeTree:
    """Make a node group with its inputs and outputs, and nothing in it yet.

    Parameters
    ----------
    name : str
        What it is called.
    panels : Panels
        Its inputs; those of the panel "" stand outside of any. Only the first panel is open.
    outputs : dict of str
        The kind of socket of each output, such as "NodeSocketShader".
    tip : str
        What it is.
    kind : str
        Of tree.
    """
    tree = bpy.data.node_groups.new(name, kind)
    tree.description = tip
    for output, socket in outputs.items():
        tree.interface.new_socket(output, in_out="OUTPUT", socket_type=socket)
    for label, inputs in panels.items():
        opened = label == next(iter(panels))
        panel = tree.interface.new_panel(label, default_closed=not opened) if label else None
        for title, given in inputs.items():
            add_input(tree, title, given, panel)
    return tree


def add_input(
    tree: bpy.types.NodeTree,
    title: str,
    given: Input,
    panel: bpy.types.NodeTreeInterfacePanel | None = None,
) -> None:
    """Add an input to a node group, within a panel or outside of any."""
    kinds = {float: "Float", bpy.types.Material: "Material"}
    kind = kinds.get(type(given.default), "Color")
    socket = tree.interface.new_socket(
        title,
        description=given.tip,
        in_out="INPUT",
        socket_type=f"NodeSocket{kind}",
        parent=panel,
    )
    if kind == "Float":
        if (given.low, given.high) == (0.0, 1.0):
            socket.subtype = "FACTOR"
        if given.subtype:
            socket.subtype = given.subtype
        if isfinite(given.low):
            socket.min_value = given.low
        if isfinite(given.high):
            socket.max_value = given.high
    is_srgb = isinstance(given.default, str)
    socket.default_value = (*linear(given.default), 1.0) if is_srgb else given.default
