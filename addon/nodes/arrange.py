"""A tree that reads like a page: columns follow the links, sections stand below each other."""

from __future__ import annotations

from collections import defaultdict

import bpy


def arrange(tree: bpy.types.NodeTree) -> None:
    """Put every node left of what it goes into, and the sections below each other."""
    nodes = [node for node in tree.nodes if node.type != "FRAME"]
    for node in nodes:
        if node.type == "GROUP_INPUT":
            for socket in node.outputs:
                socket.hide = not socket.is_linked
    columns = _columns(tree)
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
