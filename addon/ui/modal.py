"""Operators that take a while: they work in steps, show how far they are, and can be cancelled.

``execute`` works to the end before it answers. Only where a person has invoked an operator does it
answer at once and go on as a modal one, and only the one time: Blender calls ``execute`` of the
same instance again to repeat it and from the redo panel, and wants it finished then.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Generator
from typing import Any

import bpy

SLICE = 0.1
"""Seconds of work between two redraws."""


def has_events(context: bpy.types.Context) -> bool:
    """Return whether a modal operator would be told of time and keys."""
    return bool(context.window) and not bpy.app.background


INTERRUPTIONS = (
    bpy.app.handlers.undo_pre,
    bpy.app.handlers.redo_pre,
    bpy.app.handlers.load_pre,
)
"""When another window takes away what an operator works on."""


def _interruption() -> Generator[float, None, None]:
    raise ValueError("Cancelled by an undo, or another file, and nothing has changed.")
    yield 0.0


class InSteps:
    """What such operators have in common: a class says its ``steps`` and what is ``done``.

    A script that calls one waits for its end. A click returns at once, and Escape gives up.
    """

    _goes_modal = False

    def steps(self, context: bpy.types.Context) -> Generator[float, None, Any]:
        """Do the work, yielding the progress from 0 to 1."""
        raise NotImplementedError

    def done(self, result: Any) -> str:
        """Return what to tell when ``steps`` has returned this."""
        raise NotImplementedError

    def ask(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Ask a person what to do, by a dialog that calls ``execute``; by default nothing."""
        return self.execute(context)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        self._goes_modal = has_events(context)
        return self.ask(context, event)

    def execute(self, context: bpy.types.Context) -> set[str]:
        goes_modal, self._goes_modal = self._goes_modal, False
        self._steps = self.steps(context)
        if not goes_modal:
            return self._work(context, float("inf")) or {"CANCELLED"}
        self._timer = context.window_manager.event_timer_add(0.01, window=context.window)
        context.window_manager.modal_handler_add(self)
        self._interrupt = self._interrupted
        for handlers in INTERRUPTIONS:
            handlers.append(self._interrupt)
        self._show(context, 0.0)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if event.type not in ("ESC", "TIMER"):
            return {"RUNNING_MODAL"}
        ended = self._give_up() if event.type == "ESC" else self._work(context, SLICE)
        if ended:
            context.window_manager.event_timer_remove(self._timer)
            self._leave(context)
        return ended or {"RUNNING_MODAL"}

    def cancel(self, context: bpy.types.Context) -> None:
        """Give up, because the window or a dialog closes."""
        if hasattr(self, "_interrupt"):
            self._steps.close()
            self._leave(context)

    def _leave(self, context: bpy.types.Context) -> None:
        """Take back what going modal has brought."""
        for handlers in INTERRUPTIONS:
            if self._interrupt in handlers:  # another file clears them
                handlers.remove(self._interrupt)
        if context.workspace:
            context.workspace.status_text_set(None)

    def _interrupted(self, *_: Any) -> None:
        """Give up while what was made is still there."""
        self._steps.close()
        self._steps = _interruption()

    def _give_up(self) -> set[str]:
        try:
            self._steps.close()
            self.report({"INFO"}, f"{self.bl_label}: cancelled, nothing has changed")
        except Exception as error:
            self.report({"ERROR"}, _sentence(self.bl_label, error))
        return {"CANCELLED"}

    def _work(self, context: bpy.types.Context, seconds: float) -> set[str] | None:
        """Work for so long; return how it ended, if it did: by whatever error, it did."""
        try:
            return self._advance(context, seconds)
        except Exception as error:
            self.report({"ERROR"}, _sentence(self.bl_label, error))
            return {"CANCELLED"}

    def _advance(self, context: bpy.types.Context, seconds: float) -> set[str] | None:
        until = time.monotonic() + seconds
        try:
            progress = next(self._steps)
            while time.monotonic() < until:
                progress = next(self._steps)
        except StopIteration as end:
            self.report({"INFO"}, self.done(end.value))
            return {"FINISHED"}
        self._show(context, progress)
        return None

    def _show(self, context: bpy.types.Context, progress: float) -> None:
        text = f"{self.bl_label}: {progress:.0%}     Esc: Cancel"
        context.workspace.status_text_set(text)


def _sentence(label: str, error: Exception) -> str:
    """Say what ended an operator; of a defect the whole traceback, in the console."""
    if isinstance(error, MemoryError):
        return "Not enough memory: take fewer snapshots or points."
    if isinstance(error, (ValueError, OSError)):
        return str(error)
    traceback.print_exception(error)
    kind = type(error).__name__
    return f"{label} has failed: {kind}: {error}. The system console tells more."
