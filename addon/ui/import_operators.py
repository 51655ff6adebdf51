"""Import: from File > Import, the sidebar, or a file that is dropped on a window."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import bpy
from bpy_extras.io_utils import ImportHelper

from ..land import mesh
from ..render import quality
from ..sequence.memory import cache_size
from ..sequence.reader import open_sequence
from ..sequence.selection import Selection
from ..shot import build
from ..shot import parts as shots
from ..shot.settings import Settings
from . import file_summary, view
from .choices import LOOKS, RIGS
from .modal import InSteps
from .polling import agrees, needs_object_mode
from .preferences import preferences

AS_RECIPE = ("RECIPE", "As Recipe", "As the recipe in the file says")


class MOVING_LANDS_OT_import_sequence(InSteps, bpy.types.Operator, ImportHelper):
    """Build a shot from a sequence file."""

    bl_idname = "moving_lands.import_sequence"
    bl_label = "Import Loss Landscape"
    bl_description = "Build an animated loss landscape, with camera, light and titles"
    bl_options = {"REGISTER", "UNDO"}

    filename_ext = ".h5"
    filter_glob: bpy.props.StringProperty(default="*.h5;*.hdf5", options={"HIDDEN"})
    filepath: bpy.props.StringProperty(
        name="File", description="The sequence file", subtype="FILE_PATH", options={"SKIP_SAVE"}
    )
    whole: bpy.props.BoolProperty(
        name="Whole Shot",
        description="Make the camera, lights, titles and render settings too, not the land alone",
        default=True,
    )
    into: bpy.props.EnumProperty(
        name="Scene",
        description="Which scene a whole shot comes into",
        items=(
            ("AUTO", "Automatic", "A new scene, or this one while there is nothing in it"),
            ("own scene", "New Scene", "A scene of its own: this one stays as it is"),
            (
                "this scene",
                "This Scene",
                "This one, which takes on the shot's world and render settings; a new one where "
                "it has a whole shot already",
            ),
        ),
    )
    look: bpy.props.EnumProperty(
        name="Look",
        description="What the land is made of, and how it is lit",
        items=(AS_RECIPE, *LOOKS),
    )
    rig: bpy.props.EnumProperty(
        name="Camera",
        description="How the land is filmed",
        items=(AS_RECIPE, *RIGS),
    )
    first: bpy.props.IntProperty(
        name="Snapshot First", description="First snapshot to bring in, counted from 0", min=0
    )
    last: bpy.props.IntProperty(
        name="Snapshot Last",
        description="Last snapshot to bring in; -1 is the latest",
        default=-1,
        min=-1,
    )
    every: bpy.props.IntProperty(
        name="Snapshot Step", description="Bring in every n-th snapshot only", default=1, min=1
    )
    thin: bpy.props.IntProperty(
        name="Grid Step", description="Bring in every n-th row and column only", default=1, min=1
    )
    storage: bpy.props.EnumProperty(
        name="Storage",
        description="Where the snapshots are kept",
        items=(
            ("AUTO", "Automatic", "Shape keys, up to the memory that the preferences allow"),
            ("KEYS", "Shape Keys", "In memory and in the .blend: the fastest to play"),
            ("CACHE", "Mesh Cache", "In a file beside the .blend, read while it plays"),
        ),
    )
    unasked: bpy.props.BoolProperty(
        name="Unasked",
        description="Show no options before, and leave view and selection as they are",
        options={"HIDDEN", "SKIP_SAVE"},
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return agrees(cls, needs_object_mode(context))

    def ask(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if self.unasked:
            return self.execute(context)
        if self.filepath:  # dropped
            manager = context.window_manager
            return manager.invoke_props_dialog(self, width=380, confirm_text="Import")
        return ImportHelper.invoke(self, context, event)

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        file_summary.draw(layout, file_summary.marked(self, context), self.thin)
        layout.prop(self, "look")
        layout.prop(self, "whole")
        column = layout.column()
        column.active = self.whole
        column.prop(self, "into")
        column.prop(self, "rig")
        column = layout.column(align=True)
        column.prop(self, "first")
        column.prop(self, "last", text="Last")
        column.prop(self, "every", text="Step")
        layout.prop(self, "thin")
        layout.prop(self, "storage")

    def steps(self, context: bpy.types.Context) -> Generator[float, None, bpy.types.Collection]:
        selection = Selection(self.first, self.last, self.every, self.thin)
        path = bpy.path.abspath(self.filepath)
        with open_sequence(path) as sequence:
            shown = [given.select(selection) for given in sequence.surfaces.values()]
            large = sum(map(cache_size, shown)) > preferences(context).memory_budget * 1e9
            cache = self.storage == "CACHE" or (self.storage == "AUTO" and large)
            settings = self._settings(sequence.recipe)
            into = None if self.into == "AUTO" else self.into
            options = shots.Options(selection, cache, self.whole, into)
            shot = yield from build.building(sequence, settings, options)
        if not self.unasked:
            view.show(context, shot)
        return shot

    def _settings(self, recipe: dict[str, Any]) -> Settings:
        """Return a recipe's settings with the look and the camera that were chosen."""
        look = recipe.get("look", {})
        if self.look != "RECIPE" and isinstance(look, dict):  # then the recipe's may be any
            recipe = recipe | {"look": look | {"name": self.look}}
        settings = Settings.of_recipe(recipe)
        if self.rig != "RECIPE":
            settings = settings.filmed_by(self.rig)
        return settings

    def done(self, result: bpy.types.Collection) -> str:
        land = shots.parts_of(result)["Land"]
        count = land.data[mesh.GRID][2]
        done = f"{result.name}: {count} snapshots of {len(land.data.vertices):,} points"
        whole = (s for s in bpy.data.scenes if shots.MARK in s and result in shots.in_scene(s))
        remarks = [quality.make_up_for_denoiser(scene) for scene in whole] if self.whole else []
        return ". ".join([done, *filter(None, remarks)])


class MOVING_LANDS_FH_sequence(bpy.types.FileHandler):
    """Sequence files dropped on a window."""

    bl_idname = "MOVING_LANDS_FH_sequence"
    bl_label = "Loss Landscape Sequence"
    bl_import_operator = "moving_lands.import_sequence"
    bl_file_extensions = ".h5;.hdf5"

    @classmethod
    def poll_drop(cls, context: bpy.types.Context) -> bool:
        return context.area is not None and context.area.type in {"VIEW_3D", "OUTLINER"}


def menu_entry(self: bpy.types.Menu, context: bpy.types.Context) -> None:
    """Draw the entry in File > Import."""
    self.layout.operator(
        MOVING_LANDS_OT_import_sequence.bl_idname, text="Loss Landscape Sequence (.h5)"
    )


CLASSES = (MOVING_LANDS_OT_import_sequence, MOVING_LANDS_FH_sequence)
