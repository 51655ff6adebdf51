"""Which of Cycles' rays meet an object."""

from __future__ import annotations

import bpy


def only_seen(thing: bpy.types.Object) -> None:
    """Keep an object out of the light: the camera sees it, nothing else does."""
    for ray in ("diffuse", "glossy", "transmission", "volume_scatter", "shadow"):
        setattr(thing, f"visible_{ray}", False)
