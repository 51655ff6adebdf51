"""Traces: what lies on the land besides the minimizer, as native objects to edit by hand.

A path of the sequence is a curve, a Gaussian's 1, 2 and 3 sigma ellipses are curves, its samples
are balls on the points of a mesh. Each has absolute shape keys that follow the land's own clock,
one for every snapshot, and more between two for what moves over the land: whoever retimes the land
retimes them. Half of a line is over the land and half under it, so it is seen from either side.
What an artist has edited, a shape or a driver, no longer fits the note of what was written, and is
left alone.
"""

from __future__ import annotations

import zlib
from collections.abc import Generator
from math import inf

import bpy
import numpy as np

from ..blender.keyframes import NOTES, key_driven, untouched
from ..blender.rays import only_seen
from ..nodes.graph import Graph
from ..nodes.interface import Input
from ..nodes.materials import glowing_material
from ..sequence.heights import HeightScale
from ..sequence.surface import Surface
from ..units import WIDTH
from .dashes import STYLES as DASHED
from .dashes import dash
from .mesh import clock
from .projection import Trace, growth, heights_at, inside, traces

STYLES = {
    "Posterior 1 Sigma": (0.0009 * WIDTH, "e6e4ff", 1.7),
    "Posterior 2 Sigma": (0.0009 * WIDTH, "e6e4ff", 1.2),
    "Posterior 3 Sigma": (0.0009 * WIDTH, "e6e4ff", 0.8),
    "Posterior Samples": (0.003 * WIDTH, "ffdcae", 1.6),
    **DASHED,
}
"""Radius, colour and strength of the glow; a line is two pixels thick in a film 640 wide."""

PATH_STYLE = (0.0011 * WIDTH, "fff1dc", 1.8)
"""Of every path."""

DRAWN = "Snapshots Drawn"
"""Custom property of the trajectory: the snapshot up to which it is drawn."""

NOTE = "moving_lands_shape"
"""Custom property of a curve or mesh: the checksum of its shape as it was written."""

Tracing = Generator[float, None, dict[str, np.ndarray]]


def building(
    surface: Surface, scale: HeightScale, land: bpy.types.Object
) -> Generator[float, None, dict[str, bpy.types.Object]]:
    """Build everything that lies on a land.

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
        By what they are, in no collection yet; empty where nothing lies on the land.
    """
    found = traces(surface)
    shapes = yield from _laying(found, surface, scale)
    made = {}
    for name, trace in found.items():
        thing = _dots(name) if trace.kind == "dots" else _line(name)
        thing.parent = land
        only_seen(thing)
        _shape(thing, trace, surface, shapes[name])
        _drive(thing, trace, surface, land)
        if name in DASHED:
            dash(thing)
        made[name] = thing
    return made


def renewing(
    objects: dict[str, bpy.types.Object],
    surface: Surface,
    scale: HeightScale,
    land: bpy.types.Object,
) -> Generator[float, None, None]:
    """Lay what ``building`` made on a renewed land, in place.

    Materials, thickness, names, parents and modifiers stay. So do a shape that was edited by
    hand, a driver that was changed or taken away, and what the surface no longer has.

    Parameters
    ----------
    objects : dict of Object
        By what they are; other parts of the shot among them are passed over.
    surface, scale, land
        As for ``building``.

    Yields
    ------
    float
        Progress, from 0 to 1. Given up before the end, it has changed nothing.

    Raises
    ------
    ValueError
        Where one of them is in Edit Mode.
    """
    found = {
        name: trace
        for name, trace in traces(surface).items()
        if name in objects and _is_as_written(objects[name])
    }
    shapes = yield from _laying(found, surface, scale)
    for name, trace in found.items():
        thing = objects[name]
        before = thing.data.copy()  # with its shape keys and what drives them
        _shape(thing, trace, surface, shapes[name])
        _hand_over(before.shape_keys, thing.data.shape_keys)
        bpy.data.batch_remove([before])
        _drive(thing, trace, surface, land)


def _laying(found: dict[str, Trace], surface: Surface, scale: HeightScale) -> Tracing:
    """Find where traces lie at each of their keys: ``(keys, points, 4)``, the radius at last.

    Lines have no thickness outside the window, where there is no land.
    """
    unit = WIDTH / (surface.alpha[-1] - surface.alpha[0])
    shapes: dict[str, list[np.ndarray]] = {name: [] for name in found}
    before = None
    for index, losses in enumerate(surface.losses() if found else ()):
        for name, trace in found.items():
            due = trace.moments[(trace.moments > index - 1) & (trace.moments <= index)]
            for moment, part in zip(due, due - (index - 1), strict=True):
                places = trace.at(moment)
                z = heights_at(surface, losses, scale, places)
                if part < 1:
                    z = part * z + (1 - part) * heights_at(surface, before, scale, places)
                seen = inside(surface, places)
                shapes[name].append(np.column_stack([places * unit, z, seen]))
        before = losses
        yield (index + 1) / len(surface.frames)
    return {name: np.array(shape, np.float32) for name, shape in shapes.items()}


def _shape(thing: bpy.types.Object, trace: Trace, surface: Surface, shape: np.ndarray) -> None:
    """Give a curve or a mesh its points, and a shape key for each place they are in."""
    data = thing.data
    thing.shape_key_clear()
    if trace.kind == "dots":
        data.clear_geometry()
        data.vertices.add(shape.shape[1])
        data.vertices.foreach_set("co", shape[0, :, :3].ravel())
        _set_bounds(thing, surface)
    else:
        data.splines.clear()
        spline = data.splines.new("POLY")
        spline.points.add(shape.shape[1] - 1)
        spline.points.foreach_set("co", np.insert(shape[0, :, :3], 3, 1, axis=1).ravel())
        spline.use_cyclic_u = trace.kind == "ring"
    for moment, places in zip(trace.moments, shape, strict=True):
        key = thing.shape_key_add(name=f"snapshot {moment:g}", from_mix=False)
        key.data.foreach_set("co", places[:, :3].ravel())
        if trace.kind != "dots":
            key.data.foreach_set("radius", places[:, 3])
    data.shape_keys.use_relative = False
    data[NOTE] = _checksum(data)


