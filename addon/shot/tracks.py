"""Where the minimizer is at each film frame, and the land around it: what a camera has to know."""

from __future__ import annotations

from collections.abc import Generator

import bpy
import numpy as np

from ..blender import compat
from ..blender.keyframes import untouched
from ..blender.parts import Part, Parts
from ..camera import terrain
from ..land import mesh as surface
from ..land.projection import to_land
from ..sequence import heights
from ..sequence.surface import Surface


def _seen(
    scene: bpy.types.Scene, land: bpy.types.Object, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return film frames and the snapshot that a land shows at each, once it has so many."""
    owner, path, each = surface.clock(land)
    animation = owner.animation_data
    curve = compat.fcurves(owner).find(path) if animation and animation.action else None
    if curve is None:  # it stands still, or something else drives it
        frames = np.array([scene.frame_start, max(scene.frame_end, scene.frame_start + 1)])
        return frames, np.full(2, owner.path_resolve(path) / each)
    first, last = (round(frame) for frame in curve.range())
    frames = np.arange(first, max(last, first + 1) + 1)
    if untouched(owner, path):  # it will be paced anew
        return frames, np.interp(frames, curve.range(), [0, count - 1])
    return frames, np.array([curve.evaluate(frame) for frame in frames]) / each


def _followed(shown: Surface, scale: heights.HeightScale, when: np.ndarray) -> np.ndarray:
    """Return the minimizer's places ``(len(when), 3)`` at moments counted in snapshots."""
    places = to_land(shown, scale, shown.minimizer)
    return np.column_stack([np.interp(when, np.arange(len(places)), axis) for axis in places.T])


def surveying(
    scene: bpy.types.Scene, shown: list[Surface], scale: heights.HeightScale, there: Parts
) -> Generator[float, None, terrain.Terrain]:
    """Return what a camera has to know of the first land, and of the minimizers on the others.

    The lands are as they will be with these surfaces; nothing is written.
    """
    land = there[Part("Land", shown[0].name)]
    frames, when = _seen(scene, land, len(shown[0].frames))
    places = _followed(shown[0], scale, when)
    found = yield from terrain.surveying(shown[0], scale, frames, when, places)
    for given in shown[1:]:
        if other := there.get(Part("Land", given.name)):
            seen = np.interp(frames, *_seen(scene, other, len(given.frames)))
            found.others.append(_followed(given, scale, seen) + other.location - land.location)
    return found
