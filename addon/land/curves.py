"""Paths, ellipses and samples on the land, as curves and meshes that an artist can edit.

A path of the sequence is a curve, and so are a Gaussian's ellipses of 1, 2 and 3 sigma; its samples
are balls on the points of a mesh. Each has absolute shape keys, one for every snapshot and more
where it moves, driven by the number that says which snapshot the land shows: who retimes the land
retimes them. The upper half of a line's tube is above the land and the lower half below, so that it
is seen from both sides. A shape or a driver that an artist edited stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial

import bpy
import numpy as np

from ..blender import edits
from ..blender.keyframes import key_driven, untouched
from ..blender.rays import only_seen
from ..nodes.materials import glowing_material
from ..sequence.heights import HeightScale
from ..sequence.surface import Surface
from ..units import plane_unit
from .dashes import dash
from .mesh import clock
from .projection import PlaneShape, drawn_part, heights_at, inside, shapes_of
from .samples import balls, set_bounds
from .styles import style_of

DRAWN = "Snapshots Drawn"
"""Custom property of the trajectory: the snapshot up to which it is drawn."""

Projecting = Generator[float, None, dict[str, np.ndarray]]


def building(
    surface: Surface, scale: HeightScale, land: bpy.types.Object
) -> Generator[float, None, dict[str, bpy.types.Object]]:
    """Build the paths, ellipses and samples of a land.

    Parameters
    ----------
    surface : Surface
        Of an open sequence.
    scale : HeightScale
        The land's.
    land : Object
        It becomes their parent.

    Yields
    ------
    float
        Progress, from 0 to 1. Given up before the end, it leaves nothing behind.

    Returns
    -------
    dict of Object
        By their names, in no collection yet; empty where the surface has none.
    """
    shapes = shapes_of(surface)
    projected = yield from _projecting(shapes, surface, scale)
    made = {}
    for name, shape in shapes.items():
        thing = balls(name) if shape.kind == "samples" else _line(name)
        thing.parent = land
        only_seen(thing)
        _write_keys(thing, shape, surface, projected[name])
        _drive(thing, shape, surface, land)
        if style_of(name).dashed:
            dash(thing)
        made[name] = thing
    return made


def renewing(
    objects: dict[str, bpy.types.Object],
    surface: Surface,
    scale: HeightScale,
    land: bpy.types.Object,
) -> Generator[float, None, None]:
    """Project what ``building`` made onto a renewed land: ``preparing``, and then the change."""
    change = yield from preparing(objects, surface, scale, land)
    change()


def preparing(
    objects: dict[str, bpy.types.Object],
    surface: Surface,
    scale: HeightScale,
    land: bpy.types.Object,
) -> Generator[float, None, Callable[[], None]]:
    """Project what ``building`` made onto a land with other heights.

    The objects change when what this returns is called, after the land has changed. Materials,
    thickness, names, parents and modifiers stay. So do a shape that was edited by hand, a driver
    that was changed or removed, and what the surface no longer has.

    Parameters
    ----------
    objects : dict of Object
        By their names; other parts of the shot among them are passed over.
    surface, scale, land
        As for ``building``.

    Yields
    ------
    float
        Progress, from 0 to 1.

    Returns
    -------
    callable
        It changes the objects, at once.

    Raises
    ------
    ValueError
        Where one of them is in Edit Mode.
    """
    shapes = {
        name: shape
        for name, shape in shapes_of(surface).items()
        if name in objects and _is_as_written(objects[name])
    }
    projected = yield from _projecting(shapes, surface, scale)
    return partial(_renew, objects, shapes, projected, surface, land)


def _renew(
    objects: dict[str, bpy.types.Object],
    shapes: dict[str, PlaneShape],
    projected: dict[str, np.ndarray],
    surface: Surface,
    land: bpy.types.Object,
) -> None:
    """Write new shape keys into objects, driven as those before."""
    for name, shape in shapes.items():
        thing = objects[name]
        before = thing.data.copy()  # with its shape keys and what drives them
        _write_keys(thing, shape, surface, projected[name])
        _hand_over(before.shape_keys, thing.data.shape_keys)
        bpy.data.batch_remove([before])
        _drive(thing, shape, surface, land)


def _projecting(shapes: dict[str, PlaneShape], surface: Surface, scale: HeightScale) -> Projecting:
    """Project shapes at each of their keys: ``(keys, points, 4)``, the last number is the radius.

    The radius is 0 outside the window, where there is no land.
    """
    unit = plane_unit(surface.alpha)
    projected: dict[str, list[np.ndarray]] = {name: [] for name in shapes}
    before = None
    for index, losses in enumerate(surface.losses() if shapes else ()):
        for name, shape in shapes.items():
            due = shape.moments[(shape.moments > index - 1) & (shape.moments <= index)]
            for moment, part in zip(due, due - (index - 1), strict=True):
                points = shape.at(moment)
                z = heights_at(surface, losses, scale, points)
                if part < 1:
                    z = part * z + (1 - part) * heights_at(surface, before, scale, points)
                radius = inside(surface, points)
                projected[name].append(np.column_stack([points * unit, z, radius]))
        before = losses
        yield (index + 1) / len(surface.frames)
    return {name: np.array(keys, np.float32) for name, keys in projected.items()}


def _write_keys(
    thing: bpy.types.Object, shape: PlaneShape, surface: Surface, projected: np.ndarray
) -> None:
    """Give a curve or a mesh its points, and the shape keys ``(keys, points, 4)``."""
    data = thing.data
    thing.shape_key_clear()
    if shape.kind == "samples":
        data.clear_geometry()
        data.vertices.add(projected.shape[1])
        data.vertices.foreach_set("co", projected[0, :, :3].ravel())
        set_bounds(thing, surface)
    else:
        data.splines.clear()
        spline = data.splines.new("POLY")
        spline.points.add(projected.shape[1] - 1)
        spline.points.foreach_set("co", np.insert(projected[0, :, :3], 3, 1, axis=1).ravel())
        spline.use_cyclic_u = shape.kind == "ellipse"
    for moment, points in zip(shape.moments, projected, strict=True):
        key = thing.shape_key_add(name=f"snapshot {moment:g}", from_mix=False)
        key.data.foreach_set("co", points[:, :3].ravel())
        if shape.kind != "samples":
            key.data.foreach_set("radius", points[:, 3])
    data.shape_keys.use_relative = False
    edits.stamp(data, edits.SHAPE, _checksum(data))


def _is_as_written(thing: bpy.types.Object) -> bool:
    """Tell whether nobody has changed the shape, or turned it into something else."""
    if thing.mode == "EDIT":
        raise ValueError(f"{thing.name} is in Edit Mode: leave it first.")
    if thing.type not in ("CURVE", "MESH"):
        return False
    return edits.is_untouched(thing.data, edits.SHAPE, _checksum(thing.data))


def _checksum(data: bpy.types.Curve | bpy.types.Mesh) -> str:
    """Return the checksum of all shape keys."""
    numbers = []
    fields = ("co",) if data.id_type == "MESH" else ("co", "radius", "tilt")
    for key in data.shape_keys.key_blocks if data.shape_keys else ():
        for field in fields:
            values = np.empty((3 if field == "co" else 1) * len(key.data), np.float32)
            key.data.foreach_get(field, values)
            numbers.append(values.tobytes())
    return edits.checksum(*numbers)


def _drive(
    thing: bpy.types.Object, shape: PlaneShape, surface: Surface, land: bpy.types.Object
) -> None:
    """Let the shape keys follow the snapshot that the land shows, and the trajectory grow."""
    count = len(surface.frames)
    owner, path, spacing = clock(land)
    keys = thing.data.shape_keys
    ticks = _frames(owner)[:count] if owner.id_type == "KEY" else spacing * np.arange(count)
    times = _frames(keys)[shape.moments % 1 == 0]
    key_driven(keys, "eval_time", (owner, path), ticks, times)
    if shape.reached is None:
        return
    drawn = f'["{DRAWN}"]'
    if untouched(thing, drawn):
        thing[DRAWN] = 0.0
        thing.id_properties_ui(DRAWN).update(
            min=0.0,
            max=max(count - 1.0, 1.0),
            description="Snapshot up to which the line is drawn",
        )
        key_driven(thing, drawn, (owner, path), ticks, np.arange(count))
    thing.data.bevel_factor_mapping_end = "RESOLUTION"  # point by point, however far apart
    key_driven(thing.data, "bevel_factor_end", (thing, drawn), *drawn_part(surface, shape))


def _frames(keys: bpy.types.Key) -> np.ndarray:
    """Return where shape keys are in their ``eval_time``: 10 apart, but for Blender's rounding."""
    return np.array([key.frame for key in keys.key_blocks])


def _hand_over(before: bpy.types.Key, keys: bpy.types.Key) -> None:
    """Give new shape keys the timing of others, an artist's or ours."""
    keys.eval_time = before.eval_time
    keys[edits.KEYS] = {**before.get(edits.KEYS, {})}
    if before.animation_data is None:
        return
    animation = keys.animation_data_create()
    if before.animation_data.action:
        animation.action = before.animation_data.action
        animation.action_slot = before.animation_data.action_slot
    for driver in before.animation_data.drivers:
        animation.drivers.from_existing(src_driver=driver)


def _line(name: str) -> bpy.types.Object:
    """Build a curve that is drawn as a thin tube; it has no points yet."""
    style = style_of(name)
    curve = bpy.data.curves.new(name, "CURVE")
    curve.dimensions = "3D"
    curve.bevel_depth, curve.bevel_resolution = style.radius, 2
    curve.use_fill_caps = True
    curve.materials.append(glowing_material(name, style.color, style.strength))
    return bpy.data.objects.new(name, curve)