def _is_as_written(thing: bpy.types.Object) -> bool:
    """Tell whether nobody has changed the shape, or turned it into something else."""
    if thing.mode == "EDIT":
        raise ValueError(f"{thing.name} is in Edit Mode: leave it first.")
    if thing.type not in ("CURVE", "MESH"):
        return False
    return thing.data.get(NOTE) == _checksum(thing.data)


def _checksum(data: bpy.types.Curve | bpy.types.Mesh) -> str:
    """Return what tells one shape from another."""
    mark = 0
    fields = ("co",) if data.id_type == "MESH" else ("co", "radius", "tilt")
    for key in data.shape_keys.key_blocks if data.shape_keys else ():
        for field in fields:
            numbers = np.empty((3 if field == "co" else 1) * len(key.data), np.float32)
            key.data.foreach_get(field, numbers)
            mark = zlib.crc32(numbers.tobytes(), mark)
    return f"{mark:08x}"


def _drive(thing: bpy.types.Object, trace: Trace, surface: Surface, land: bpy.types.Object) -> None:
    """Let a trace follow the land's clock."""
    count = len(surface.frames)
    owner, path, spacing = clock(land)
    keys = thing.data.shape_keys
    ticks = _frames(owner)[:count] if owner.id_type == "KEY" else spacing * np.arange(count)
    times = _frames(keys)[trace.moments % 1 == 0]
    key_driven(keys, "eval_time", (owner, path), ticks, times)
    if trace.reached is None:
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
    key_driven(thing.data, "bevel_factor_end", (thing, drawn), *growth(surface, trace))


def _frames(keys: bpy.types.Key) -> np.ndarray:
    """Return where shape keys are in their ``eval_time``: 10 apart, but for Blender's rounding."""
    return np.array([key.frame for key in keys.key_blocks])


def _hand_over(before: bpy.types.Key, keys: bpy.types.Key) -> None:
    """Give new shape keys the timing of others, an artist's or ours."""
    keys.eval_time = before.eval_time
    keys[NOTES] = {**before.get(NOTES, {})}
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
    radius, color, strength = STYLES.get(name, PATH_STYLE)
    curve = bpy.data.curves.new(name, "CURVE")
    curve.dimensions = "3D"
    curve.bevel_depth, curve.bevel_resolution = radius, 2
    curve.use_fill_caps = True
    curve.materials.append(glowing_material(name, color, strength))
    return bpy.data.objects.new(name, curve)


def _dots(name: str) -> bpy.types.Object:
    """Build a mesh that shows a ball on each point over the land; it has no points yet."""
    radius, color, strength = STYLES[name]
    graph = Graph.new(name)
    graph.tree.is_modifier = True
    points = graph.input("Geometry", "Geometry")
    size = graph.input("Radius", Input(radius, "Of a ball", 0.0, inf, "DISTANCE"))
    paint = Input(glowing_material(name, color, strength), "What balls are made of")
    ball = graph.add("GeometryNodeMeshUVSphere", Segments=24, Rings=12, Radius=size)
    smooth = graph.add("GeometryNodeSetShadeSmooth", Geometry=ball.outputs["Mesh"])
    balls = graph.painted(smooth.outputs[0], graph.input("Material", paint))
    spread = graph.add("GeometryNodeInstanceOnPoints", Points=points, Instance=balls)
    graph.feed(spread.inputs["Selection"], _over_land(graph))
    graph.output(Geometry=spread.outputs[0])

    dots = bpy.data.objects.new(name, bpy.data.meshes.new(name))
    dots.modifiers.new(name, "NODES").node_group = graph.tree
    return dots


def _over_land(graph: Graph) -> bpy.types.NodeSocket:
    """Add what tells the points within the window: those that clamping to it does not move."""
    place = graph.add("GeometryNodeInputPosition").outputs[0]
    held = place
    for name, operation in (("Low", "MAXIMUM"), ("High", "MINIMUM")):
        bound = graph.add("ShaderNodeVectorMath", {"name": name, "operation": operation})
        graph.feed(bound.inputs[0], held)
        held = bound.outputs[0]
    settings = {"data_type": "VECTOR", "mode": "ELEMENT", "operation": "EQUAL"}
    same = graph.add("FunctionNodeCompare", settings)
    a, b = (socket for socket in same.inputs if socket.name in "AB" and socket.type == "VECTOR")
    graph.feed(a, held)
    graph.feed(b, place)
    return same.outputs[0]


def _set_bounds(dots: bpy.types.Object, surface: Surface) -> None:
    """Say where the window ends to the nodes that leave out what is not over the land."""
    unit = WIDTH / (surface.alpha[-1] - surface.alpha[0])
    far = 1e3 * WIDTH
    for modifier in dots.modifiers:
        tree = modifier.node_group if modifier.type == "NODES" else None
        nodes = tree.nodes if tree else {}
        for name, end, z in (("Low", 0, -far), ("High", -1, far)):
            if name in nodes:
                corner = (surface.alpha[end] * unit, surface.beta[end] * unit, z)
                nodes[name].inputs[1].default_value = corner
