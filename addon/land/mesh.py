"""The land: one mesh whose points move from snapshot to snapshot of the sequence.

Absolute shape keys hold the snapshots, or a mesh cache where they would not fit in memory. Either
way one F-curve says when each snapshot is seen; an artist edits it to retime the land. Topology is
written once, and points in bulk, while the next losses are read. What takes long is a generator
that yields its progress; closed before its end, it has changed nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator
from functools import partial
from pathlib import Path

import bpy
import numpy as np

from ..blender import compat
from ..blender.keyframes import key_linear
from ..sequence.heights import HeightScale
from ..sequence.surface import Surface
from ..units import plane_unit
from . import cache_files, mesh_cache

KEY_SPACING = 10.0
"""Blender puts absolute shape keys 10 apart in ``eval_time``."""

GRID = "moving_lands_grid"
"""Custom property of a land's mesh: its rows, columns and snapshots as they were written."""

Clock = tuple[bpy.types.ID, str, float]
"""What says which snapshot a land shows: data-block, data path, and by how much the number there
grows from one snapshot to the next; the first is seen at 0."""


def building(
    surface: Surface,
    scale: HeightScale,
    first_frame: float,
    last_frame: float,
    cache: Path | None = None,
) -> Generator[float, None, bpy.types.Object]:
    """Build the animated mesh of a surface.

    Parameters
    ----------
    surface : Surface
        Of a sequence that stays open meanwhile.
    scale : HeightScale
        From loss to height, in Blender units.
    first_frame, last_frame : float
        Film frames at which the first and the last snapshot are seen.
    cache : Path, optional
        A PC2 file for the snapshots, written anew, in place of shape keys.

    Yields
    ------
    float
        Progress, from 0 to 1, after each snapshot.

    Returns
    -------
    bpy.types.Object
        In no collection yet.
    """
    mesh = _grid_mesh(surface, _first_snapshot(surface, scale))
    land = bpy.data.objects.new(mesh.name, mesh)
    count = len(surface.frames)
    try:
        if cache:
            yield from _caching(surface, scale, cache)
            mesh_cache.attach(land, cache)
        else:
            for index, points in enumerate(_snapshots(surface, scale)):
                key = land.shape_key_add(name=f"step {surface.step[index]}", from_mix=False)
                key.points.foreach_set("co", points)
                yield (index + 1) / count
            mesh.shape_keys.use_relative = False
    except BaseException:  # given up, too
        bpy.data.objects.remove(land)
        bpy.data.meshes.remove(mesh)
        raise
    _pace(land, first_frame, last_frame)
    return land


def renewing(
    land: bpy.types.Object, surface: Surface, scale: HeightScale, cache: Path | None = None
) -> Generator[float, None, None]:
    """Give a land other heights: ``preparing``, and then the change."""
    change = yield from preparing(land, surface, scale, cache)
    change()


def preparing(
    land: bpy.types.Object, surface: Surface, scale: HeightScale, cache: Path | None = None
) -> Generator[float, None, Callable[[], None]]:
    """Read other heights for a land, and where they differ other points and snapshots.

    The land changes when what this returns is called. Everything else on it stays: the object and
    what belongs to it, materials, modifiers, names; what is painted on points is lost only if the
    grid has another size. The curve that says when snapshots are seen is fitted to their new number
    unless an artist changed it.

    Parameters
    ----------
    land : Object
        As ``building`` made it, and whatever an artist made of it since.
    surface, scale
        As ``building``.
    cache : Path, optional
        For a land with a mesh cache: its new file, by default one beside the old.

    Yields
    ------
    float
        Progress, from 0 to 1, after each snapshot.

    Returns
    -------
    callable
        It changes the land, at once. Who does not call it removes the new cache.

    Raises
    ------
    ValueError
        Where the land is in Edit Mode, its points or shape keys were changed by hand, or a cache is
        given for one that has shape keys.
    """
    _check_as_written(land)
    cached = mesh_cache.modifier(land)
    if cache and not cached:
        raise ValueError(f"{land.name} has shape keys: a mesh cache takes a new import.")
    if cached:
        cache = cache or mesh_cache.next_file(mesh_cache.file_of(land), surface.name)
        yield from _caching(surface, scale, cache)
        return partial(_renew, land, surface, _first_snapshot(surface, scale), cache)
    heights = np.empty((len(surface.frames), surface.points()), np.float32)
    for index, frame in enumerate(surface.losses(scale.of_frame)):
        heights[index] = frame.ravel()
        yield (index + 1) / len(heights)
    return partial(_renew, land, surface, _first_snapshot(surface, scale), heights)


