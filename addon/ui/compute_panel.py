"""The panel "Compute": a piece is computed beside Blender, and its land appears in the scene.

What to compute is chosen for a scene, and kept in its .blend. What is under way is in
``compute_job``.
"""

from __future__ import annotations

from pathlib import Path

import bpy

from . import preferences
from .compute_job import Computation, runner
from .drawing import sentence
from .jobs import CancelsJob, Runner
from .polling import agrees
from .process import Process
from .view import CATEGORY

OWN = "OWN"
"""The choice of a recipe file instead of a piece."""


def _pieces(
    self: bpy.types.PropertyGroup | None, context: bpy.types.Context | None
) -> list[tuple[str, str, str]]:
    pieces = preferences.installation(context or bpy.context).get("scenes", ())
    own = (OWN, "Recipe File", "A recipe of your own, a TOML file")
    return [*((piece["name"], piece["title"], piece["sentence"]) for piece in pieces), own]


def _get_piece(self: bpy.types.PropertyGroup) -> int:
    names = [name for name, *_ in _pieces(self, None)]
    return names.index(self.chosen) if self.chosen in names else 0


def _set_piece(self: bpy.types.PropertyGroup, index: int) -> None:
    self.chosen = _pieces(self, None)[index][0]


class MOVING_LANDS_PG_computing(bpy.types.PropertyGroup):
    """What to compute next, for this scene."""

    # By name: the numbers of a menu that changes with the installation would be others' tomorrow.
    chosen: bpy.props.StringProperty(options={"HIDDEN"}, description="The piece's name")
    piece: bpy.props.EnumProperty(
        name="Piece",
        description="What to compute",
        items=_pieces,
        get=_get_piece,
        set=_set_piece,
        options=set(),
    )
    recipe: bpy.props.StringProperty(
        name="Recipe",
        description="The recipe file (.toml). Folders that it names are looked for beside it",
        subtype="FILE_PATH",
        options={"PATH_SUPPORTS_BLEND_RELATIVE"},
    )
    quality: bpy.props.EnumProperty(
        name="Quality",
        description="How many points the land has, and how many moments of the training it shows",
        items=[
            ("preview", "Preview", "Minutes on two processor cores"),
            ("standard", "Standard", "An evening on one GPU"),
            ("final", "Final", "As in the gallery's films"),
        ],
    )
    use_resolution: bpy.props.BoolProperty(
        name="Custom Resolution", description="Take another number of points than the recipe's"
    )
    resolution: bpy.props.IntProperty(
        name="Resolution",
        description="Points along each side of the land. Twice as many take four times as long",
        min=2,
        max=20_000,
        soft_min=11,
        soft_max=1000,
        default=161,
    )
    file: bpy.props.StringProperty(
        name="File",
        description="The sequence file (.h5) to compute. Left empty, one named after the piece, "
        "in the folder that the preferences name",
        subtype="FILE_PATH",
        options={"PATH_SUPPORTS_BLEND_RELATIVE"},
    )


def sequence_file(settings: MOVING_LANDS_PG_computing, context: bpy.types.Context) -> Path:
    """Return the file that these settings are computed to.

    Raises
    ------
    ValueError
        Where it would lie beside a .blend that has no place yet.
    """
    given = settings.file.strip()
    if given.startswith("//") and not bpy.data.is_saved:
        raise ValueError(f"File {given}: save the .blend first, or give the whole path.")
    if given:
        path = Path(bpy.path.abspath(given)).expanduser().absolute()
        return path if path.suffix in (".h5", ".hdf5") else path.with_name(f"{path.name}.h5")
    folder = Path(preferences.preferences(context).folder).expanduser().absolute()
    return folder / _usual_name(settings)


def _usual_name(settings: MOVING_LANDS_PG_computing) -> str:
    name = Path(settings.recipe).stem if settings.piece == OWN else settings.piece
    if not name:
        return ""
    parts = [name, settings.quality if settings.quality != "preview" else ""]
    parts.append(str(settings.resolution) if settings.use_resolution else "")
    return "-".join(filter(None, parts)) + ".h5"


class MOVING_LANDS_OT_compute(bpy.types.Operator):
    """Compute a sequence beside Blender."""

    bl_idname = "moving_lands.compute"
    bl_label = "Compute"
    bl_description = (
        "Compute the sequence in the background, or continue where it stopped, and import its "
        "land into this .blend"
    )

    restart: bpy.props.BoolProperty(
        name="Start Over",
        description="Replace what is computed already",
        options={"SKIP_SAVE"},
    )

    @classmethod
    def description(cls, context: bpy.types.Context, properties: MOVING_LANDS_OT_compute) -> str:
        if properties.restart:
            return "Compute the sequence anew, and replace what is computed already"
        return cls.bl_description

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return agrees(cls, "One computation at a time." if runner.running else "")

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if self.restart:
            return context.window_manager.invoke_confirm(
                self,
                event,
                title="Start Over?",
                message="What is computed already will be replaced.",
                confirm_text="Start Over",
            )
        return self.execute(context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        settings = context.scene.moving_lands_computing
        try:
            runner.begin(_start(settings, context, self.restart))
        except ValueError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}


