"""A plan written on a camera's objects, as keys and values that an artist can change.

Keys go together: where an artist moved one of an object's, all its keys stay as they are. So do
lens and lens shift, depth of field, what the rig rides on, and from where focus is pulled.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import bpy
import numpy as np

from ..blender import edits
from ..blender.keyframes import is_keyed, key_spline, remove_keys, untouched
from ..splines import Spline
from ..units import WIDTH
from .planner import Plan
from .record import RECORD, rig_of
from .rigs import Rig

RIDE = "moving_lands_ride"
"""Stamp of a rig: its place, and how much of the way it shares."""

FOCUS = "moving_lands_focus"
"""Stamp of a focus: the place that it is pulled from."""

LENS = "moving_lands_lens"
"""Stamp of a camera's data: its lens and lens shift."""

DEPTH = "moving_lands_depth"
"""Stamp of a camera's data: its f-stop, and whether it has depth of field."""

PATHS = {
    LENS: ("lens", "shift_x", "shift_y"),
    DEPTH: ("dof.aperture_fstop", "dof.use_dof"),
}
"""Data paths of what is stamped of a camera's data."""


def write_keys(
    planned: Plan,
    aim: bpy.types.Object | None,
    rig: bpy.types.Object | None,
    camera: bpy.types.Object | None,
    focus: bpy.types.Object | None,
) -> dict[bpy.types.Object, bool]:
    """Write a camera's keys; return of each object but the rig whether they were written."""
    written = {}
    if aim:
        written[aim] = _key_all(aim, planned.aim)
        if planned.bank and untouched(aim, "rotation_euler", 2):
            key_spline(aim, "rotation_euler", planned.bank, 2)
    if camera:
        written[camera] = _key_all(camera, planned.place)
        if rig and written[camera]:
            _write_ride(rig, planned)
    if focus:
        written[focus] = _write_pull(focus, planned)
    return written


def write_lens(data: bpy.types.Camera, planned: Plan) -> bool:
    """Set lens and lens shift, keyed where acts that ease into each other have different ones.

    Returns whether they were set: what an artist set stays.
    """
    # Lens shift counts in widths of the picture's longer side.
    across, up = min(1.0, planned.aspect), min(1.0, 1.0 / planned.aspect)
    wanted = (
        planned.lens,
        _scaled(planned.frame_x, -across, 0.5 * across),
        _scaled(planned.frame_y, -up, 0.5 * up),
    )
    if not _is_ours(data, LENS):
        return False
    remove_keys(data)
    for path, spline in zip(PATHS[LENS], wanted, strict=True):
        setattr(data, path, float(spline.values[0]))
        if np.ptp(spline.values) > 1e-6:
            key_spline(data, path, spline)
    edits.stamp(data, LENS, _values(data, LENS))
    return True


def write_depth(data: bpy.types.Camera, planned: Plan) -> bool:
    """Make the picture as shallow as its rig wants it at this size; as ``write_lens``."""
    if not _is_ours(data, DEPTH):
        return False
    framing = planned.acts[0].framing
    data.dof.aperture_fstop = _fstop(planned.rig, framing.lens, framing.distance * WIDTH, data)
    data.dof.use_dof = True
    edits.stamp(data, DEPTH, _values(data, DEPTH))
    return True


def stamp_earlier_depth(camera: bpy.types.Object) -> None:
    """Stamp the depth of field of a camera of an earlier version, which did not: its rig's."""
    data = camera.data
    if edits.stamped(data, DEPTH) is None:
        lens = (edits.stamped(data, LENS) or [data.lens])[0]
        fstop = _fstop(rig_of(camera), lens, camera[RECORD]["distance"], data)
        edits.stamp(data, DEPTH, [fstop, 1.0])


def release_keys(
    aim: bpy.types.Object | None,
    rig: bpy.types.Object | None,
    camera: bpy.types.Object | None,
    focus: bpy.types.Object | None,
) -> None:
    """Let a camera's keys be written again, also those that an artist changed."""
    for thing in filter(None, (aim, camera, focus)):
        remove_keys(thing)
    if rig:
        edits.release(rig, RIDE)
    if focus:
        edits.release(focus, FOCUS)


def release_lens(data: bpy.types.Camera) -> None:
    """Let lens and depth of field be written again, also what an artist changed of them."""
    remove_keys(data, *chain(*PATHS.values()))
    edits.release(data, *PATHS)


def _key_all(owner: bpy.types.Object, splines: list[Spline]) -> bool:
    """Key all axes of a place, or none where an artist changed one; return whether they were."""
    if not all(untouched(owner, "location", axis) for axis in range(len(splines))):
        return False
    for axis, spline in enumerate(splines):
        key_spline(owner, "location", spline, axis)
    return True


def _write_ride(rig: bpy.types.Object, planned: Plan) -> None:
    """Let a rig begin where it is planned to, and share the way, unless an artist changed that."""
    riding = _copying(rig)
    if riding and _is_free(rig, RIDE, [*rig.location, riding.influence]):
        rig.location, riding.influence = planned.start, planned.follow
        edits.stamp(rig, RIDE, [*rig.location, riding.influence])


def _write_pull(focus: bpy.types.Object, planned: Plan) -> bool:
    """Let focus be pulled as planned, unless an artist changed that; return whether it was."""
    pulling = _copying(focus)
    if not pulling or not _is_free(focus, FOCUS, list(focus.location)):
        return False
    path = pulling.path_from_id("influence")
    if not untouched(focus, path):
        return False
    remove_keys(focus)
    pulling.influence = 1.0
    if planned.pull:
        focus.location = planned.focus
        key_spline(focus, path, planned.pull)
    edits.stamp(focus, FOCUS, list(focus.location))
    return True


def _copying(thing: bpy.types.Object) -> bpy.types.Constraint | None:
    return next((c for c in thing.constraints if c.type == "COPY_LOCATION"), None)


def _is_ours(data: bpy.types.Camera, key: str) -> bool:
    """Tell whether nobody changed these values of a camera's data since they were written."""
    return _is_free(data, key, _values(data, key)) and all(
        untouched(data, path) for path in PATHS[key]
    )


def _is_free(owner: bpy.types.ID, key: str, values: Sequence[float]) -> bool:
    """Tell whether values are still the stamped ones, or none were stamped yet."""
    return edits.stamped(owner, key) is None or edits.is_untouched(owner, key, values)


def _values(data: bpy.types.Camera, key: str) -> list[float]:
    """Return what is stamped of a camera's data: 0 for what is keyed, whatever the frame."""
    paths = PATHS[key]
    return [0.0 if is_keyed(data, path) else float(data.path_resolve(path)) for path in paths]


def _scaled(spline: Spline, factor: float, offset: float) -> Spline:
    return Spline(spline.times, factor * spline.values + offset, factor * spline.slopes)


def _fstop(rig: Rig, lens: float, distance: float, data: bpy.types.Camera) -> float:
    """Return the f-stop at which what is infinitely far away is as blurred as the rig wants."""
    return (lens / 1000) ** 2 / (distance * rig.blur * data.sensor_width / 1000)
