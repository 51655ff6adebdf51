"""Fly-line: along a path of the sequence."""

import numpy as np

from .rig import Array, Course, Framing, Rig

ALONG = 0.3
"""How far ahead along a path, and back, its direction is taken; as a part of its length."""


def along_path(course: Course, extent: float) -> tuple[Array, Array]:
    """Return the places of a flight along a path, over its peak; as ``Rig.subject``."""
    terrain, paths = course.terrain, course.terrain.paths
    if not paths or (course.line and course.line not in paths):
        there = ", ".join(paths) or "none"
        raise ValueError(f"camera: rig fly-line: no path {course.line!r}, there are: {there}.")
    path = paths[course.line or next(iter(paths))]
    plane, loss = path[:, :2], path[:, 2]
    long = np.append(0, np.cumsum(np.linalg.norm(np.diff(plane, axis=0), axis=1)))
    # Its peak lies in the middle of the flight, as far as there is path on both sides.
    half = extent * long[-1] / 2
    peak = np.clip(long[np.argmax(loss)], half, long[-1] - half)
    at = peak + half * (2 * course.done - 1)
    x, y = (np.interp(at, long, axis) for axis in plane.T)
    ahead, behind = at + ALONG * long[-1], at - ALONG * long[-1]
    dx, dy = (np.interp(ahead, long, axis) - np.interp(behind, long, axis) for axis in plane.T)
    inside = 0.499 * terrain.width
    z = terrain.height(course.when, np.clip(x, -inside, inside), np.clip(y, -inside, inside))
    return np.column_stack([x, y, z]), np.degrees(np.unwrap(np.arctan2(-dx, dy)))


RIG = Rig(
    "fly-line",
    "Fly Line",
    "Along a path over the land, over its peak",
    Framing(
        lens=42,
        azimuth=24,
        elevation=18,
        distance=0.48,
        drift=0,
        frame_x=0.36,
        frame_y=0.36,
        follow=1.0,
    ),
    blur=0.02,
    looks_at="line",
    subject=along_path,
    elevations=(8, 60),
    filled=(0.35, 0.9),
    pull=1.5,
)
