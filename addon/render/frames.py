"""Pictures: frames that can be left and taken up, the poster, the film.

Every picture is rendered beside its place and moved there whole. Several machines can render into
one folder: each claims what it makes.

Frames are rendered as Blender's own animation rendering does, one at a time: the same pixels, in
the same files, at the same pace. (Setting the current frame first would evaluate the scene once
more, for nobody: up to a tenth of the time of small frames.)
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import bpy

from ..blender import compat
from ..blender.parts import MARK
from ..files import remove, replace
from ..progress import uninterrupted
from . import encode, quality
from .claims import Claims, unfinished
from .job import RenderError, RenderJob


def render_frames(
    job: RenderJob, asked: list[int], claims: Claims, count: Callable[[int], None]
) -> int:
    """Render frames until all are there; return how many this process rendered.

    ``count`` is told how many are there, whoever rendered them.
    """
    numbers, made = {job.frames[frame]: frame for frame in asked}, 0
    for path in claims.share(list(numbers), count):
        render_frame(job.scene, numbers[path], path)
        made += 1
    return made


def render_frame(scene: bpy.types.Scene, frame: int, path: Path) -> None:
    """Render a frame to a picture, which appears whole or not at all."""
    render = scene.render
    before = scene.frame_start, scene.frame_end, render.filepath
    scene.frame_start = scene.frame_end = frame
    render.filepath = str(unfinished(path).with_suffix(""))
    partial = Path(render.frame_path(frame=frame))
    remove(partial)
    try:
        with uninterrupted():
            bpy.ops.render.render(animation=True, scene=scene.name)
            if not partial.exists():
                raise RenderError(f"{path}: Blender wrote no picture.")
            replace(partial, path)
    finally:
        scene.frame_start, scene.frame_end, render.filepath = before
        remove(partial)


def render_poster(job: RenderJob, claims: Claims) -> None:
    """Render the shot's poster, if it is not there: its best moment, larger and finer."""
    scene = job.scene
    render, wanted = scene.render, scene[MARK].to_dict()
    pictures, (engine, samples) = render.image_settings, quality.samples_of(scene)
    for path in claims.share([job.poster]):
        if pictures.file_format != "PNG":
            compat.write_as_png(pictures)
        before = render.resolution_x, render.resolution_y, getattr(engine, samples)
        render.resolution_y = round(wanted["poster_width"] * before[1] / before[0])
        render.resolution_x = wanted["poster_width"]
        setattr(engine, samples, wanted["poster_samples"])
        try:
            render_frame(scene, wanted["poster_frame"], path)
        finally:
            render.resolution_x, render.resolution_y = before[:2]
            setattr(engine, samples, before[2])


def encode_film(job: RenderJob, claims: Claims, progress: Callable[[], None]) -> None:
    """Encode the film, if it is not there."""
    for path in claims.share([job.film]):
        frames = list(job.frames.values())
        encode.encode(job.scene, frames, path, job.format, progress)


def estimate(scene: bpy.types.Scene) -> float:
    """Estimate the seconds that one of a scene's frames takes, from small ones in its middle.

    A frame's time is what it takes whatever its size, and so much a pixel: two sizes tell both.
    The first frame loads what later ones find loaded, and does not count.
    """
    render, full = scene.render, scene.render.resolution_percentage
    percentages = [max(1, full // 8), max(1, full // 8), max(2, full // 3)]
    middle = (scene.frame_start + scene.frame_end) // 2
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        try:
            for number, render.resolution_percentage in enumerate(percentages):
                frame = min(middle + number, scene.frame_end)
                start = time.perf_counter()
                render_frame(scene, frame, Path(folder, f"{number}.png"))
                seconds.append(time.perf_counter() - start)
        finally:
            render.resolution_percentage = full
    small, large = (percentage**2 for percentage in percentages[1:])
    each = max(0.0, (seconds[2] - seconds[1]) / (large - small))
    return max(0.0, seconds[1] - each * small) + each * full**2
