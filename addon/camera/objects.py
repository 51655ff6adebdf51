"""Cameras: plans written as plain keyframes and constraints that an artist can drag, and measured.

A camera looks at the Empty "Minimizer", whose few keys follow the smoothed descent; lens shift
puts it on a third. The camera's own few keys are its place relative to a second Empty that rides
along with part of the descent. A third one, "Focus", is what is sharp: it is pulled to the
minimizer by one keyed number. Acts that are cut have a camera each, bound to a timeline marker.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from math import degrees

import bpy
import numpy as np
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Vector
from mathutils.bvhtree import BVHTree

from ..blender import picture
from ..blender.keyframes import forget, is_keyed, key_spline, untouched
from ..blender.parts import Part, Parts
from ..land.mesh import GRID
from ..splines import Spline
from ..units import WIDTH
from .composition import inside, off_third
from .cuts import TAKE, cutting
from .motion import Motion, measure
from .planner import Plan
from .rigs import RIGS, Rig, joined
from .terrain import NEAR, Terrain

AND = " - "
"""Between the rigs that one camera films by, in the name of its take."""

PARTS = ("Minimizer", "Camera Rig", "Camera", "Focus")
"""What each take has."""

RIDE = "moving_lands_ride"
"""Custom property of a rig: its place and how much it shares, as they were written."""

FOCUS = "moving_lands_focus"
"""Custom property of a focus: the place it is pulled from, as it was written."""

LENS = "moving_lands_lens"
"""Custom property of a camera's data: its lens and lens shift, as they were written."""

DEPTH = "moving_lands_depth"
"""Custom property of a camera's data: its f-stop, and whether it has depth of field, likewise."""

SEEN = {
    LENS: ("lens", "shift_x", "shift_y"),
    DEPTH: ("dof.aperture_fstop", "dof.use_dof"),
}
"""Data paths of what is noted down of a camera's data."""

LEANING = "Banking"
"""Name of the constraint by which a camera leans into curves."""


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
        In no collection yet: "Camera", "Camera Rig", "Minimizer", "Focus" of each take. Where
        there are several, also "Camera Now".
    """
    made = Parts({})
    for n, planned in enumerate(plans):
        take = _take(planned, land)
        _key(planned, *(take[kind] for kind in PARTS))
        made |= {Part(kind, number=n): thing for kind, thing in take.items()}
    if len(plans) > 1:
        transitions = [planned.acts[0].transition for planned in plans]
        made |= cutting(made.all("Camera"), transitions, plans[0].fps)
    return made


def renew(parts: Parts, plans: list[Plan]) -> dict[bpy.types.Object, bool]:
    """Write the keys of a shot's cameras again, where nobody has changed them.

    Keys go together: where an artist moved one of a camera's, all its keys stay as they are, and
    so does what it rides on.

    Parameters
    ----------
    parts : Parts
        The shot's; of a take that is not there any more nothing is made.
    plans : list of Plan
        As for ``build``.

    Returns
    -------
    dict
        Whether each Minimizer, Camera and Focus was written.

    Raises
    ------
    ValueError
        As ``check_editable``.
    """
    check_editable(parts)
    written = {}
    for n, planned in enumerate(plans):
        written |= _key(planned, *(parts.get(Part(kind, number=n)) for kind in PARTS))
    return written


def check_editable(parts: Parts) -> None:
    """Check that what a shot's cameras consist of can be changed in this file.

    Raises
    ------
    ValueError
        Where some of it is linked from another file, or overrides what is linked.
    """
    for thing in [thing for part, thing in parts.items() if part.kind in PARTS]:
        for owner in filter(None, (thing, thing.data)):
            if owner.library or owner.override_library:
                raise ValueError(
                    f"{thing.name} is linked from another file: make it local, or change the "
                    "camera there."
                )


def check_rig_can_change(parts: Parts) -> None:
    """Check that a shot has one camera, which can be changed.

    Raises
    ------
    ValueError
        Where it has no camera or no Minimizer any more, or several cameras; or as
        ``check_editable``.
    """
    if not {Part("Camera"), Part("Minimizer")} <= set(parts) or len(parts.all("Camera")) > 1:
        raise ValueError("Only a shot with one camera, and its Minimizer, can change its rig.")
    check_editable(parts)


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
    aim, rig, camera, focus = (parts.get(Part(kind)) for kind in PARTS)
    if overwrite:
        for owner in (aim, camera):
            forget(owner)
        forget(camera.data, *chain(*SEEN.values()))
        for note in SEEN:
            camera.data.pop(note, None)
        rig.pop(RIDE, None) if rig else None
        forget(focus) if focus else None
    elif DEPTH not in camera.data:  # built before it was noted down
        lens, distance = camera.data.get(LENS, [camera.data.lens])[0], camera[TAKE]["distance"]
        camera.data[DEPTH] = [_fstop(_rig(camera), lens, distance, camera.data), 1.0]
    written = _key(planned, aim, rig, camera, focus)
    kept = [thing.name for thing, was in written.items() if not was]
    if camera.name not in kept:
        _cast(camera, aim, planned)
        if not _lens(camera.data, planned):
            kept.append("Lens")
        if not _depth(camera.data, planned):
            kept.append("Depth of Field")
    return kept


# The parts of a take


def _take(planned: Plan, land: bpy.types.Object) -> dict[str, bpy.types.Object]:
    """Build a take's objects, without keys."""
    aim = bpy.data.objects.new("Minimizer", None)
    aim.empty_display_type = "SPHERE"
    aim.empty_display_size = 0.03 * WIDTH
    rig = bpy.data.objects.new("Camera Rig", None)
    rig.empty_display_type = "CIRCLE"
    rig.empty_display_size = 0.1 * WIDTH
    riding = rig.constraints.new("COPY_LOCATION")
    riding.target = aim
    data = bpy.data.cameras.new("Camera")
    data.clip_end = 100 * WIDTH
    camera = bpy.data.objects.new("Camera", data)
    aim.parent = rig.parent = land
    camera.parent = rig
    looking = camera.constraints.new("TRACK_TO")
    looking.target = aim
    looking.track_axis, looking.up_axis = "TRACK_NEGATIVE_Z", "UP_Y"
    _lens(data, planned)
    _depth(data, planned)
    _cast(camera, aim, planned)
    focus = bpy.data.objects.new("Focus", None)
    focus.empty_display_type = "CUBE"
    focus.empty_display_size = 0.01 * WIDTH
    focus.parent = land
    pulling = focus.constraints.new("COPY_LOCATION")
    pulling.target = aim
    data.dof.focus_object = focus
    return {"Minimizer": aim, "Camera Rig": rig, "Camera": camera, "Focus": focus}


