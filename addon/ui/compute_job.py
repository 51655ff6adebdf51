"""A computation under way, and how its land comes into the scene.

It belongs to the session, not to the .blend: undo, other scenes and other files pass it by. The
land goes into the scene where it was asked for, known by its number in this session or, its .blend
opened again, by both their names, and nowhere else. A timer looks after it, which outlives all of
that, and waits while the artist is in the middle of something.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy

from ..shot import parts as shots
from .drawing import redraw
from .process import Job

INTERVAL = 0.2
"""Seconds between two looks at it."""

LONGEST = 1.0
"""Seconds that extending a land may take, unasked: one that takes longer is brought up to date
once, at the end, where it shows its progress and can be cancelled."""


@dataclass
class Task:
    """A computation, and where its land belongs.

    Attributes
    ----------
    number, name : int, str
        ``session_uid`` and name of the scene that it is for.
    blend : str
        The .blend of that scene, "" before it was saved.
    grows : bool
        Whether the land is to appear before the sequence is complete.
    seen : tuple
        The version of the file that was looked at last.
    shown : bool
        Whether the land was brought into its scene; somebody may have removed it since.
    ending : bool
        Whether what is to be shown at the end was begun.
    outcome : (str, str)
        Icon and sentence, once it is over.
    """

    job: Job
    title: str
    file: Path
    number: int
    name: str
    blend: str
    grows: bool
    seen: tuple[int, ...]
    shown: bool = False
    ending: bool = False
    outcome: tuple[str, str] = ("NONE", "")


_task: Task | None = None


def current() -> Task | None:
    """Return what this Blender is computing, or has computed last."""
    return _task


def begin(task: Task) -> None:
    """Look after a computation from now on."""
    global _task
    _task = task
    if not bpy.app.timers.is_registered(tick):
        bpy.app.timers.register(tick, first_interval=INTERVAL, persistent=True)


def stop() -> None:
    """End the computation, politely, and forget it."""
    global _task
    if bpy.app.timers.is_registered(tick):
        bpy.app.timers.unregister(tick)
    if _task:
        _task.job.close()
        _task = None


def tick() -> float | None:
    """Look after the computation; return when to look again."""
    if _task is None:
        return None
    _task.job.poll()
    redraw()
    if _task.job.running:
        if _task.grows and _is_quiet():
            _grow(_task)
        return INTERVAL
    if _task.job.finished and not _is_quiet():
        _task.outcome = "SORTTIME", f"{_task.file.name} is complete, and waits for Object Mode."
        return INTERVAL
    begun, _task.ending = _task.ending, True
    _task.outcome = _arrived(_task) if begun else _end(_task)
    return None if _task.outcome[1] else INTERVAL


def _grow(task: Task) -> None:
    """Show what there is by now."""
    if task.shown and not shot(task):
        task.grows = False  # the artist removed it, or did not want it
    elif (version := version_of(task.file)) != task.seen and scene(task):
        task.seen, began = version, time.monotonic()
        with suppress(RuntimeError):  # nothing of it is complete yet: the next version may be
            extends = task.shown
            _show(task)
            if extends and time.monotonic() - began > LONGEST:
                task.grows = False


def _end(task: Task) -> tuple[str, str]:
    """Show what there is at last; return what became of it, or nothing while it is under way."""
    name = task.file.name
    if not task.job.finished:
        if task.job.cancelled:
            return "INFO", "Cancelled: Compute goes on from there."
        return "ERROR", _in_words_of_the_panel(task.job.error)
    if not scene(task):
        return "INFO", f"{name} is for {home(task)}, which is not open: not imported."
    if task.shown and not shot(task):
        return "INFO", f"{name} is complete. Its land was removed: not imported again."
    try:
        return _arrived(task) if _show(task) else ("NONE", "")
    except RuntimeError as error:
        said = str(error).partition("\nLocation:")[0]  # a defect comes with its traceback
        return "ERROR", said.strip().splitlines()[-1].removeprefix("Error: ")


def _arrived(task: Task) -> tuple[str, str]:
    if shot(task):
        return "CHECKMARK", f"{task.file.name} is complete, its land in the scene."
    return "INFO", f"{task.file.name} is complete, and not imported."


def _show(task: Task) -> bool:
    """Bring the land into its scene, or up to date there; return whether that is over.

    Both can be undone, but for what is extended on the way: else an artist's undo would first
    meet steps that are not theirs. Where the scene is seen, both go on step by step.
    """
    there = scene(task)
    windows = [w for w in bpy.context.window_manager.windows if w.scene == there]
    extends = task.shown and task.job.running
    steps = bool(windows) and not extends
    operators, given = bpy.ops.moving_lands, {"filepath": str(task.file)}
    # Never both: a window brings its own scene with it, and the other's view layer is then lost.
    where: dict[str, Any] = {"window": windows[0]} if windows else {"scene": there}
    with bpy.context.temp_override(**where):
        how = "INVOKE_DEFAULT" if steps else "EXEC_DEFAULT"
        if shot(task):
            done = operators.update(how, not extends, **given)
        else:
            done = operators.import_sequence(how, not extends, **given, unasked=True)
    task.shown = True
    return "RUNNING_MODAL" not in done


def scene(task: Task) -> bpy.types.Scene | None:
    """Return the scene that a computation is for, where it is in this file."""
    for each in bpy.data.scenes:
        if each.session_uid == task.number:
            return each
    reopened = task.blend and task.blend == bpy.data.filepath
    return bpy.data.scenes.get(task.name) if reopened else None


def home(task: Task) -> str:
    """Return what to call the .blend that a computation is for."""
    return Path(task.blend).name or "the unsaved .blend"


def shot(task: Task) -> bpy.types.Collection | None:
    """Return the shot of a computation that is in its scene."""
    found = shots.in_scene(there) if (there := scene(task)) else []
    return next((each for each in found if shots.source_of(each) == task.file), None)


def version_of(file: Path) -> tuple[int, ...]:
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
