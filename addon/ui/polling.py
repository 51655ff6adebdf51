"""Why an operator cannot be used now: one sentence for its tooltip, or "" where it can."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import bpy

from ..shot import parts as shots


def agrees(operator: type[bpy.types.Operator], refusal: str) -> bool:
    """Return what ``poll`` answers, and have its button tell why."""
    if refusal:
        operator.poll_message_set(refusal)
    return not refusal


def needs_object_mode(context: bpy.types.Context) -> str:
    """Ask for Object Mode."""
    return "" if context.mode == "OBJECT" else "Switch to Object Mode first."


def needs_a_shot(context: bpy.types.Context) -> str:
    """Ask for a shot that is this .blend's own."""
    shot = shots.at_hand(context)
    if shot is None:
        return "Import a sequence first."
    things = list(shot.all_objects)
    return needs_own((shot, *things, *(thing.data for thing in things if thing.data)))


def needs_own(things: Iterable[bpy.types.ID]) -> str:
    """Ask for data of this .blend, neither linked nor overridden."""
    for thing in things:
        override = thing.override_library
        if library := thing.library or (override and override.reference.library):
            file = Path(library.filepath.replace("\\", "/")).name
            return f"{thing.name} belongs to {file}: change it there, or make it local first."
    return ""
