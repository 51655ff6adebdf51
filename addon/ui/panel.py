"""The sidebar tab "Moving Lands": import, and what the artist most often reaches for."""

from __future__ import annotations

import bpy

from .. import stage
from .operators import MOVING_LANDS_OT_import_sequence


class MOVING_LANDS_PT_shot(bpy.types.Panel):
    """The shot in this scene."""

    bl_label = "Shot"
    bl_category = "Moving Lands"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.operator(MOVING_LANDS_OT_import_sequence.bl_idname, icon="IMPORT")
        parts = stage.parts(context.scene)
        if "Land" in parts:
            column = layout.column(align=True)
            column.prop(parts["Land"].data.shape_keys, "eval_time", text="Training Time")
        if "Camera" in parts:
            column = layout.column(align=True)
            column.prop(parts["Camera"].data, "lens")
            column.prop(parts["Camera"].data, "shift_x", text="Place X")
            column.prop(parts["Camera"].data, "shift_y", text="Y")
            following = parts["Camera Rig"].constraints if "Camera Rig" in parts else ()
            for constraint in following:
                column.prop(constraint, "influence", text="Share of the Descent", slider=True)


CLASSES = (MOVING_LANDS_PT_shot,)
