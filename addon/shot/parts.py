"""A shot in the .blend: its collection, its parts, and what it was made with."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from itertools import chain
from pathlib import Path

import bpy

from ..blender.parts import MARK, Part, Parts, parts_of
from ..sequence.selection import Selection
from .settings import Settings

__all__ = [
    "MARK", "Options", "Part", "Parts", "at_hand", "in_file", "in_scene", "lands_of", "made_with",
    "note", "parts", "parts_of", "scene_of", "source_of",
]  # fmt: skip

MADE_WITH = "moving_lands_made_with"
"""Custom property of a shot's collection: settings and options, as JSON."""


INTO = "own scene", "this scene", None
"""What ``Options.into`` may be."""


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
    into : str, optional
        Where a whole shot comes: "own scene", a new one, or "this scene", which gets its render
        settings and world, unless it has a whole shot already. By default it has its own, except
        that the current scene is taken where it is empty and untouched.
    """

    selection: Selection = field(default_factory=Selection)
    cache: bool = False
    whole: bool = True
    into: str | None = None

    def __post_init__(self) -> None:
        if self.into not in INTO:
            raise ValueError(f'into: expected "own scene" or "this scene", got {self.into!r}.')


def made_with(collection: bpy.types.Collection) -> tuple[Settings, Options]:
    """Return what a shot was made with."""
    note = json.loads(collection.get(MADE_WITH, "{}"))
    known = {field.name for field in fields(Settings)}
    settings = Settings(**{k: v for k, v in note.get("settings", {}).items() if k in known})
    known = {field.name for field in fields(Options)}
    options = {k: v for k, v in note.get("options", {}).items() if k in known}
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


def in_file() -> list[bpy.types.Collection]:
    """Return the shots in all scenes of the .blend."""
    return list(dict.fromkeys(shot for scene in bpy.data.scenes for shot in in_scene(scene)))


def scene_of(collection: bpy.types.Collection) -> bpy.types.Scene:
    """Return the scene that a shot is in: the current one, if it is in several or in none."""
    current = bpy.context.scene
    scenes = [current, *(scene for scene in bpy.data.scenes if scene != current)]
    return next((s for s in scenes if collection in s.collection.children_recursive), current)


def at_hand(context: bpy.types.Context) -> bpy.types.Collection | None:
    """Return the shot that an artist is at: that of the active object, or the scene's first."""
    found, active = in_scene(context.scene), context.active_object
    near = (c for c in found if active and c.all_objects.get(active.name) == active)
    own = (c for c in found if active and active in parts_of(c).values())  # wherever it lies
    return next(chain(near, own, found), None)


def lands_of(collection: bpy.types.Collection) -> list[bpy.types.Object]:
    """Return a shot's lands, in order."""
    return parts_of(collection).all("Land")


def parts(scene: bpy.types.Scene) -> Parts:
    """Return the objects of a scene's first shot by what they are."""
    return parts_of(found[0]) if (found := in_scene(scene)) else Parts({})
