"""The title, and below it what the shot is about: lower left."""

from __future__ import annotations

import bpy

from ..blender.parts import Part, Parts
from . import materials
from .layout import LINES, SMALL, TITLE, Picture
from .overlay import Content, Overlay, Written
from .text import block, wrapped, write_text

LONGEST = 44
"""Most characters in a line of the sentence: it stays clear of the recipe."""


def make(picture: Picture, there: Parts, content: Content) -> dict[Part, bpy.types.Object]:
    """Build both blocks of text."""
    title = block(picture, "Title", "LEFT", TITLE, ("-right", "title"), materials.bright())
    sentence = block(picture, "Sentence", "LEFT", SMALL, ("-right", "-top"), materials.dim())
    return {Part("Title"): title, Part("Sentence"): sentence}


def write(there: Parts, content: Content) -> Written:
    """Write the title, and the recipe's sentence and credits; the title stands above them."""
    given = [str(content.recipe.get(key, "")) for key in ("sentence", "credits")]
    texts = {Part("Title"): content.title, Part("Sentence"): wrapped(given, LONGEST)}
    written = {there[p]: write_text(there[p], text) for p, text in texts.items() if p in there}
    if (sentence := there.get(Part("Sentence"))) and sentence.parent and LINES in sentence.parent:
        body = sentence.data.body
        sentence.parent[LINES] = body.count("\n") + 1 if body else 0
        sentence.parent.update_tag()
    return written


OVERLAY = Overlay(("Title", "Sentence"), make, write)
