"""A whole shot from a sequence: land, minimizer, camera, light, titles, render settings.

Everything is native, so the .blend renders the same without the add-on. A shot is brought up to
date in place: what follows from the losses is written again, except where an artist's hand has
been.
"""

from __future__ import annotations

import textwrap
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain, count
from pathlib import Path

import bpy
import numpy as np

from .. import overlays
from ..blender import compat, picture
from ..blender.keyframes import forget
from ..blender.parts import MARK, Part, Parts, mark, parts_of
from ..camera import cuts, terrain
from ..camera import objects as camera
from ..camera.planner import planning
from ..land import curves as traces
from ..land import mesh as surface
from ..land.mesh_cache import beside_blend
from ..land.projection import to_land
from ..look import apply as look
from ..sequence import heights
from ..sequence.reader import Sequence, open_sequence
from ..sequence.surface import Surface
from ..steps import drained, within
from ..units import WIDTH
from .parts import Options, made_with, note, source_of
from .settings import Settings

LINE = 34
"""Most characters in a line of the recipe of the run: it stays clear of the label."""

KEYED = (
    "Bead", "Minimizer", "Focus", "Camera", "Live loss", "Badge", "Step", "Learning Rate",
)  # fmt: skip
"""Kinds of parts that are keyed with what follows from losses."""

NO_LAND = "{}: it has no land any more: import it anew."

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
    shown = _selected(sequence, options)
    caches = [beside_blend(given.name) if options.cache else None for given in shown]
    with _all_or_nothing(caches):
        scale = yield from within(0.0, 0.2, _fitting(shown, settings))
        made = yield from within(0.2, 1.0, _lands(shown, scale, settings, caches))
        if options.whole:
            made = _scenery(sequence, shown, scale, made, settings)
        _write(sequence, shown, scale, made, settings)
        collection = bpy.data.collections.new(sequence.title)
        for part in made.values():
            collection.objects.link(part)
        mark(collection, made)
        note(collection, sequence.path, settings, options)
    scene = bpy.context.scene
    scene.collection.children.link(collection)
    if options.whole:
        _set_render(scene, settings)
        cuts.bind(scene, made)
        if scene.world:
            scene.world.use_fake_user = True  # the artist's own: kept, though not used
        scene.world = look.world(settings.name)
        scene.frame_set(1)
    return collection


def update(collection: bpy.types.Collection, path: str | Path | None = None) -> list[str]:
    """Bring a shot up to date: ``updating``, in one go."""
    return drained(updating(collection, path))


def updating(
    collection: bpy.types.Collection,
    path: str | Path | None = None,
    settings: Settings | None = None,
    overwrite: bool = False,
) -> Generator[float, None, list[str]]:
    """Bring a shot up to date with its sequence file, longer by now perhaps, or with another.

    Heights, the minimizer's track, the loss on its label and the lines of text are written again;
    so is nothing that an artist changed, and nothing comes back that they took away. A land shows
    the surface of its name; where there is none, those that are left over are shown in order.

    Parameters
    ----------
    collection : Collection
        The shot.
    path : path, optional
        A sequence file; by default the one that the shot was made of.
    settings : Settings, optional
        Other heights; by default those that the shot was made with.
    overwrite : bool
        Write tracks, numbers and texts again even where an artist changed them.

    Yields
    ------
    float
        Progress, from 0 to 1.

    Returns
    -------
    list of str
        What was left as it is, because it had been changed by hand, or is not in the file.

    Raises
    ------
    ValueError
        As ``importing``; or where no land of the shot is left.
    """
    before, options = made_with(collection)
    settings = settings or before
    with open_sequence(path or source_of(collection)) as sequence:
        there, shown = _paired(parts_of(collection), _selected(sequence, options))
        if not any(Part("Land", given.name) in there for given in shown):
            raise ValueError(NO_LAND.format(collection.name))
        scale = yield from within(0.0, 0.2, _fitting(shown, settings))
        yield from within(0.2, 1.0, _renewing(shown, scale, there))
        mark(collection, there)
        note(collection, sequence.path, settings, options)
        if overwrite:
            _forget(there)
        left = _write(sequence, shown, scale, there, settings)
        names = [given.name for given in shown]
        left += [there[p].name for p in there if p.kind == "Land" and p.surface not in names]
        if Part("Land", there.surfaces[0]) in there and names[0] == there.surfaces[0]:
            render = bpy.context.scene.render
            rate, aspect = picture.frame_rate(render), picture.aspect(render)
            ground = drained(_surveying(shown, scale, there))
            plans = drained(planning(settings.film_acts, ground, rate, aspect))
            written = camera.renew(there, plans)
            left += [thing.name for thing, was in written.items() if not was]
        return left


