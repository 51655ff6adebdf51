"""What Cycles can render on here: listed for a person, and chosen for a render.

To look for GPUs starts the driver of each kind. That takes a moment, so it is done once in a
session and when asked for, never by a panel that is drawn (``known``).
"""

from __future__ import annotations

import functools

import bpy

BACKENDS = ("OPTIX", "CUDA", "HIP", "ONEAPI", "METAL", "CPU")
"""What Cycles computes with, the fastest first."""


class DeviceError(ValueError):
    """A device that is not here, said in one sentence."""


@functools.cache
def found() -> dict[str, str]:
    """Return the devices of this machine by backend, the fastest first; the CPU is always there.

    A GPU may be there more than once, for each backend that can drive it.
    """
    preferences, there = _preferences(), {}
    for backend in BACKENDS:
        devices = preferences.get_devices_for_type(backend)
        if names := [device.name for device in devices if device.type == backend]:
            there[backend] = ", ".join(names)
    return there


def known() -> dict[str, str] | None:
    """Return what ``found`` returned; None where it has not been called: a panel may ask."""
    return found() if found.cache_info().currsize else None


def use_best(scene: bpy.types.Scene) -> None:
    """Let a scene render on a GPU where this Blender has one to use; a panel's F12, too.

    What an artist has chosen in the preferences stays. Where nothing is chosen there, the best of
    ``found`` is, for this session. Without a GPU nothing changes.
    """
    backend = next(iter(found()))
    if backend == "CPU":
        return
    preferences = _preferences()
    if preferences.get_compute_device_type() == "NONE":
        _enable(backend)
    if preferences.has_active_device():
        scene.cycles.device = "GPU"


def choose(scene: bpy.types.Scene, asked: str = "auto") -> str:
    """Set what Cycles renders on in this session, and say what it is.

    Parameters
    ----------
    scene : Scene
        To render.
    asked : str
        "auto" (the first of ``found``) or one of ``BACKENDS``, in any case.

    Returns
    -------
    str
        For a person: "OPTIX: NVIDIA H100", "CPU: AMD EPYC".

    Raises
    ------
    DeviceError
        Where the backend that is asked for has no hardware here.
    """
    there, backend = found(), asked.upper()
    if backend == "AUTO":
        backend = next(iter(there))
    if backend not in BACKENDS:
        known = ", ".join(("auto", *(b.lower() for b in BACKENDS)))
        raise DeviceError(f"device {asked}: expected one of {known}.")
    if backend not in there:
        listed = "; ".join(f"{b.lower()} ({names})" for b, names in there.items())
        raise DeviceError(f"device {asked}: Blender finds no such hardware here, only {listed}.")
    scene.cycles.device = "CPU" if backend == "CPU" else "GPU"
    if backend != "CPU":
        _enable(backend)
        scene.cycles.denoising_use_gpu = True
    return f"{backend}: {there[backend]}"


def _enable(backend: str) -> None:
    """Let this session's Cycles compute on all devices of a backend, and on nothing else."""
    preferences = _preferences()
    preferences.compute_device_type = backend
    preferences.refresh_devices()
    for device in preferences.devices:
        device.use = device.type == backend


def _preferences() -> bpy.types.AddonPreferences:
    return bpy.context.preferences.addons["cycles"].preferences
