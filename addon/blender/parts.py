"""What the objects of a shot are: a record on each, whatever it is called and wherever it is.

A part is told by its kind, by the surface that it belongs to and, where there are several, by a
number. Its record names the shot, too, so that it is found in whichever collection it lies.
Versions before wrote a name such as "Bead 2"; it is read as the record it stands for.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from uuid import uuid4

import bpy

MARK = "moving_lands"
"""Custom property of a part: its record. Of a shot's collection: the sequence file."""

SHOT = "moving_lands_shot"
"""Custom property of a shot's collection: by what its parts know it."""

SURFACES = "moving_lands_surfaces"
"""Custom property of a shot's collection: the names of its surfaces, in order, as JSON."""

OVERLAYS_OF = "moving_lands_overlays_of"
"""Custom property of a scene that renders overlays only: the scene that they are of."""

OF_SHOT = ("Title", "Sentence", "Recipe", "Picture Frame", "Overlay Camera", "Active Camera")
"""Kinds that a shot has one of, whatever its surfaces."""

OF_ACT = ("Camera", "Camera Rig", "Minimizer", "Focus", "Fade")
"""Kinds that a shot has one of for each act that is cut."""

RENAMED = {"Camera Now": "Active Camera"}
"""What versions before called some kinds, and what they are called now."""

COUNTED = ("Badge",)
"""Kinds whose names are numbered from the first on."""


@dataclass(frozen=True, order=True)
class Part:
    """What an object is in its shot.

    Attributes
    ----------
    kind : str
        "Land", "Bead", "Camera", "Path line" ...
    surface : str
        Name of the surface that it shows or lies on; "" for what is the whole shot's.
    number : int
        Which one of several, from 0: the act of a camera, the place of a badge in its row.
    """

    kind: str
    surface: str = ""
    number: int = 0


class Parts(Mapping[Part, bpy.types.Object]):
    """The objects of a shot by what they are.

    Scripts may ask by name, too: ``parts["Camera"]`` is the first camera, ``parts["Bead 2"]`` the
    bead of the second surface, ``parts["Badge 1"]`` the first badge.

    Attributes
    ----------
    surfaces : list of str
        Their names, in order.
    """

    def __init__(
        self, things: Mapping[Part, bpy.types.Object], surfaces: Iterable[str] = ()
    ) -> None:
        self._things = dict(things)
        self.surfaces = list(dict.fromkeys([*surfaces, *(p.surface for p in things if p.surface)]))

    def __getitem__(self, key: Part | str) -> bpy.types.Object:
        part = self._called(key) if isinstance(key, str) else key
        return self._things[part]

    def __iter__(self) -> Iterator[Part]:
        return iter(self._things)

    def __len__(self) -> int:
        return len(self._things)

    def __or__(self, others: Mapping[Part, bpy.types.Object]) -> Parts:
        return Parts({**self._things, **others}, self.surfaces)

    def all(self, kind: str) -> list[bpy.types.Object]:
        """Return the objects of a kind, in the order of their surfaces and numbers."""
        found = [part for part in self._things if part.kind == kind]
        return [self._things[part] for part in sorted(found, key=self._place)]

    def on(self, surface: str) -> dict[str, bpy.types.Object]:
        """Return the objects of a surface by their kind; of several the first."""
        found = sorted((p for p in self._things if p.surface == surface), reverse=True)
        return {part.kind: self._things[part] for part in found}

    def name(self, part: Part) -> str:
        """Return what scripts and panels call a part: "Land", "Land 2", "Badge 1" ..."""
        nth, _ = self._place(part)
        number = f" {part.number + 1}" if part.number or part.kind in COUNTED else ""
        return part.kind + number + (f" {nth + 1}" if nth else "")

    def renamed(self, names: Mapping[str, str]) -> Parts:
        """Return the parts with other names of surfaces, for some or for all of them."""
        things = {
            replace(part, surface=names.get(part.surface, part.surface)): thing
            for part, thing in self._things.items()
        }
        return Parts(things, (names.get(name, name) for name in self.surfaces))

    def _place(self, part: Part) -> tuple[int, int]:
        nth = self.surfaces.index(part.surface) if part.surface else 0
        return nth, part.number

    def _called(self, name: str) -> Part:
        name = RENAMED.get(name, name)
        found = next((part for part in self._things if self.name(part) == name), None)
        if found is None:
            raise KeyError(name)
        return found


