"""The one builder of node trees: of materials, worlds, compositing and Geometry Nodes.

A ``Graph`` adds nodes to a tree, their sockets fed by name with values or with other nodes'
outputs. A ``Number`` is a socket that can be reckoned with, so that what stands in the tree can be
read in the code, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import bpy

from .arrange import arrange
from .interface import Input, add_input

KINDS = {"VALUE": "Float", "RGBA": "Color"}
"""Kinds of sockets whose name is not that of their type."""


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

    def __abs__(self) -> Number:
        return self.graph.math("ABSOLUTE", self)

    def __lt__(self, other: Any) -> Number:
        return self.graph.math("LESS_THAN", self, other)

    def __gt__(self, other: Any) -> Number:
        return self.graph.math("GREATER_THAN", self, other)

    __radd__, __rmul__ = __add__, __mul__


class Graph:
    """The nodes of a tree, while they are added."""

    def __init__(self, tree: bpy.types.NodeTree) -> None:
        self.tree = tree
        self._frame: bpy.types.Node | None = None
        self._inputs: bpy.types.Node | None = None

    @classmethod
    def new(cls, name: str, kind: str = "GeometryNodeTree") -> Graph:
        """Begin a node group; ``input`` and ``output`` give it its interface."""
        return cls(bpy.data.node_groups.new(name, kind))

    @contextmanager
    def section(self, label: str) -> Iterator[None]:
        """Add the nodes that follow within a labelled frame."""
        self._frame = self.tree.nodes.new("NodeFrame")
        self._frame.label = self._frame.name = label
        self._inputs = None
        yield
        self._frame = self._inputs = None

    def add(self, kind: str, settings: dict[str, Any] | None = None, **inputs: Any) -> Any:
        """Add a node with its settings; a keyword is an input's name with blanks as underscores."""
        node = self.tree.nodes.new(kind)
        node.parent = self._frame
        for name, value in (settings or {}).items():
            setattr(node, name, value)
        for name, value in inputs.items():  # a group has its inputs only now
            self.feed(node.inputs[name.replace("_", " ")], value)
        return node

    def feed(self, socket: bpy.types.NodeSocket, value: Any) -> None:
        """Link an output or a number to a socket, or write a value into it."""
        value = value.socket if isinstance(value, Number) else value
        if isinstance(value, bpy.types.NodeSocket):
            self.tree.links.new(value, socket)
        else:
            socket.default_value = value

    def input(self, name: str, new: Input | str = "") -> Any:
        """Return an input of the group, as a number where it is one, from a node in this section.

        A new one, which is added to the group's interface first, is given as such or by its kind,
        "Float" or "Geometry" say.
        """
        if isinstance(new, Input):
            add_input(self.tree, name, new)
        elif new:
            self.tree.interface.new_socket(name, in_out="INPUT", socket_type=f"NodeSocket{new}")
        if self._inputs is None:
            self._inputs = self.add("NodeGroupInput")
        return self._reckoned(self._inputs.outputs[name])

    def output(self, **results: Any) -> None:
        """Hand on what the group puts out, by name, which completes the tree.

        Outputs that its interface lacks are of the kind of what is put out.
        """
        items = self.tree.interface.items_tree
        there = {item.name for item in items if getattr(item, "in_out", "") == "OUTPUT"}
        for name, value in results.items():
            if name not in there:
                socket = value.socket if isinstance(value, Number) else value
                kind = KINDS.get(socket.type, socket.type.capitalize())
                self.tree.interface.new_socket(
                    name, in_out="OUTPUT", socket_type=f"NodeSocket{kind}"
                )
        self.add("NodeGroupOutput", **results)
        self.arrange()

    def arrange(self) -> None:
        """Put every node left of what it goes into, and the sections below each other."""
        arrange(self.tree)

    def value(self, name: str, value: float = 0.0) -> Number:
        """Add a number that stands in the tree under its name, to be set, keyed or driven."""
        node = self.add("ShaderNodeValue")
        node.name = node.label = name
        node.outputs[0].default_value = value
        return Number(self, node.outputs[0])

    def group(self, tree: bpy.types.NodeTree, **inputs: Any) -> Any:
        """Add a node group."""
        kind = f"{self.tree.bl_idname.removesuffix('Tree')}Group"
        return self.add(kind, {"node_tree": tree}, **inputs)

    def number(self, socket: bpy.types.NodeSocket) -> Number:
        """Return a socket to reckon with."""
        return Number(self, socket)

    def numbers(self, node: bpy.types.Node) -> dict[str, Number]:
        """Return the outputs of a node that gives numbers, by name."""
        return {socket.name: Number(self, socket) for socket in node.outputs}

    def _reckoned(self, socket: bpy.types.NodeSocket) -> Any:
        return Number(self, socket) if socket.type == "VALUE" else socket

    # Numbers, colours and vectors

    def math(self, operation: str, *values: Any, clamp: bool = False) -> Number:
        """Add a calculation."""
        node = self.add("ShaderNodeMath", {"operation": operation, "use_clamp": clamp})
        for socket, value in zip(node.inputs, values, strict=False):
            self.feed(socket, value)
        return Number(self, node.outputs["Value"])

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

    def smooth(self, value: Any, low: Any, high: Any, to: Any = 1.0) -> Number:
        """Return 0 below ``low``, ``to`` above ``high``, and a soft step between."""
        node = self.add("ShaderNodeMapRange", Value=value, From_Min=low, From_Max=high, To_Max=to)
        node.interpolation_type = "SMOOTHSTEP"
        return Number(self, node.outputs["Result"])

    def blend(self, part: Number, start: Any, end: Any) -> Number:
        """Return what lies so far between two numbers."""
        return self.math("MULTIPLY_ADD", part, self.math("SUBTRACT", end, start), start)

    def mix(
        self, factor: Any, first: Any, second: Any, how: str = "MIX", kind: str = "Color"
    ) -> bpy.types.NodeSocket:
        """Return a mix of two colours, or of two vectors by the kind "Vector"."""
        node = self.add("ShaderNodeMix")
        node.data_type = {"Color": "RGBA"}.get(kind, kind.upper())
        if kind == "Color":
            node.blend_type = how
        # The node carries a set of sockets for each data type: names alone are ambiguous.
        sockets = {s.identifier: s for s in (*node.inputs, *node.outputs)}
        self.feed(sockets["Factor_Float"], factor)
        self.feed(sockets[f"A_{kind}"], first)
        self.feed(sockets[f"B_{kind}"], second)
        return sockets[f"Result_{kind}"]

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
        return self._reckoned(node.outputs[0])

    # Texts, in Geometry Nodes

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

    # Shapes, in Geometry Nodes

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
        plate = self.add("GeometryNodeMeshCircle", {"fill_type": "NGON"}, Vertices=64)
        plate.inputs["Radius"].default_value = radius
        return plate.outputs[0]

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
