"""A shot brought up to date in place: what an artist changed stays as it is."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import bpy

from ..blender import picture
from ..blender.parts import Part, Parts, mark, parts_of
from ..camera import objects as camera
from ..camera.planner import Plan, planning
from ..land import curves as traces
from ..land import mesh as surface
from ..land import mesh_cache
from ..land.memory import check_memory
from ..look.apply import apply_look
from ..sequence import heights
from ..sequence.reader import open_sequence
from ..sequence.surface import Surface
from ..steps import drained, within
from ..units import WIDTH
from .lands import fitting, paired, selected, shares
from .parts import made_with, note, scene_of, source_of
from .settings import Settings
from .texts import forget_edits, write
from .tracks import surveying

NO_LAND = "{}: it has no land any more: import it anew."

CHANGED = "The shot has been changed meanwhile: {} again."


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
        Progress, from 0 to 1. Given up before the end, it has changed nothing.

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
    with open_sequence(path or source_of(collection)) as sequence, _unless_changed(files := []):
        there, shown = paired(parts_of(collection), selected(sequence, options))
        shown_at = [given for given in shown if Part("Land", given.name) in there]
        if not shown_at:
            raise ValueError(NO_LAND.format(collection.name))
        check_memory(shown_at, options.cache)
        camera.check_editable(there)
        known = _modes(there)
        scale = yield from within(0.0, 0.2, fitting(shown, settings))
        changes = yield from within(0.2, 0.7, _preparing(shown_at, scale, there, files))
        plans = yield from within(0.7, 1.0, _planning(collection, shown, scale, there, settings))
        if known != _modes(there) or known != _modes(parts_of(collection)):
            raise ValueError(CHANGED.format("update it"))
        files.clear()  # from here on they are the lands'
        for change in changes:
            change()
        for given in shown_at:
            there[Part("Land", given.name)]["relief"] = scale.relief
        mark(collection, there)
        note(collection, sequence.path, settings, options)
        if overwrite:
            forget_edits(there)
        left = write(sequence, shown, scale, there)
        written = camera.renew(there, plans, overwrite)
    names = [given.name for given in shown]
    left += [there[p].name for p in there if p.kind == "Land" and p.surface not in names]
    return left + [thing.name for thing, was in written.items() if not was]


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
    with open_sequence(source_of(collection)) as sequence, _unless_changed([], "change its camera"):
        there, shown = paired(parts_of(collection), selected(sequence, options))
        if not shown or Part("Land", shown[0].name) not in there:
            raise ValueError(NO_LAND.format(collection.name))
        camera.check_rig_can_change(there)
        scale = yield from within(0.0, 0.5, fitting(shown, settings))
        ground = yield from within(0.5, 0.6, surveying(scene, shown, scale, there))
        rate, aspect = picture.frame_rate(scene.render), picture.aspect(scene.render)
        (plan,) = yield from within(0.6, 1.0, planning(settings.film_acts, ground, rate, aspect))
        kept = camera.change_rig(there, plan, overwrite)
        note(collection, source_of(collection), settings, options)
    return kept


def _preparing(
    shown: list[Surface], scale: heights.HeightScale, there: Parts, files: list[Path]
) -> Generator[float, None, list[Callable[[], None]]]:
    """Read the heights of lands, and of what lies on them; return what changes them, in order."""
    changes = []
    for n, given in enumerate(shown):
        land = there[Part("Land", given.name)]
        surface.clock(land)  # or it says that there is none
        begin, between, end = shares(n, len(shown))
        cached = mesh_cache.modifier(land) is not None
        if cached:
            files.append(mesh_cache.next_file(mesh_cache.file_of(land), given.name))
        steps = surface.preparing(land, given, scale, files[-1] if cached else None)
        changes.append((yield from within(begin, between, steps)))
        steps = traces.preparing(there.on(given.name), given, scale, land)
        changes.append((yield from within(between, end, steps)))
    return changes


def _planning(
    collection: bpy.types.Collection,
    shown: list[Surface],
    scale: heights.HeightScale,
    there: Parts,
    settings: Settings,
) -> Generator[float, None, list[Plan]]:
    """Plan the cameras of a shot anew; none without its first land, which they film."""
    first = there.surfaces[0]
    films = any(there.all(kind) for kind in camera.KINDS)
    if shown[0].name != first or Part("Land", first) not in there or not films:
        return []
    scene = scene_of(collection)
    ground = yield from within(0.0, 0.2, surveying(scene, shown, scale, there))
    rate, aspect = picture.frame_rate(scene.render), picture.aspect(scene.render)
    return (yield from within(0.2, 1.0, planning(settings.film_acts, ground, rate, aspect)))


def _modes(there: Parts) -> dict[int, str]:
    """Return which objects there are, and the modes that they are in."""
    return {thing.session_uid: thing.mode for thing in there.values()}


@contextmanager
def _unless_changed(files: list[Path], work: str = "update it") -> Iterator[None]:
    """Remove new files, those that are left in the list, if the work does not come to its end.

    Raises
    ------
    ValueError
        Where an object of the shot has been removed meanwhile: do the work again, it says.
    """
    try:
        yield
    except BaseException as error:
        for file in files:
            file.unlink(missing_ok=True)
        if isinstance(error, ReferenceError):
            raise ValueError(CHANGED.format(work)) from None
        raise
