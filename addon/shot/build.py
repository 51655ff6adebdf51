"""A whole shot from a sequence: land, minimizer, camera, light, titles, render settings.

Everything is native, so the .blend renders the same without the add-on.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import bpy

from ..blender import picture
from ..blender.parts import Part, Parts, mark
from ..camera import cuts
from ..camera import objects as camera
from ..camera.planner import planning
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
from .parts import Options, note
from .render_settings import set_render
from .settings import Settings
from .texts import write
from .tracks import surveying

BESIDE = 1.12
"""From one land to the next, side by side; in widths."""

Building = Generator[float, None, bpy.types.Collection]


def import_sequence(
    path: str | Path, settings: Settings | None = None, options: Options | None = None
) -> bpy.types.Collection:
    """Build a shot of a sequence file in the current scene: ``importing``, in one go."""
    return drained(importing(path, settings, options))


def importing(
    path: str | Path, settings: Settings | None = None, options: Options | None = None
) -> Building:
    """Build a shot of a sequence file in the current scene.

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
        Of everything that was made, linked to the scene.

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
    """Build a shot of an open sequence in the current scene: ``building``, in one go."""
    return drained(building(sequence, settings, options))


def building(sequence: Sequence, settings: Settings, options: Options | None = None) -> Building:
    """Build a shot of an open sequence; the rest is as in ``importing``."""
    options = options or Options()
    shown = selected(sequence, options)
    check_memory(shown, options.cache)
    caches = beside_blend([given.name for given in shown]) if options.cache else [None] * len(shown)
    with _all_or_nothing(caches):
        scale = yield from within(0.0, 0.2, fitting(shown, settings))
        made = yield from within(0.2, 1.0, _lands(shown, scale, settings, caches))
        if options.whole:
            made = _scenery(sequence, shown, scale, made, settings)
        write(sequence, shown, scale, made)
        collection = bpy.data.collections.new(sequence.title)
        for part in made.values():
            if not part.users_collection:
                collection.objects.link(part)
        for inner in {inner for part in made.values() for inner in part.users_collection}:
            if inner != collection:
                collection.children.link(inner)
        mark(collection, made)
        note(collection, sequence.path, settings, options)
    cache_files.changed(filter(None, caches))
    scene = bpy.context.scene
    scene.collection.children.link(collection)
    if options.whole:
        set_render(scene, settings)
        cuts.bind(scene, made)
        if scene.world:
            scene.world.use_fake_user = True  # the artist's own: kept, though not used
        scene.world = grade_world(LOOKS[settings.name].grade)
        scene.frame_set(1)
    return collection


def _lands(
    shown: list[Surface],
    scale: heights.HeightScale,
    settings: Settings,
    caches: list[Path | None],
) -> Generator[float, None, Parts]:
    """Build the lands and what lies on them."""
    found: dict[Part, bpy.types.Object] = {}
    material = look_material(LOOKS[settings.name])
    for n, given in enumerate(shown):
        begin, between, end = shares(n, len(shown))
        steps = surface.building(given, scale, 1, settings.last_frame, caches[n])
        land = yield from within(begin, between, steps)
        land["relief"] = scale.relief
        land.data.materials.append(material)
        land.location.x = n * BESIDE * WIDTH if settings.arrange == "side" else 0.0
        lying = yield from within(between, end, traces.building(given, scale, land))
        found[Part("Land", given.name)] = land
        found |= {Part(kind, given.name): thing for kind, thing in lying.items()}
    return Parts(found)


def _scenery(
    sequence: Sequence,
    shown: list[Surface],
    scale: heights.HeightScale,
    lands: Parts,
    settings: Settings,
) -> Parts:
    """Build all that a whole shot has besides lands; return it with them."""
    resolution = settings.width, settings.height
    aspect = picture.aspect(bpy.context.scene.render, resolution)
    ground = drained(surveying(shown, scale, lands))
    plans = drained(planning(settings.film_acts, ground, settings.fps, aspect))
    made = lands | camera.build(lands[Part("Land", shown[0].name)], plans)
    lens = made["Camera"]
    seen = lens[RECORD]["distance"] * lens.data.sensor_width / lens.data.lens
    beside = settings.arrange == "side"
    for n, given in enumerate(shown):
        tip = bead(seen)
        tip.parent = lands[Part("Land", given.name)]
        made |= {Part("Bead", given.name): tip}
        if beside or n == 0:
            lamps = light_rig(LOOKS[settings.name], scale.relief, lens[RECORD]["azimuth"])
            lamps[RIG].location.x = n * BESIDE * WIDTH
            made |= {Part(kind, given.name): lamp for kind, lamp in lamps.items()}
    filming = made.get("Active Camera", lens)
    content = Content(sequence.title, sequence.recipe, shown, scale)
    return made | make_overlays(bpy.context.scene, filming, made, content, settings.overlays)


@contextmanager
def _all_or_nothing(files: list[Path | None]) -> Iterator[None]:
    """Take away what was made, these files among it, should it end before its end."""
    before = set(bpy.data.user_map())
    try:
        yield
    except BaseException:
        made = set(bpy.data.user_map()) - before
        bpy.data.batch_remove([x for x in made if isinstance(x, bpy.types.Object)])
        for scene in [x for x in made if isinstance(x, bpy.types.Scene)]:
            bpy.data.scenes.remove(scene)
        for file in filter(None, files):
            file.unlink(missing_ok=True)
        while unused := [x for x in set(bpy.data.user_map()) - before if not x.users]:
            bpy.data.batch_remove(unused)
        raise
