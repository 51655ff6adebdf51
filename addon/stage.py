"""A whole shot from a sequence: land, minimizer, camera, light, titles, render settings.

Everything it makes is native and stands in one collection, marked, so that the .blend renders
the same without the add-on and a later import finds its own objects whatever they are called.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import bpy
import numpy as np

from . import camera, heights, look, overlay, surface
from .sequence import Sequence, Surface

MARK = "moving_lands"
"""Custom property on everything of ours; its value says what it is."""

LINE = 34
"""Most characters in a line of the recipe of the run: it stays clear of the label."""


@dataclass(frozen=True)
class Settings:
    """What a shot is made with: the recipe's film, look and camera keys, one to one."""

    fps: int = 24
    seconds: float = 5.0
    width: int = 640
    height: int = 360
    samples: int = 8
    poster_at: float = 0.7
    poster_width: int = 1280
    poster_samples: int = 48
    motion_blur: bool = False
    titles: bool = True
    scale: str = "log"
    relief: float = 0.24
    lens: float = 45.0
    azimuth: float = 60.0
    elevation: float = -4.4
    distance: float = 0.56
    drift: float = 8.0
    third: float = 0.41
    rise: float = 0.36
    follow: float = 1.0

    @classmethod
    def of_recipe(cls, recipe: dict[str, Any]) -> Settings:
        """Take the settings out of a recipe; what it does not say stays at its default."""
        known = {field.name for field in fields(cls)}
        tables = (recipe.get(name, {}) for name in ("film", "look", "camera"))
        return cls(**{k: v for table in tables for k, v in table.items() if k in known})

    @property
    def last_frame(self) -> int:
        """The film's last frame; its first is 1."""
        return max(2, round(self.fps * self.seconds))


def build(
    sequence: Sequence,
    settings: Settings,
    progress: Callable[[], None] = lambda: None,
) -> bpy.types.Collection:
    """Build a shot in the current scene.

    Parameters
    ----------
    sequence : Sequence
        Open. Its first surface is shown.
    settings : Settings
        How it is shown.
    progress : callable
        Called after each snapshot.

    Returns
    -------
    bpy.types.Collection
        Of everything that was made, linked to the scene.

    Raises
    ------
    ValueError
        Where the losses do not fit the height scale that is asked for, or the shot does not fit
        in memory. Nothing has been made then.
    """
    shown = next(iter(sequence.surfaces.values()))
    surface.check_memory(shown)
    relief = settings.relief * surface.WIDTH
    losses = (shown.loss(index) for index in range(len(shown.frames)))
    scale = heights.fit(losses, settings.scale, relief)
    scene = bpy.context.scene
    _set_render(scene, settings)
    land = surface.build(shown, scale, 1, settings.last_frame, progress)
    land.data.materials.append(look.flesh_material(relief))

    frames = np.linspace(1, settings.last_frame, len(shown.frames))
    places = _minimizer_places(shown, scale)
    minimizer = camera.minimizer_empty(frames, places)
    lens, rig = camera.ride(minimizer, 1, settings.last_frame, _framing(settings))
    seen = settings.distance * surface.WIDTH * lens.data.sensor_width / lens.data.lens
    mark = overlay.bead(frames, places, seen)
    label = overlay.live_loss(mark, lens, frames, shown.minimizer[:, 2], seen)
    parts = {"Land": land, "Minimizer": minimizer, "Camera": lens, "Camera Rig": rig}
    parts |= {"Bead": mark, "Live loss": label}
    parts |= {lamp.name: lamp for lamp in look.flesh_lights(relief, settings.azimuth)}
    if settings.titles:
        aspect = settings.width / settings.height
        sentence = str(sequence.recipe.get("sentence", ""))
        texts = overlay.titles(
            lens, aspect, sequence.title, sentence, recipe_lines(shown, settings.scale)
        )
        parts |= {text.name: text for text in texts}

    collection = bpy.data.collections.new(sequence.title)
    collection[MARK] = str(sequence.path)
    for name, part in parts.items():
        part[MARK] = name
        collection.objects.link(part)
    scene.collection.children.link(collection)
    scene.camera = lens
    scene.world = look.black_world()
    scene.frame_set(1)
    return collection


def _framing(settings: Settings) -> camera.Framing:
    return camera.Framing(
        **{field.name: getattr(settings, field.name) for field in fields(camera.Framing)}
    )


def _minimizer_places(shown: Surface, scale: heights.HeightScale) -> np.ndarray:
    """Return where the minimizer stands on the land: ``(n, 3)``, Blender units."""
    unit = surface.WIDTH / (shown.alpha[-1] - shown.alpha[0])
    inside = (shown.minimizer[:, :2] - shown.origin) * unit
    return np.column_stack([inside, scale(shown.minimizer[:, 2])])


def recipe_lines(shown: Surface, scale: str) -> list[str]:
    """Say how a surface was made, in the few lines that stand in the picture."""
    attrs = {key: str(value) for key, value in shown.attrs.items()}
    lines = [attrs.get("network", ""), attrs.get("data", ""), attrs.get("optimizer", "")]
    if "batch" in attrs:
        mode = f", {attrs['mode']} mode" if "mode" in attrs else ""
        lines.append(f"loss of {attrs['batch']} images{mode}")
    points = f"{shown.points():,}".replace(",", " ")
    lines.append(f"{len(shown.frames)} x {points} points, {scale} scale")
    return [part for line in lines for part in textwrap.wrap(line, LINE)]


def _set_render(scene: bpy.types.Scene, settings: Settings) -> None:
    render, cycles = scene.render, scene.cycles
    render.engine = "CYCLES"
    render.resolution_x, render.resolution_y = settings.width, settings.height
    render.resolution_percentage = 100
    render.fps, render.fps_base = settings.fps, 1.0
    scene.frame_start, scene.frame_end = 1, settings.last_frame
    render.use_persistent_data = True
    render.use_motion_blur = settings.motion_blur
    render.motion_blur_shutter = 0.5
    render.image_settings.file_format = "PNG"
    cycles.samples = settings.samples
    cycles.use_adaptive_sampling = True
    cycles.use_denoising = True
    # Few samples leave noise for the finest setting to dwell on: it takes half the time, unseen.
    cycles.denoising_quality = "HIGH" if settings.samples >= 64 else "BALANCED"
    cycles.max_bounces = 2
    cycles.use_light_tree = False  # for a handful of lamps it costs more than it saves
    scene.view_settings.view_transform = "AgX"
    scene.view_settings.look = "AgX - Medium High Contrast"
    scene[MARK] = {
        "poster_frame": 1 + round(settings.poster_at * (settings.last_frame - 1)),
        "poster_width": settings.poster_width,
        "poster_samples": settings.poster_samples,
    }


def parts(scene: bpy.types.Scene) -> dict[str, bpy.types.Object]:
    """Return a scene's objects of ours by what they are, whatever they are called now."""
    return {thing[MARK]: thing for thing in scene.objects if MARK in thing}
