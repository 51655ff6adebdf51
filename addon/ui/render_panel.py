"""The panel "Render": a film is rendered beside Blender, while the artist goes on working.

What is rendered is the .blend as it is saved, or a copy beside it that holds what is not saved
yet. The copy stays until its film is made, so that a cancelled render can be resumed as the shot
was then. Samples, sizes and frames are the scene's own; ours is only what Blender has no place for.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import bpy

from ..progress import clock
from ..render import copies, devices, folder, quality
from ..render.opening import shot_scene
from .compute_job import INTERVAL
from .drawing import redraw, sentence
from .process import Job
from .view import CATEGORY

ESTIMATE = ".estimate"
"""At the end of the name of a copy that is only looked at."""


@dataclass
class Work:
    """What another Blender is rendering.

    Attributes
    ----------
    blend : Path
        What it has opened.
    is_copy : bool
        Whether that is to go once it is done.
    estimates : bool
        Whether it only looks how long it will take.
    outcome : (str, str)
        Icon and sentence, once it is over.
    """

    job: Job
    blend: Path
    is_copy: bool
    estimates: bool
    outcome: tuple[str, str] = ("NONE", "")


_work: Work | None = None


def work() -> Work | None:
    """Return what is being rendered beside this Blender, or was last."""
    return _work


def tick() -> float | None:
    """Look after the render; return when to look again."""
    if _work is None:
        return None
    for said in _work.job.poll():
        if said.get("label") == "estimate":
            frames = said["total"] - said["done"]
            _work.outcome = "TIME", f"About {clock(said['seconds_left'])} for {frames} frames."
    if not _work.job.running:
        _end(_work)
    redraw()
    return INTERVAL if _work.job.running else None


def stop() -> None:
    """End the render, politely, and forget it."""
    global _work
    if bpy.app.timers.is_registered(tick):
        bpy.app.timers.unregister(tick)
    if _work:
        _work.job.close()
        _end(_work)
        _work = None


def _begin(begun: Work) -> None:
    global _work
    _work = begun
    if not bpy.app.timers.is_registered(tick):
        bpy.app.timers.register(tick, first_interval=INTERVAL, persistent=True)


def _end(done: Work) -> None:
    """Say what became of it; remove a copy that nothing can go on from."""
    job = done.job
    if job.cancelled and not job.finished:
        done.outcome = "INFO", "" if done.estimates else "Cancelled: it can go on from there."
    elif not job.finished:
        done.outcome = "ERROR", _in_words_of_the_panel(job.error)
    elif not done.estimates:
        made = f"{job.file.name} is" if job.file.suffix else "The frames are"
        done.outcome = "CHECKMARK", f"{made} rendered."
    if done.is_copy and (done.estimates or job.finished):
        copies.discard(done.blend)


def _in_words_of_the_panel(error: str) -> str:
    """Give the command line's advice for the panel, which has no options."""
    return (
        error.replace("render into another folder with -o", "choose another Folder")
        .replace("or with --restart to render them again", "or Start Over")
        .replace("give a folder with -o", "choose another Folder")
    )


def _command(*words: str) -> tuple[list[str], Path | None]:
    """Return the command line of another Blender like this one, and where it is run."""
    if bpy.app.binary_path:
        return [bpy.app.binary_path, "-b", "-c", "moving_lands", *words], None
    return [sys.executable, "-m", "addon", *words], Path(__file__).parents[2]


def _unfinished() -> Path | None:
    """Return the copy of this .blend whose render was not finished."""
    last = _work.blend if _work and _work.is_copy and not _work.estimates else None
    return next((copy for copy in (copies.beside(), last) if copy and copy.exists()), None)


def _run(context: bpy.types.Context, blend: Path, *words: str) -> Work:
    settings = context.scene.moving_lands_rendering
    how = ["--format", settings.format.lower(), "--device", settings.device.lower(), "--json"]
    command, folder = _command("render", str(blend), *how, *words)
    is_copy = blend != Path(bpy.data.filepath)
    return Work(Job(command, None, folder), blend, is_copy, "--estimate" in words)