def dress(
    collection: bpy.types.Collection, scene: bpy.types.Scene, name: str, overwrite: bool = False
) -> list[str]:
    """Dress a shot in another look, as ``look.dress``, and note it down."""
    kept = look.dress(collection, scene, name, overwrite)
    settings, options = made_with(collection)
    note(collection, source_of(collection), replace(settings, name=name), options)
    return kept


def change_rig(
    collection: bpy.types.Collection, scene: bpy.types.Scene, rig: str, overwrite: bool = False
) -> list[str]:
    """Film a shot by another rig: ``changing_rig``, in one go."""
    return drained(changing_rig(collection, scene, rig, overwrite))


def changing_rig(
    collection: bpy.types.Collection, scene: bpy.types.Scene, rig: str, overwrite: bool = False
) -> Generator[float, None, list[str]]:
    """Film a shot by another rig, as ``camera.change_rig``, and note it down.

    Its sequence file is read again; how fast the film runs, and the shape of its picture, are the
    scene's. Yields the progress from 0 to 1; given up before the end, it has changed nothing.
    """
    settings, options = made_with(collection)
    settings = settings.filmed_by(rig)
    with open_sequence(source_of(collection)) as sequence:
        there, shown = _paired(parts_of(collection), _selected(sequence, options))
        if not shown or Part("Land", shown[0].name) not in there:
            raise ValueError(NO_LAND.format(collection.name))
        camera.check_rig_can_change(there)
        scale = yield from within(0.0, 0.5, _fitting(shown, settings))
        ground = yield from within(0.5, 0.6, _surveying(shown, scale, there))
    rate, aspect = picture.frame_rate(scene.render), picture.aspect(scene.render)
    (plan,) = yield from within(0.6, 1.0, planning(settings.film_acts, ground, rate, aspect))
    kept = camera.change_rig(there, plan, overwrite)
    note(collection, source_of(collection), settings, options)
    return kept


def _selected(sequence: Sequence, options: Options) -> list[Surface]:
    return [given.select(options.selection) for given in sequence.surfaces.values()]


def _paired(there: Parts, surfaces: list[Surface]) -> tuple[Parts, list[Surface]]:
    """Give the lands of a shot their surfaces: by name, those that are left over in order.

    Returns the parts by the surfaces' names, and the surfaces that have a land, in its order.
    """
    given = {surface.name: surface for surface in surfaces}
    names = {name: name for name in there.surfaces if name in given}
    left = [name for name in given if name not in names]
    unknown = [name for name in there.surfaces if name not in names]
    names |= dict(zip(unknown, left, strict=False))
    shown = [given[names[name]] for name in there.surfaces if name in names]
    return there.renamed(names), shown


# What takes its time: the lands, and what lies on them


def _fitting(
    shown: list[Surface], settings: Settings
) -> Generator[float, None, heights.HeightScale]:
    """Fit one scale to all surfaces of a shot."""
    losses = chain.from_iterable(given.losses() for given in shown)
    clip = settings.clip_low, settings.clip_high
    relief = settings.relief * WIDTH
    steps = heights.fitting(losses, settings.scale, relief, clip, settings.reverse)
    counted = count(1)
    total = sum(len(given.frames) for given in shown)
    return (yield from (within(0.0, 1.0, steps, lambda _: next(counted) / total)))


def _lands(
    shown: list[Surface],
    scale: heights.HeightScale,
    settings: Settings,
    caches: list[Path | None],
) -> Generator[float, None, Parts]:
    """Build the lands and what lies on them."""
    found: dict[Part, bpy.types.Object] = {}
    material = look.material(settings.name)
    for n, given in enumerate(shown):
        begin, between, end = _shares(n, len(shown))
        surface.check_memory(given, bool(caches[n]))
        steps = surface.building(given, scale, 1, settings.last_frame, caches[n])
        land = yield from within(begin, between, steps)
        land["relief"] = scale.relief
        land.data.materials.append(material)
        land.location.x = n * BESIDE * WIDTH if settings.arrange == "side" else 0.0
        lying = yield from within(between, end, traces.building(given, scale, land))
        found[Part("Land", given.name)] = land
        found |= {Part(kind, given.name): thing for kind, thing in lying.items()}
    return Parts(found)


def _renewing(
    shown: list[Surface], scale: heights.HeightScale, there: Parts
) -> Generator[float, None, None]:
    """Write the heights of the lands that there are, and of what lies on them."""
    for n, given in enumerate(shown):
        if land := there.get(Part("Land", given.name)):
            begin, between, end = _shares(n, len(shown))
            yield from within(begin, between, surface.renewing(land, given, scale))
            land["relief"] = scale.relief
            lying = there.on(given.name)
            yield from within(between, end, traces.renewing(lying, given, scale, land))


def _shares(n: int, total: int) -> tuple[float, float, float]:
    """Return where in the work the n-th land begins, is done, and what lies on it, too."""
    return n / total, (n + 0.9) / total, (n + 1) / total


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


