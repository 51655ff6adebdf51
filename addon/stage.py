"""A whole shot from a sequence: land, minimizer, camera, light, titles, render settings.

Everything is native, so the .blend renders the same without the add-on. A shot is one collection;
its objects are marked with what they are, and found by that whatever they are called.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import Field, dataclass, fields
from typing import Any

import bpy
import numpy as np

from . import camera, compat, heights, look, overlay, surface
from .sequence import Sequence, Surface

MARK = "moving_lands"
"""Custom property on objects of ours: what they are; on their collection: the sequence file."""

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
        """Take the settings out of a recipe; what it does not say stays at its default.

        Raises
        ------
        ValueError
            For a value of the wrong type, or a size that is not positive.
        """
        values = {}
        for table in ("film", "look", "camera"):
            given = recipe.get(table, {})
            if not isinstance(given, dict):
                raise ValueError(f"recipe: {table}: expected a table of keys, got {given!r}.")
            for field in fields(cls):
                if field.name in given:
                    where = f"recipe: {table}.{field.name}"
                    values[field.name] = _checked(given[field.name], field, where)
        return cls(**values)

    @property
    def last_frame(self) -> int:
        """The film's last frame; its first is 1."""
        return max(2, round(self.fps * self.seconds))


SIGNED = ("azimuth", "elevation", "drift", "follow", "poster_at")
"""Settings that may be zero or less; every other number must be positive."""


def _checked(value: Any, field: Field, where: str) -> Any:
    """Hold a recipe's value against a setting: a file can come from anywhere."""
    expected = type(field.default)
    if type(value) is not expected and (expected, type(value)) != (float, int):
        raise ValueError(f"{where}: expected {expected.__name__}, got {value!r}.")
    if expected in (int, float) and not (field.name in SIGNED or value > 0):
        raise ValueError(f"{where}: expected a positive number, got {value!r}.")
    return expected(value)


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
    places, losses_there = _minimizer_places(shown, scale), shown.minimizer[:, 2]
    if len(frames) == 1:  # one surface stands still for the whole shot
        frames = np.array([1, settings.last_frame])
        places, losses_there = places.repeat(2, axis=0), losses_there.repeat(2)
    minimizer = camera.minimizer_empty(frames, places)
    lens, rig = camera.ride(minimizer, 1, settings.last_frame, _framing(settings))
    seen = settings.distance * surface.WIDTH * lens.data.sensor_width / lens.data.lens
    mark = overlay.bead(frames, places, seen)
    label = overlay.live_loss(mark, lens, frames, losses_there, seen)
    parts = {"Land": land, "Minimizer": minimizer, "Camera": lens, "Camera Rig": rig}
    parts |= {"Bead": mark, "Live loss": label}
    parts |= look.flesh_lights(relief, settings.azimuth)
    if settings.titles:
        aspect = settings.width / settings.height
        sentences = [str(sequence.recipe.get(key, "")) for key in ("sentence", "credits")]
        lines = recipe_lines(shown, settings.scale)
        parts |= overlay.titles(lens, aspect, sequence.title, sentences, lines)

    collection = bpy.data.collections.new(sequence.title)
    collection[MARK] = str(sequence.path)
    for name, part in parts.items():
        part[MARK] = name
        collection.objects.link(part)
    scene.collection.children.link(collection)
    scene.camera = lens
    if scene.world:
        scene.world.use_fake_user = True  # the artist's own: kept, though not used
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
    compat.write_as_png(render.image_settings)
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