def _renew(
    land: bpy.types.Object, surface: Surface, first: np.ndarray, heights: np.ndarray | Path
) -> None:
    """Give a land the points of its first snapshot, and the heights of all or their cache."""
    _renew_grid(land, surface, first)
    if isinstance(heights, Path):
        replaced = [mesh_cache.file_of(land)] if mesh_cache.is_as_attached(land) else []
        mesh_cache.attach(land, heights)
        cache_files.changed([heights], replaced)
    else:
        _renew_keys(land, surface, heights)
    owner, path, _ = clock(land)
    animated = owner.animation_data and owner.animation_data.action
    if animated and (curve := compat.fcurves(owner).find(path)):
        _pace(land, *curve.range())
    land.data.update()


def clock(land: bpy.types.Object) -> Clock:
    """Return what says which snapshot of a land is seen, for others to follow.

    Raises
    ------
    ValueError
        Where it has neither shape keys nor a mesh cache any more.
    """
    cached = mesh_cache.modifier(land)
    if cached:
        return land, cached.path_from_id("eval_frame"), 1.0
    if land.data.shape_keys:
        return land.data.shape_keys, "eval_time", KEY_SPACING
    raise ValueError(f"{land.name}: expected shape keys or a Mesh Cache modifier, found neither.")


def _pace(land: bpy.types.Object, first_frame: float, last_frame: float) -> None:
    """Spread the snapshots evenly over these film frames, unless an artist timed them."""
    owner, path, spacing = clock(land)
    snapshots = land.data[GRID][2]
    key_linear(owner, path, [first_frame, last_frame], [0.0, spacing * (snapshots - 1)])


def grid_positions(surface: Surface) -> np.ndarray:
    """Return the points ``(rows * cols, 3)`` of the flat land, float32, rows along y."""
    unit = plane_unit(surface.alpha)
    y, x = np.meshgrid(surface.beta * unit, surface.alpha * unit, indexing="ij")
    return np.stack([x, y, np.zeros_like(x)], axis=-1).reshape(-1, 3).astype(np.float32)


def _first_snapshot(surface: Surface, scale: HeightScale) -> np.ndarray:
    points = grid_positions(surface)
    points[:, 2] = scale.of_frame(surface.loss(0)).ravel()
    return points.ravel()


def _snapshots(surface: Surface, scale: HeightScale) -> Iterator[np.ndarray]:
    """Yield the points ``(rows * cols * 3,)`` of each snapshot, in the same memory every time."""
    points = grid_positions(surface)
    for heights in surface.losses(scale.of_frame):
        points[:, 2] = heights.ravel()
        yield points.ravel()


def _caching(surface: Surface, scale: HeightScale, cache: Path) -> Generator[float, None, None]:
    snapshots = _snapshots(surface, scale)
    yield from mesh_cache.writing(cache, snapshots, surface.points(), len(surface.frames))


