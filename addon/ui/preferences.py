"""The add-on's preferences: what belongs to a machine and its artist, not to a shot.

The computing half lives in a Python of its own. What is found there is asked for once, in the
background, and remembered with the preferences.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bpy

from ..sequence.memory import machine_memory
from .drawing import sentence
from .jobs import Job, Runner
from .polling import agrees
from .process import Process

ROOT = __package__.rpartition(".addon")[0] or "addon"
"""What Blender calls the extension: the package above this half."""


DEFAULTS = SimpleNamespace(
    python="",
    folder=str(Path.home() / "Moving Lands"),
    grow=True,
    # Undo and rendering take three times more.
    memory_budget=max(0.5, round(machine_memory() / 8e9, 1)),
    found="",
)
"""The preferences as they are before anybody changes them."""


def preferences(context: bpy.types.Context) -> Any:
    """Return the preferences, or their defaults where the add-on is a module."""
    addon = context.preferences.addons.get(ROOT)
    return addon.preferences if addon else DEFAULTS


def lands(context: bpy.types.Context, *words: str) -> list[str]:
    """Return a command line of the computing half.

    Raises
    ------
    ValueError
        Where the preferences name no Python, or one that is not there.
    """
    chosen = preferences(context).python
    if not chosen:
        raise ValueError("No Python to compute with: choose one in the add-on's preferences.")
    python = Path(chosen).expanduser()
    if not python.is_file():
        raise ValueError(f"{python}: no such file: choose a Python in the add-on's preferences.")
    return [str(python), "-m", "movinglands.cli", *words]


ENVIRONMENT = {"PYTHONSAFEPATH": "1"}
"""For the computing half: a folder's own modules do not take the place of Python's."""


def installation(context: bpy.types.Context) -> dict[str, Any]:
    """Return what was found in the chosen Python: its ``version``, ``device`` and ``scenes``.

    Empty where that is not known.
    """
    chosen = preferences(context)
    found = _decoded(chosen.found or "{}")
    return found if found.get("python") == chosen.python else {}


@lru_cache
def _decoded(found: str) -> dict[str, Any]:
    """Decode once: texts that a menu shows must live on, or Blender shows what comes after them."""
    return json.loads(found)


class Check(Job):
    """The question what there is in the chosen Python."""

    def hear(self, said: dict[str, Any]) -> None:
        """Note the answer down."""
        if said.keys() >= {"version", "device", "scenes"}:
            chosen = preferences(bpy.context)
            chosen.found = json.dumps(said | {"python": chosen.python})
            bpy.context.preferences.is_dirty = True

    def end(self) -> bool:
        """Say why there was none."""
        if not installation(bpy.context):
            text = _advice(preferences(bpy.context).python, self.process.error)
            self.outcome = "ERROR", text
        return True


runner = Runner()


def check(context: bpy.types.Context) -> None:
    """Begin to ask the chosen Python what is there.

    Raises
    ------
    ValueError
        As ``lands``, or where it cannot be started.
    """
    runner.forget()
    runner.begin(Check(Process(lands(context, "scenes", "--json"), ENVIRONMENT)))


_refusal = ""
"""Why the chosen Python could not even be asked."""


def problem() -> str:
    """Return what is wrong with the chosen Python, as far as that is known."""
    return runner.job.outcome[1] if runner.job else _refusal


def _advice(python: str, error: str) -> str:
    if "No module named 'movinglands'" in error or "No module named movinglands" in error:
        return f"{python} has no movinglands: install it there (pip install ./compute)."
    return f"{python}: {error or 'no movinglands answers there.'}"


def draw_installation(
    layout: bpy.types.UILayout, context: bpy.types.Context, share: float = 1.0
) -> None:
    """Draw what was found in the chosen Python, or what to do, in a share of the region's width."""
    if runner.running:
        layout.label(text="Checking...", icon="SORTTIME")
    elif problem():
        sentence(layout, problem(), "ERROR", share)
    elif found := installation(context):
        text = f"movinglands {found['version']}, computes on {found['device']}"
        sentence(layout, text, "CHECKMARK", share)
    else:
        layout.label(text="Not checked yet" if preferences(context).python else "")


def _python_changed(self: bpy.types.AddonPreferences, context: bpy.types.Context) -> None:
    global _refusal
    _refusal = ""
    runner.forget()
    try:
        if self.python:
            check(context)
    except ValueError as error:
        _refusal = str(error)


class MOVING_LANDS_AP_preferences(bpy.types.AddonPreferences):
    """What belongs to this machine and its artist."""

    bl_idname = ROOT

    python: bpy.props.StringProperty(
        name="Python",
        description="The Python where the computing half, movinglands, is installed: "
        "venv/bin/python, or venv\\Scripts\\python.exe on Windows",
        subtype="FILE_PATH",
        default=DEFAULTS.python,
        update=_python_changed,
    )
    folder: bpy.props.StringProperty(
        name="Sequences",
        description="Folder for computed sequences that are given no file of their own",
        subtype="DIR_PATH",
        default=DEFAULTS.folder,
    )
    grow: bpy.props.BoolProperty(
        name="Grow While Computing",
        description="Import a sequence as soon as its first snapshot is there, and extend the land "
        "as more arrive, instead of importing it when it is complete",
        default=DEFAULTS.grow,
    )
    memory_budget: bpy.props.FloatProperty(
        name="Memory for a Land",
        description="A land with more than this many gigabytes of snapshots reads them from a file "
        "beside the .blend while it plays, instead of keeping them in memory as shape keys. Undo "
        "and rendering take about three times as much on top",
        min=0.0,
        soft_max=64.0,
        precision=1,
        step=10,
        default=DEFAULTS.memory_budget,
    )
    found: bpy.props.StringProperty(
        name="Found",
        description="What was last found in the chosen Python, as JSON",
        options={"HIDDEN"},
    )

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.prop(self, "python")
        names, values = 0.4, 0.6  # as Blender splits what is above and below
        row = layout.split(factor=names)
        row.column()
        row = row.row()
        draw_installation(row.column(), context, values)
        checking = row.column()
        checking.alignment = "RIGHT"
        checking.operator(MOVING_LANDS_OT_check_python.bl_idname)
        layout.prop(self, "folder")
        layout.column(heading="Import").prop(self, "grow")
        layout.prop(self, "memory_budget", text="Memory for a Land (GB)")


class MOVING_LANDS_OT_check_python(bpy.types.Operator):
    """Look what the chosen Python has."""

    bl_idname = "moving_lands.check_python"
    bl_label = "Check"
    bl_description = (
        "Look which movinglands the chosen Python has, which pieces, and what it computes on"
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not preferences(context).python:
            return agrees(cls, "Choose a Python in the add-on's preferences first.")
        return agrees(cls, "It is being checked." if runner.running else "")

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            check(context)
        except ValueError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}


CLASSES = (MOVING_LANDS_AP_preferences, MOVING_LANDS_OT_check_python)
