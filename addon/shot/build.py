"""A whole shot from a sequence: land, minimizer, camera, light, titles, render settings.

Everything is native, so the .blend renders the same without the add-on.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import bpy

from ..blender import picture
from ..blender.parts import Part, Parts, mark
from ..camera import cuts
from ..camera import objects as camera
from ..camera.planner import Plan, planning
from ..camera.record import RECORD
from ..land import cache_files
from ..land import curves as traces
from ..land import mesh as surface
from ..land.bead import bead
from ..land.memory import check_memory
from ..land.mesh_cache import beside_blend
from ..look import LOOKS
from ..look.grading import grade_world
from ..look.lights import RIG, light_rig
from ..look.shading import look_material
from ..overlays.build import make_overlays
from ..overlays.overlay import Content
from ..sequence import heights
from ..sequence.reader import Sequence, open_sequence
from ..sequence.surface import Surface
from ..steps import drained, within
from ..units import WIDTH
from .lands import fitting, selected, shares
from .made import Made
from .parts import Options, note, scene_of
from .render_settings import set_render
from .scenes import scene_for, select
from .settings import Settings
from .texts import write
from .tracks import surveying

BESIDE = 1.12
"""From one land to the next, side by side; in widths."""

Building = Generator[float, None, bpy.types.Collection]


def import_sequence(
    path: str | Path, settings: Settings | None = None, options: Options | None = None
) -> bpy.types.Collection:
    """Build a shot of a sequence file, in one go, and open its scene; see ``importing``."""
    return opened(drained(importing(path, settings, options)))


def importing(
    path: str | Path, settings: Settings | None = None, options: Options | None = None
) -> Building:
    """Build a shot of a sequence file.

    A whole shot has a scene of its own, at the frame of its poster; see ``Options.into``. Lands
    alone come into the current scene, where the 3D cursor is, and nothing else changes in it.

    Parameters
    ----------
    path : path
        The sequence file.
    settings : Settings, optional
        How it is shown; by default as the file's recipe says.
    options : Options, optional
        What of it; by default everything.

    Yields
    ------
    float
        Progress, from 0 to 1. Given up before the end, it leaves nothing behind.

    Returns
    -------
    bpy.types.Collection
        Of everything that was made, linked to its scene; its lands are selected there.

    Raises
    ------
    ValueError
        Where the file cannot be used, its losses do not fit the height scale that is asked for,
        or the shot does not fit in memory. Nothing has been made then.
    """
    with open_sequence(path) as sequence:
        settings = settings or Settings.of_recipe(sequence.recipe)
        return (yield from building(sequence, settings, options))


def build(
    sequence: Sequence, settings: Settings, options: Options | None = None
) -> bpy.types.Collection:
    """Build a shot of an open sequence, in one go, and open its scene; see ``importing``."""
    return opened(drained(building(sequence, settings, options)))


def building(sequence: Sequence, settings: Settings, options: Options | None = None) -> Building:
    """Build a shot of an open sequence; the rest is as in ``importing``."""
    options = options or Options()
    shown = selected(sequence, options)
    check_memory(shown, options.cache)
    scene = bpy.context.scene
    with Made() as made:
        made.files += beside_blend([given.name for given in shown]) if options.cache else []
        scale = yield from within(0.0, 0.2, fitting(shown, settings))
        steps = made.by(_lands(shown, scale, settings, made.files))
        parts = yield from within(0.2, 0.7 if options.whole else 1.0, steps)
        plans: list[Plan] = []
        if options.whole:
            with made.at_once():
                scene = scene_for(sequence.title, options)
            plans = yield from within(0.7, 1.0, _planning(scene, shown, scale, parts, settings))
        with made.at_once():
            if options.whole:
                content = Content(sequence.title, sequence.recipe, shown, scale)
                parts = _scenery(scene, content, parts, plans, settings)
            write(sequence, shown, scale, parts)
            collection = _collected(sequence.title, parts)
            note(collection, sequence.path, settings, options)
            scene.collection.children.link(collection)
            if options.whole:
                _take_over(scene, parts, settings)
    if not options.whole:
        for land in parts.all("Land"):
            land.location += scene.cursor.location
    select(scene, parts.all("Land"))
    cache_files.changed(made.files)
    return collection


def opened(collection: bpy.types.Collection) -> bpy.types.Collection:
    """Show the scene of a shot in the window, if there is one."""
    if window := bpy.context.window:
        window.scene = scene_of(collection)
    return collection


def _lands(
    shown: list[Surface],
    scale: heights.HeightScale,
    settings: Settings,
    files: list[Path],
) -> Generator[float, None, Parts]:
    """Build the lands and what lies on them."""
    found: dict[Part, bpy.types.Object] = {}
    material = look_material(LOOKS[settings.name])
    for n, given in enumerate(shown):
        begin, between, end = shares(n, len(shown))
        steps = surface.building(given, scale, 1, settings.last_frame, files[n] if files else None)
        land = yield from within(begin, between, steps)
        land["relief"] = scale.relief
        land.data.materials.append(material)
        land.location.x = n * BESIDE * WIDTH if settings.arrange == "side" else 0.0
        lying = yield from within(between, end, traces.building(given, scale, land))
        found[Part("Land", given.name)] = land
        found |= {Part(kind, given.name): thing for kind, thing in lying.items()}
    return Parts(found)


def _planning(
    scene: bpy.types.Scene,
    shown: list[Surface],
    scale: heights.HeightScale,
    lands: Parts,
    settings: Settings,
) -> Generator[float, None, list[Plan]]:
    """Plan the cameras of a shot, for a scene that will have its render settings."""
    ground = yield from within(0.0, 0.2, surveying(scene, shown, scale, lands))
    aspect = picture.aspect(scene.render, (settings.width, settings.height))
    steps = planning(settings.film_acts, ground, settings.fps, aspect)
    return (yield from within(0.2, 1.0, steps))


def _scenery(
    scene: bpy.types.Scene, content: Content, lands: Parts, plans: list[Plan], settings: Settings
) -> Parts:
    """Build all that a whole shot has besides lands; return it with them."""
    made = lands | camera.build(lands[Part("Land", content.surfaces[0].name)], plans)
    lens = made["Camera"]
    seen = lens[RECORD]["distance"] * lens.data.sensor_width / lens.data.lens
    beside = settings.arrange == "side"
    for n, given in enumerate(content.surfaces):
        tip = bead(seen)
        tip.parent = lands[Part("Land", given.name)]
        made |= {Part("Bead", given.name): tip}
        if beside or n == 0:
            relief = content.scale.relief
            lamps = light_rig(LOOKS[settings.name], relief, lens[RECORD]["azimuth"])
            lamps[RIG].location.x = n * BESIDE * WIDTH
            made |= {Part(kind, given.name): lamp for kind, lamp in lamps.items()}
    filming = made.get("Active Camera", lens)
    return made | make_overlays(scene, filming, made, content, settings.overlays)


def _collected(name: str, parts: Parts) -> bpy.types.Collection:
    """Return a new collection of a shot's parts, and of the collections that some are in."""
    collection = bpy.data.collections.new(name)
    for thing in parts.values():
        if not thing.users_collection:
            collection.objects.link(thing)
    for inner in {inner for thing in parts.values() for inner in thing.users_collection}:
        if inner != collection:
            collection.children.link(inner)
    mark(collection, parts)
    return collection


def _take_over(scene: bpy.types.Scene, made: Parts, settings: Settings) -> None:
    """Give a scene the render settings, cameras and world of a shot, at the poster's frame."""
    set_render(scene, settings)
    cuts.bind(scene, made)
    if scene.world:
        scene.world.use_fake_user = True  # the artist's own: kept, though not used
    scene.world = grade_world(LOOKS[settings.name].grade)
    scene.frame_set(settings.poster_frame)