def _cast(camera: bpy.types.Object, aim: bpy.types.Object, planned: Plan) -> None:
    """Let a camera lean where its rig banks, and note down what it films."""
    leaning = camera.constraints.get(LEANING)
    if planned.bank and leaning is None:
        leaning = camera.constraints.new("COPY_ROTATION")
        leaning.name, leaning.target = LEANING, aim
        leaning.use_x = leaning.use_y = False
        leaning.mix_mode = "AFTER"
        leaning.target_space = leaning.owner_space = "LOCAL"
    elif leaning:
        leaning.enabled = planned.bank is not None
    first, last = planned.acts[0], planned.acts[-1]
    camera[TAKE] = {
        "name": AND.join(act.rig for act in planned.acts),
        "rig": first.rig,
        "first": first.first,
        "last": last.last,
        "azimuth": planned.azimuth,
        "distance": first.framing.distance * WIDTH,
    }


def _lens(data: bpy.types.Camera, planned: Plan) -> bool:
    """Set lens and lens shift, keyed where acts that ease into each other have different ones.

    What an artist set stays; returns whether it was ours to set.
    """
    # Lens shift counts in widths of the picture's longer side.
    across, up = min(1.0, planned.aspect), min(1.0, 1.0 / planned.aspect)
    wanted = (
        planned.lens,
        _scaled(planned.frame_x, -across, 0.5 * across),
        _scaled(planned.frame_y, -up, 0.5 * up),
    )
    if not _ours(data, LENS):
        return False
    forget(data)
    for path, spline in zip(SEEN[LENS], wanted, strict=True):
        setattr(data, path, float(spline.values[0]))
        if np.ptp(spline.values) > 1e-6:
            key_spline(data, path, spline)
    data[LENS] = _values(data, LENS)
    return True


def _scaled(spline: Spline, factor: float, offset: float) -> Spline:
    return Spline(spline.times, factor * spline.values + offset, factor * spline.slopes)


def _depth(data: bpy.types.Camera, planned: Plan) -> bool:
    """Make the picture as shallow as its rig wants it at this size; as ``_lens``."""
    if not _ours(data, DEPTH):
        return False
    framing = planned.acts[0].framing
    data.dof.aperture_fstop = _fstop(planned.rig, framing.lens, framing.distance * WIDTH, data)
    data.dof.use_dof = True
    data[DEPTH] = _values(data, DEPTH)
    return True


