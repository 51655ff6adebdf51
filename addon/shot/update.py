"""A shot brought up to date in place: what an artist changed stays as it is."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import bpy

from ..blender import picture
from ..blender.parts import Part, Parts, mark, parts_of
from ..camera import objects as camera
from ..camera.planner import planning
from ..land import curves as traces
from ..land import mesh as surface
from ..land.memory import check_memory
from ..look.apply import apply_look
from ..sequence import heights
from ..sequence.reader import open_sequence
from ..sequence.surface import Surface
from ..steps import drained, within
from ..units import WIDTH
from .lands import fitting, paired, selected, shares
from .parts import made_with, note, source_of
from .settings import Settings
from .texts import forget_edits, write
from .tracks import surveying

NO_LAND = "{}: it has no land any more: import it anew."


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
        there, shown = paired(parts_of(collection), selected(sequence, options))
        if not any(Part("Land", given.name) in there for given in shown):
            raise ValueError(NO_LAND.format(collection.name))
        check_memory([given for given in shown if Part("Land", given.name) in there], options.cache)
        scale = yield from within(0.0, 0.2, fitting(shown, settings))
        yield from within(0.2, 1.0, _renewing(shown, scale, there))
        mark(collection, there)
        note(collection, sequence.path, settings, options)
        if overwrite:
            forget_edits(there)
        left = write(sequence, shown, scale, there)
        names = [given.name for given in shown]
        left += [there[p].name for p in there if p.kind == "Land" and p.surface not in names]
        if Part("Land", there.surfaces[0]) in there and names[0] == there.surfaces[0]:
            render = bpy.context.scene.render
            rate, aspect = picture.frame_rate(render), picture.aspect(render)
            ground = drained(surveying(shown, scale, there))
            plans = drained(planning(settings.film_acts, ground, rate, aspect))
            written = camera.renew(there, plans)
            left += [thing.name for thing, was in written.items() if not was]
        return left


def change_look(
    collection: bpy.types.Collection, scene: bpy.types.Scene, name: str, overwrite: bool = False
) -> list[str]:
    """Give a shot another look, as ``apply_look``, and note it down.

    World and colour management are those of a whole shot; of another only where asked to
    overwrite.
    """
    settings, options = made_with(collection)
    relief, own = settings.relief * WIDTH, scene if options.whole or overwrite else None
    kept = apply_look(name, parts_of(collection), relief, own, overwrite)
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
        there, shown = paired(parts_of(collection), selected(sequence, options))
        if not shown or Part("Land", shown[0].name) not in there:
            raise ValueError(NO_LAND.format(collection.name))
        camera.check_rig_can_change(there)
        scale = yield from within(0.0, 0.5, fitting(shown, settings))
        ground = yield from within(0.5, 0.6, surveying(shown, scale, there))
    rate, aspect = picture.frame_rate(scene.render), picture.aspect(scene.render)
    (plan,) = yield from within(0.6, 1.0, planning(settings.film_acts, ground, rate, aspect))
    kept = camera.change_rig(there, plan, overwrite)
    note(collection, source_of(collection), settings, options)
    return kept


def _renewing(
    shown: list[Surface], scale: heights.HeightScale, there: Parts
) -> Generator[float, None, None]:
    """Write the heights of the lands that there are, and of what lies on them."""
    for n, given in enumerate(shown):
        if land := there.get(Part("Land", given.name)):
            begin, between, end = shares(n, len(shown))
            yield from within(begin, between, surface.renewing(land, given, scale))
            land["relief"] = scale.relief
            lying = there.on(given.name)
            yield from within(between, end, traces.renewing(lying, given, scale, land))
