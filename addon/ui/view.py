"""What an artist sees of a new shot."""

from __future__ import annotations

import bpy

from ..shot import parts as shots

CATEGORY = "Moving Lands"
"""The tab of the sidebar."""


def show(context: bpy.types.Context, shot: bpy.types.Collection) -> None:
    """Turn to a shot: its scene in the window, its land selected, its camera looked through.

    Parameters
    ----------
    context : Context
        Whose window, and whose viewport if it is one, else the window's first.
    shot : Collection
        New, and linked to a scene.
    """
    scene = next(each for each in bpy.data.scenes if shot in each.collection.children_recursive)
    window = context.window
    turns = window and window.scene == context.scene  # and does not show another
    if turns:
        window.scene = scene
    layer = window.view_layer if turns else scene.view_layers[0]
    parts = shots.parts_of(shot)
    for thing in layer.objects:
        thing.select_set(thing == parts["Land"], view_layer=layer)
    layer.objects.active = parts["Land"]
    if turns and (area := _viewport(context)):
        viewport = area.spaces.active
        viewport.show_region_ui = True
        if "Camera" in parts:
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
