"""Node trees by what goes into them: sockets by name, values or other nodes' outputs.

A tree that an artist opens reads like a page: its nodes are added in sections, each a labelled
frame with what it takes from the group's inputs at its left; columns follow the links.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np

Color = tuple[float, float, float]


def linear(hexadecimal: str) -> Color:
    """Return the linear RGB of an sRGB colour such as "da9c8c"."""
    channels = [int(hexadecimal[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    red, green, blue = (
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels
    )
    return red, green, blue


@dataclass(frozen=True)
class Input:
    """An input of a node group, as an artist sees it.

    Attributes
    ----------
    default : str or float
        An sRGB colour such as "da9c8c", or a number.
    tip : str
        What it does.
    low, high : float
        Bounds of a number; from 0 to 1 it is a slider.
    """

    default: str | float
    tip: str
    low: float = 0.0
    high: float = 1.0


Panels = dict[str, dict[str, Input]]
"""Inputs of a node group by panel and name, in the order in which they are seen."""


def new_group(
    name: str, panels: Panels, outputs: dict[str, str], tip: str = ""
) -> bpy.types.ShaderNodeTree:
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
    """
    tree = bpy.data.node_groups.new(name, "ShaderNodeTree")
    tree.description = tip
    for output, kind in outputs.items():
        tree.interface.new_socket(output, in_out="OUTPUT", socket_type=kind)
    for label, inputs in panels.items():
        opened = label == next(iter(panels))
        panel = tree.interface.new_panel(label, default_closed=not opened) if label else None
        for title, given in inputs.items():
            kind = "NodeSocketColor" if isinstance(given.default, str) else "NodeSocketFloat"
            socket = tree.interface.new_socket(
                title, description=given.tip, in_out="INPUT", socket_type=kind, parent=panel
            )
            if isinstance(given.default, str):
                socket.default_value = (*linear(given.default), 1.0)
                continue
            if (given.low, given.high) == (0.0, 1.0):
                socket.subtype = "FACTOR"
            socket.min_value, socket.max_value = given.low, given.high
            socket.default_value = given.default
    return tree


class Graph:
    """The nodes of a tree, while they are added."""

    def __init__(self, tree: bpy.types.NodeTree) -> None:
        self.tree = tree
        self._frame: bpy.types.Node | None = None
        self._inputs: bpy.types.Node | None = None

    @contextmanager
    def section(self, label: str) -> Iterator[None]:
        """Add the nodes that follow within a labelled frame."""
        self._frame = self.tree.nodes.new("NodeFrame")
        self._frame.label = self._frame.name = label
        self._inputs = None
        yield
        self._frame = self._inputs = None

    def add(self, kind: str, **inputs: Any) -> bpy.types.Node:
        """Add a node; a keyword is an input's name with blanks as underscores."""
        node = self.tree.nodes.new(kind)
        node.parent = self._frame
        for name, value in inputs.items():
            self.feed(node.inputs[name.replace("_", " ")], value)
        return node

    def feed(self, socket: bpy.types.NodeSocket, value: Any) -> None:
        """Link an output to a socket, or write a value into it."""
        if isinstance(value, bpy.types.NodeSocket):
            self.tree.links.new(value, socket)
        else:
            socket.default_value = value

    def input(self, name: str) -> bpy.types.NodeSocket:
        """Return an input of the group, from a node in this section."""
        if self._inputs is None:
            self._inputs = self.add("NodeGroupInput")
        return self._inputs.outputs[name]

    def output(self, **values: Any) -> None:
        """Hand on what the group puts out."""
        self.add("NodeGroupOutput", **values)

    def group(self, tree: bpy.types.NodeTree, **inputs: Any) -> bpy.types.Node:
        """Add a node group."""
        node = self.add("ShaderNodeGroup")
        node.node_tree = tree
        for name, value in inputs.items():
            self.feed(node.inputs[name.replace("_", " ")], value)
        return node

    def math(self, operation: str, *values: Any, clamp: bool = False) -> bpy.types.NodeSocket:
        """Add a calculation."""
        node = self.add("ShaderNodeMath")
        node.operation, node.use_clamp = operation, clamp
        for socket, value in zip(node.inputs, values, strict=False):
            self.feed(socket, value)
        return node.outputs["Value"]

    def map_range(self, value: Any, low: Any, high: Any, to: Any = 1.0) -> bpy.types.NodeSocket:
        """Add an ease from 0, where the value is low, to 1 or whatever is given, where high."""
        node = self.add("ShaderNodeMapRange", Value=value, From_Min=low, From_Max=high, To_Max=to)
        node.interpolation_type = "SMOOTHSTEP"
        return node.outputs["Result"]

    def mix(self, factor: Any, first: Any, second: Any, how: str = "MIX") -> bpy.types.NodeSocket:
        """Add a mix of two colours."""
        node = self.add("ShaderNodeMix")
        node.data_type, node.blend_type = "RGBA", how
        # The node carries a set of sockets for each data type: names alone are ambiguous.
        sockets = {s.identifier: s for s in (*node.inputs, *node.outputs)}
        self.feed(sockets["Factor_Float"], factor)
        self.feed(sockets["A_Color"], first)
        self.feed(sockets["B_Color"], second)
        return sockets["Result_Color"]

    def arrange(self) -> None:
        """Put every node left of what it goes into, and the sections below each other."""
        nodes = [node for node in self.tree.nodes if node.type != "FRAME"]
        for node in nodes:
            if node.type == "GROUP_INPUT":
                for socket in node.outputs:
                    socket.hide = not socket.is_linked
        columns = _columns(self.tree)
        top = 0.0
        for frame in dict.fromkeys(node.parent for node in nodes):
            bottoms: dict[int, float] = defaultdict(lambda top=top: top)
            for node in (n for n in nodes if n.parent == frame):
                column = columns[node.name]
                node.location = (-200.0 * column, bottoms[column])
                bottoms[column] -= _tall(node)
            top = min(bottoms.values()) - 90


