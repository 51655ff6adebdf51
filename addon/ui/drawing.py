"""What several panels draw alike."""

from __future__ import annotations

import textwrap

import bpy


def sentence(layout: bpy.types.UILayout, text: str, icon: str = "NONE", share: float = 1.0) -> None:
    """Draw a sentence over as many lines as its share of the region's width asks for."""
    region, scale = bpy.context.region, bpy.context.preferences.system.ui_scale
    width = share * region.width / scale if region else 0
    column = layout.column(align=True)
    column.scale_y = 0.8
    for line in textwrap.wrap(text, max(24, int((width - 60) / 6))):
        column.label(text=line, icon=icon)
        icon = "BLANK1" if icon != "NONE" else "NONE"


def redraw() -> None:
    """Have the sidebars and the preferences drawn again, and nothing that is dear to draw."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type not in ("VIEW_3D", "PREFERENCES"):
                continue
            for region in area.regions:
                if region.type == ("UI" if area.type == "VIEW_3D" else "WINDOW"):
                    region.tag_redraw()
