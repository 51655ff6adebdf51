"""The scene of a shot: one of its own, so that an artist's other scenes stay as they are."""

from __future__ import annotations

import bpy

from ..blender.parts import MARK
from .parts import Options, in_scene

SETTINGS = ("frame_start", "frame_end", "camera", "world", "animation_data")
"""Properties by which a scene is seen to be as Blender makes it."""

RENDER_SETTINGS = (
    "engine", "resolution_x", "resolution_y", "resolution_percentage", "fps", "fps_base",
)  # fmt: skip
"""Render settings by which it is seen."""


def scene_for(name: str, options: Options) -> bpy.types.Scene:
    """Return the scene that a whole shot comes into, made where it is a new one.

    A scene that has a whole shot is never taken for another: each has a camera and overlays.
    """
    current = bpy.context.scene
    free = not (MARK in current and in_scene(current))
    if options.into == "this scene" and free:
        return current
    own = bpy.data.scenes.new(name)
    if options.into is None and free and _is_untouched(current, own):
        bpy.data.scenes.remove(own)
        return current
    # Of a new scene Blender leaves these at zero.
    own.view_settings.white_balance_temperature, own.view_settings.white_balance_tint = 6500, 10
    return own


def _is_untouched(scene: bpy.types.Scene, new: bpy.types.Scene) -> bool:
    """Tell whether there is nothing in a scene, and its settings are those of a new one."""
    film = scene.sequence_editor
    return (
        not scene.objects
        and not (film and film.strips_all)
        and all(getattr(scene, name) == getattr(new, name) for name in SETTINGS)
        and all(getattr(scene.render, n) == getattr(new.render, n) for n in RENDER_SETTINGS)
    )


def select(scene: bpy.types.Scene, lands: list[bpy.types.Object]) -> None:
    """Select lands in a scene, the first of them active, and nothing else."""
    layer = scene.view_layers[0]
    for thing in list(layer.objects.selected):
        thing.select_set(False, view_layer=layer)
    for land in lands:
        land.select_set(True, view_layer=layer)
    layer.objects.active = lands[0]
