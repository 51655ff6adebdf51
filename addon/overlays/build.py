"""All overlays of a shot: made empty, and written to when the losses are new.

What is made is found again by what it is; what an artist has deleted stays away, and what they have
changed stays as it is.
"""

from __future__ import annotations

from collections.abc import Collection
from importlib import import_module

import bpy

from ..blender.parts import Part, Parts
from .compositing import lay_over, share
from .layout import Picture
from .letters import letters_object
from .overlay import Content, Overlay, Written

FILES = {
    "title": "title",
    "recipe": "recipe",
    "loss": "live_loss",
    "step": "step",
    "badges": "badges",
    "rate": "learning_rate",
}
"""Files beside this one, each with its ``OVERLAY``, by what a recipe's ``film.show_...`` calls it.

Texts come first: what is made later keeps clear of them.
"""

OVERLAYS: dict[str, Overlay] = {
    name: import_module(f".{file}", __package__).OVERLAY for name, file in FILES.items()
}
"""What can be shown, one by one."""


def make_overlays(
    scene: bpy.types.Scene,
    camera: bpy.types.Object,
    there: Parts,
    content: Content,
    wanted: Collection[str] = tuple(OVERLAYS),
) -> Parts:
    """Build the overlays of a shot, empty, and let them be laid over the scene's picture.

    Parameters
    ----------
    scene : Scene
        The shot's.
    camera : Object
        Through which it is seen, or an Empty that is where the camera is that films.
    there : Parts
        The lands and beads of the shot, and planes it fades by.
    content : Content
        What the overlays will show.
    wanted : collection of str
        Some of ``OVERLAYS``. The others are hidden, to be shown later; where it is none of them,
        none is made.

    Returns
    -------
    Parts
        In a collection of their own, with the planes; it is in no scene but theirs yet.
    """
    if not wanted:
        return Parts({})
    picture = Picture.of(scene, camera, letters_object())
    made = Parts({Part("Picture Frame"): picture.frame, Part("Letters"): picture.letters})
    for name, overlay in OVERLAYS.items():
        parts = overlay.make(picture, there | made, content)
        for thing in parts.values():
            thing.hide_render = thing.hide_viewport = name not in wanted
        made |= parts
    eye = lay_over(scene, camera, [*made.values(), *there.all("Fade")])
    return made | {Part("Overlay Camera"): eye}


def write_overlays(there: Parts, content: Content) -> Written:
    """Write texts and numbers into the overlays that are there.

    Parameters
    ----------
    there : Parts
        Those of the shot.
    content : Content
        What they show.

    Returns
    -------
    dict of bool
        Of each overlay whether it took it, or is an artist's by now.
    """
    share(there)
    written: Written = {}
    for overlay in OVERLAYS.values():
        written |= overlay.write(there, content)
    return written
