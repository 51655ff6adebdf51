"""Rendering: devices, resumable frames, stills, and the film.

Every frame is rendered beside its place and moved there whole, so a folder of frames can be left
and taken up at any moment. What belongs to which .blend is written down in the folder: frames of
two versions of a shot are never mixed.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import bpy

from . import compat
from .stage import MARK

BACKENDS = ("OPTIX", "CUDA", "HIP", "ONEAPI", "METAL")
"""GPU interfaces of Cycles, the fastest first."""

NOTE = "shot.json"
"""In a folder of frames: which .blend they were rendered from."""


class RenderError(RuntimeError):
    """Something that keeps a shot from being rendered, said in one sentence."""


def choose_device(scene: bpy.types.Scene, asked: str = "auto") -> str:
    """Set what Cycles renders on, and say what it is.

    Parameters
    ----------
    scene : Scene
        To render.
    asked : str
        "auto" (the first of ``BACKENDS`` with hardware behind it, else the CPU), "cpu", or a
        backend's name.

    Returns
    -------
    str
        For a person: "OPTIX: NVIDIA H100", "the CPU".

    Raises
    ------
    RenderError
        Where the backend that is asked for has no hardware here.
    """
    asked = asked.upper()
    if asked not in ("AUTO", "CPU", *BACKENDS):
        known = ", ".join(("auto", "cpu", *(b.lower() for b in BACKENDS)))
        raise RenderError(f"device {asked.lower()}: expected one of {known}.")
    scene.cycles.device = "CPU"
    if asked == "CPU":
        return "the CPU"
    preferences = bpy.context.preferences.addons["cycles"].preferences
    for backend in BACKENDS if asked == "AUTO" else (asked,):
        # A backend can be set where no hardware is behind it: only its devices tell.
        try:
            preferences.compute_device_type = backend
        except TypeError:
            continue
        preferences.refresh_devices()
        gpus = [device for device in preferences.devices if device.type == backend]
        if gpus:
            for device in preferences.devices:
                device.use = device in gpus
            scene.cycles.device = "GPU"
            return f"{backend}: {', '.join(device.name for device in gpus)}"
    if asked != "AUTO":
        raise RenderError(f"device {asked.lower()}: Blender finds no such hardware here.")
    return "the CPU"


def digest(blend: Path) -> str:
    """Return what tells one version of a .blend from another."""
    return hashlib.sha256(blend.read_bytes()).hexdigest()


def missing_frames(folder: Path, frames: Iterable[int]) -> list[int]:
    """Return the frames that are not in a folder yet."""
    return [frame for frame in frames if not frame_file(folder, frame).exists()]


def frame_file(folder: Path, frame: int) -> Path:
    """Return where a frame lies."""
    return folder / f"{frame:04d}.png"


def check_folder(folder: Path, blend: Path, restart: bool) -> None:
    """Refuse a folder of frames that holds other pictures than this .blend's.

    Raises
    ------
    RenderError
        Where it holds frames of another version of the .blend and ``restart`` is not set, or
        pictures that are no frames of ours.
    """
    known = _version_of(folder)
    if known is None and any(folder.glob("*.png")):
        raise RenderError(f"{folder} holds pictures of something else: give a folder with -o.")
    if known is not None and known != digest(blend) and not restart:
        raise RenderError(
            f"{folder} holds frames of another version of {blend.name}: render it into another "
            "folder with -o, or with --restart to render them again."
        )


def open_folder(folder: Path, blend: Path, restart: bool, others: Iterable[Path]) -> None:
    """Make a checked folder of frames ready for a .blend.

    Parameters
    ----------
    folder : Path
        Made where it is missing. Frames of an older version go.
    blend : Path
        The shot.
    restart : bool
        Frames of this version go, too.
    others : iterable of Path
        Film and poster: they go with the frames.
    """
    version = digest(blend)
    if _version_of(folder) == version and not restart:
        return
    for old in (*others, *folder.glob("[0-9]*.png")):
        old.unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{NOTE}.writing"
    partial.write_text(json.dumps({"blend": version}))
    os.replace(partial, folder / NOTE)


def _version_of(folder: Path) -> str | None:
    try:
        return str(json.loads((folder / NOTE).read_text())["blend"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def render_frames(
    scene: bpy.types.Scene,
    folder: Path,
    frames: Iterable[int],
    progress: Callable[[], None] = lambda: None,
) -> None:
    """Render frames into a folder, one after the other; ``progress`` is called after each."""
    for frame in frames:
        scene.frame_set(frame)
        render_still(scene, frame_file(folder, frame))
        progress()


def render_still(scene: bpy.types.Scene, path: Path) -> None:
    """Render the current frame to a PNG, which appears whole or not at all.

    The scene's output format becomes PNG: an artist's choice of another is for their own renders.
    """
    compat.write_as_png(scene.render.image_settings)
    partial = path.with_name(f".{path.stem}.writing.png")
    partial.unlink(missing_ok=True)
    before = scene.render.filepath
    scene.render.filepath = str(partial.resolve())
    try:
        if "CANCELLED" in bpy.ops.render.render(write_still=True, scene=scene.name):
            raise KeyboardInterrupt
    finally:
        scene.render.filepath = before
    if not partial.exists():
        raise RenderError(f"{path}: Blender wrote no picture.")
    os.replace(partial, path)


def render_poster(scene: bpy.types.Scene, path: Path) -> None:
    """Render the shot's poster: its best moment, larger and finer than the film."""
    wanted = scene[MARK].to_dict()
    render, cycles = scene.render, scene.cycles
    before = render.resolution_x, render.resolution_y, cycles.samples, scene.frame_current
    render.resolution_y = round(wanted["poster_width"] * before[1] / before[0])
    render.resolution_x = wanted["poster_width"]
    cycles.samples = wanted["poster_samples"]
    scene.frame_set(wanted["poster_frame"])
    try:
        render_still(scene, path)
    finally:
        render.resolution_x, render.resolution_y, cycles.samples = before[:3]
        scene.frame_set(before[3])


