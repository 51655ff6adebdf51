"""Geometry Nodes as objects: groups that several share, and objects that are a tree."""

from __future__ import annotations

from collections.abc import Callable

import bpy

from .graph import Graph

GROUP = "moving_lands_group"
"""Custom property of a node group that several objects share: what it is."""


def shared(what: str, build: Callable[[Graph], None]) -> bpy.types.NodeTree:
    """Return a node group that several objects use; it is built where there is none yet."""
    for tree in bpy.data.node_groups:
        if tree.get(GROUP) == what:
            return tree
    made = Graph.new(what)
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
