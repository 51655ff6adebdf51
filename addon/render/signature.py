"""The signature of a shot: a digest of everything that its pictures depend on.

Everything that a scene refers to counts: objects and their data, keyframes and drivers, nodes,
settings, and the content of files outside the .blend, wherever they lie. The state of the interface
and the current frame do not count (``unseen``), so frames stay valid when a .blend is only saved
again. Of a property with keyframes or a driver these count, not its value, which depends on the
current frame. A baked simulation counts by its settings and its cache on disk.

The walk follows Blender's own description of its data (RNA), so it also covers kinds of nodes,
modifiers and settings that later versions of Blender add.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ..blender import compat
from . import unseen

BULK = 8
"""Least number of items at which a collection of numbers is read as arrays."""

NUMBERS = {"BOOLEAN": bool, "INT": np.int32, "FLOAT": np.float32, "ENUM": np.int32}

OWN = "moving_lands"
"""How the names of the add-on's own custom properties begin; no picture shows its text in them."""


def signature(scene: bpy.types.Scene) -> dict[str, str]:
    """Return a digest of each data-block that a scene's pictures depend on.

    Returns
    -------
    dict of str to str
        By kind and name of the data-block, such as ``Area Light "Key"``. The same shot has the same
        digests on every machine, in every folder and at every current frame.
    """
    waiting: list[bpy.types.ID] = [scene]
    met: dict[str, str] = {_label(scene): ""}
    while waiting:
        block = waiting.pop()
        reading = _Block(block)
        for other in reading.reached:
            if _label(other) not in met:
                met[_label(other)] = ""
                waiting.append(other)
        met[_label(block)] = reading.hash.hexdigest()[:16]
    return met


def _label(block: bpy.types.ID) -> str:
    return f'{block.bl_rna.name} "{block.name_full}"'


class _Block:
    """The digest of one data-block, and the data-blocks that it refers to."""

    def __init__(self, block: bpy.types.ID) -> None:
        self.hash = hashlib.sha256()
        self.reached: list[bpy.types.ID] = []
        self.id = block
        self._met: dict[tuple[str, int], int] = {}
        self._moving: dict[tuple[str, int, str], set[int]] = {}
        self._struct("", block)

    def hide(self, struct: bpy.types.bpy_struct, name: str) -> None:
        """Leave out a property that follows from others."""
        self._moving[struct.bl_rna.identifier, struct.as_pointer(), name] = {-1}

    def put(self, path: str, value: object) -> None:
        """Add a value: bytes and arrays as they are, anything else as Python writes it."""
        self.hash.update(path.encode())
        self.hash.update(value if isinstance(value, (bytes, np.ndarray)) else repr(value).encode())

    def _struct(self, path: str, struct: bpy.types.bpy_struct) -> None:
        key = struct.bl_rna.identifier, struct.as_pointer()
        if key in self._met:  # a link to a socket, a bone's parent
            self.put(path, self._met[key])
            return
        self._met[key] = len(self._met)
        self.put(path, key[0])
        if isinstance(struct, bpy.types.ID):
            self._moving |= _animated(struct)
        if special := SPECIAL.get(key[0]):
            special(self, path, struct)
        for name, kind, is_array in _seen(struct.bl_rna):
            moving = self._moving.get((*key, name), ())
            if -1 in moving or (moving and not is_array):
                continue
            try:
                value = getattr(struct, name)
            except (AttributeError, RuntimeError, TypeError, ValueError) as error:
                value, kind = type(error).__name__, "STRING"
            self._property(f"{path}.{name}", value, kind, is_array, moving)
        self._custom(path, struct, key)

    def _property(self, path: str, value: Any, kind: str, is_array: bool, moving: Any) -> None:
        if kind == "COLLECTION":
            self._collection(path, value)
        elif kind == "POINTER" and value is not None:
            self._pointer(path, value)
        elif kind == "FILE":
            for name, content in files(self.id, value):
                self.put(f"{path} {name}", content)
        elif is_array:
            numbers = np.array(value).ravel()
            self.put(path, np.delete(numbers, list(moving)).tolist())
        else:
            self.put(path, sorted(value) if isinstance(value, set) else value)

    def _pointer(self, path: str, value: Any) -> None:
        if isinstance(value, bpy.types.ID) and not value.is_embedded_data:
            self.reached.append(value)
            self.put(path, _label(value))
        else:
            self._struct(path, value)

    def _collection(self, path: str, items: Any) -> None:
        if path.endswith(".attributes"):
            seen = (attribute for attribute in items if _is_seen(attribute))
            items = sorted(seen, key=lambda attribute: attribute.name)  # Edit Mode reorders them
        self.put(path, len(items))
        if not len(items):
            return
        kind = items[0].bl_rna if items[0] is not None else None
        columns = _columns(kind) if kind and len(items) >= BULK else ()
        if not columns or any(name == kind.identifier for name, *_ in self._moving):
            for index, item in enumerate(items):
                if item is not None:
                    self._pointer(f"{path}[{index}]", item)
            return
        for name, dtype, width in columns:
            values = np.empty(len(items) * width, dtype)
            items.foreach_get(name, values)
            self.put(f"{path}.{name}", values)

    def _custom(self, path: str, struct: bpy.types.bpy_struct, key: tuple[str, int]) -> None:
        """Add custom properties, and in 4.5 the inputs of node modifiers, which are such."""
        try:
            names = [] if key[0].startswith("Cycles") else list(struct.keys())
        except (AttributeError, TypeError):  # a type that has none
            return
        for name in sorted(names):
            value = struct[name]
            is_own = name.startswith(OWN) and (isinstance(value, str) or hasattr(value, "keys"))
            if is_own or name.startswith("cycles") or self._moving.get((*key, f'["{name}"]')):
                continue
            if isinstance(value, bpy.types.ID):
                self._pointer(f'{path}["{name}"]', value)
            elif hasattr(value, "to_dict"):
                self.put(f'{path}["{name}"]', value.to_dict())
            else:
                plain = value.to_list() if hasattr(value, "to_list") else value
                self.put(f'{path}["{name}"]', plain)


