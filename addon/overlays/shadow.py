"""The compositor's step that lays overlays over a picture, with a soft shadow around their letters.

Only what shines casts it: neither the dark of badges, nor the black of a fade, which is laid over
all the picture.
"""

from __future__ import annotations

import bpy

from ..nodes.graph import Graph
from ..nodes.interface import Input, new_group

GROUP = "moving_lands_laid_over"
"""Custom property of the node group."""

SHADOW, SIZE = 0.92, 0.015
"""How dark it can get, and how far it reaches, in the picture's longer sides: just enough for small
letters to stand out 4.5 to 1 from the lightest land."""

HALF = 0.07
"""How much of what is around is covered by letters where the shadow is half as thick as can be."""

INPUTS = {
    "Image": Input((0.0, 0.0, 0.0, 0.0), "The picture"),
    "Overlays": Input((0.0, 0.0, 0.0, 0.0), "What is laid over it"),
    "Shadow": Input(SHADOW, "How dark the picture gets around text and marks", 0.0, 0.99, "FACTOR"),
    "Shadow Size": Input(
        SIZE, "How far it reaches, as a share of the picture's longer side", 0.0, 0.1, "FACTOR"
    ),
}


def laid_over() -> bpy.types.NodeTree:
    """Return the group that lays "Overlays" over "Image"; it is built where there is none yet."""
    for tree in bpy.data.node_groups:
        if tree.get(GROUP):
            return tree
    tree = new_group(
        "Overlays",
        {"": INPUTS},
        {"Image": "NodeSocketColor"},
        "Lays overlays over a picture, with a soft shadow around them",
        "CompositorNodeTree",
    )
    tree[GROUP] = True
    _lay(Graph(tree))
    return tree


def _lay(graph: Graph) -> None:
    picture, overlays = graph.input("Image"), graph.input("Overlays")
    shines = graph.add("CompositorNodeRGBToBW", Image=overlays).outputs[0]
    shines = graph.math("MULTIPLY", shines, 2.0, clamp=True)  # the dim as much as the bright
    pixels = graph.add("CompositorNodeRelativeToPixel", Image=picture)
    pixels.reference_dimension = "Greater"
    graph.feed(pixels.inputs[1], graph.input("Shadow Size"))  # the first one is for vectors
    around = graph.add("CompositorNodeBlur", Image=shines, Size=pixels.outputs[0]).outputs[0]
    thick = graph.math("DIVIDE", around, graph.math("ADD", around, HALF))
    # What smoke so thick lets through: mixed with black instead, it would have a visible border.
    through = graph.math("SUBTRACT", 1.0, graph.input("Shadow"))
    darkened = graph.mix(1.0, picture, graph.math("POWER", through, thick), "MULTIPLY")
    over = graph.add("CompositorNodeAlphaOver")
    behind, before = (socket for socket in over.inputs if socket.type == "RGBA")
    graph.feed(behind, darkened)
    graph.feed(before, overlays)
    graph.output(Image=over.outputs[0])
