"""What runs beside Blender: looked after by a timer, followed and cancelled in a panel.

A job belongs to the session, not to a .blend: undo, other scenes and other files pass it by.
"""

from __future__ import annotations

import traceback
from typing import Any

import bpy

from ..progress import clock
from .drawing import redraw
from .polling import agrees
from .process import Process

INTERVAL = 0.2
"""Seconds between two looks at a job."""


class Job:
    """A process beside Blender, and what comes of it, which a class of jobs says.

    Attributes
    ----------
    process : Process
    title : str
        What to call it in its panel.
    outcome : (str, str)
        Icon and sentence, once there is something to tell.
    """

    def __init__(self, process: Process, title: str = "") -> None:
        self.process, self.title = process, title
        self.outcome = ("NONE", "")

    def hear(self, said: dict[str, Any]) -> None:
        """Take in an object that the process has said."""

    def meanwhile(self) -> None:
        """Do what there is to do while the process runs."""

    def end(self) -> bool:
        """Do what there is to do once it has ended; return whether that is all."""
        return True

    def clear(self) -> None:
        """Take away what nobody needs once it has ended."""


class Runner:
    """Looks after one job at a time.

    Attributes
    ----------
    job : Job or None
        What runs, or ran last.
    """

    def __init__(self) -> None:
        self.job: Any = None
        self._timer = self.tick  # the same each time, for Blender to know it again

    @property
    def running(self) -> bool:
        """Whether its process runs."""
        return self.job is not None and self.job.process.running

    def begin(self, job: Job) -> None:
        """Look after a job from now on."""
        self.job = job
        if not self.is_looking():
            bpy.app.timers.register(self._timer, first_interval=INTERVAL, persistent=True)

    def is_looking(self) -> bool:
        """Return whether its timer goes."""
        return bpy.app.timers.is_registered(self._timer)

    def tick(self) -> float | None:
        """Look after the job; return when to look again."""
        if self.job is None:
            return None
        redraw()
        try:
            for said in self.job.process.poll():
                self.job.hear(said)
            if self.job.process.running:
                self.job.meanwhile()
                return INTERVAL
            return None if self.job.end() else INTERVAL
        except Exception as error:  # Blender would drop the timer
            traceback.print_exception(error)
            self.job.outcome = "ERROR", f"{type(error).__name__}: {error}. The console tells more."
            return INTERVAL if self.running else None

    def forget(self) -> None:
        """Cancel the job without waiting for its end, and be no longer interested in it."""
        if self.running:
            self.job.process.cancel()
        self.job = None

    def stop(self) -> None:
        """End the job, politely, and forget it."""
        if self.is_looking():
            bpy.app.timers.unregister(self._timer)
        if self.running:
            self.job.process.close()
            self.job.clear()
        self.job = None

    def draw(self, layout: bpy.types.UILayout, cancel: str) -> None:
        """Draw how far the running job is, with a button for the operator that cancels it."""
        process = self.job.process
        doing = "Stopping" if process.cancelled else process.label.capitalize() or "Starting"
        share = f"{process.progress:.0%}" if process.progress else ""
        left = process.seconds_left
        row = layout.row()
        row.label(text=self.job.title)
        clock_side = row.row()
        clock_side.alignment = "RIGHT"
        clock_side.label(text=f"{clock(left)} left" if left is not None else "")
        row = layout.row(align=True)
        row.progress(factor=process.progress, type="BAR", text=f"{doing}  {share}")
        row.operator(cancel, text="", icon="X")


class CancelsJob:
    """What operators have in common that cancel the job of a runner.

    They are asked for it: as an attribute of a registered class it would be alive at Blender's
    end, and keep a Blender 4.5 that is a Python module from ending.
    """

    @staticmethod
    def runner() -> Runner:
        """Return the runner whose job is cancelled."""
        raise NotImplementedError

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not cls.runner().running:
            return agrees(cls, "Nothing is under way.")
        return agrees(cls, "It is stopping." if cls.runner().job.process.cancelled else "")

    def execute(self, context: bpy.types.Context) -> set[str]:
        self.runner().job.process.cancel()
        return {"FINISHED"}
