"""Keyframes in bulk: F-curves from arrays."""

from __future__ import annotations

import bpy
import numpy as np
from numpy.typing import ArrayLike

from . import compat
from .camerawork import Spline


def key_linear(
    owner: bpy.types.ID, path: str, frames: ArrayLike, values: ArrayLike, index: int = 0
) -> None:
    """Replace a property's F-curve by linear keys.

    Parameters
    ----------
    owner : bpy.types.ID
        The data-block.
    path : str
        Data path of the property.
    frames, values : array_like
        ``(n,)`` each.
    index : int
        Component of an array property.
    """
    _write(owner, path, index, np.asarray(frames), np.asarray(values), None)


def key_spline(owner: bpy.types.ID, path: str, spline: Spline, index: int = 0) -> None:
    """Replace a property's F-curve by Bezier keys that are the spline, exactly.

    A cubic piece of slopes m over w frames has its handles w / 3 away, at ``value -+ m w / 3``.
    The spline's times are frames.
    """
    _write(owner, path, index, spline.times, spline.values, spline.slopes)


def _write(
    owner: bpy.types.ID,
    path: str,
    index: int,
    frames: np.ndarray,
    values: np.ndarray,
    slopes: np.ndarray | None,
) -> None:
    curves = compat.fcurves(owner)
    curve = curves.find(path, index=index) or curves.new(path, index=index)
    points = curve.keyframe_points
    points.clear()
    points.add(len(frames))
    points.foreach_set("co", _pairs(frames, values))
    for point in points:
        point.interpolation = "LINEAR" if slopes is None else "BEZIER"
        point.handle_left_type = point.handle_right_type = "FREE" if slopes is not None else "AUTO"
    if slopes is not None:
        third = np.diff(frames) / 3
        before = np.concatenate([third[:1], third])
        after = np.concatenate([third, third[-1:]])
        left = _pairs(frames - before, values - slopes * before)
        right = _pairs(frames + after, values + slopes * after)
        points.foreach_set("handle_left", left)
        points.foreach_set("handle_right", right)
    curve.update()


def _pairs(frames: np.ndarray, values: np.ndarray) -> np.ndarray:
    return np.column_stack([frames, values]).astype(np.float32).ravel()
