"""A shot's cameras: plans written as ordinary objects, keys and constraints.

A camera looks at the Empty "Minimizer", whose few keys follow the smoothed descent; lens shift
puts it where it is wanted in the picture. The camera's own few keys are its place relative to a
second Empty that rides along with part of the descent. A third one, "Focus", is what is sharp: it
is pulled to the minimizer by one keyed number. Acts that are cut have a camera each, bound to a
timeline marker.
"""

from __future__ import annotations

import bpy

from ..blender import edits
from ..blender.parts import Part, Parts
from ..units import WIDTH
from .cuts import cutting
from .planner import Plan
from .record import record
from .writing import (
    PATHS,
    release_keys,
    release_lens,
    stamp_earlier_depth,
    write_depth,
    write_keys,
    write_lens,
)

KINDS = ("Minimizer", "Camera Rig", "Camera", "Focus")
"""What each camera consists of."""

BANK = "Banking"
"""Name of the constraint by which a camera leans into its turns."""


def build(land: bpy.types.Object, plans: list[Plan]) -> Parts:
    """Build the cameras of a shot, and what they look at and ride on.

    Parameters
    ----------
    land : Object
        It becomes the parent of what moves with it.
    plans : list of Plan
        Of ``planner.planning``, one for each camera.

    Returns
    -------
    Parts
        In no collection yet: "Camera", "Camera Rig", "Minimizer", "Focus" of each camera. Where
        there are several, also the "Active Camera" and the planes of fades.
    """
    made = Parts({})
    for n, planned in enumerate(plans):
        things = _objects(planned, land)
        write_keys(planned, *(things[kind] for kind in KINDS))
        made |= {Part(kind, number=n): thing for kind, thing in things.items()}
    if len(plans) > 1:
        transitions = [planned.acts[0].transition for planned in plans]
        made |= cutting(made.all("Camera"), transitions, plans[0].fps)
    return made


def renew(parts: Parts, plans: list[Plan], overwrite: bool = False) -> dict[bpy.types.Object, bool]:
    """Write a shot's cameras again, where nobody has changed them.

    Parameters
    ----------
    parts : Parts
        The shot's; of a camera that is not there any more nothing is made.
    plans : list of Plan
        As for ``build``.
    overwrite : bool
        Also keys that were changed by hand; lens and depth of field stay.

    Returns
    -------
    dict
        Whether the keys of each Minimizer, Camera and Focus were written.

    Raises
    ------
    ValueError
        As ``check_editable``.
    """
    check_editable(parts)
    written = {}
    for n, planned in enumerate(plans):
        aim, rig, camera, focus = (parts.get(Part(kind, number=n)) for kind in KINDS)
        if overwrite:
            release_keys(aim, rig, camera, focus)
        written |= write_keys(planned, aim, rig, camera, focus)
        # What was never stamped may be an artist's: versions before did not stamp all of it.
        if camera and all(edits.stamped(camera.data, key) is not None for key in PATHS):
            write_lens(camera.data, planned)
            write_depth(camera.data, planned)
    return written


def change_rig(parts: Parts, planned: Plan, overwrite: bool = False) -> list[str]:
    """Let the camera of a shot film it by another rig, except what was changed by hand.

    Parameters
    ----------
    parts : Parts
        The shot's.
    planned : Plan
        The whole shot's only one.
    overwrite : bool
        Also what was changed by hand.

    Returns
    -------
    list of str
        What was left as it is.

    Raises
    ------
    ValueError
        As ``check_rig_can_change``.
    """
    check_rig_can_change(parts)
    aim, rig, camera, focus = (parts.get(Part(kind)) for kind in KINDS)
    if overwrite:
        release_keys(aim, rig, camera, focus)
        release_lens(camera.data)
    else:
        stamp_earlier_depth(camera)
    written = write_keys(planned, aim, rig, camera, focus)
    kept = [thing.name for thing, was in written.items() if not was]
    if camera.name not in kept:
        _set_bank(camera, aim, planned)
        record(camera, planned)
        if not write_lens(camera.data, planned):
            kept.append("Lens")
        if not write_depth(camera.data, planned):
            kept.append("Depth of Field")
    return kept


def check_rig_can_change(parts: Parts) -> None:
    """Check that a shot has one camera, and that it can be changed.

    Raises
    ------
    ValueError
        Where it has no camera or no Minimizer any more, or several cameras; or as
        ``check_editable``.
    """
    if not {Part("Camera"), Part("Minimizer")} <= set(parts) or len(parts.all("Camera")) > 1:
        raise ValueError("Only a shot with one camera, and its Minimizer, can change its rig.")
    check_editable(parts)


def check_editable(parts: Parts) -> None:
    """Check that a shot's cameras can be changed in this file.

    Raises
    ------
    ValueError
        Where they are linked from another file, or override what is.
    """
    for thing in [thing for part, thing in parts.items() if part.kind in KINDS]:
        for owner in filter(None, (thing, thing.data)):
            if owner.library or owner.override_library:
                raise ValueError(
                    f"{thing.name} is linked from another file: make it local, or change it there."
                )


def _objects(planned: Plan, land: bpy.types.Object) -> dict[str, bpy.types.Object]:
    """Build what one camera consists of, without keys."""
    aim = _empty("Minimizer", "SPHERE", 0.03, land)
    rig = _empty("Camera Rig", "CIRCLE", 0.1, land)
    focus = _empty("Focus", "CUBE", 0.01, land)
    for thing in (rig, focus):
        thing.constraints.new("COPY_LOCATION").target = aim
    data = bpy.data.cameras.new("Camera")
    data.clip_end = 100 * WIDTH
    data.dof.focus_object = focus
    camera = bpy.data.objects.new("Camera", data)
    camera.parent = rig
    looking = camera.constraints.new("TRACK_TO")
    looking.target = aim
    looking.track_axis, looking.up_axis = "TRACK_NEGATIVE_Z", "UP_Y"
    write_lens(data, planned)
    write_depth(data, planned)
    _set_bank(camera, aim, planned)
    record(camera, planned)
    return {"Minimizer": aim, "Camera Rig": rig, "Camera": camera, "Focus": focus}


def _empty(name: str, display: str, size: float, land: bpy.types.Object) -> bpy.types.Object:
    """Build an Empty on the land; its size is in widths of the land."""
    empty = bpy.data.objects.new(name, None)
    empty.empty_display_type, empty.empty_display_size = display, size * WIDTH
    empty.parent = land
    return empty


def _set_bank(camera: bpy.types.Object, aim: bpy.types.Object, planned: Plan) -> None:
    """Let a camera lean as its aim does, where its rig banks."""
    bank = camera.constraints.get(BANK)
    if planned.bank and bank is None:
        bank = camera.constraints.new("COPY_ROTATION")
        bank.name, bank.target = BANK, aim
        bank.use_x = bank.use_y = False
        bank.mix_mode = "AFTER"
        bank.target_space = bank.owner_space = "LOCAL"
    elif bank:
        bank.enabled = planned.bank is not None
