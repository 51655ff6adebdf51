"""What is written into a shot from its sequence: tracks, numbers, lines of text."""

from __future__ import annotations

import bpy

from ..blender.edits import TEXT, release
from ..blender.keyframes import remove_keys
from ..blender.parts import Part, Parts
from ..land import mesh as surface
from ..land.bead import key_bead
from ..land.projection import to_land
from ..overlays.build import write_overlays
from ..overlays.learning_rate import CURVE
from ..overlays.overlay import Content
from ..sequence import heights
from ..sequence.reader import Sequence
from ..sequence.surface import Surface

KEYED = ("Bead", "Live loss", "Badge", "Step", "Learning Rate")
"""Kinds of parts that are keyed here with what follows from losses."""


def write(
    sequence: Sequence,
    shown: list[Surface],
    scale: heights.HeightScale,
    there: Parts,
) -> list[str]:
    """Write tracks, labels and texts into the parts that are there; return what would not take."""
    written: dict[bpy.types.Object, bool] = {}
    for given in shown:
        land, bead = there.get(Part("Land", given.name)), there.get(Part("Bead", given.name))
        if land and bead:
            clock = surface.clock(land)
            written[bead] = key_bead(bead, clock, to_land(given, scale, given.minimizer))
    written |= write_overlays(there, Content(sequence.title, sequence.recipe, shown, scale))
    return [thing.name for thing, was in written.items() if not was]


def forget_edits(there: Parts) -> None:
    """Let what ``write`` writes be written again, whatever an artist made of it."""
    for part, thing in there.items():
        if part.kind in KEYED:
            remove_keys(thing)
            if thing.data:
                release(thing.data, CURVE)
            for modifier in thing.modifiers:
                if modifier.type == "NODES" and modifier.node_group:
                    remove_keys(modifier.node_group)
        elif thing.type == "FONT":
            release(thing.data, TEXT)
