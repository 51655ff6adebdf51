"""A computation beside Blender, and how its land comes into the scene.

The land goes into the scene where it was asked for, known by its number in this session or, its
.blend opened again, by both their names, and nowhere else; not while the artist is in the middle
of something.
"""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import bpy

from ..shot import parts as shots
from .jobs import Job, Runner
from .process import Process

LONGEST = 1.0
"""Seconds that extending a land may take, unasked: one that takes longer is brought up to date
once, at the end, where it shows its progress and can be cancelled."""

runner = Runner()


class Computation(Job):
    """A sequence that is computed, and where its land belongs.

    Parameters
    ----------
    process : Process
        Which computes.
    title : str
        What to call it.
    file : Path
        The sequence.
    home : Scene
        That it is for.
    grows : bool
        Whether the land is to appear before the sequence is complete.
    """

    def __init__(
        self, process: Process, title: str, file: Path, home: bpy.types.Scene, grows: bool
    ) -> None:
        super().__init__(process, title)
        self.file, self.grows = file, grows
        self._number, self._name, self._blend = home.session_uid, home.name, bpy.data.filepath
        self._seen = _version_of(file)
        self.shown = False
        """Whether the land was brought into its scene; somebody may have removed it since."""
        self._ending = False

    @property
    def scene(self) -> bpy.types.Scene | None:
        """The scene that it is for, where it is in this file."""
        for each in bpy.data.scenes:
            if each.session_uid == self._number:
                return each
        reopened = self._blend and self._blend == bpy.data.filepath
        return bpy.data.scenes.get(self._name) if reopened else None

    @property
    def home(self) -> str:
        """What to call the .blend that it is for."""
        return Path(self._blend).name or "the unsaved .blend"

    @property
    def shot(self) -> bpy.types.Collection | None:
        """Its shot, in whichever scene of the .blend that it is for."""
        found = shots.in_file() if self.scene else []
        return next((each for each in found if shots.source_of(each) == self.file), None)

    def meanwhile(self) -> None:
        """Show what there is by now, if it is to grow."""
        if not (self.grows and _is_quiet()):
            return
        if self.shown and not self.shot:
            self.grows = False  # the artist removed it, or did not want it
        elif (version := _version_of(self.file)) != self._seen and self.scene:
            self._seen, began = version, time.monotonic()
            with suppress(RuntimeError):  # nothing of it is complete yet: the next version may be
                extends = self.shown
                self._show()
                if extends and time.monotonic() - began > LONGEST:
                    self.grows = False

    def end(self) -> bool:
        """Show what there is at last, once nobody is disturbed by it."""
        if self.process.finished and not _is_quiet():
            self.outcome = "SORTTIME", f"{self.file.name} is complete, and waits for Object Mode."
            return False
        begun, self._ending = self._ending, True
        self.outcome = self._arrived() if begun else self._end()
        return bool(self.outcome[1])

    def _end(self) -> tuple[str, str]:
        """Return what became of it, or nothing while its land is being built."""
        name = self.file.name
        if not self.process.finished:
            if self.process.cancelled:
                return "INFO", "Cancelled: Compute goes on from there."
            return "ERROR", _in_words_of_the_panel(self.process.error)
        if not self.scene:
            return "INFO", f"{name} is for {self.home}, which is not open: not imported."
        if self.shown and not self.shot:
            return "INFO", f"{name} is complete. Its land was removed: not imported again."
        try:
            return self._arrived() if self._show() else ("NONE", "")
        except RuntimeError as error:
            said = str(error).partition("\nLocation:")[0]  # a defect comes with its traceback
            return "ERROR", said.strip().splitlines()[-1].removeprefix("Error: ")

    def _arrived(self) -> tuple[str, str]:
        if known := self.shot:
            there = shots.scene_of(known)
            which = "the scene" if there == self.scene else f"the new scene {there.name}"
            return "CHECKMARK", f"{self.file.name} is complete, its land in {which}."
        return "INFO", f"{self.file.name} is complete, and not imported."

    def _show(self) -> bool:
        """Bring the land into its scene, or up to date there; return whether that is over.

        Both can be undone, but for what is extended on the way: else an artist's undo would first
        meet steps that are not theirs. Where the scene is seen, both go on step by step.
        """
        there = shots.scene_of(known) if (known := self.shot) else self.scene
        windows = [w for w in bpy.context.window_manager.windows if w.scene == there]
        extends = self.shown and self.process.running
        how = "INVOKE_DEFAULT" if windows and not extends else "EXEC_DEFAULT"
        operators, file = bpy.ops.moving_lands, str(self.file)
        # Never both: a window brings its own scene with it, and the other's view layer is lost.
        where: dict[str, Any] = {"window": windows[0]} if windows else {"scene": there}
        with bpy.context.temp_override(**where):
            if known:
                done = operators.update(how, not extends, filepath=file)
            else:
                done = operators.import_sequence(how, not extends, filepath=file, unasked=True)
        self.shown = True
        return "RUNNING_MODAL" not in done


def _version_of(file: Path) -> tuple[int, ...]:
    """Return what tells one version of a file from the next; () where there is none."""
    try:
        found = file.stat()
    except OSError:
        return ()
    return found.st_mtime_ns, found.st_size, found.st_ino


def _is_quiet() -> bool:
    """Return whether a new land would disturb nothing that the artist is in the middle of."""
    windows = bpy.context.window_manager.windows
    modal = [operator for window in windows for operator in window.modal_operators]
    ours = any(operator.bl_idname.startswith("MOVING_LANDS_OT") for operator in modal)
    held = ours or any("BLOCKING" in operator.bl_options for operator in modal)
    return not held and bpy.context.mode == "OBJECT" and not bpy.app.is_job_running("RENDER")


def _in_words_of_the_panel(error: str) -> str:
    """Give the command line's advice for the panel, which has no options."""
    return (
        error.replace("give another file with -o", "choose another File")
        .replace("or --restart to begin anew", "or Start Over")
        .replace("or --restart to replace it", "or Start Over")
    )
