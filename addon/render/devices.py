"""What Cycles can render on here: listed for a person, and chosen for a render.

Nothing is saved by either: a .blend says nothing about the machine that renders it.
"""

from __future__ import annotations

import functools

import bpy

from ..overlays import scenes_of

BACKENDS = ("OPTIX", "CUDA", "HIP", "ONEAPI", "METAL", "CPU")
"""What Cycles computes with, the fastest first."""


class DeviceError(ValueError):
    """A device that is not here, said in one sentence."""


@functools.cache
def found() -> dict[str, str]:
    """Return the devices of this machine by backend, the fastest first; the CPU is always there.

    A GPU may be there more than once, for each backend that can drive it.
    """
    preferences = bpy.context.preferences.addons["cycles"].preferences
    there = {}
    for backend in BACKENDS:
        devices = preferences.get_devices_for_type(backend)
        if names := [device.name for device in devices if device.type == backend]:
            there[backend] = ", ".join(names)
    return there


def choose(scene: bpy.types.Scene, asked: str = "auto") -> str:
    """Set what Cycles renders on, and say what it is.

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
    for rendered in (scene, *scenes_of(scene)):
        rendered.cycles.device = "CPU" if backend == "CPU" else "GPU"
    if backend != "CPU":
        preferences = bpy.context.preferences.addons["cycles"].preferences
        preferences.compute_device_type = backend
        preferences.refresh_devices()
        for device in preferences.devices:
            device.use = device.type == backend
        scene.cycles.denoising_use_gpu = True
    return f"{backend}: {there[backend]}"
