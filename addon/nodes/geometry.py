"""Geometry Nodes, written as expressions.

A ``Graph`` adds nodes to a tree; ``Number`` is a socket that can be reckoned with, so that what
stands in the tree can be read in the code, too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bpy

from ..blender import compat
from . import graph

GROUP = "moving_lands_group"
"""Custom property of a node group that several labels share: what it is."""


class Number:
    """A socket of numbers, and what they make with others."""

    def __init__(self, within: Graph, socket: bpy.types.NodeSocket) -> None:
        self.graph, self.socket = within, socket

    def __add__(self, other: Any) -> Number:
        return self.graph.math("ADD", self, other)

    def __sub__(self, other: Any) -> Number:
        return self.graph.math("SUBTRACT", self, other)

    def __rsub__(self, other: Any) -> Number:
        return self.graph.math("SUBTRACT", other, self)

    def __mul__(self, other: Any) -> Number:
        return self.graph.math("MULTIPLY", self, other)

    def __truediv__(self, other: Any) -> Number:
        return self.graph.math("DIVIDE", self, other)

    def __rtruediv__(self, other: Any) -> Number:
        return self.graph.math("DIVIDE", other, self)

    def __neg__(self) -> Number:
        return self.graph.math("MULTIPLY", self, -1.0)

    def __lt__(self, other: Any) -> Number:
        return self.graph.math("LESS_THAN", self, other)

    def __gt__(self, other: Any) -> Number:
        return self.graph.math("GREATER_THAN", self, other)

    __radd__, __rmul__ = __add__, __mul__


class Graph(graph.Graph):
    """A tree of Geometry Nodes in the making, which its outputs complete."""

    def __init__(self, name: str) -> None:
        super().__init__(bpy.data.node_groups.new(name, "GeometryNodeTree"))

    def add(self, kind: str, settings: dict[str, Any] | None = None, **inputs: Any) -> Any:
        """Add a node with its settings; a keyword is an input's name with blanks as underscores."""
        node = super().add(kind)
        for name, value in (settings or {}).items():
            setattr(node, name, value)
        for name, value in inputs.items():
            self.feed(node.inputs[name.replace("_", " ")], value)
        return node

    def feed(self, socket: bpy.types.NodeSocket, value: Any) -> None:
        """Link an output or a number to a socket, or write a value into it."""
        super().feed(socket, value.socket if isinstance(value, Number) else value)

    def input(self, name: str, kind: str = "Float") -> Any:
        """Add an input to the group and return its socket, as a number where it is one."""
        self.tree.interface.new_socket(name, in_out="INPUT", socket_type=f"NodeSocket{kind}")
        socket = super().input(name)
        return Number(self, socket) if kind == "Float" else socket

    def output(self, **results: Any) -> None:
        """Add the outputs of the group: their kinds are those of the sockets that make them."""
        for name, value in results.items():
            socket = value.socket if isinstance(value, Number) else value
            kind = {"VALUE": "Float"}.get(socket.type, socket.type.capitalize())
            self.tree.interface.new_socket(name, in_out="OUTPUT", socket_type=f"NodeSocket{kind}")
        super().output(**results)
        self.arrange()

    def value(self, name: str, value: float = 0.0) -> Number:
        """Add a number that stands in the tree under its name, to be set, keyed or driven."""
        node = self.add("ShaderNodeValue")
        node.name = node.label = name
        node.outputs[0].default_value = value
        return Number(self, node.outputs[0])

    def group(self, tree: bpy.types.NodeTree, **inputs: Any) -> Any:
        """Add a node group."""
        node = self.add("GeometryNodeGroup", {"node_tree": tree})
        for name, value in inputs.items():  # it has its inputs only now
            self.feed(node.inputs[name.replace("_", " ")], value)
        return node

    def number(self, socket: bpy.types.NodeSocket) -> Number:
        """Return a socket to reckon with."""
        return Number(self, socket)

    # Numbers

    def math(self, operation: str, *values: Any, clamp: bool = False) -> Number:
        """Add a calculation."""
        return Number(self, super().math(operation, *values, clamp=clamp))

    def least(self, *values: Any) -> Number:
        """Return the smallest of numbers."""
        least, *others = values
        for other in others:
            least = self.math("MINIMUM", least, other)
        return least

    def most(self, *values: Any) -> Number:
        """Return the largest of numbers."""
        most, *others = values
        for other in others:
            most = self.math("MAXIMUM", most, other)
        return most

    def clamp(self, value: Any, low: Any, high: Any) -> Number:
        """Return a number held between two."""
        return self.math("MINIMUM", self.math("MAXIMUM", value, low), high)

    def smooth(self, value: Any, low: float, high: float) -> Number:
        """Return 0 below ``low``, 1 above ``high``, and a soft step between."""
        return Number(self, self.map_range(value, low, high))

    def blend(self, part: Number, start: Any, end: Any) -> Number:
        """Return what lies so far between two numbers."""
        return self.math("MULTIPLY_ADD", part, self.math("SUBTRACT", end, start), start)

    def vector(self, x: Any = 0.0, y: Any = 0.0, z: Any = 0.0) -> bpy.types.NodeSocket:
        """Return a vector of three numbers."""
        return self.add("ShaderNodeCombineXYZ", X=x, Y=y, Z=z).outputs[0]

    def axes(self, vector: bpy.types.NodeSocket) -> tuple[Number, Number, Number]:
        """Return the three numbers of a vector."""
        x, y, z = self.add("ShaderNodeSeparateXYZ", Vector=vector).outputs
        return Number(self, x), Number(self, y), Number(self, z)

    def either(self, when: Any, then: Any, otherwise: Any, kind: str = "FLOAT") -> Any:
        """Return one thing or another."""
        node = self.add("GeometryNodeSwitch", {"input_type": kind}, Switch=when)
        self.feed(node.inputs["True"], then)
        self.feed(node.inputs["False"], otherwise)
        return Number(self, node.outputs[0]) if kind == "FLOAT" else node.outputs[0]

    # Texts

    def written(self, value: Any, decimals: Any = 0) -> bpy.types.NodeSocket:
        """Return a number in words: its digits."""
        return self.add("FunctionNodeValueToString", Value=value, Decimals=decimals).outputs[0]

    def string(self, text: str) -> bpy.types.NodeSocket:
        """Return a text that stands in the tree."""
        return self.add("FunctionNodeInputString", {"string": text}).outputs[0]

    def join(self, *texts: Any) -> bpy.types.NodeSocket:
        """Return texts one after the other."""
        node = self.add("GeometryNodeStringJoin")
        for text in reversed(texts):  # the last link comes first
            text = self.string(text) if isinstance(text, str) else text
            self.tree.links.new(text, node.inputs["Strings"])
        return node.outputs[0]

    def letters(
        self, text: bpy.types.NodeSocket, size: float, font: bpy.types.VectorFont
    ) -> bpy.types.NodeSocket:
        """Return a text as filled letters, from the origin to the right."""
        curves = self.add("GeometryNodeStringToCurves", String=text, Size=size)
        curves.inputs["Character Spacing"].default_value = 1.06
        compat.set_font(curves, font)
        real = self.add("GeometryNodeRealizeInstances", Geometry=curves.outputs[0])
        return self.add("GeometryNodeFillCurve", Curve=real.outputs[0]).outputs[0]

    # Shapes

    def bounds(self, geometry: Any) -> tuple[tuple[Number, ...], tuple[Number, ...]]:
        """Return the lowest and the highest x, y, z of a geometry."""
        box = self.add("GeometryNodeBoundBox", Geometry=geometry)
        return self.axes(box.outputs["Min"]), self.axes(box.outputs["Max"])

    def moved(self, geometry: Any, x: Any = 0.0, y: Any = 0.0, z: Any = 0.0) -> Any:
        """Return a geometry elsewhere."""
        by = self.vector(x, y, z)
        return self.add("GeometryNodeTransform", Geometry=geometry, Translation=by).outputs[0]

    def line(self, start: Any, end: Any, thickness: float) -> bpy.types.NodeSocket:
        """Return a thin rod from one place to another."""
        rod = self.add("GeometryNodeCurvePrimitiveLine", Start=start, End=end)
        return self.tube(rod.outputs[0], thickness)

    def tube(self, curve: Any, thickness: float, sides: int = 6) -> bpy.types.NodeSocket:
        """Return a curve as a tube."""
        profile = self.add("GeometryNodeCurvePrimitiveCircle", Resolution=sides)
        profile.inputs["Radius"].default_value = thickness / 2
        mesh = self.add(
            "GeometryNodeCurveToMesh", Curve=curve, Profile_Curve=profile.outputs["Curve"]
        )
        return mesh.outputs[0]

    def ring(self, radius: float, thickness: float) -> bpy.types.NodeSocket:
        """Return a circle that is drawn as a line."""
        return self.tube(self._circle(radius), thickness)

    def disc(self, radius: float) -> bpy.types.NodeSocket:
        """Return a round plate."""
        return self.add("GeometryNodeFillCurve", Curve=self._circle(radius)).outputs[0]

    def _circle(self, radius: float) -> bpy.types.NodeSocket:
        circle = self.add("GeometryNodeCurvePrimitiveCircle", Resolution=64)
        circle.inputs["Radius"].default_value = radius
        return circle.outputs["Curve"]

    def painted(self, geometry: Any, material: bpy.types.Material) -> bpy.types.NodeSocket:
        """Return a geometry in a material."""
        return self.add("GeometryNodeSetMaterial", Geometry=geometry, Material=material).outputs[0]

    def stored(self, geometry: Any, name: str, value: Any) -> bpy.types.NodeSocket:
        """Return a geometry whose points carry numbers under a name, for its material to read."""
        node = self.add(
            "GeometryNodeStoreNamedAttribute",
            {"data_type": "FLOAT", "domain": "POINT"},
            Geometry=geometry,
            Name=name,
            Value=value,
        )
        return node.outputs[0]

    def together(self, *geometries: Any) -> bpy.types.NodeSocket:
        """Return several geometries as one."""
        node = self.add("GeometryNodeJoinGeometry")
        for geometry in geometries:
            self.tree.links.new(geometry, node.inputs[0])
        return node.outputs[0]


def shared(what: str, build: Callable[[Graph], None]) -> bpy.types.NodeTree:
    """Return a node group that several labels use; it is built where there is none yet."""
    for tree in bpy.data.node_groups:
        if tree.get(GROUP) == what:
            return tree
    made = Graph(what)
    build(made)
    made.tree[GROUP] = what
    return made.tree


def object_of(tree: bpy.types.NodeTree) -> bpy.types.Object:
    """Make an object of a tree: an empty mesh with the tree as its modifier."""
    tree.is_modifier = True
    thing = bpy.data.objects.new(tree.name, bpy.data.meshes.new(tree.name))
    thing.modifiers.new(tree.name, "NODES").node_group = tree
    return thing


def tree_with(thing: bpy.types.Object, *values: str) -> bpy.types.NodeTree | None:
    """Return the tree of an object's modifiers that has values of these names."""
    trees = [m.node_group for m in thing.modifiers if m.type == "NODES" and m.node_group]
    return next((tree for tree in trees if all(name in tree.nodes for name in values)), None)
