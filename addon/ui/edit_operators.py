"""Operators on the shot at hand: thin, undoable, and saying in one sentence what went wrong."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator
from pathlib import Path
from typing import Any

import bpy
from bpy_extras.io_utils import ImportHelper

from ..land import modifiers
from ..shot import parts as shots
from ..shot import update
from . import file_summary
from .choices import LOOKS, RIGS
from .modal import InSteps
from .polling import agrees, needs_a_shot, needs_object_mode

UNDOABLE = {"REGISTER", "UNDO"}


class OfShot:
    """What operators on the shot at hand have in common."""

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return agrees(cls, needs_a_shot(context) or needs_object_mode(context))


def _label(operator: bpy.types.Operator, name: str) -> str:
    """Return what a menu calls the choice that was made."""
    return operator.properties.bl_rna.properties[name].enum_items[getattr(operator, name)].name


def _and_kept(said: str, kept: list[str]) -> str:
    """Return what to tell of what was done, and what was left as it was."""
    return said + (f"; changed by hand and kept: {', '.join(kept)}" if kept else "")


class _Updating(InSteps, OfShot):
    def done(self, result: list[str]) -> str:
        return _and_kept("The land is up to date", result)


class MOVING_LANDS_OT_update(_Updating, bpy.types.Operator):
    """Bring a shot up to date with its file."""

    bl_idname = "moving_lands.update"
    bl_label = "Update Land"
    bl_description = (
        "Read the sequence file again, which may have grown. Heights and paths are renewed; what "
        "was changed by hand stays"
    )
    bl_options = UNDOABLE

    filepath: bpy.props.StringProperty(
        name="File",
        description="Sequence file; where empty, the one that the land was made of",
        subtype="FILE_PATH",
        options={"SKIP_SAVE"},
    )
    overwrite: bpy.props.BoolProperty(
        name="Overwrite Edits",
        description="Write the minimizer's path, numbers and texts again, even where they were "
        "changed by hand",
        options={"SKIP_SAVE"},
    )

    def steps(self, context: bpy.types.Context) -> Generator[float, None, list[str]]:
        shot, path = shots.at_hand(context), bpy.path.abspath(self.filepath)
        if path:  # the shot that shows it, if one does
            same = [c for c in shots.in_scene(context.scene) if shots.source_of(c) == Path(path)]
            shot = same[0] if same else shot
        return update.updating(shot, path or None, overwrite=self.overwrite)


class MOVING_LANDS_OT_replace(_Updating, bpy.types.Operator, ImportHelper):
    """Show another file in a shot."""

    bl_idname = "moving_lands.replace"
    bl_label = "Replace Land"
    bl_description = (
        "Show another sequence file in the same land: materials, lights, cameras and all that "
        "was changed by hand stay"
    )
    bl_options = UNDOABLE

    filename_ext = ".h5"
    filter_glob: bpy.props.StringProperty(default="*.h5;*.hdf5", options={"HIDDEN"})
    filepath: bpy.props.StringProperty(
        name="File", description="The sequence file", subtype="FILE_PATH", options={"SKIP_SAVE"}
    )

    def ask(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        return ImportHelper.invoke(self, context, event)

    def draw(self, context: bpy.types.Context) -> None:
        file_summary.draw(self.layout, file_summary.marked(self, context))

    def steps(self, context: bpy.types.Context) -> Generator[float, None, list[str]]:
        return update.updating(shots.at_hand(context), bpy.path.abspath(self.filepath))


def _plain(value: Any) -> Any:
    """Return a property's value, a number with the digits that were meant: it has 32 bits."""
    return round(value, 6) if isinstance(value, float) else value