def _fstop(rig: Rig, lens: float, distance: float, data: bpy.types.Camera) -> float:
    return (lens / 1000) ** 2 / (distance * rig.blur * data.sensor_width / 1000)


def _ours(data: bpy.types.Camera, note: str) -> bool:
    """Tell whether what is noted down of a camera's data is as it was written, if it was."""
    found = _values(data, note)
    as_written = np.allclose(data.get(note, found), found, atol=1e-5)
    return as_written and all(untouched(data, path) for path in SEEN[note])


def _values(data: bpy.types.Camera, note: str) -> list[float]:
    """Return what is noted down of a camera's data: 0 for what is keyed, whatever the frame."""
    paths = SEEN[note]
    return [0.0 if is_keyed(data, path) else float(data.path_resolve(path)) for path in paths]


def _key(
    planned: Plan,
    aim: bpy.types.Object | None,
    rig: bpy.types.Object | None,
    camera: bpy.types.Object | None,
    focus: bpy.types.Object | None,
) -> dict[bpy.types.Object, bool]:
    """Write a take's keys; return of each object but the rig whether they were ours to write."""
    written = {}
    if aim:
        written[aim] = _key_all(aim, "location", planned.aim)
        if planned.bank and untouched(aim, "rotation_euler", 2):
            key_spline(aim, "rotation_euler", planned.bank, 2)
    if camera:
        written[camera] = _key_all(camera, "location", planned.place)
        if rig and written[camera]:
            _ride(rig, planned)
    if focus:
        written[focus] = _pull(focus, planned)
    return written


def _ride(rig: bpy.types.Object, planned: Plan) -> None:
    """Let a rig begin where it is planned to, and share the way, unless an artist changed that."""
    riding = next((c for c in rig.constraints if c.type == "COPY_LOCATION"), None)
    found = [*rig.location, riding.influence if riding else 0.0]
    if np.allclose(rig.get(RIDE, found), found, atol=1e-5) and riding:
        rig.location, riding.influence = planned.start, planned.follow
        rig[RIDE] = [*rig.location, riding.influence]


def _pull(focus: bpy.types.Object, planned: Plan) -> bool:
    """Let focus be pulled as planned, unless an artist changed that; return whether it was ours."""
    pulling = next((c for c in focus.constraints if c.type == "COPY_LOCATION"), None)
    path = pulling.path_from_id("influence") if pulling else "influence"
    ours = np.allclose(focus.get(FOCUS, focus.location), focus.location, atol=1e-5)
    if not (pulling and ours and untouched(focus, path)):
        return False
    forget(focus)
    pulling.influence = 1.0
    if planned.pull:
        focus.location = planned.focus
        key_spline(focus, path, planned.pull)
    focus[FOCUS] = list(focus.location)
    return True


def _key_all(owner: bpy.types.Object, path: str, splines: list[Spline]) -> bool:
    """Key all axes, or none where an artist changed one; return whether they were."""
    ours = all(untouched(owner, path, axis) for axis in range(len(splines)))
    return ours and all(
        [key_spline(owner, path, spline, axis) for axis, spline in enumerate(splines)]
    )


# Measured


def measured_takes(scene: bpy.types.Scene, parts: Parts) -> dict[str, Motion]:
    """Measure every take of a shot, as it is evaluated; by the name of its camera."""
    found = {}
    for part in sorted(part for part in parts if part.kind == "Camera"):
        camera = parts[part]
        rig = _rig(camera)
        aim = parts.get(Part("Minimizer", number=part.number))
        subject = parts.get("Bead", aim) if rig.looks_at == "minimizer" else aim
        if subject and "Land" in parts:
            found[camera.name] = measured(scene, parts["Land"], camera, subject)
    return found


