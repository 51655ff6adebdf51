"""All overlays of a shot: made empty, and written to when the losses are new.

What is made is found again by the name of its part; what an artist has deleted stays away, and
what they have changed stays as it is.
"""

from __future__ import annotations

from collections.abc import Collection

import bpy
import numpy as np

from ..land.mesh import clock
from ..sequence.heights import HeightScale
from ..sequence.surface import Surface
from ..shot.parts import named
from ..units import plane_unit
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
"""What can be shown, one by one: beginnings of the names of parts."""

BADGES = 3
"""Of the first land: at its start and on the way; how it ends is the live loss."""

RATE = "learning_rate"
"""The curve over the training that the inset shows."""


def make_overlays(
    scene: bpy.types.Scene,
    camera: bpy.types.Object,
    there: dict[str, bpy.types.Object],
    surfaces: Collection[Surface],
    aspect: float,
    lines: int,
    wanted: Collection[str] = OVERLAYS,
) -> dict[str, bpy.types.Object]:
    """Build the overlays of a shot, empty, and let them be laid over the scene's picture.

    Parameters
    ----------
    scene : Scene
        The shot's.
    camera : Object
        Through which it is seen, or an Empty that is where the camera is that films.
    there : dict of Object
        The lands and beads of the shot, and planes it fades by, by what they are.
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
    dict of Object
        By what they are; in no collection of the shot's scene yet.
    """
    if not wanted:
        return {}
    layout = Layout.of(aspect, lines)
    made = {"Picture Frame": picture_frame(camera), **titles(camera, layout)}
    texts = [block for block in made.values() if block.type == "FONT"]
    for n, surface in enumerate(surfaces):
        land, bead = there[named("Land", n)], there[named("Bead", n)]
        made[named("Live loss", n)] = live_loss(bead, camera, layout, texts)
        if n:
            continue
        made["Step"] = step_counter(camera, layout)
        if RATE in surface.scalars:
            made["Learning Rate"] = rate_inset(camera, layout)
        for slot in range(BADGES):
            made[f"Badge {slot + 1}"] = badge(land, bead, camera, layout, slot, BADGES)
    hidden = tuple(name for what in OVERLAYS if what not in wanted for name in OVERLAYS[what])
    for name, thing in made.items():
        thing.hide_render = thing.hide_viewport = name.startswith(hidden)
    fades = [thing for name, thing in there.items() if name.startswith("Fade")]
    return made | lay_over(scene, camera, [*made.values(), *fades])


def write_overlays(
    there: dict[str, bpy.types.Object],
    surfaces: Collection[Surface],
    scale: HeightScale,
    texts: dict[str, str],
) -> dict[bpy.types.Object, bool]:
    """Write texts and numbers into the overlays that are there.

    Parameters
    ----------
    there : dict of Object
        The parts of the shot by what they are.
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
        there[name]: write(there[name], text) for name, text in texts.items() if name in there
    }
    for n, surface in enumerate(surfaces):
        land = there.get(named("Land", n))
        label = there.get(named("Live loss", n))
        if land and label:
            written[label] = key_loss(label, clock(land), surface.minimizer[:, 2])
    first, land = next(iter(surfaces)), there.get("Land")
    if land is None:
        return written
    time = clock(land)
    if counter := there.get("Step"):
        written[counter] = key_step(counter, time, first.step)
    if (inset := there.get("Learning Rate")) and RATE in first.scalars:
        written[inset] = key_rate(inset, time, first.step, first.scalars[RATE])
    marked = np.unique(np.linspace(0, len(first.frames) - 1, BADGES + 1)[:-1].round().astype(int))
    for slot, at in enumerate(marked):
        if label := there.get(f"Badge {slot + 1}"):
            places, loss = _waypoint(first, scale, at), first.minimizer[at, 2]
            written[label] = key_badge(label, time, int(at), places, loss)
    return written


def _waypoint(surface: Surface, scale: HeightScale, at: int) -> np.ndarray:
    """Return where the minimizer was at a snapshot, on the land of each: ``(n, 3)``."""
    unit = plane_unit(surface.alpha)
    inside = (surface.minimizer[at, :2] - surface.origin) * unit
    height = np.full(len(inside), scale(surface.minimizer[at, 2]))
    return np.column_stack([inside, height])