class MOVING_LANDS_OT_set_heights(_Updating, bpy.types.Operator):
    """Change the height scale of a shot."""

    bl_idname = "moving_lands.set_heights"
    bl_label = "Set Heights"
    bl_description = "Change how losses become heights; the sequence file is read again"
    bl_options = UNDOABLE

    scale: bpy.props.EnumProperty(
        name="Scale",
        description="Transform from loss to height, one for the whole shot",
        items=(
            ("log", "Logarithmic", "Equal ratios of losses are equal heights"),
            ("linear", "Linear", "Heights are losses"),
            ("symlog", "Symmetric Log", "Logarithmic on both sides of zero, for negative losses"),
        ),
    )
    relief: bpy.props.FloatProperty(
        name="Relief",
        description="Height of the highest loss over the lowest, in widths of the land",
        default=0.24,
        min=0.001,
        soft_max=1.0,
    )
    clip_low: bpy.props.FloatProperty(
        name="Floor",
        description="The lowest points, this percentage of all, become a flat plain",
        subtype="PERCENTAGE",
        max=99.0,
        min=0.0,
    )
    clip_high: bpy.props.FloatProperty(
        name="Ceiling",
        description="Points above this percentile become a flat plateau",
        subtype="PERCENTAGE",
        default=100.0,
        min=1.0,
        max=100.0,
    )
    reverse: bpy.props.BoolProperty(name="Reversed", description="Turn valleys into peaks")

    KEYS = ("scale", "relief", "clip_low", "clip_high", "reverse")

    def ask(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        settings, _ = shots.made_with(shots.at_hand(context))
        for key in self.KEYS:
            setattr(self, key, getattr(settings, key))
        return context.window_manager.invoke_props_dialog(self)

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        for key in self.KEYS:
            layout.prop(self, key)

    def steps(self, context: bpy.types.Context) -> Generator[float, None, list[str]]:
        shot = shots.at_hand(context)
        settings, _ = shots.made_with(shot)
        given = filter(self.properties.is_property_set, self.KEYS)
        changed = {key: _plain(getattr(self, key)) for key in given}
        return update.updating(shot, None, dataclasses.replace(settings, **changed))


class MOVING_LANDS_OT_change_look(OfShot, bpy.types.Operator):
    """Dress a shot in another look."""

    bl_idname = "moving_lands.change_look"
    bl_label = "Change Look"
    bl_description = (
        "Change materials, lamps, world and color management to another look. What was changed by "
        "hand stays"
    )
    bl_options = UNDOABLE

    look: bpy.props.EnumProperty(
        name="Look",
        description="What the land is made of, and how it is lit",
        items=LOOKS,
    )
    overwrite: bpy.props.BoolProperty(
        name="Overwrite Edits",
        description="Change also what was changed by hand",
        options={"SKIP_SAVE"},
    )

    def execute(self, context: bpy.types.Context) -> set[str]:
        kept = update.change_look(shots.at_hand(context), context.scene, self.look, self.overwrite)
        self.report({"INFO"}, _and_kept(f"Look: {_label(self, 'look')}", kept))
        return {"FINISHED"}


class MOVING_LANDS_OT_change_camera(InSteps, OfShot, bpy.types.Operator):
    """Film a shot by another rig."""

    bl_idname = "moving_lands.change_camera"
    bl_label = "Change Camera"
    bl_description = (
        "Film the land by another camera rig: keyframes, lens and focus. What was changed by hand "
        "stays"
    )
    bl_options = UNDOABLE

    rig: bpy.props.EnumProperty(name="Rig", description="How the land is filmed", items=RIGS)
    overwrite: bpy.props.BoolProperty(
        name="Overwrite Edits",
        description="Change also what was changed by hand",
        options={"SKIP_SAVE"},
    )

    def steps(self, context: bpy.types.Context) -> Generator[float, None, list[str]]:
        return update.changing_rig(shots.at_hand(context), context.scene, self.rig, self.overwrite)

    def done(self, result: list[str]) -> str:
        return _and_kept(f"Camera: {_label(self, 'rig')}", result)


class MOVING_LANDS_OT_add_skirt(OfShot, bpy.types.Operator):
    """Give the lands walls."""

    bl_idname = "moving_lands.add_skirt"
    bl_label = "Add Skirt"
    bl_description = "Add walls from the border of the land down to a base, as a modifier"
    bl_options = UNDOABLE

    def execute(self, context: bpy.types.Context) -> set[str]:
        return _on_lands(self, context, modifiers.add_skirt)


class MOVING_LANDS_OT_add_thickness(OfShot, bpy.types.Operator):
    """Give the lands a lower side."""

    bl_idname = "moving_lands.add_thickness"
    bl_label = "Add Thickness"
    bl_description = "Give the land a thickness, as a modifier"
    bl_options = UNDOABLE

    def execute(self, context: bpy.types.Context) -> set[str]:
        return _on_lands(self, context, modifiers.add_thickness)


def _on_lands(operator: bpy.types.Operator, context: bpy.types.Context, add: object) -> set[str]:
    lands = shots.lands_of(shots.at_hand(context))
    for land in lands:
        add(land)
    return {"FINISHED"} if lands else {"CANCELLED"}


CLASSES = (
    MOVING_LANDS_OT_update,
    MOVING_LANDS_OT_replace,
    MOVING_LANDS_OT_set_heights,
    MOVING_LANDS_OT_change_look,
    MOVING_LANDS_OT_change_camera,
    MOVING_LANDS_OT_add_skirt,
    MOVING_LANDS_OT_add_thickness,
)