# What is read of a type


def _seen(kind: bpy.types.bpy_struct) -> list[tuple[str, str, bool]]:
    """Return the properties of a type that are seen: name, type and whether it is an array."""
    named = kind.identifier
    if (known := getattr(bpy.types, named, None)) and known.bl_rna == kind:
        return _seen_of(named)
    return _listed(kind)  # made for a node group's inputs, like no other of its name


def _is_seen(attribute: bpy.types.Attribute) -> bool:
    """Tell whether an attribute is none of an editor's, and of more than no points."""
    return bool(len(attribute.data)) and not attribute.name.startswith(unseen.ATTRIBUTES)


@cache
def _seen_of(named: str) -> list[tuple[str, str, bool]]:
    return _listed(getattr(bpy.types, named).bl_rna)


def _listed(kind: bpy.types.bpy_struct) -> list[tuple[str, str, bool]]:
    skipped, base = set(unseen.ANYWHERE.split()), kind
    if compat.BLENDER_5:  # it is always so there
        skipped.add("use_nodes")
    is_blenders = not kind.identifier.startswith(("Cycles", "GeometryNodes"))
    while base:
        skipped |= set(unseen.OF.get(base.identifier, "").split())
        base = base.base
    found = []
    for item in kind.properties:
        name, sort = item.identifier, item.type
        is_number = sort not in ("POINTER", "COLLECTION")
        if (
            name in skipped
            or (name.startswith(unseen.BEGINNINGS) and name not in unseen.SEEN)
            or (is_number and item.is_readonly and name not in unseen.TOLD)
            or (is_blenders and item.is_runtime and not name.startswith("cycles"))
        ):
            continue
        if sort == "STRING" and item.subtype in ("FILE_PATH", "DIR_PATH"):
            sort = "FILE"
        found.append((name, sort, is_number and bool(getattr(item, "is_array", False))))
    return found


@cache
def _columns_of(named: str) -> tuple[tuple[str, Any, int], ...]:
    kind = getattr(bpy.types, named).bl_rna
    found = []
    for name, sort, _ in _seen_of(named):
        item = kind.properties[name]
        if sort not in NUMBERS or getattr(item, "is_enum_flag", False):
            return ()
        found.append((name, NUMBERS[sort], max(1, getattr(item, "array_length", 1))))
    return tuple(found)


def _columns(kind: bpy.types.bpy_struct) -> tuple[tuple[str, Any, int], ...]:
    """Return name, type and width of what a type has, where that is numbers only; else nothing."""
    return _columns_of(kind.identifier) if hasattr(bpy.types, kind.identifier) else ()


def _animated(block: bpy.types.ID) -> dict[tuple[str, int, str], set[int]]:
    """Return what keyframes and drivers move: type and address of its owner, name, components."""
    found: dict[tuple[str, int, str], set[int]] = {}
    for curve in _curves(block):
        owner, _, name = curve.data_path.rpartition(".")
        if curve.data_path.endswith('"]'):  # a custom property
            owner, _, name = curve.data_path.rpartition('["')
            name = '["' + name
        try:
            moved = block.path_resolve(owner) if owner else block
            value = moved.path_resolve(name)
            key = moved.bl_rna.identifier, moved.as_pointer(), name
        except (ValueError, AttributeError):  # it leads nowhere, and moves nothing
            continue
        component = curve.array_index if hasattr(value, "__len__") else -1
        found.setdefault(key, set()).add(component)
    return found