# What follows from the losses


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
    ground = drained(_surveying(shown, scale, lands))
    plans = drained(planning(settings.film_acts, ground, settings.fps, aspect))
    made = lands | camera.build(lands[Part("Land", shown[0].name)], plans)
    lens = made["Camera"]
    seen = lens[cuts.TAKE]["distance"] * lens.data.sensor_width / lens.data.lens
    beside = settings.arrange == "side"
    for n, given in enumerate(shown):
        bead = overlays.bead(seen)
        bead.parent = lands[Part("Land", given.name)]
        made |= {Part("Bead", given.name): bead}
        if beside or n == 0:
            lamps = look.lights(settings.name, scale.relief, lens[cuts.TAKE]["azimuth"])
            lamps["Light Rig"].location.x = n * BESIDE * WIDTH
            made |= {Part(kind, given.name): lamp for kind, lamp in lamps.items()}
    filming = made.get("Camera Now", lens)
    lines = len(_sentences(sequence))
    return made | overlays.make_overlays(
        bpy.context.scene, filming, made, shown, aspect, lines, settings.overlays
    )


def _write(
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
        "Sentence": "\n".join(_sentences(sequence)),
        "Recipe": "\n".join(recipe_lines(shown[0], settings.scale)),
    }
    written |= overlays.write_overlays(there, shown, scale, texts)
    return [thing.name for thing, was in written.items() if not was]


def _forget(there: Parts) -> None:
    """Let what ``_write`` writes be written again, whatever an artist made of it."""
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


def _seen(land: bpy.types.Object) -> tuple[np.ndarray, np.ndarray]:
    """Return film frames and the snapshot that the land shows at each, as it is timed now."""
    owner, path, each = surface.clock(land)
    animation = owner.animation_data
    curve = compat.fcurves(owner).find(path) if animation and animation.action else None
    if curve is None:  # it stands still, or something else drives it
        scene = bpy.context.scene
        frames = np.array([scene.frame_start, max(scene.frame_end, scene.frame_start + 1)])
        return frames, np.full(2, owner.path_resolve(path) / each)
    first, last = (round(frame) for frame in curve.range())
    frames = np.arange(first, max(last, first + 1) + 1)
    return frames, np.array([curve.evaluate(frame) for frame in frames]) / each


def _followed(shown: Surface, scale: heights.HeightScale, when: np.ndarray) -> np.ndarray:
    """Return the minimizer's places ``(len(when), 3)`` at moments counted in snapshots."""
    places = to_land(shown, scale, shown.minimizer)
    return np.column_stack([np.interp(when, np.arange(len(places)), axis) for axis in places.T])


def _surveying(
    shown: list[Surface], scale: heights.HeightScale, there: Parts
) -> Generator[float, None, terrain.Terrain]:
    """Return what a camera has to know of the first land, and of the minimizers on the others."""
    land = there[Part("Land", shown[0].name)]
    frames, when = _seen(land)
    places = _followed(shown[0], scale, when)
    found = yield from terrain.surveying(shown[0], scale, frames, when, places, WIDTH)
    for given in shown[1:]:
        if other := there.get(Part("Land", given.name)):
            seen = np.interp(frames, *_seen(other))
            found.others.append(_followed(given, scale, seen) + other.location - land.location)
    return found


def _sentences(sequence: Sequence) -> list[str]:
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


def _set_render(scene: bpy.types.Scene, settings: Settings) -> None:
    """Set a scene to Cycles, and to the sizes and lengths of the film."""
    render, cycles = scene.render, scene.cycles
    render.engine = "CYCLES"
    render.resolution_x, render.resolution_y = settings.width, settings.height
    render.resolution_percentage = 100
    render.fps, render.fps_base = settings.fps, 1.0
    scene.frame_start, scene.frame_end = 1, settings.last_frame
    render.use_persistent_data = True
    render.use_motion_blur = settings.motion_blur
    render.motion_blur_shutter = 0.5
    compat.write_as_png(render.image_settings)
    render.filepath = "//frames/"  # 0001.png and so on, as our own rendering calls them
    cycles.samples = settings.samples
    cycles.use_adaptive_sampling = True
    cycles.use_denoising = True
    # Few samples leave noise for the finest setting to dwell on: it takes half the time, unseen.
    cycles.denoising_quality = "HIGH" if settings.samples >= 64 else "BALANCED"
    cycles.max_bounces = 2
    cycles.use_light_tree = False  # for a handful of lamps it costs more than it saves
    look.grade(scene, settings.name)
    scene[MARK] = {
        "poster_frame": 1 + round(settings.poster_at * (settings.last_frame - 1)),
        "poster_width": settings.poster_width,
        "poster_samples": settings.poster_samples,
    }
