"""What an artist sees of a new shot."""

from __future__ import annotations

import bpy

from ..shot import parts as shots

CATEGORY = "Moving Lands"
"""The tab of the sidebar."""


def show(context: bpy.types.Context, shot: bpy.types.Collection) -> None:
    """Turn to a shot: its scene in the window, its camera looked through, its tab in reach.

    Parameters
    ----------
    context : Context
        Whose window, and whose viewport if it is one, else the window's first.
    shot : Collection
        New, and linked to a scene.
    """
    window = context.window
    if not window or window.scene != context.scene:  # it is for a scene that is not seen
        return
    window.scene = shots.scene_of(shot)
    if area := _viewport(context):
        viewport = area.spaces.active
        viewport.show_region_ui = True
        if "Camera" in shots.parts_of(shot):
            viewport.region_3d.view_perspective = "CAMERA"
        for region in area.regions:  # one that was never drawn has no tabs yet
            if region.type == "UI" and not region.is_property_readonly("active_panel_category"):
                region.active_panel_category = CATEGORY


def _viewport(context: bpy.types.Context) -> bpy.types.Area | None:
    """Return the viewport that an operator was called in, or the first there is."""
    if bpy.app.background:
        return None
    areas = [context.area, *context.window.screen.areas]
    return next((area for area in areas if area and area.type == "VIEW_3D"), None)
