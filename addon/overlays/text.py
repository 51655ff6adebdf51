"""Blocks of text: plain text objects, to be edited by hand.

The layout places a text by its delta transform, so that its location is free for an artist to move.
"""

from __future__ import annotations

import textwrap

import bpy

from ..blender.edits import TEXT, is_untouched, stamp
from ..blender.rays import only_seen
from . import layout
from .layout import Picture, drive


def block(
    picture: Picture,
    name: str,
    align: str,
    size: float,
    place: tuple[str, str],
    material: bpy.types.Material,
) -> bpy.types.Object:
    """Build a block of text, empty yet.

    Parameters
    ----------
    picture : Picture
        In which it stands.
    name : str
        Of the object.
    align : str
        "LEFT" or "RIGHT" of its place.
    size : float
        In the picture's longer sides.
    place : tuple of str
        x and y of its lower corner, as expressions of the frame's numbers ``layout.PLACES``.
    material : Material
        Of its letters.
    """
    curve = bpy.data.curves.new(name, "FONT")
    curve.font = layout.condensed_font()
    curve.size = size
    curve.space_character = layout.SPACING
    curve.space_line = layout.LEADING
    curve.align_x, curve.align_y = align, "BOTTOM"
    curve.materials.append(material)
    text = bpy.data.objects.new(name, curve)
    text.parent = picture.frame
    for axis, expression in enumerate(place):
        used = [number for number in layout.PLACES if number in expression]
        drive(text, "delta_location", axis, expression, picture.frame, *used)
    only_seen(text)
    return text


def write_text(text: bpy.types.Object, body: str) -> bool:
    """Write a text in capitals, unless an artist changed it; return whether it was written."""
    body, curve = body.upper(), text.data
    if TEXT in curve and not is_untouched(curve, TEXT, curve.body):
        return False
    curve.body = body
    stamp(curve, TEXT, body)
    return True


def wrapped(texts: list[str], longest: int) -> str:
    """Return texts in lines of at most so many characters."""
    return "\n".join(line for text in texts for line in textwrap.wrap(text, longest))
