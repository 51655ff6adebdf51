"""The land: one mesh, a shape key for each frame of the sequence.

Absolute shape keys are driven by one F-curve, ``eval_time``: it says when each snapshot is seen,
and is the artist's handle for retiming. The topology is written once, the keys in bulk.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import bpy
import numpy as np

from .animation import key_linear
from .heights import HeightScale
from .sequence import Surface

WIDTH = 10.0
"""Width of the land in Blender units; everything else is sized by it."""

KEY_SPACING = 10.0
"""Blender puts absolute shape keys 10 apart in ``eval_time``."""


def memory_needed(surface: Surface) -> int:
    """Estimate the bytes a surface takes in Blender: its keys, and copies while rendering."""
    return 3 * 12 * surface.points() * len(surface.frames)


def check_memory(surface: Surface) -> None:
    """Refuse a surface that this machine cannot hold.

    Raises
    ------
    ValueError
        With what it takes and what there is.
    """
    if not hasattr(os, "sysconf"):  # Windows: found out by trying
        return
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if memory_needed(surface) > there:
        raise ValueError(
            f"{len(surface.frames)} frames of {surface.points()} points take "
            f"{memory_needed(surface) / 1e9:.1f} GB of memory, this machine has {there / 1e9:.1f}."
        )


def build(
    surface: Surface,
    scale: HeightScale,
    first_frame: float,
    last_frame: float,
    progress: Callable[[], None] = lambda: None,
) -> bpy.types.Object:
    """Build the animated mesh of a surface.

    Parameters
    ----------
    surface : Surface
        Of an open sequence.
    scale : HeightScale
        From loss to height, in Blender units.
    first_frame, last_frame : float
        Film frames at which the first and the last snapshot are seen.
    progress : callable
        Called after each snapshot.

    Returns
    -------
    bpy.types.Object
        In no collection yet.
    """
    positions = grid_positions(surface)
    mesh = _grid_mesh(surface, positions, scale(surface.loss(0)))
    land = bpy.data.objects.new(mesh.name, mesh)
    count = len(surface.frames)
    for index in range(count):
        key = land.shape_key_add(name=f"step {surface.step[index]}", from_mix=False)
        positions[:, 2] = scale(surface.loss(index)).ravel()
        key.points.foreach_set("co", positions.ravel())
        progress()
    keys = mesh.shape_keys
    keys.use_relative = False
    frames = [first_frame, last_frame]
    key_linear(keys, "eval_time", frames, [0.0, KEY_SPACING * (count - 1)])
    return land


def grid_positions(surface: Surface) -> np.ndarray:
    """Return the points ``(rows * cols, 3)`` of the flat land, float32, rows along y."""
    unit = WIDTH / (surface.alpha[-1] - surface.alpha[0])
    y, x = np.meshgrid(surface.beta * unit, surface.alpha * unit, indexing="ij")
    return np.stack([x, y, np.zeros_like(x)], axis=-1).reshape(-1, 3).astype(np.float32)


def _grid_mesh(surface: Surface, positions: np.ndarray, heights: np.ndarray) -> bpy.types.Mesh:
    rows, cols = len(surface.beta), len(surface.alpha)
    corner = (np.arange(rows - 1)[:, None] * cols + np.arange(cols - 1)).ravel()
    quads = corner[:, None] + np.array([0, 1, cols + 1, cols])
    mesh = bpy.data.meshes.new(f"Land {surface.name}")
    mesh.vertices.add(len(positions))
    mesh.loops.add(quads.size)
    mesh.polygons.add(len(quads))
    positions[:, 2] = heights.ravel()
    mesh.vertices.foreach_set("co", positions.ravel())
    mesh.loops.foreach_set("vertex_index", quads.ravel().astype(np.int32))
    mesh.polygons.foreach_set("loop_start", np.arange(0, quads.size, 4, dtype=np.int32))
    layer = mesh.uv_layers.new(name="UVMap", do_init=False)
    v, u = np.meshgrid(np.linspace(0, 1, rows), np.linspace(0, 1, cols), indexing="ij")
    uv = np.stack([u, v], axis=-1).reshape(-1, 2)[quads.ravel()]
    layer.uv.foreach_set("vector", uv.astype(np.float32).ravel())
    mesh.shade_smooth()
    mesh.update(calc_edges=True)
    return mesh
