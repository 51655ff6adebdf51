"""What a node tree is, to tell whether somebody changed it."""

from __future__ import annotations

import zlib
from typing import Any

import bpy

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
"""What nodes of looks have besides their sockets."""


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
            if s.enabled and not s.is_linked and _is_on(getattr(s, "default_value", 0))
        ]
        inside = getattr(node, "node_tree", None)
        said.append((node.name, settings, values, signature(inside) if inside else ""))
    links = [
        (k.from_node.name, k.from_socket.identifier, k.to_node.name, k.to_socket.identifier)
        for k in tree.links
    ]
    return f"{zlib.crc32(repr((said, sorted(links))).encode()):08x}"


def deduplicated(made: bpy.types.NodeTree) -> bpy.types.NodeTree:
    """Return the group of the same name and substance that was there before, and remove the new.

    One that an artist changed is not the same any more, and is left alone.
    """
    name, same = made.name.partition(".")[0], signature(made)
    for tree in bpy.data.node_groups:
        if tree != made and tree.name.partition(".")[0] == name and signature(tree) == same:
            bpy.data.node_groups.remove(made)
            return tree
    return made


def _is_on(value: Any) -> bool:
    """Tell whether a socket's value is another than 0, black or nothing."""
    return any(value) if hasattr(value, "__len__") else bool(value)


def _rounded(value: Any) -> object:
    """Return a socket's value as it survives a file."""
    if hasattr(value, "__len__") and not isinstance(value, str):
        return tuple(f"{number:.4g}" for number in value)
    return f"{value:.4g}" if isinstance(value, float) else repr(value)