def mark(shot: bpy.types.Collection, parts: Parts) -> None:
    """Record what objects are, and that they are a shot's, instead of what was recorded before."""
    if SHOT not in shot:
        shot[SHOT] = uuid4().hex
    shot[SURFACES] = json.dumps(parts.surfaces)
    for part, thing in parts.items():
        thing[MARK] = {"shot": shot[SHOT], **asdict(part)}


def parts_of(shot: bpy.types.Collection) -> Parts:
    """Return a shot's objects by what they are, in whichever collection and scene they are.

    Of copies that an artist made, the one with the shortest name is taken for the original. A copy
    of the whole collection has its own parts.
    """
    surfaces = json.loads(shot.get(SURFACES, "[]"))
    found: dict[Part, bpy.types.Object] = {}
    for thing in sorted(_objects_of(shot), key=lambda t: (len(t.name), t.name)):
        found.setdefault(_part(thing), thing)
    return Parts(found, surfaces or _numbered(found))


def _objects_of(shot: bpy.types.Collection) -> list[bpy.types.Object]:
    own, known = set(shot.all_objects), shot.get(SHOT)
    found = [t for t in own if isinstance(t.get(MARK), str) or (known and _shot(t) == known)]
    if known is None:
        return found
    away = [t for t in bpy.data.objects if _shot(t) == known and t not in own and _is_seen(t)]
    twins = [c for c in bpy.data.collections if c.get(SHOT) == known and c != shot] if away else []
    return found + [t for t in away if not any(t.name in c.all_objects for c in twins)]


def _shot(thing: bpy.types.Object) -> str | None:
    record = thing.get(MARK)
    return None if record is None or isinstance(record, str) else record["shot"]


def _is_seen(thing: bpy.types.Object) -> bool:
    """Tell whether an object is in a scene other than those of overlays: not deleted, that is."""
    return any(OVERLAYS_OF not in scene for scene in thing.users_scene)


def _part(thing: bpy.types.Object) -> Part:
    record = thing[MARK]
    if isinstance(record, str):
        return _of_name(record, thing.parent)
    kind = record["kind"]
    return Part(RENAMED.get(kind, kind), record["surface"], record["number"])


# Names that versions before wrote


def _of_name(name: str, parent: bpy.types.Object | None) -> Part:
    """Read a name; the surface's own is not in it, so the part has the surface's number."""
    name = RENAMED.get(name, name)
    kind, number = _split(name)
    if kind in COUNTED:
        return Part(kind, _number(0), number)
    if kind in OF_ACT:
        return Part(kind, "", number)
    if name in OF_SHOT:
        return Part(name)
    below = _split(parent[MARK]) if parent and isinstance(parent.get(MARK), str) else ("", 0)
    if kind.startswith("Path") and below[0] == "Land":  # which may be called "line 2"
        number = below[1]
        kind = name.removesuffix(f" {number + 1}") if number else name
    return Part(kind, _number(number))


def _split(name: str) -> tuple[str, int]:
    """Return a kind and a number from 0: "Land 2" is ("Land", 1), and so is "Badge 2"."""
    kind, _, last = name.rpartition(" ")
    return (kind, int(last) - 1) if kind and last.isdecimal() and last != "0" else (name, 0)


def _number(n: int) -> str:
    return f"surface {n + 1}"


def _numbered(found: Iterable[Part]) -> list[str]:
    """Return as many numbers of surfaces as the parts of an earlier version have."""
    last = max((int(part.surface.split()[-1]) for part in found if part.surface), default=0)
    return [_number(n) for n in range(last)]
