"""The panel "Render": a film is rendered beside Blender, while the artist goes on working.

Samples, sizes and frames are the scene's own; ours is only what Blender has no place for.
"""

from __future__ import annotations

import bpy

from ..blender import devices
from ..render import copies, folder, quality
from ..render.opening import shot_scene
from . import render_job
from .drawing import redraw, sentence
from .jobs import CancelsJob, Runner
from .polling import agrees, needs_own
from .render_job import frames_folder, runner
from .view import CATEGORY


class MOVING_LANDS_PG_rendering(bpy.types.PropertyGroup):
    """What Blender has no place for."""

    format: bpy.props.EnumProperty(
        name="Format",
        description="What the film is written as",
        items=(
            ("MP4", "H.264 Film", "Frames in PNG and a film for every screen (.mp4)"),
            ("MOV", "ProRes Film", "Frames in PNG of 16 bits and a film to edit and grade (.mov)"),
            ("EXR", "OpenEXR Frames", "Scene-linear half floats to composite, and no film"),
        ),
    )
    device: bpy.props.EnumProperty(
        name="Device",
        description="What Cycles renders on, in the background",
        items=(
            ("AUTO", "Automatic", "The fastest that Blender finds on this machine"),
            *((name, name.title() if name == "METAL" else name, "") for name in devices.BACKENDS),
        ),
    )


class MOVING_LANDS_OT_apply_quality(bpy.types.Operator):
    """Set the scene to a quality."""

    bl_idname = "moving_lands.apply_quality"
    bl_label = "Quality"
    bl_description = "Set samples, resolution scale, denoising and motion blur together"
    bl_options = {"REGISTER", "UNDO"}

    quality: bpy.props.EnumProperty(
        name="Quality",
        description="From a quick look at the motion to the finished film",
        items=[
            (
                name,
                name.title(),
                f"{q.samples} samples, {q.percentage} % of the resolution, "
                f"{'with' if q.motion_blur else 'no'} motion blur",
            )
            for name, q in quality.QUALITIES.items()
        ],
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return agrees(cls, needs_own([context.scene]))

    def execute(self, context: bpy.types.Context) -> set[str]:
        quality.apply(context.scene, self.quality)
        if remark := quality.make_up_for_denoiser(context.scene):
            self.report({"WARNING"}, remark)
        return {"FINISHED"}


class OneAtATime:
    """What operators have in common that start another Blender."""

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if runner.running:
            return agrees(cls, "One render at a time.")
        has_camera = context.scene.camera is not None
        return agrees(cls, "" if has_camera else "The scene has no camera to render from.")


RESUME = "Continue the render that was cancelled, of the shot as it was then"
RESTART = "Render again also the frames that are there"


class MOVING_LANDS_OT_render(OneAtATime, bpy.types.Operator):
    """Render the film beside Blender."""

    bl_idname = "moving_lands.render"
    bl_label = "Render in Background"
    bl_description = (
        "Render the film in a second Blender in the background, or continue where it stopped"
    )

    resume: bpy.props.BoolProperty(
        name="Resume",
        description=RESUME,
        options={"SKIP_SAVE"},
    )
    restart: bpy.props.BoolProperty(
        name="Start Over",
        description=RESTART,
        options={"SKIP_SAVE"},
    )

    @classmethod
    def description(cls, context: bpy.types.Context, properties: MOVING_LANDS_OT_render) -> str:
        if properties.resume:
            return RESUME
        return RESTART if properties.restart else cls.bl_description

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if self.resume or not (self.restart or _shows_another_version(context.scene)):
            return self.execute(context)
        self.restart = True
        return context.window_manager.invoke_confirm(
            self,
            event,
            title="Start Over?",
            message="The frames in the folder are of an earlier shot, and will be rendered again.",
            confirm_text="Start Over",
        )

    def execute(self, context: bpy.types.Context) -> set[str]:
        restart = ["--restart"] if self.restart else []
        try:
            blend = render_job.unfinished() if self.resume else copies.saved()
            if blend is None:
                raise ValueError("There is no cancelled render of this shot to continue.")
            render_job.begin(context.scene, blend, *restart)
        except (ValueError, OSError, RuntimeError) as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}


def _shows_another_version(scene: bpy.types.Scene) -> bool:
    """Return whether the frames that are there are not of the shot as it is now."""
    there = frames_folder(scene)
    return there is not None and folder.shows_another(there, shot_scene(scene))


class MOVING_LANDS_OT_estimate(OneAtATime, bpy.types.Operator):
    """Estimate how long the film takes."""

    bl_idname = "moving_lands.estimate"
    bl_label = "Estimate Time"
    bl_description = (
        "Render three small frames in the background, to tell how long the film will take"
    )

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            render_job.begin(context.scene, copies.saved(render_job.ESTIMATE), "--estimate")
        except (ValueError, OSError, RuntimeError) as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}