def encode(folder: Path, frames: range, fps: int, path: Path) -> None:
    """Encode a folder's frames as an H.264 film, with Blender's own encoder.

    The frames are as displayed already, so no view transform is applied again.
    """
    first = bpy.data.images.load(str(frame_file(folder, frames[0])))
    width, height = first.size
    bpy.data.images.remove(first)
    scene = bpy.data.scenes.new("Encode")
    try:
        editor = scene.sequence_editor_create()
        strip = editor.strips.new_image(
            "Frames", str(frame_file(folder, frames[0])), channel=1, frame_start=1
        )
        for frame in frames[1:]:
            strip.elements.append(frame_file(folder, frame).name)
        scene.frame_start, scene.frame_end = 1, len(frames)
        render = scene.render
        render.resolution_x, render.resolution_y = width, height
        render.resolution_percentage = 100
        render.fps, render.fps_base = fps, 1.0
        scene.view_settings.view_transform = "Standard"
        scene.view_settings.look = "None"
        compat.write_as_video(render.image_settings)
        render.ffmpeg.format = "MPEG4"
        render.ffmpeg.codec = "H264"
        render.ffmpeg.constant_rate_factor = "HIGH"
        render.ffmpeg.gopsize = fps
        partial = path.with_name(f".{path.stem}.writing.mp4")
        partial.unlink(missing_ok=True)
        render.filepath = str(partial.resolve())
        render.use_file_extension = False
        if "CANCELLED" in bpy.ops.render.render(animation=True, scene=scene.name):
            raise KeyboardInterrupt
        if not partial.exists():
            raise RenderError(f"{path}: Blender wrote no film.")
        os.replace(partial, path)
    finally:
        bpy.data.scenes.remove(scene)
