"""A film that is rendered beside Blender, while the artist goes on working.

What is rendered is the .blend as it is saved, or a copy beside it that holds what is not saved
yet. The copy stays until its film is made, so that a cancelled render can be resumed as the shot
was then.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import bpy

from ..progress import clock
from ..render import copies
from .jobs import Job, Runner
from .process import Process

ESTIMATE = ".estimate"
"""At the end of the name of a copy that is only looked at."""

runner = Runner()


class Render(Job):
    """What another Blender renders.

    Parameters
    ----------
    process : Process
        That Blender.
    blend : Path
        What it has opened.
    estimates : bool
        Whether it only looks how long it will take.
    """

    def __init__(self, process: Process, blend: Path, estimates: bool) -> None:
        super().__init__(process, "Estimate" if estimates else "Film")
        self.blend, self.estimates = blend, estimates
        self.remark = ""
        self.is_copy = blend != Path(bpy.data.filepath)

    def hear(self, said: dict[str, Any]) -> None:
        """Take in an estimate, or what an artist should know about the pictures."""
        if said.get("event") == "remark":
            self.remark = str(said.get("message", ""))
        if said.get("label") == "estimate":
            frames = said["total"] - said["done"]
            self.outcome = "TIME", f"About {clock(said['seconds_left'])} for {frames} frames."

    def end(self) -> bool:
        """Say what became of it."""
        process = self.process
        if process.cancelled and not process.finished:
            text = "Cancelled." if self.estimates else "Cancelled. Render continues from there."
            self.outcome = "INFO", text
        elif not process.finished:
            self.outcome = "ERROR", _in_words_of_the_panel(process.error)
        elif not self.estimates:
            made = f"{process.file.name} is" if process.file.suffix else "The frames are"
            self.outcome = "CHECKMARK", f"{made} rendered. {self.remark}".strip()
        self.clear()
        return True

    def clear(self) -> None:
        """Remove a copy that nothing can go on from."""
        if self.is_copy and (self.estimates or self.process.finished):
            copies.discard(self.blend)


def begin(scene: bpy.types.Scene, blend: Path, *words: str) -> None:
    """Begin to render a scene's film from a .blend, with further words of the command line."""
    settings = scene.moving_lands_rendering
    how = ["--format", settings.format.lower(), "--device", settings.device.lower(), "--json"]
    command, folder = _command("render", str(blend), *how, *words)
    runner.begin(Render(Process(command, None, folder), blend, "--estimate" in words))


def unfinished() -> Path | None:
    """Return the copy of this .blend whose render was not finished."""
    job = runner.job
    last = job.blend if job and job.is_copy and not job.estimates else None
    return next((copy for copy in (copies.beside(), last) if copy and copy.exists()), None)


def frames_folder(scene: bpy.types.Scene) -> Path | None:
    """Return the folder of a scene's frames, where it has a place already."""
    if scene.render.filepath.startswith("//") and not bpy.data.is_saved:
        return runner.job.blend.parent if runner.job else None
    return Path(scene.render.frame_path(frame=scene.frame_start)).parent


def _command(*words: str) -> tuple[list[str], Path | None]:
    """Return the command line of another Blender like this one, and where it is run."""
    if bpy.app.binary_path:
        return [bpy.app.binary_path, "-b", "-c", "moving_lands", *words], None
    return [sys.executable, "-m", "addon", *words], Path(__file__).parents[2]


def _in_words_of_the_panel(error: str) -> str:
    """Give the command line's advice for the panel, which has no options."""
    return (
        error.replace("render into another folder with -o", "choose another Folder")
        .replace("or with --restart to render them again", "or Start Over")
        .replace("give a folder with -o", "choose another Folder")
    )
