"""Fades to black: a plane before the lens whose one number is keyed.

Nothing in it depends on the film's exposure or on a compositor.
"""

from __future__ import annotations

import bpy
import numpy as np

from ..blender.keyframes import key_spline
from ..blender.rays import only_seen
from ..nodes.materials import new_material
from ..splines import Spline, ease
from ..units import WIDTH
from .record import RECORD

FADE = 0.5
"""Seconds from the picture to black, and from black to the picture."""

AHEAD = 0.015 * WIDTH
"""How far before the lens the plane hangs: nearer than any text."""


def fade_plane(camera: bpy.types.Object, begins: bool, ends: bool, fps: float) -> bpy.types.Object:
    """Build the plane that is black where what a camera films begins, or ends, in black.

    Parameters
    ----------
    camera : Object
        With its record.
    begins, ends : bool
        Where it is black.
    fps : float
        Frames a second.
    """
    first, last = camera[RECORD]["first"], camera[RECORD]["last"]
    length = min(FADE * fps, (last - first) / 3)
    keys = []
    if begins:
        keys += [ease([first - 0.5, first - 0.5 + length], 1.0, 0.0, 3)]
    if ends:
        keys += [ease([last + 0.5 - length, last + 0.5], 0.0, 1.0, 3)]
    size = 4 * AHEAD
    mesh = bpy.data.meshes.new("Fade")
    corners = [(-size, -size, 0), (size, -size, 0), (size, size, 0), (-size, size, 0)]
    mesh.from_pydata(corners, [], [(0, 1, 2, 3)])
    mesh.materials.append(_darkening())
    plane = bpy.data.objects.new("Fade", mesh)
    plane.parent, plane.location.z = camera, -AHEAD
    plane.display_type = "WIRE"
    only_seen(plane)
    plane["fade"] = 0.0
    joined = [
        np.concatenate([getattr(k, name) for k in keys]) for name in ("times", "values", "slopes")
    ]
    key_spline(plane, '["fade"]', Spline(*joined))
    return plane


def _darkening() -> bpy.types.Material:
    """Build a material that lets as much light through as its object's "fade" leaves."""
    material, graph = new_material("Fade")
    fade = graph.add("ShaderNodeAttribute", {"attribute_type": "OBJECT", "attribute_name": "fade"})
    left = graph.math("SUBTRACT", 1.0, fade.outputs["Fac"])
    glass = graph.add("ShaderNodeBsdfTransparent", Color=left)
    graph.add("ShaderNodeOutputMaterial", Surface=glass.outputs["BSDF"])
    graph.arrange()
    return material