def _curves(block: bpy.types.ID) -> Iterator[bpy.types.FCurve]:
    animation = getattr(block, "animation_data", None)
    if animation is None:
        return
    yield from (curve for curve in animation.drivers if not curve.mute)
    strips = [strip for track in animation.nla_tracks for strip in track.strips]
    for played in (animation, *strips):
        if played.action and played.action_slot:
            for layer in played.action.layers:
                for strip in layer.strips:
                    bag = strip.channelbag(played.action_slot)
                    yield from (curve for curve in (bag.fcurves if bag else ()) if not curve.mute)


# Types with something of their own


def _scene(reading: _Block, path: str, scene: bpy.types.Scene) -> None:
    cuts = [(m.frame, m.camera) for m in scene.timeline_markers if m.camera]
    for frame, camera in sorted(cuts, key=lambda cut: cut[0]):
        reading.put(f"{path}.camera from {frame}", _label(camera))
        reading.reached.append(camera)
    if cuts:  # which of them it is follows from the frame
        reading.hide(scene, "camera")
    pictures = scene.render.image_settings
    if pictures.color_management == "FOLLOW_SCENE":
        for name in ("linear_colorspace_settings", "view_settings", "display_settings"):
            reading.hide(pictures, name)
    if scene.sequence_editor is None:
        reading.hide(scene, "sequencer_colorspace_settings")
    if scene.render.engine != "BLENDER_WORKBENCH":
        reading.hide(scene, "display")


def _mesh(reading: _Block, path: str, mesh: bpy.types.Mesh) -> None:
    _texture_space(reading, path, mesh)
    starts = np.empty(len(mesh.polygons), np.int32)
    mesh.polygons.foreach_get("loop_start", starts)
    reading.put(f"{path}.faces", starts)
    reading.put(f"{path}.default", [layer.name for layer in mesh.uv_layers if layer.active_render])
    reading.put(f"{path}.color", mesh.attributes.default_color_name)


def _texture_space(reading: _Block, path: str, data: Any) -> None:
    if data.use_auto_texspace:  # it follows from the shape
        reading.hide(data, "texspace_location")
        reading.hide(data, "texspace_size")


def _weights(reading: _Block, path: str, thing: bpy.types.Object) -> None:
    if thing.vertex_groups and thing.type == "MESH":
        for vertex in thing.data.vertices:
            reading.put(path, [(each.group, each.weight) for each in vertex.groups])


SPECIAL = {
    "Scene": _scene,
    "Mesh": _mesh,
    "Object": _weights,
    "Curve": _texture_space,
    "TextCurve": _texture_space,
    "SurfaceCurve": _texture_space,
    "MetaBall": _texture_space,
    "Text": lambda reading, path, text: reading.put(path, text.as_string()),
    "PackedFile": lambda reading, path, packed: reading.put(path, bytes(packed.data)),
}


# Files


def files(block: bpy.types.ID, path: str) -> list[tuple[str, str]]:
    """Return name and digest of the files that a data-block's path stands for.

    Of a numbered one, such as an image sequence's, all its neighbours; of a folder, all in it.
    """
    if not path or path.startswith("<"):
        return [("", path)]
    if getattr(block, "packed_file", None) or getattr(block, "packed_files", None):
        return []
    there = Path(bpy.path.abspath(path, library=block.library))
    if there.is_dir():
        found = sorted(file for file in there.rglob("*") if file.is_file())
        return [(str(file.relative_to(there)), content(file)) for file in found]
    return [(file.name, content(file)) for file in _numbered(block, there)]


def _numbered(block: bpy.types.ID, path: Path) -> list[Path]:
    if getattr(block, "source", "") not in ("SEQUENCE", "TILED") or not path.parent.is_dir():
        return [path]
    before, number, after = re.fullmatch(r"(.*?)(<UDIM>|\d+|)(\D*)", path.name).groups()
    if not number:
        return [path]
    pattern = rf"{re.escape(before)}\d+{re.escape(after)}"
    return sorted(file for file in path.parent.iterdir() if re.fullmatch(pattern, file.name))


def content(file: Path) -> str:
    """Return a digest of a file's content, or that it is missing."""
    try:
        facts = file.stat()
        return _content(file, facts.st_size, facts.st_mtime_ns)
    except OSError:
        return "missing"


@cache
def _content(file: Path, size: int, modified: int) -> str:
    """Read a file once, as long as it stays as it is."""
    with open(file, "rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
