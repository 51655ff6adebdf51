"""Operators that take a while: they work in steps, show how far they are, and can be cancelled."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any

import bpy

SLICE = 0.1
"""Seconds of work between two redraws."""


class InSteps:
    """What such operators have in common: a class says its ``steps`` and what is ``done``.

    A script that calls one waits for its end. A click returns at once, and Escape gives up.
    """

    in_steps: bpy.props.BoolProperty(
        name="In Steps",
        description="Redraw meanwhile, and let Escape cancel",
        options={"HIDDEN", "SKIP_SAVE"},
    )

    def steps(self, context: bpy.types.Context) -> Generator[float, None, Any]:
        """Do the work, yielding the progress from 0 to 1."""
        raise NotImplementedError

    def done(self, result: Any) -> str:
        """Return what to tell when ``steps`` has returned this."""
        raise NotImplementedError

    def execute(self, context: bpy.types.Context) -> set[str]:
        self._steps = self.steps(context)
        if self.in_steps and context.window and not bpy.app.background:
            self._timer = context.window_manager.event_timer_add(0.01, window=context.window)
            context.window_manager.modal_handler_add(self)
            self._show(context, 0.0)
            return {"RUNNING_MODAL"}
        return self._work(context, float("inf")) or {"CANCELLED"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if event.type == "ESC":
            self._steps.close()
            self.report({"INFO"}, f"{self.bl_label}: cancelled, nothing has changed")
            return self._end(context, {"CANCELLED"})
        if event.type != "TIMER":
            return {"RUNNING_MODAL"}
        if ended := self._work(context, SLICE):
            return self._end(context, ended)
        return {"RUNNING_MODAL"}

    def cancel(self, context: bpy.types.Context) -> None:
        """Give up, because the window closes."""
        if hasattr(self, "_steps"):
            self._steps.close()

    def _work(self, context: bpy.types.Context, seconds: float) -> set[str] | None:
        """Work for so long; return how it ended, if it did."""
        until = time.monotonic() + seconds
        try:
            while time.monotonic() < until:
                progress = next(self._steps)
            self._show(context, progress)
        except StopIteration as end:
            self.report({"INFO"}, self.done(end.value))
            return {"FINISHED"}
        except (ValueError, OSError) as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        except MemoryError:
            self.report({"ERROR"}, "Not enough memory: take fewer snapshots or points.")
            return {"CANCELLED"}
        return None

    def _show(self, context: bpy.types.Context, progress: float) -> None:
        text = f"{self.bl_label}: {progress:.0%}     Esc: Cancel"
        context.workspace.status_text_set(text)

    def _end(self, context: bpy.types.Context, ended: set[str]) -> set[str]:
        context.window_manager.event_timer_remove(self._timer)
        context.workspace.status_text_set(None)
        return ended
