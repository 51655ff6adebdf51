"""Blocks of text: title and sentence lower left, the recipe of the run lower right.

Plain text objects, to be edited by hand.
"""

from __future__ import annotations

import bpy

from ..blender.rays import only_seen
from . import layout as picture
from . import materials as paint
from .layout import Layout, picture_frame

WRITTEN = "moving_lands_text"
"""Custom property of a text: what was written into it."""

LINE = 44
"""Most characters in a line of the sentence: it stays clear of the recipe."""


def titles(camera: bpy.types.Object, layout: Layout) -> dict[str, bpy.types.Object]:
    """Build the title block, lower left, and the recipe of the run, lower right.

    Parameters
    ----------
    camera : Object
        What the text stands before, whatever its lens and shift become.
    layout : Layout
        Of the picture.

    Returns
    -------
    dict of Object
        By what they are; empty yet.
    """
    made = {
        "Title": _text("Title", "LEFT", layout.title, picture.TITLE, paint.bright()),
        "Sentence": _text("Sentence", "LEFT", -layout.top, picture.SMALL, paint.dim()),
        "Recipe": _text("Recipe", "RIGHT", layout.recipe, picture.SMALL, paint.dim()),
    }
    for name, text in made.items():
        text.location.x = layout.right if name == "Recipe" else -layout.right
        text.parent = picture_frame(camera)
        only_seen(text)
    return made


def write(text: bpy.types.Object, body: str) -> bool:
    """Write a text in capitals, unless an artist changed it; return whether it was written."""
    body, curve = body.upper(), text.data
    if curve.get(WRITTEN, curve.body) != curve.body:
        return False
    curve.body = curve[WRITTEN] = body
    return True


def _text(
    name: str, align: str, y: float, size: float, material: bpy.types.Material
) -> bpy.types.Object:
    curve = bpy.data.curves.new(name, "FONT")
    curve.font = picture.condensed_font()
    curve.size = size
    curve.space_character = 1.06
    curve.space_line = picture.LEADING
    curve.align_x, curve.align_y = align, "BOTTOM"
    curve.materials.append(material)
    text = bpy.data.objects.new(name, curve)
    text.location.y = y
    return text