def frames_folder(scene: bpy.types.Scene) -> Path | None:
    """Return the folder of a scene's frames, where it has a place already."""
    if scene.render.filepath.startswith("//") and not bpy.data.is_saved:
        return _work.blend.parent if _work else None
    return Path(scene.render.frame_path(frame=scene.frame_start)).parent


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
        description="From a look at the motion to the film",
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

    def execute(self, context: bpy.types.Context) -> set[str]:
        quality.apply(context.scene, self.quality)
        return {"FINISHED"}


class OneAtATime:
    """What operators have in common that start another Blender."""

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if _work and _work.job.running:
            cls.poll_message_set("One render at a time.")
            return False
        if context.scene.camera is None:
            cls.poll_message_set("The scene has no camera to render from.")
            return False
        return True


RESUME = "Go on with the render that was cancelled, of the shot as it was then"
RESTART = "Render the frames again that are there"


class MOVING_LANDS_OT_render(OneAtATime, bpy.types.Operator):
    """Render the film beside Blender."""

    bl_idname = "moving_lands.render"
    bl_label = "Render in Background"
    bl_description = (
        "Render the film in another Blender, or go on where it stopped, and keep working meanwhile"
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
            blend = _unfinished() if self.resume else copies.saved()
            if blend is None:
                raise ValueError("There is no cancelled render of this shot to go on with.")
            _begin(_run(context, blend, *restart))
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
        "Render three small frames in another Blender, to tell how long the film will take"
    )

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            _begin(_run(context, copies.saved(ESTIMATE), "--estimate"))
        except (ValueError, OSError, RuntimeError) as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}


class MOVING_LANDS_OT_cancel_render(bpy.types.Operator):
    """Stop the render."""

    bl_idname = "moving_lands.cancel_render"
    bl_label = "Cancel"
    bl_description = "Stop rendering. The frames that are there stay"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return _work is not None and _work.job.running and not _work.job.cancelled

    def execute(self, context: bpy.types.Context) -> set[str]:
        _work.job.cancel()
        return {"FINISHED"}


class MOVING_LANDS_OT_open_folder(bpy.types.Operator):
    """Show the frames."""

    bl_idname = "moving_lands.open_folder"
    bl_label = "Open Folder"
    bl_description = "Show the folder of the frames in the system's file browser"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        there = frames_folder(context.scene)
        if there is None or not there.is_dir():
            cls.poll_message_set("Nothing is rendered yet.")
            return False
        return True

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
        if _work and _work.job.running:
            _draw_running(layout, _work)
        else:
            _draw_buttons(layout)
            if _work:
                icon, text = _work.outcome
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
        there = devices.found()
        name = next(iter(there)) if settings.device == "AUTO" else settings.device
        text = f"{name}: {there[name]}" if name in there else "This machine has none"
        sentence(column, text, "CHECKMARK" if name in there else "ERROR")


def _draw_buttons(layout: bpy.types.UILayout) -> None:
    layout.operator(MOVING_LANDS_OT_estimate.bl_idname, icon="TIME")
    row = layout.row(align=True)
    row.scale_y = 1.3
    row.operator(MOVING_LANDS_OT_render.bl_idname, icon="RENDER_ANIMATION")
    row.operator(MOVING_LANDS_OT_render.bl_idname, text="", icon="FILE_REFRESH").restart = True
    if _unfinished():
        again = layout.operator(MOVING_LANDS_OT_render.bl_idname, text="Resume", icon="PLAY")
        again.resume = True


def _draw_running(layout: bpy.types.UILayout, running: Work) -> None:
    job = running.job
    doing = "Stopping" if job.cancelled else job.label.capitalize() or "Starting"
    share = f"{job.progress:.0%}" if job.progress else ""
    row = layout.row(align=True)
    row.progress(factor=job.progress, type="BAR", text=f"{doing}  {share}")
    row.operator(MOVING_LANDS_OT_cancel_render.bl_idname, text="", icon="X")
    layout.label(text=f"{clock(job.seconds_left)} left" if job.seconds_left is not None else "")


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
    stop()
    del bpy.types.Scene.moving_lands_rendering
