"""Cameras measured on the evaluated scene, frame by frame: their moves, and their pictures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from math import degrees

import bpy
import numpy as np
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Vector
from mathutils.bvhtree import BVHTree

from ..blender import picture
from ..blender.parts import Part, Parts
from ..land.mesh import GRID
from ..units import WIDTH
from .composition import inside, off_third
from .motion import Motion, measure
from .record import RECORD, rig_of
from .terrain import IN_SIGHT, Terrain


def measured_cameras(scene: bpy.types.Scene, parts: Parts) -> dict[str, Motion]:
    """Measure every camera that films in a scene's frames, as it is evaluated; by its name."""
    found = {}
    for part in sorted(part for part in parts if part.kind == "Camera"):
        camera = parts[part]
        aim = parts.get(Part("Minimizer", number=part.number))
        subject = parts.get("Bead", aim) if rig_of(camera).looks_at == "minimizer" else aim
        if subject and "Land" in parts and _frames_of(camera, scene):
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
        One after the other; by default those that the camera was planned for, or all.

    Returns
    -------
    Motion
        With the bounds of the camera's rig.
    """
    rig, before = rig_of(camera), scene.frame_current
    seen = []
    for count, frame in enumerate(_frames_of(camera, scene) if frames is None else frames):
        scene.frame_set(frame)
        seen.append(_seen(scene, land, camera, minimizer, rig.from_above, count % 8 == 0))
    scene.frame_set(before)
    eyes, axes, places, clearances, hidden, borders = (
        np.array(values) for values in zip(*seen, strict=True)
    )
    x, y = places.T
    moved = measure(eyes, -axes[:, 2], picture.frame_rate(scene.render), WIDTH)
    return replace(
        moved,
        tilt=degrees(np.arcsin(np.abs(axes[:, 0, 2]).max().clip(0, 1))),
        clearance=float(clearances.min()) / WIDTH,
        off_third=float(off_third(x, y).max()),
        inside=float(inside(x, y).min()),
        hidden=float(hidden.mean()) if rig.looks_at != "between" else 0.0,
        borders=float(borders.max()),
        allowed=rig.bounds(),
    )


def _frames_of(camera: bpy.types.Object, scene: bpy.types.Scene) -> range:
    """Return the scene's frames that a camera was planned for, or all."""
    planned = camera.get(RECORD, {})
    first, last = planned.get("first", scene.frame_start), planned.get("last", scene.frame_end)
    return range(max(scene.frame_start, int(first)), min(scene.frame_end, int(last)) + 1)


def _seen(
    scene: bpy.types.Scene,
    land: bpy.types.Object,
    camera: bpy.types.Object,
    minimizer: bpy.types.Object,
    over: bool,
    borders: bool,
) -> tuple[Vector, list[Vector], Vector, float, bool, int]:
    """Look at one frame.

    Returns the camera's place and axes, where the minimizer is in the picture, how near the land
    is, whether it hides the minimizer, and how many of its sides are seen, if that is asked for.
    """
    graph = bpy.context.evaluated_depsgraph_get()
    filming, ground = camera.evaluated_get(graph), land.evaluated_get(graph)
    subject = minimizer.evaluated_get(graph).matrix_world.translation
    placed = filming.matrix_world
    axes = [placed.col[axis].xyz.normalized() for axis in range(3)]
    inward, there = ground.matrix_world.inverted(), _Ground(ground, graph)
    eye, aim = np.array(inward @ placed.translation), np.array(inward @ subject)
    if over:
        aim = there.unburied(aim)
    at = world_to_camera_view(scene, filming, ground.matrix_world @ Vector(aim)).xy
    sides = there.borders(scene, filming, eye) if borders else 0
    return (
        placed.translation.copy(),
        axes,
        at,
        there.clearance(eye),
        there.hidden(eye, aim),
        sides,
    )


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
                learning_rate=still,
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
        free = max(way.length - IN_SIGHT * WIDTH, 0.0)
        return self.tree.ray_cast(Vector(eye), way.normalized(), free)[0] is not None

    def borders(self, scene: bpy.types.Scene, camera: bpy.types.Object, eye: np.ndarray) -> int:
        """Return how many sides of the land are seen."""
        if not self.terrain:
            return 0
        sides, placed = self.terrain.border(0.0), self.land.matrix_world
        count = 0
        for side in sides:
            views = [world_to_camera_view(scene, camera, placed @ Vector(p)) for p in side]
            shown = np.array([0 < v.x < 1 and 0 < v.y < 1 and v.z > 0 for v in views])
            points = side[shown]
            free = ~self.terrain.hidden(
                np.zeros(len(points)), np.tile(eye, (len(points), 1)), points
            )
            count += free.sum() > 2
        return int(count)
