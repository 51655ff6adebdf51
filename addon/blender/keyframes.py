"""Keyframes in bulk: F-curves from arrays, which never replace what an artist has changed.

Each curve is stamped (``edits.KEYS``) with a checksum of its keys. One that was changed since, or
taken away, no longer fits its stamp: it is the artist's, and stays as it is.
"""

from __future__ import annotations

import bpy
import numpy as np
from numpy.typing import ArrayLike

from ..splines import Spline
from . import compat
from .edits import KEYS, checksum, is_untouched, release, stamp, stamped


def key_linear(
    owner: bpy.types.ID, path: str, frames: ArrayLike, values: ArrayLike, index: int = 0
) -> bool:
    """Replace a property's F-curve by linear keys, unless an artist changed it.

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

    Returns
    -------
    bool
        Whether it was.
    """
    return _write(owner, path, index, np.asarray(frames), np.asarray(values), None)


def key_spline(owner: bpy.types.ID, path: str, spline: Spline, index: int = 0) -> bool:
    """Replace a property's F-curve by Bezier keys that are the spline, exactly.

    A cubic piece of slopes m over w frames has its handles w / 3 away, at ``value -+ m w / 3``.
    The spline's times are frames. Returns what ``key_linear`` returns.
    """
    return _write(owner, path, index, spline.times, spline.values, spline.slopes)


def key_driven(
    owner: bpy.types.ID,
    path: str,
    clock: tuple[bpy.types.ID, str],
    inputs: ArrayLike,
    values: ArrayLike,
    index: int = -1,
) -> bool:
    """Replace a property's driver by a curve over another property, linear between its keys.

    Returns what ``key_linear`` returns.

    Parameters
    ----------
    owner : bpy.types.ID
        The data-block.
    path : str
        Data path of the property.
    clock : bpy.types.ID, str
        Data-block and data path of what the property follows.
    inputs, values : array_like
        ``(n,)`` each: what the clock shows, increasing, and the property's value then.
    index : int
        Component of an array property.
    """
    if not untouched(owner, path, index):
        return False
    owner.driver_remove(path, index)
    curve = owner.driver_add(path, index)
    for modifier in list(curve.modifiers):  # Blender's own would pass the input on as it is
        curve.modifiers.remove(modifier)
    driver = curve.driver
    driver.type = "SUM"
    variable = driver.variables.new()
    variable.name = "clock"
    source, source_path = clock
    target = variable.targets[0]
    target.id_type, target.id, target.data_path = source.id_type, source, source_path
    _fill(curve, np.asarray(inputs), np.asarray(values), None)
    _stamp(owner, curve)
    return True


def untouched(owner: bpy.types.ID, path: str, index: int = 0) -> bool:
    """Tell whether no artist has changed a property's keys, or those of its driver.

    Either there never were any, or they still are as they were written here.
    """
    curve = _find(owner, path, index)
    state = None if curve is None else _checksum(curve)
    return is_untouched(owner, KEYS, state, _name(path, index))


def is_keyed(owner: bpy.types.ID, path: str, index: int = 0) -> bool:
    """Tell whether a property has keys or a driver."""
    return _find(owner, path, index) is not None


def remove_keys(owner: bpy.types.ID, *paths: str) -> None:
    """Take away all keys that were ever written here, also those that an artist has changed.

    The keys of further properties, too, none of them an array, whose paths are given.
    """
    for name in {*(stamped(owner, KEYS) or ()), *(_name(path, 0) for path in paths)}:
        path, _, index = name.rpartition(" ")
        curve = _find(owner, path, int(index))
        if curve is None:
            continue
        if curve.driver:
            owner.driver_remove(path, int(index) if _is_array(owner, path) else -1)
        else:
            compat.fcurves(owner).remove(curve)
    release(owner, KEYS)


def _is_array(owner: bpy.types.ID, path: str) -> bool:
    return hasattr(owner.path_resolve(path), "__len__")


def _find(owner: bpy.types.ID, path: str, index: int) -> bpy.types.FCurve | None:
    animation = owner.animation_data
    if animation is None:
        return None
    if driven := animation.drivers.find(path, index=max(index, 0)):
        return driven
    return compat.fcurves(owner).find(path, index=index) if animation.action else None


def _stamp(owner: bpy.types.ID, curve: bpy.types.FCurve) -> None:
    stamp(owner, KEYS, _checksum(curve), _name(curve.data_path, curve.array_index))


def _name(path: str, index: int) -> str:
    return f"{path} {max(index, 0)}"


def _checksum(curve: bpy.types.FCurve) -> str:
    """Return what tells one set of keys from another."""
    points = curve.keyframe_points
    placed = []
    for field in ("co", "handle_left", "handle_right"):
        numbers = np.empty(2 * len(points), np.float32)
        points.foreach_get(field, numbers)
        placed.append(numbers.tobytes())
    kinds = [(p.interpolation, p.handle_left_type, p.handle_right_type) for p in points]
    if curve.driver:
        kinds.append((curve.driver.type, curve.driver.expression))
    return checksum((curve.mute, len(curve.modifiers), curve.extrapolation), *placed, kinds)


def _write(
    owner: bpy.types.ID,
    path: str,
    index: int,
    frames: np.ndarray,
    values: np.ndarray,
    slopes: np.ndarray | None,
) -> bool:
    if not untouched(owner, path, index):
        return False
    curves = compat.fcurves(owner)
    curve = curves.find(path, index=index) or curves.new(path, index=index)
    _fill(curve, frames, values, slopes)
    _stamp(owner, curve)
    return True


def _fill(
    curve: bpy.types.FCurve, frames: np.ndarray, values: np.ndarray, slopes: np.ndarray | None
) -> None:
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