def _columns(tree: bpy.types.NodeTree) -> dict[str, int]:
    """Return how many nodes, at most, lie between each node and the end of the tree."""
    after: dict[str, set[str]] = defaultdict(set)
    for link in tree.links:
        after[link.from_node.name].add(link.to_node.name)
    found: dict[str, int] = {}

    def column(name: str) -> int:
        if name not in found:
            found[name] = 1 + max((column(n) for n in after[name]), default=-1)
        return found[name]

    for node in tree.nodes:
        column(node.name)
    return found


def _tall(node: bpy.types.Node) -> float:
    """Return about how tall a node is drawn."""
    shown = [s for s in (*node.inputs, *node.outputs) if s.enabled and not s.hide]
    return 70 + 22 * len(shown) + 26 * (node.type in ("MATH", "MIX", "MAP_RANGE", "ATTRIBUTE"))


# What a tree is, to tell whether somebody changed it


def signature(tree: bpy.types.NodeTree) -> str:
    """Return what tells a node tree from another, wherever its nodes stand.

    It is the same in the Blender that made the tree and in later ones.
    """
    said: list[object] = []
    for item in tree.interface.items_tree:
        said.append((item.name, _rounded(getattr(item, "default_value", None))))
    for node in sorted(tree.nodes, key=lambda n: n.name):
        if node.type == "FRAME":
            continue
        settings = [getattr(node, name, None) for name in SETTINGS]
        # What a later Blender's nodes have besides is off, or the file would look different there.
        values = [
            (s.identifier, _rounded(s.default_value))
            for s in node.inputs
            if s.enabled and not s.is_linked and np.any(getattr(s, "default_value", 0))
        ]
        inside = getattr(node, "node_tree", None)
        said.append((node.name, settings, values, signature(inside) if inside else ""))
    links = [
        (k.from_node.name, k.from_socket.identifier, k.to_node.name, k.to_socket.identifier)
        for k in tree.links
    ]
    return f"{zlib.crc32(repr((said, sorted(links))).encode()):08x}"


SETTINGS = (
    "bl_idname",
    "mute",
    "operation",
    "use_clamp",
    "data_type",
    "blend_type",
    "interpolation_type",
    "attribute_name",
)
"""What nodes of ours have besides their sockets."""


def _rounded(value: Any) -> object:
    """Return a socket's value as it survives a file."""
    if hasattr(value, "__len__") and not isinstance(value, str):
        return tuple(f"{number:.4g}" for number in value)
    return f"{value:.4g}" if isinstance(value, float) else repr(value)
