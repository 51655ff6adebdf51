"""A .blend opened from a program, and which of its scenes is the shot."""

from __future__ import annotations

from pathlib import Path

import bpy

from ..blender.parts import OVERLAYS_OF
from ..progress import quiet
from ..shot.parts import in_scene


def open_blend(blend: Path) -> bpy.types.Scene:
    """Open a .blend without its windows; return the scene that is its shot.

    Raises
    ------
    ValueError
        Where it is none that this Blender can open.
    """
    try:
        with quiet():
            bpy.ops.wm.open_mainfile(filepath=str(blend.resolve()), load_ui=False)
    except RuntimeError:
        raise ValueError(f"{blend}: not a .blend file that this Blender can open.") from None
    scene = bpy.context.window.scene = shot_scene(bpy.context.scene)
    return scene


def shot_scene(scene: bpy.types.Scene) -> bpy.types.Scene:
    """Return the scene to render: the one that is shown, unless the shot is in another.

    Of overlays it is the scene that they lie over.
    """
    scene = scene.get(OVERLAYS_OF) or scene
    if in_scene(scene):
        return scene
    return next((other for other in bpy.data.scenes if in_scene(other)), scene)
