"""All overlays of a shot: made empty, and written to when the losses are new.

What is made is found again by what it is; what an artist has deleted stays away, and
what they have changed stays as it is.
"""

from __future__ import annotations

from collections.abc import Collection

import bpy
import numpy as np

from ..blender.parts import Part, Parts
from ..land.mesh import Clock, clock
from ..land.projection import to_land
from ..sequence.heights import HeightScale
from ..sequence.surface import Surface
from .compositing import lay_over
from .labels import badge, key_badge, key_loss, live_loss
from .layout import Layout, picture_frame
from .step_counter import key_rate, key_step, rate_inset, step_counter
from .text import titles, write

OVERLAYS = {
    "title": ("Title", "Sentence"),
    "recipe": ("Recipe",),
    "loss": ("Live loss",),
    "step": ("Step",),
    "badges": ("Badge",),
    "rate": ("Learning Rate",),
}
"""What can be shown, one by one: kinds of parts."""

BADGES = 3
"""Of the first land: at its start and on the way; how it ends is the live loss."""

RATE = "learning_rate"
"""The curve over the training that the inset shows."""


def make_overlays(
    scene: bpy.types.Scene,
    camera: bpy.types.Object,
    there: Parts,
    surfaces: Collection[Surface],
    aspect: float,
    lines: int,
    wanted: Collection[str] = OVERLAYS,
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
    surfaces : collection of Surface
        What the lands show.
    aspect : float
        Width of the picture over its height.
    lines : int
        How many lines stand below the title.
    wanted : collection of str
        Some of ``OVERLAYS``. The others are hidden, to be shown later; where it is none of them,
        none is made.

    Returns
    -------
    Parts
        In no collection of the shot's scene yet.
    """
    if not wanted:
        return Parts({})
    layout = Layout.of(aspect, lines)
    made = {Part("Picture Frame"): picture_frame(camera)}
    made |= {Part(kind): text for kind, text in titles(camera, layout).items()}
    texts = [block for block in made.values() if block.type == "FONT"]
    for n, surface in enumerate(surfaces):
        name = surface.name
        land, bead = there[Part("Land", name)], there[Part("Bead", name)]
        made[Part("Live loss", name)] = live_loss(bead, camera, layout, texts)
        if n:
            continue
        made[Part("Step", name)] = step_counter(camera, layout)
        if RATE in surface.scalars:
            made[Part("Learning Rate", name)] = rate_inset(camera, layout)
        for slot in range(BADGES):
            made[Part("Badge", name, slot)] = badge(land, bead, camera, layout, slot, BADGES)
    hidden = [kind for what in OVERLAYS if what not in wanted for kind in OVERLAYS[what]]
    for part, thing in made.items():
        thing.hide_render = thing.hide_viewport = part.kind in hidden
    eye = lay_over(scene, camera, [*made.values(), *there.all("Fade")])
    return Parts({**made, Part("Overlay Camera"): eye})


def write_overlays(
    there: Parts,
    surfaces: Collection[Surface],
    scale: HeightScale,
    texts: dict[str, str],
) -> dict[bpy.types.Object, bool]:
    """Write texts and numbers into the overlays that are there.

    Parameters
    ----------
    there : Parts
        Those of the shot.
    surfaces : collection of Surface
        What its lands show.
    scale : HeightScale
        The lands'.
    texts : dict of str
        "Title", "Sentence" and "Recipe".

    Returns
    -------
    dict of bool
        Of each overlay whether it took it, or is an artist's by now.
    """
    written = {
        thing: write(thing, text) for kind, text in texts.items() for thing in there.all(kind)
    }
    for surface in surfaces:
        if land := there.get(Part("Land", surface.name)):
            written |= _write_numbers(there, surface, scale, clock(land))
    return written


def _write_numbers(
    there: Parts, surface: Surface, scale: HeightScale, time: Clock
) -> dict[bpy.types.Object, bool]:
    """Write the numbers of a surface into the overlays that are its own."""
    written, name = {}, surface.name
    if label := there.get(Part("Live loss", name)):
        written[label] = key_loss(label, time, surface.minimizer[:, 2])
    if counter := there.get(Part("Step", name)):
        written[counter] = key_step(counter, time, surface.step)
    if (inset := there.get(Part("Learning Rate", name))) and RATE in surface.scalars:
        written[inset] = key_rate(inset, time, surface.step, surface.scalars[RATE])
    last = len(surface.frames) - 1
    marked = np.unique(np.linspace(0, last, BADGES + 1)[:-1].round().astype(int))
    for slot, at in enumerate(marked):
        if label := there.get(Part("Badge", name, slot)):
            loss = surface.minimizer[at, 2]
            places = to_land(surface, scale, surface.minimizer[at])
            written[label] = key_badge(label, time, int(at), places, loss)
    return written
