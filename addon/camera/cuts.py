"""Cuts: several cameras in one shot, each bound to a timeline marker that an artist can drag.

An Empty, "Active Camera", is always where the camera is that films, for text to stand before.
"""

from __future__ import annotations

import bpy

from ..blender.keyframes import key_linear
from ..blender.parts import Part, Parts
from .fades import fade_plane
from .record import RECORD

LENS = ("lens", "sensor_width", "shift_x", "shift_y")
"""What the Active Camera knows of the camera that films."""


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
    made = {Part("Active Camera"): _active_camera(cameras)}
    fades = [transition == "fade" for transition in transitions[1:]]
    for n, camera in enumerate(cameras):
        begins, ends = [False, *fades][n], [*fades, False][n]
        if begins or ends:
            made[Part("Fade", number=n)] = fade_plane(camera, begins, ends, fps)
    return Parts(made)


def bind(scene: bpy.types.Scene, parts: Parts) -> None:
    """Make the scene film with a shot's cameras, each from its own timeline marker on."""
    scene.camera = parts["Camera"]
    cameras = parts.all("Camera")
    if len(cameras) > 1:
        for camera in cameras:
            known = camera[RECORD]
            marker = scene.timeline_markers.new(known["name"], frame=int(known["first"]))
            marker.camera = camera


def _active_camera(cameras: list[bpy.types.Object]) -> bpy.types.Object:
    """Build an Empty that is where the camera is that films, and knows its lens."""
    active = bpy.data.objects.new("Active Camera", None)
    active.empty_display_size = 0.01
    for n, camera in enumerate(cameras):
        there = active.constraints.new("CHILD_OF")
        there.name = f"Camera {n + 1}"
        there.target = camera
        there.set_inverse_pending = False  # it is to be there, not to keep its distance
        first, last = camera[RECORD]["first"], camera[RECORD]["last"]
        # Between two frames, where no shutter is open.
        frames, values = [], []
        if n > 0:
            frames, values = [first - 0.75, first - 0.5], [0.0, 1.0]
        if n + 1 < len(cameras):
            frames, values = [*frames, last + 0.25, last + 0.5], [*values, 1.0, 0.0]
        key_linear(active, there.path_from_id("influence"), frames, values)
    for path in LENS:
        active[path] = float(getattr(cameras[0].data, path))
        _drive(active, path, cameras)
    return active


def _drive(active: bpy.types.Object, path: str, cameras: list[bpy.types.Object]) -> None:
    """Drive a property of the Active Camera by that of whichever camera films."""
    driver = active.driver_add(f'["{path}"]').driver
    terms = []
    for n, camera in enumerate(cameras):
        influence = active.constraints[n].path_from_id("influence")
        for name, owner, data_path in (
            (f"on{n}", active, influence),
            (f"of{n}", camera.data, path),
        ):
            variable = driver.variables.new()
            variable.name = name
            target = variable.targets[0]
            target.id_type, target.id = owner.id_type, owner
            target.data_path = data_path
        terms.append(f"on{n} * of{n}")
    driver.expression = " + ".join(terms)
