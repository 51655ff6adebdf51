"""The recipe of the run: lower right, in a few lines."""

from __future__ import annotations

import bpy

from ..blender.parts import Part, Parts
from ..sequence.surface import Surface
from . import materials
from .layout import SMALL, Picture
from .overlay import Content, Overlay, Written
from .text import block, wrapped, write_text

LONGEST = 34
"""Most characters in a line: it stays clear of the sentence."""


def make(picture: Picture, there: Parts, content: Content) -> dict[Part, bpy.types.Object]:
    """Build the block of text."""
    text = block(picture, "Recipe", "RIGHT", SMALL, ("right", "recipe"), materials.dim())
    return {Part("Recipe"): text}


def write(there: Parts, content: Content) -> Written:
    """Say how the first surface was made."""
    text = there.get(Part("Recipe"))
    lines = recipe_lines(content.surfaces[0], content.scale.scale)
    return {text: write_text(text, wrapped(lines, LONGEST))} if text else {}


OVERLAY = Overlay(("Recipe",), make, write)


def recipe_lines(shown: Surface, scale: str) -> list[str]:
    """Return how a surface was made, a fact to a line."""
    attrs = {key: str(value) for key, value in shown.attrs.items()}
    lines = [attrs.get("network", ""), attrs.get("data", ""), attrs.get("optimizer", "")]
    if "batch" in attrs:
        mode = f", {attrs['mode']} mode" if "mode" in attrs else ""
        each = " at each point" if "minibatch" in attrs else ""
        lines.append(f"loss of a batch of {attrs['batch']}{each}{mode}")
    points = f"{shown.points():,}".replace(",", " ")
    return [*lines, f"{len(shown.frames)} x {points} points, {scale} scale"]