def _grid_mesh(surface: Surface, points: np.ndarray) -> bpy.types.Mesh:
    """Return a mesh of these points: quads, smooth, with a UV map that spans the window."""
    rows, cols = len(surface.beta), len(surface.alpha)
    corner = np.arange(rows - 1, dtype=np.int32)[:, None] * cols + np.arange(cols - 1, dtype="i4")
    quads = (corner.reshape(-1, 1) + np.array([0, 1, cols + 1, cols], np.int32)).ravel()
    mesh = bpy.data.meshes.new(f"Land {surface.name}")
    mesh.vertices.add(rows * cols)
    mesh.loops.add(quads.size)
    mesh.polygons.add(quads.size // 4)
    mesh.vertices.foreach_set("co", points)
    mesh.loops.foreach_set("vertex_index", quads)
    mesh.polygons.foreach_set("loop_start", np.arange(0, quads.size, 4, dtype=np.int32))
    layer = mesh.uv_layers.new(name="UVMap", do_init=False)
    v, u = np.meshgrid(np.linspace(0, 1, rows), np.linspace(0, 1, cols), indexing="ij")
    uv = np.stack([u, v], axis=-1, dtype=np.float32).reshape(-1, 2)
    layer.uv.foreach_set("vector", uv[quads].ravel())
    mesh.shade_smooth()
    mesh.update(calc_edges=True)
    mesh[GRID] = [rows, cols, len(surface.frames)]
    return mesh


def _check_as_written(land: bpy.types.Object) -> None:
    """Refuse a land whose points an artist added or removed, or is editing."""
    if land.data.is_editmode:
        raise ValueError(f"{land.name} is in Edit Mode: leave it first.")
    rows, cols, snapshots = land.data.get(GRID, (0, 0, 0))
    keys = land.data.shape_keys
    found = len(land.data.vertices), len(keys.key_blocks) if keys else snapshots
    if found != (rows * cols, snapshots):
        raise ValueError(
            f"{land.name} was changed by hand: expected {rows * cols} points and {snapshots} "
            f"shape keys, found {found[0]} and {found[1]}."
        )


def _renew_grid(land: bpy.types.Object, surface: Surface, points: np.ndarray) -> None:
    """Give a land the surface's grid, its points at ``(rows * cols * 3,)``."""
    mesh, rows, cols = land.data, len(surface.beta), len(surface.alpha)
    if tuple(mesh[GRID][:2]) == (rows, cols):
        mesh.vertices.foreach_set("co", points)
    else:
        _replace_geometry(land, _grid_mesh(surface, points))
    mesh[GRID] = [rows, cols, len(surface.frames)]


def _replace_geometry(land: bpy.types.Object, grid: bpy.types.Mesh) -> None:
    """Move the geometry of a mesh into the land's, whose data-blocks stay what others point to.

    Only BMesh resizes shape keys with their mesh. All but the first go before: they will be
    written anew, and it would go through each of them, point by point.
    """
    import bmesh

    mesh = land.data
    while mesh.shape_keys and len(mesh.shape_keys.key_blocks) > 1:
        land.shape_key_remove(mesh.shape_keys.key_blocks[-1])
    shape = bmesh.new()
    shape.from_mesh(grid)
    shape.to_mesh(mesh)
    shape.free()
    bpy.data.meshes.remove(grid)


def _renew_keys(land: bpy.types.Object, surface: Surface, heights: np.ndarray) -> None:
    """Set, add and remove shape keys until there is one for each ``(snapshots, points)``."""
    keys = land.data.shape_keys
    relative, keys.use_relative = keys.use_relative, True  # an absolute one comes at eval_time
    while len(keys.key_blocks) > len(heights):
        land.shape_key_remove(keys.key_blocks[-1])
    while len(keys.key_blocks) < len(heights):
        land.shape_key_add(name="step", from_mix=False)
    keys.use_relative = relative
    ours = [bool(re.fullmatch(r"step( -?\d+)?(\.\d+)?", key.name)) for key in keys.key_blocks]
    for key, unnamed in zip(keys.key_blocks, ours, strict=True):
        key.name = "step" if unnamed else key.name  # a step may be that of another key before
    points = grid_positions(surface)
    for index, key in enumerate(keys.key_blocks):
        if ours[index]:
            key.name = f"step {surface.step[index]}"
        points[:, 2] = heights[index]
        key.points.foreach_set("co", points.ravel())
