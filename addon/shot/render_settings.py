"""Render settings of a scene that renders a film."""

from __future__ import annotations

import bpy

from ..blender import compat, devices
from ..blender.parts import MARK
from ..look import LOOKS
from ..look.grading import set_view
from ..overlays.compositing import scenes_of
from .settings import Settings


def set_render(scene: bpy.types.Scene, settings: Settings) -> None:
    """Set a scene to Cycles, and to the sizes and lengths of the film."""
    render, cycles = scene.render, scene.cycles
    render.engine = "CYCLES"
    render.resolution_x, render.resolution_y = settings.width, settings.height
    render.resolution_percentage = 100
    render.fps, render.fps_base = settings.fps, 1.0
    scene.frame_start, scene.frame_end = 1, settings.last_frame
    render.use_persistent_data = True
    render.use_motion_blur = settings.motion_blur
    render.motion_blur_shutter = 0.5
    compat.write_as_png(render.image_settings)
    render.filepath = "//frames/"  # 0001.png and so on, as our own rendering calls them
    cycles.samples = settings.samples
    cycles.use_adaptive_sampling = True
    cycles.use_denoising = True
    # Few samples leave noise for the finest setting to dwell on: it takes half the time, unseen.
    cycles.denoising_quality = "HIGH" if settings.samples >= 64 else "BALANCED"
    cycles.max_bounces = 2
    cycles.use_light_tree = False  # for a handful of lamps it costs more than it saves
    set_view(scene, LOOKS[settings.name].grade)
    scene[MARK] = {
        "poster_frame": settings.poster_frame,
        "poster_width": settings.poster_width,
        "poster_samples": settings.poster_samples,
    }
    for rendered in (scene, *scenes_of(scene)):
        devices.use_best(rendered)
