"""The sidebar tab "Moving Lands": what a file holds, import, and what is most often reached for."""

from __future__ import annotations

import bpy

from ..land.mesh_cache import modifier as mesh_cache
from ..look.lights import RIG
from ..overlays.build import OVERLAYS
from ..overlays.compositing import node_of
from ..shot import parts as shots
from . import edit_operators, file_summary, import_operators
from .choices import LOOKS, RIGS
from .drawing import sentence
from .view import CATEGORY


class MOVING_LANDS_PG_shot(bpy.types.PropertyGroup):
    """What the panel remembers with a scene."""

    file: bpy.props.StringProperty(
        name="File", description="Sequence file to look at and to import", subtype="FILE_PATH"
    )


class MOVING_LANDS_PT_shot(bpy.types.Panel):
    """The shot in this scene: what it shows, and its first handles."""

    bl_label = "Shot"
    bl_category = CATEGORY
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        shot = shots.at_hand(context)
        if shot is None:
            _before(layout, context)
            return
        parts = shots.parts_of(shot)
        source = shots.source_of(shot)
        layout.label(text=shot.name, icon="RNDCURVE")
        if source.exists():
            layout.label(text=source.name, icon="FILE")
        else:
            sentence(layout, f"{source.name} is not there: choose it by Replace", "ERROR")
        row = layout.row(align=True)
        row.operator(
            edit_operators.MOVING_LANDS_OT_update.bl_idname, icon="FILE_REFRESH", text="Update"
        )
        row.operator(
            edit_operators.MOVING_LANDS_OT_replace.bl_idname, icon="FILE_FOLDER", text="Replace"
        )
        made = shots.made_with(shot)[0]
        look = edit_operators.MOVING_LANDS_OT_change_look.bl_idname
        name = _label(LOOKS, made.name)
        layout.operator_menu_enum(look, "look", text=f"Look: {name}", icon="MATERIAL")
        _light_rigs(layout, parts.all(RIG))
        if "Camera" in parts:
            rig = edit_operators.MOVING_LANDS_OT_change_camera.bl_idname
            name = "Acts" if made.acts else _label(RIGS, made.rig)
            layout.operator_menu_enum(rig, "rig", text=f"Camera: {name}", icon="OUTLINER_OB_CAMERA")
        for land in shots.lands_of(shot):
            _land(layout, land)
        if lens := parts.get("Camera"):
            _camera(layout, lens, parts.get("Camera Rig"))
        _overlays(layout, context.scene, parts)


def _label(items: tuple[tuple[str, str, str], ...], chosen: str) -> str:
    return next((label for name, label, _ in items if name == chosen), chosen)


def _light_rigs(layout: bpy.types.UILayout, rigs: list[bpy.types.Object]) -> None:
    """Draw a switch for each Empty that lamps hang on: shown, they are found and turned by it."""
    row = layout.row(align=True)
    row.use_property_split = False
    for rig in rigs:
        row.prop(
            rig,
            "hide_viewport",
            text=rig.name,
            icon="OUTLINER_OB_LIGHT",
            invert_checkbox=True,
            toggle=True,
        )


def _before(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """Draw the choice of a file, what is in it, and its import."""
    settings = context.scene.moving_lands_shot
    layout.prop(settings, "file", text="", placeholder="Sequence File (.h5)")
    file_summary.draw(layout, settings.file)
    row = layout.row()
    row.scale_y = 1.3
    importing = import_operators.MOVING_LANDS_OT_import_sequence.bl_idname
    row.operator(importing, icon="IMPORT", text="Import").filepath = settings.file
    if not settings.file:
        layout.label(text="Or drop a file on the viewport", icon="INFO")


def _land(layout: bpy.types.UILayout, land: bpy.types.Object) -> None:
    header, body = layout.panel(f"moving_lands_{land.name}", default_closed=False)
    header.label(text=land.name)
    if body is None:
        return
    keys = land.data.shape_keys
    kept = f"{len(keys.key_blocks)} shape keys" if keys else "mesh cache"
    body.label(text=f"{len(land.data.vertices):,} points, {kept}", icon="MESH_GRID")
    column = body.column()
    if cache := mesh_cache(land):
        column.prop(cache, "eval_frame", text="Training Time")
    elif keys:  # an artist may have applied them
        column.prop(keys, "eval_time", text="Training Time")
    row = body.row(align=True)
    row.operator(
        edit_operators.MOVING_LANDS_OT_set_heights.bl_idname, text="Heights", icon="MOD_DISPLACE"
    )
    row.operator(edit_operators.MOVING_LANDS_OT_add_skirt.bl_idname, text="Skirt", icon="ADD")
    row.operator(
        edit_operators.MOVING_LANDS_OT_add_thickness.bl_idname, text="Thickness", icon="ADD"
    )


def _camera(
    layout: bpy.types.UILayout, lens: bpy.types.Object, rig: bpy.types.Object | None
) -> None:
    header, body = layout.panel("moving_lands_camera", default_closed=False)
    header.label(text="Camera")
    if body is None:
        return
    column = body.column(align=True)
    column.prop(lens.data, "lens")
    column.prop(lens.data, "shift_x")
    column.prop(lens.data, "shift_y", text="Y")
    for constraint in rig.constraints if rig else ():
        if constraint.type == "COPY_LOCATION":
            column.prop(constraint, "influence", text="Follow", slider=True)


def _overlays(layout: bpy.types.UILayout, scene: bpy.types.Scene, parts: shots.Parts) -> None:
    """Draw every overlay with its icons, and texts to be edited where they stand."""
    kinds = [kind for overlay in OVERLAYS.values() for kind in overlay.kinds]
    there = {parts.name(part): parts[part] for k in kinds for part in parts if part.kind == k}
    if not there:
        return
    header, body = layout.panel("moving_lands_overlays", default_closed=True)
    header.label(text="Overlays")
    node = node_of(scene)
    if node:
        header.prop(
            node, "mute", text="", icon="HIDE_ON" if node.mute else "HIDE_OFF", emboss=False
        )
    if body is None:
        return
    column = body.column(align=True)
    for name, part in there.items():
        row = column.row(align=True)
        if part.type == "FONT":
            row.prop(part.data, "body", text="")
        else:
            row.label(text=name)
        row.prop(part, "hide_viewport", text="", emboss=False)
        row.prop(part, "hide_render", text="", emboss=False)
    for socket in node.inputs if node else ():
        if socket.type == "VALUE":
            body.prop(socket, "default_value", text=socket.name)


CLASSES = (MOVING_LANDS_PG_shot, MOVING_LANDS_PT_shot)


def register() -> None:
    """Give every scene its settings, once the classes are registered."""
    bpy.types.Scene.moving_lands_shot = bpy.props.PointerProperty(type=MOVING_LANDS_PG_shot)


def unregister() -> None:
    """Take them back."""
    del bpy.types.Scene.moving_lands_shot
