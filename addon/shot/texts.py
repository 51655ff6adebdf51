"""What is written into a shot from its sequence: tracks, numbers, lines of text."""

from __future__ import annotations

import textwrap

import bpy

from .. import overlays
from ..blender.keyframes import forget
from ..blender.parts import Part, Parts
from ..land import mesh as surface
from ..land.projection import to_land
from ..sequence import heights
from ..sequence.reader import Sequence
from ..sequence.surface import Surface
from .settings import Settings

LINE = 34
"""Most characters in a line of the recipe of the run: it stays clear of the label."""

KEYED = (
    "Bead", "Minimizer", "Focus", "Camera", "Live loss", "Badge", "Step", "Learning Rate",
)  # fmt: skip
"""Kinds of parts that are keyed with what follows from losses."""


def write(
    sequence: Sequence,
    shown: list[Surface],
    scale: heights.HeightScale,
    there: Parts,
    settings: Settings,
) -> list[str]:
    """Write tracks, labels and texts into the parts that are there; return what would not take."""
    written: dict[bpy.types.Object, bool] = {}
    for given in shown:
        land, bead = there.get(Part("Land", given.name)), there.get(Part("Bead", given.name))
        if land and bead:
            clock = surface.clock(land)
            written[bead] = overlays.key_bead(bead, clock, to_land(given, scale, given.minimizer))
    texts = {
        "Title": sequence.title,
        "Sentence": "\n".join(sentences(sequence)),
        "Recipe": "\n".join(recipe_lines(shown[0], settings.scale)),
    }
    written |= overlays.write_overlays(there, shown, scale, texts)
    return [thing.name for thing, was in written.items() if not was]


def forget_edits(there: Parts) -> None:
    """Let what ``write`` writes be written again, whatever an artist made of it."""
    for part, thing in there.items():
        if part.kind in KEYED:
            forget(thing)
            if thing.data:
                thing.data.pop(overlays.CURVE, None)
            for modifier in thing.modifiers:
                if modifier.type == "NODES" and modifier.node_group:
                    forget(modifier.node_group)
        elif thing.type == "FONT":
            thing.data.pop(overlays.WRITTEN, None)


def sentences(sequence: Sequence) -> list[str]:
    """Return the lines below the title."""
    given = [str(sequence.recipe.get(key, "")) for key in ("sentence", "credits")]
    return [line for sentence in given for line in textwrap.wrap(sentence, overlays.LINE)]


def recipe_lines(shown: Surface, scale: str) -> list[str]:
    """Say how a surface was made, in the few lines that stand in the picture."""
    attrs = {key: str(value) for key, value in shown.attrs.items()}
    lines = [attrs.get("network", ""), attrs.get("data", ""), attrs.get("optimizer", "")]
    if "batch" in attrs:
        mode = f", {attrs['mode']} mode" if "mode" in attrs else ""
        each = " at each point" if "minibatch" in attrs else ""
        lines.append(f"loss of a batch of {attrs['batch']}{each}{mode}")
    points = f"{shown.points():,}".replace(",", " ")
    lines.append(f"{len(shown.frames)} x {points} points, {scale} scale")
    return [part for line in lines for part in textwrap.wrap(line, LINE)]
