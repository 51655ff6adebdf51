"""The sidebar tab "Moving Lands": import, and what an artist most often reaches for."""

from __future__ import annotations

from pathlib import Path

import bpy

from .. import stage
from .operators import MOVING_LANDS_OT_import_sequence


class MOVING_LANDS_PT_shot(bpy.types.Panel):
    """The shot in this scene: what it shows, and its first handles."""

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
        if land := parts.get("Land"):
            _land(layout, land)
        if lens := parts.get("Camera"):
            _camera(layout, lens, parts.get("Camera Rig"))


def _land(layout: bpy.types.UILayout, land: bpy.types.Object) -> None:
    keys = land.data.shape_keys
    facts = layout.column(align=True)
    for collection in land.users_collection:
        if stage.MARK in collection:
            facts.label(text=Path(collection[stage.MARK]).name, icon="FILE")
    facts.label(text=f"{len(land.data.vertices):,} points", icon="MESH_GRID")
    if keys:  # an artist may have applied them
        facts.label(text=f"{len(keys.key_blocks)} snapshots", icon="SHAPEKEY_DATA")
        layout.prop(keys, "eval_time", text="Training Time")


def _camera(
    layout: bpy.types.UILayout, lens: bpy.types.Object, rig: bpy.types.Object | None
) -> None:
    column = layout.column(align=True)
    column.prop(lens.data, "lens")
    column.prop(lens.data, "shift_x")
    column.prop(lens.data, "shift_y", text="Y")
    for constraint in rig.constraints if rig else ():
        if constraint.type == "COPY_LOCATION":
            column.prop(constraint, "influence", text="Follow", slider=True)


CLASSES = (MOVING_LANDS_PT_shot,)
