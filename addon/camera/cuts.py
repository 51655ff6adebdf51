"""Cuts and fades: several cameras in one shot, all native.

Each camera but the first is bound to a timeline marker, which an artist drags. An Empty, "Camera
Now", is always where the camera is that films, for text to stand before. A fade is a plane before
the lens whose one number is keyed: nothing in it depends on the film's exposure or a compositor.
"""

from __future__ import annotations

import bpy
import numpy as np

from ..blender.keyframes import key_linear, key_spline
from ..blender.parts import Part, Parts
from ..blender.rays import only_seen
from ..nodes.materials import new_material
from ..splines import Spline, ease
from ..units import WIDTH

TAKE = "moving_lands_take"
"""Custom property of a camera: the rig and film frames that it was made for, and from where it
looks: azimuth in degrees, distance in Blender units."""

NOW = ("lens", "sensor_width", "shift_x", "shift_y")
"""What "Camera Now" knows of the camera that is filming."""

FADE = 0.5
"""Seconds from the picture to black, and from black to the picture."""

CURTAIN = 0.015 * WIDTH
"""How far before the lens the plane hangs that turns black: nearer than any text."""


def cutting(cameras: list[bpy.types.Object], transitions: list[str], fps: float) -> Parts:
    """Build what several cameras need to film one shot.

    Parameters
    ----------
    cameras : list of Object
        In order.
    transitions : list of str
        How each comes from the one before: "cut" or "fade".
    fps : float
        Frames a second.
    """
    made = {Part("Camera Now"): _now(cameras)}
    fades = [transition == "fade" for transition in transitions[1:]]
    for n, camera in enumerate(cameras):
        begins, ends = [False, *fades][n], [*fades, False][n]
        if begins or ends:
            made[Part("Fade", number=n)] = _curtain(camera, begins, ends, fps)
    return Parts(made)


def bind(scene: bpy.types.Scene, parts: Parts) -> None:
    """Make the scene film with a shot's cameras, each from its own timeline marker on."""
    scene.camera = parts["Camera"]
    cameras = parts.all("Camera")
    if len(cameras) > 1:
        for camera in cameras:
            take = camera[TAKE]
            marker = scene.timeline_markers.new(take["name"], frame=int(take["first"]))
            marker.camera = camera


def _now(cameras: list[bpy.types.Object]) -> bpy.types.Object:
    """Build an Empty that is where the camera is that films, and knows its lens."""
    now = bpy.data.objects.new("Camera Now", None)
    now.empty_display_size = 0.01
    for n, camera in enumerate(cameras):
        there = now.constraints.new("CHILD_OF")
        there.name = f"Take {n + 1}"
        there.target = camera
        there.set_inverse_pending = False  # it is to be there, not to keep its distance
        take = camera[TAKE]
        # Between two frames, where no shutter is open.
        frames, values = [], []
        if n > 0:
            frames, values = [take["first"] - 0.75, take["first"] - 0.5], [0.0, 1.0]
        if n + 1 < len(cameras):
            frames, values = [*frames, take["last"] + 0.25, take["last"] + 0.5], [*values, 1.0, 0.0]
        key_linear(now, there.path_from_id("influence"), frames, values)
    for path in NOW:
        now[path] = float(getattr(cameras[0].data, path))
        driver = now.driver_add(f'["{path}"]').driver
        terms = []
        for n, camera in enumerate(cameras):
            owners = ((f"on{n}", now, now.constraints[n].path_from_id("influence")),)
            owners += ((f"of{n}", camera.data, path),)
            for name, owner, data_path in owners:
                variable = driver.variables.new()
                variable.name = name
                target = variable.targets[0]
                target.id_type, target.id = owner.id_type, owner
                target.data_path = data_path
            terms.append(f"on{n} * of{n}")
        driver.expression = " + ".join(terms)
    return now


def _curtain(camera: bpy.types.Object, begins: bool, ends: bool, fps: float) -> bpy.types.Object:
    """Build the plane before a lens that is black where a take begins or ends in black."""
    first, last = camera[TAKE]["first"], camera[TAKE]["last"]
    length = min(FADE * fps, (last - first) / 3)
    keys = []
    if begins:
        keys += [ease([first - 0.5, first - 0.5 + length], 1.0, 0.0, 3)]
    if ends:
        keys += [ease([last + 0.5 - length, last + 0.5], 0.0, 1.0, 3)]
    size = 4 * CURTAIN
    mesh = bpy.data.meshes.new("Fade")
    corners = [(-size, -size, 0), (size, -size, 0), (size, size, 0), (-size, size, 0)]
    mesh.from_pydata(corners, [], [(0, 1, 2, 3)])
    mesh.materials.append(_darkening())
    curtain = bpy.data.objects.new("Fade", mesh)
    curtain.parent, curtain.location.z = camera, -CURTAIN
    curtain.display_type = "WIRE"
    only_seen(curtain)
    curtain["fade"] = 0.0
    parts = [
        np.concatenate([getattr(k, name) for k in keys]) for name in ("times", "values", "slopes")
    ]
    key_spline(curtain, '["fade"]', Spline(*parts))
    return curtain


def _darkening() -> bpy.types.Material:
    """Build a material that lets as much light through as its object's "fade" leaves."""
    material, graph = new_material("Fade")
    fade = graph.add("ShaderNodeAttribute", {"attribute_type": "OBJECT", "attribute_name": "fade"})
    left = graph.math("SUBTRACT", 1.0, fade.outputs["Fac"])
    glass = graph.add("ShaderNodeBsdfTransparent", Color=left)
    graph.add("ShaderNodeOutputMaterial", Surface=glass.outputs["BSDF"])
    graph.arrange()
    return material
