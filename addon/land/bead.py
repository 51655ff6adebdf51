"""The minimizer's mark on the land: a small shining bead."""

from __future__ import annotations

import bpy
import numpy as np

from ..blender.keyframes import key_driven
from ..blender.rays import only_seen
from ..nodes.materials import glowing_material
from .mesh import Clock


def bead(seen: float) -> bpy.types.Object:
    """Build the minimizer's mark: a small shining bead.

    Parameters
    ----------
    seen : float
        Width of the picture at the minimizer's distance, Blender units.
    """
    mesh = bpy.data.meshes.new("Bead")
    mesh.from_pydata(*_icosphere(0.009 * seen))
    mesh.shade_smooth()
    mesh.materials.append(glowing_material("Bead", "fff1dc", 1.6))
    mark = bpy.data.objects.new("Bead", mesh)
    only_seen(mark)
    return mark


def key_bead(mark: bpy.types.Object, clock: Clock, places: np.ndarray) -> bool:
    """Put a mark on its place at each snapshot; return whether it was ours to move.

    Parameters
    ----------
    mark : Object
        A child of the land.
    clock : Clock
        Of the land.
    places : ndarray
        ``(n, 3)`` places on the land, Blender units.
    """
    *source, each = clock
    when = each * np.arange(len(places))
    return all(
        [key_driven(mark, "location", source, when, places[:, axis], axis) for axis in range(3)]
    )


def _icosphere(radius: float) -> tuple[list, list, list]:
    import bmesh

    shape = bmesh.new()
    bmesh.ops.create_icosphere(shape, subdivisions=3, radius=radius)
    vertices = [tuple(v.co) for v in shape.verts]
    faces = [[v.index for v in face.verts] for face in shape.faces]
    shape.free()
    return vertices, [], faces
