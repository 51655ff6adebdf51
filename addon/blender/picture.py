"""The film that a scene renders: how fast it runs, and the shape of its picture."""

from __future__ import annotations

import bpy


def frame_rate(render: bpy.types.RenderSettings) -> float:
    """Return frames a second."""
    return render.fps / render.fps_base


def aspect(render: bpy.types.RenderSettings, resolution: tuple[int, int] | None = None) -> float:
    """Return the width of the picture over its height, as it is shown.

    Parameters
    ----------
    render : RenderSettings
        Of the scene that is rendered.
    resolution : tuple of int, optional
        Width and height in pixels; by default those of the scene.
    """
    width, height = resolution or (render.resolution_x, render.resolution_y)
    return width * render.pixel_aspect_x / (height * render.pixel_aspect_y)
