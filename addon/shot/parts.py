"""A shot in the .blend: its collection, its parts, and what it was made with.

Its objects are marked with what they are, and found by that whatever they are called by now.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import bpy

from ..sequence.selection import Selection
from .settings import Settings

MARK = "moving_lands"
"""Custom property on objects of ours: what they are; on their collection: the sequence file."""

MADE_WITH = "moving_lands_made_with"
"""Custom property of a shot's collection: settings and options, as JSON."""


@dataclass(frozen=True)
class Options:
    """What of a sequence is brought in, and how it is kept.

    Attributes
    ----------
    selection : Selection
        Snapshots and points.
    cache : bool
        Mesh caches beside the .blend, not shape keys within it.
    whole : bool
        Camera, light, titles and render settings too, not the lands alone.
    """

    selection: Selection = field(default_factory=Selection)
    cache: bool = False
    whole: bool = True


def made_with(collection: bpy.types.Collection) -> tuple[Settings, Options]:
    """Return what a shot was made with."""
    note = json.loads(collection.get(MADE_WITH, "{}"))
    known = {field.name for field in fields(Settings)}
    settings = Settings(**{k: v for k, v in note.get("settings", {}).items() if k in known})
    options = note.get("options", {})
    selection = Selection(**options.pop("selection", {}))
    return settings, Options(selection, **options)


def source_of(collection: bpy.types.Collection) -> Path:
    """Return the sequence file that a shot shows: where it was, or beside the .blend."""
    path = Path(collection[MARK])
    beside = Path(bpy.path.abspath(f"//{path.name}"))
    return beside if not path.exists() and beside.exists() else path


def note(
    collection: bpy.types.Collection, source: Path, settings: Settings, options: Options
) -> None:
    """Note down what a shot was made of, and with."""
    collection[MARK] = str(source.absolute())
    collection[MADE_WITH] = json.dumps({"settings": asdict(settings), "options": asdict(options)})


def in_scene(scene: bpy.types.Scene) -> list[bpy.types.Collection]:
    """Return the shots in a scene."""
    return [c for c in scene.collection.children_recursive if isinstance(c.get(MARK), str)]


def at_hand(context: bpy.types.Context) -> bpy.types.Collection | None:
    """Return the shot that an artist is at: that of the active object, or the scene's first."""
    found = in_scene(context.scene)
    active = context.active_object
    return next((c for c in found if active and active.name in c.all_objects), None) or next(
        iter(found), None
    )


def parts_of(collection: bpy.types.Collection) -> dict[str, bpy.types.Object]:
    """Return a shot's objects by what they are, whatever they are called now.

    Of copies that an artist made, the one with the shortest name is taken for the original.
    """
    found: dict[str, bpy.types.Object] = {}
    for thing in sorted(collection.all_objects, key=lambda t: (len(t.name), t.name)):
        if isinstance(thing.get(MARK), str):
            found.setdefault(thing[MARK], thing)
    return found


def lands_of(collection: bpy.types.Collection) -> list[bpy.types.Object]:
    """Return a shot's lands, in order."""
    there = parts_of(collection)
    names = (named("Land", n) for n in range(len(there)))
    return [there[name] for name in names if name in there]


def parts(scene: bpy.types.Scene) -> dict[str, bpy.types.Object]:
    """Return the objects of a scene's first shot by what they are."""
    return parts_of(found[0]) if (found := in_scene(scene)) else {}


def named(part: str, n: int) -> str:
    """Return what a part of the n-th surface is: "Land", "Land 2", ..."""
    return f"{part} {n + 1}" if n else part
