"""Camera rigs: plain keyframes and constraints that an artist can drag.

The camera looks at the Empty "Minimizer", whose few keys follow the smoothed descent; lens shift
puts it on a third. The camera's own few keys are its place relative to a second Empty that rides
along with part of the descent, so that the fall is seen in the frame and the camera stays calm.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, radians, sin

import bpy
import numpy as np

from . import compat
from .animation import key_spline
from .camerawork import calm_track, ease, fit_spline
from .surface import WIDTH


def minimizer_empty(frames: np.ndarray, places: np.ndarray) -> bpy.types.Object:
    """Build the Empty "Minimizer" on the smoothed track of the minimizer.

    Parameters
    ----------
    frames : ndarray
        ``(n,)`` film frames.
    places : ndarray
        ``(n, 3)`` the minimizer's places on the land then, Blender units.
    """
    empty = bpy.data.objects.new("Minimizer", None)
    empty.empty_display_type = "SPHERE"
    empty.empty_display_size = 0.03 * WIDTH
    key_track(empty, frames, places)
    return empty


def key_track(empty: bpy.types.Object, frames: np.ndarray, places: np.ndarray) -> bool:
    """Key an Empty on a smoothed track; return whether all keys were ours to write."""
    fps = bpy.context.scene.render.fps
    return all(
        [
            key_spline(empty, "location", spline, axis)
            for axis, spline in enumerate(calm_track(frames, places, fps, WIDTH))
        ]
    )


@dataclass(frozen=True)
class Framing:
    """How the minimizer is seen.

    Attributes
    ----------
    lens : float
        Millimetres, on a 36 mm sensor.
    azimuth, elevation, drift : float
        Degrees: where the camera is, seen from the minimizer, at the middle of the shot (0: from
        -y; elevation below 0: from below), and how far it moves around during the shot.
    distance : float
        Widths of the land.
    third, rise : float
        Where the minimizer stands in the frame: from its left, and from its bottom, 0 to 1.
    follow : float
        How much of the descent the camera shares, 0 to 1.
    """

    lens: float
    azimuth: float
    elevation: float
    distance: float
    drift: float
    third: float
    rise: float
    follow: float


def ride(
    minimizer: bpy.types.Object, first_frame: float, last_frame: float, framing: Framing
) -> tuple[bpy.types.Object, bpy.types.Object]:
    """Build the ride-along rig.

    Parameters
    ----------
    minimizer : Object
        The animated Empty.
    first_frame, last_frame : float
        Of the film.
    framing : Framing
        How the minimizer is seen.

    Returns
    -------
    camera, rig : Object
        The rig is the camera's parent.
    """
    rig = bpy.data.objects.new("Camera Rig", None)
    rig.empty_display_type = "CIRCLE"
    rig.empty_display_size = 0.1 * WIDTH
    rig.location = _first_location(minimizer, first_frame)
    riding = rig.constraints.new("COPY_LOCATION")
    riding.target = minimizer
    riding.influence = framing.follow

    data = bpy.data.cameras.new("Camera")
    data.lens = framing.lens
    data.clip_end = 100 * WIDTH
    # Lens shift counts in widths of the picture's longer side.
    render = bpy.context.scene.render
    longer = max(render.resolution_x, render.resolution_y)
    data.shift_x = (0.5 - framing.third) * render.resolution_x / longer
    data.shift_y = (0.5 - framing.rise) * render.resolution_y / longer
    camera = bpy.data.objects.new("Camera", data)
    camera.parent = rig
    middle, half = framing.azimuth, framing.drift / 2
    turn = ease((first_frame, last_frame), middle - half, middle + half)
    distance = framing.distance * WIDTH
    place = np.array([_around(a, framing.elevation, distance) for a in turn.values])
    for axis in range(3):
        key_spline(camera, "location", fit_spline(turn.times, place[:, axis], len(place)), axis)
    aim = camera.constraints.new("TRACK_TO")
    aim.target = minimizer
    aim.track_axis, aim.up_axis = "TRACK_NEGATIVE_Z", "UP_Y"
    return camera, rig


def _first_location(empty: bpy.types.Object, frame: float) -> list[float]:
    curves = compat.fcurves(empty)
    return [curves.find("location", index=axis).evaluate(frame) for axis in range(3)]


def _around(azimuth: float, elevation: float, distance: float) -> tuple[float, float, float]:
    a, e = radians(azimuth), radians(elevation)
    return distance * cos(e) * sin(a), -distance * cos(e) * cos(a), distance * sin(e)