class MOVING_LANDS_OT_cancel_render(CancelsJob, bpy.types.Operator):
    """Stop the render."""

    bl_idname = "moving_lands.cancel_render"
    bl_label = "Cancel"
    bl_description = "Stop rendering. The frames that are there stay"

    @staticmethod
    def runner() -> Runner:
        return runner


class MOVING_LANDS_OT_open_folder(bpy.types.Operator):
    """Show the frames."""

    bl_idname = "moving_lands.open_folder"
    bl_label = "Open Folder"
    bl_description = "Show the folder of the frames in the system's file browser"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        there = frames_folder(context.scene)
        is_there = there is not None and there.is_dir()
        return agrees(cls, "" if is_there else "Nothing is rendered yet.")

    def execute(self, context: bpy.types.Context) -> set[str]:
        return bpy.ops.wm.path_open(filepath=str(frames_folder(context.scene)))


class MOVING_LANDS_PT_render(bpy.types.Panel):
    """How to render, and how far it is."""

    bl_label = "Render"
    bl_category = CATEGORY
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_order = 20
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        _draw_settings(layout, context.scene)
        if runner.running:
            runner.draw(layout, MOVING_LANDS_OT_cancel_render.bl_idname)
        else:
            _draw_buttons(layout)
            if runner.job:
                icon, text = runner.job.outcome
                sentence(layout, text, icon)
        layout.operator(MOVING_LANDS_OT_open_folder.bl_idname, icon="FILE_FOLDER")


def _draw_settings(layout: bpy.types.UILayout, scene: bpy.types.Scene) -> None:
    settings, output = scene.moving_lands_rendering, scene.render
    layout.operator_menu_enum(
        MOVING_LANDS_OT_apply_quality.bl_idname, "quality", icon="RENDER_STILL"
    )
    column = layout.column()
    column.prop(output, "resolution_percentage", text="Resolution")
    owner, path = quality.samples_of(scene)
    column.prop(owner, path, text="Samples")
    if output.engine == "CYCLES":
        column.prop(scene.cycles, "use_denoising", text="Denoise")
    column.prop(output, "use_motion_blur")
    column = layout.column(align=True)
    column.prop(scene, "frame_start", text="Frames from")
    column.prop(scene, "frame_end", text="to")
    column = layout.column()
    column.prop(settings, "format")
    column.prop(output, "filepath", text="Folder")
    if output.engine == "CYCLES":
        column.prop(settings, "device")
        _draw_device(column, settings.device)


def _look_for_devices() -> None:
    """Look what there is: that can take seconds, so it is not done while drawing."""
    devices.found()
    redraw()


def _draw_device(column: bpy.types.UILayout, chosen: str) -> None:
    """Draw what the chosen device is here."""
    there = devices.known()
    if there is None:
        column.label(text="Looking for devices...", icon="SORTTIME")
        if not bpy.app.timers.is_registered(_look_for_devices):
            bpy.app.timers.register(_look_for_devices, first_interval=0.1)
        return
    name = next(iter(there)) if chosen == "AUTO" else chosen
    text = f"{name}: {there[name]}" if name in there else "This machine has none"
    sentence(column, text, "CHECKMARK" if name in there else "ERROR")


def _draw_buttons(layout: bpy.types.UILayout) -> None:
    layout.operator(MOVING_LANDS_OT_estimate.bl_idname, icon="TIME")
    row = layout.row(align=True)
    row.scale_y = 1.3
    row.operator(MOVING_LANDS_OT_render.bl_idname, icon="RENDER_ANIMATION")
    row.operator(MOVING_LANDS_OT_render.bl_idname, text="", icon="FILE_REFRESH").restart = True
    if render_job.unfinished():
        again = layout.operator(MOVING_LANDS_OT_render.bl_idname, text="Resume", icon="PLAY")
        again.resume = True


CLASSES = (
    MOVING_LANDS_PG_rendering,
    MOVING_LANDS_OT_apply_quality,
    MOVING_LANDS_OT_render,
    MOVING_LANDS_OT_estimate,
    MOVING_LANDS_OT_cancel_render,
    MOVING_LANDS_OT_open_folder,
    MOVING_LANDS_PT_render,
)


def register() -> None:
    """Give every scene its settings, once the classes are registered."""
    bpy.types.Scene.moving_lands_rendering = bpy.props.PointerProperty(
        type=MOVING_LANDS_PG_rendering
    )


def unregister() -> None:
    """End what is under way, and take the settings back."""
    runner.stop()
    del bpy.types.Scene.moving_lands_rendering