def _start(
    settings: MOVING_LANDS_PG_computing, context: bpy.types.Context, restart: bool
) -> Computation:
    command, folder = preferences.lands(context, "compute"), None
    if settings.piece == OWN:
        recipe = Path(bpy.path.abspath(settings.recipe)).expanduser().absolute()
        if recipe.suffix != ".toml" or not recipe.is_file():
            raise ValueError(f"Recipe {settings.recipe or 'missing'}: expected a .toml file.")
        what, title, folder = str(recipe), recipe.stem, recipe.parent
    else:
        what = settings.piece
        title = next(title for name, title, _ in _pieces(settings, context) if name == what)
    file = sequence_file(settings, context)
    command += [what, "--quality", settings.quality, "-o", str(file), "--json"]
    if settings.use_resolution:
        command += ["--set", f"surface.resolution={settings.resolution}"]
    if restart:
        command.append("--restart")
    process = Process(command, preferences.ENVIRONMENT, folder)
    title = f"{title}, {settings.quality.capitalize()}"
    return Computation(process, title, file, context.scene, preferences.preferences(context).grow)


class MOVING_LANDS_OT_cancel_computing(CancelsJob, bpy.types.Operator):
    """Stop the computation."""

    bl_idname = "moving_lands.cancel_computing"
    bl_label = "Cancel"
    bl_description = "Stop computing. What there is stays, and Compute continues from it"

    @staticmethod
    def runner() -> Runner:
        return runner


class MOVING_LANDS_PT_compute(bpy.types.Panel):
    """What to compute, and how far it is."""

    bl_label = "Compute"
    bl_category = CATEGORY
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_order = 10
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        if runner.running:
            runner.draw(layout, MOVING_LANDS_OT_cancel_computing.bl_idname)
            if runner.job.scene is None:
                text = f"It is for {runner.job.home}, which is not open."
                sentence(layout, text, icon="INFO")
        elif not preferences.preferences(context).python:
            sentence(
                layout,
                "Choose a Python with movinglands installed, in the preferences.",
                icon="INFO",
            )
            opening = layout.operator("preferences.addon_show", text="Open the Preferences")
            opening.module = preferences.ROOT
        else:
            _draw_settings(layout, context)
            if runner.job:
                _draw_outcome(layout, runner.job)


def _draw_settings(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    if not preferences.installation(context):
        preferences.draw_installation(layout, context)
        layout.operator(
            preferences.MOVING_LANDS_OT_check_python.bl_idname,
            text="Look for Pieces",
            icon="FILE_REFRESH",
        )
    settings = context.scene.moving_lands_computing
    column = layout.column()
    column.prop(settings, "piece")
    if settings.piece == OWN:
        column.prop(settings, "recipe")
    column.prop(settings, "quality")
    row = column.row(heading="Resolution")
    row.prop(settings, "use_resolution", text="")
    number = row.row()
    number.active = settings.use_resolution
    number.prop(settings, "resolution", text="")
    column.prop(settings, "file", placeholder=_usual_name(settings))
    row = layout.row(align=True)
    row.scale_y = 1.3
    row.operator(MOVING_LANDS_OT_compute.bl_idname, icon="PLAY")
    row.operator(MOVING_LANDS_OT_compute.bl_idname, text="", icon="FILE_REFRESH").restart = True


def _draw_outcome(layout: bpy.types.UILayout, done: Computation) -> None:
    icon, text = done.outcome
    sentence(layout, text, icon)
    if done.process.finished and icon in ("INFO", "ERROR"):
        importing = layout.operator("moving_lands.import_sequence", text="Import It Here")
        importing.filepath = str(done.file)


CLASSES = (
    MOVING_LANDS_PG_computing,
    MOVING_LANDS_OT_compute,
    MOVING_LANDS_OT_cancel_computing,
    MOVING_LANDS_PT_compute,
)


def register() -> None:
    """Give every scene its settings, once the classes are registered."""
    bpy.types.Scene.moving_lands_computing = bpy.props.PointerProperty(
        type=MOVING_LANDS_PG_computing
    )


def unregister() -> None:
    """End what is under way, and take the settings back."""
    runner.stop()
    preferences.runner.stop()
    del bpy.types.Scene.moving_lands_computing