def measured(
    scene: bpy.types.Scene,
    land: bpy.types.Object,
    camera: bpy.types.Object,
    minimizer: bpy.types.Object,
    frames: Iterable[int] | None = None,
) -> Motion:
    """Measure a camera on the evaluated scene, frame by frame.

    Parameters
    ----------
    scene : Scene
        It is left at the frame at which it is.
    land, camera, minimizer : Object
        What moves, what films it, and what should be seen.
    frames : iterable of int, optional
        One after the other; by default those that the camera was made for, or all.

    Returns
    -------
    Motion
        With the bounds of the camera's rig.
    """
    take = camera.get(TAKE, {})
    rig = _rig(camera)
    if frames is None:
        first, last = take.get("first", scene.frame_start), take.get("last", scene.frame_end)
        frames = range(max(scene.frame_start, int(first)), min(scene.frame_end, int(last)) + 1)
    before = scene.frame_current
    eyes, axes, seen, clearances, hidden, borders = [], [], [], [], [], []
    for count, frame in enumerate(frames):
        scene.frame_set(frame)
        graph = bpy.context.evaluated_depsgraph_get()
        filming, ground = camera.evaluated_get(graph), land.evaluated_get(graph)
        subject = minimizer.evaluated_get(graph).matrix_world.translation
        placed = filming.matrix_world
        eyes.append(placed.translation.copy())
        axes.append([placed.col[axis].xyz.normalized() for axis in range(3)])
        inward, there = ground.matrix_world.inverted(), _Ground(ground, graph)
        eye, aim = np.array(inward @ eyes[-1]), np.array(inward @ subject)
        if rig.over:
            aim = there.unburied(aim)
        seen.append(world_to_camera_view(scene, filming, ground.matrix_world @ Vector(aim))[:2])
        clearances.append(there.clearance(eye))
        hidden.append(there.hidden(eye, aim))
        if count % 8 == 0:
            borders.append(there.borders(scene, filming, eye))
    scene.frame_set(before)
    directions = np.array(axes)
    x, y = np.array(seen).T
    fps = picture.frame_rate(scene.render)
    moved = measure(np.array(eyes), -directions[:, 2], fps, WIDTH)
    return Motion(
        moved.speed,
        moved.acceleration,
        moved.jerk,
        moved.turn,
        tilt=degrees(np.arcsin(np.abs(directions[:, 0, 2]).max().clip(0, 1))),
        clearance=min(clearances) / WIDTH,
        off_third=float(off_third(x, y).max()),
        inside=float(inside(x, y).min()),
        hidden=float(np.mean(hidden)) if rig.looks_at != "between" else 0.0,
        borders=float(max(borders)),
        allowed=rig.bounds(),
    )


def _rig(camera: bpy.types.Object) -> Rig:
    """Return the rig of a camera, with its bounds; that of any other camera is the first."""
    names = camera.get(TAKE, {}).get("name", "").split(AND)
    return joined([name for name in names if name in RIGS] or [next(iter(RIGS))])


class _Ground:
    """An evaluated land: a grid that is looked up, or where modifiers made it another, a tree."""

    def __init__(self, land: bpy.types.Object, graph: bpy.types.Depsgraph) -> None:
        mesh = land.data
        points = np.empty(3 * len(mesh.vertices), np.float32)
        mesh.vertices.foreach_get("co", points)
        points = points.reshape(-1, 3)
        rows, cols = mesh.get(GRID, land.original.data.get(GRID, (0, 0)))[:2]
        self.land, self.terrain, self.tree = land, None, None
        if rows * cols == len(points):
            grid = points.reshape(rows, cols, 3).astype(float)
            still = np.zeros(2)
            self.terrain = Terrain(
                x=grid[0, :, 0],
                y=grid[:, 0, 1],
                heights=grid[None, ..., 2],
                known=np.zeros(1),
                frames=still,
                when=still,
                places=np.zeros((2, 3)),
                pace=still,
            )
        else:
            self.tree = BVHTree.FromObject(land, graph)

    def clearance(self, eye: np.ndarray) -> float:
        if self.terrain:
            return float(self.terrain.clearance(np.zeros(1), eye[None])[0])
        return self.tree.find_nearest(Vector(eye))[3]

    def unburied(self, subject: np.ndarray) -> np.ndarray:
        """Return where over fur a place in it is seen."""
        return self.terrain.unburied(np.zeros(1), subject[None])[0] if self.terrain else subject

    def hidden(self, eye: np.ndarray, subject: np.ndarray) -> bool:
        if self.terrain:
            return bool(self.terrain.hidden(np.zeros(1), eye[None], subject[None])[0])
        way = Vector(subject) - Vector(eye)
        free = max(way.length - NEAR * WIDTH, 0.0)
        return self.tree.ray_cast(Vector(eye), way.normalized(), free)[0] is not None

    def borders(self, scene: bpy.types.Scene, camera: bpy.types.Object, eye: np.ndarray) -> int:
        """Return how many sides of the land are seen."""
        if not self.terrain:
            return 0
        sides, placed = self.terrain.border(0.0), self.land.matrix_world
        count = 0
        for side in sides:
            views = [world_to_camera_view(scene, camera, placed @ Vector(p)) for p in side]
            inside = np.array([0 < v.x < 1 and 0 < v.y < 1 and v.z > 0 for v in views])
            points = side[inside]
            free = ~self.terrain.hidden(
                np.zeros(len(points)), np.tile(eye, (len(points), 1)), points
            )
            count += free.sum() > 2
        return int(count)
