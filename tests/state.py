"""All of a .blend that somebody could find changed, as plain values that can be compared."""

import zlib

import bpy
import numpy as np

from addon.blender import compat


def state(folder=None):
    """Return what every data-block holds, by kind and name, and the files of a folder."""
    found = {
        (block.id_type, block.name_full): (block.session_uid, *_of(block))
        for blocks in _collections()
        for block in blocks
    }
    files = folder.iterdir() if folder else ()
    return found | {("FILE", path.name): zlib.crc32(path.read_bytes()) for path in files}


def differences(before, after):
    """Return the names of what is not as it was."""
    return sorted(str(key) for key in {*before, *after} if before.get(key) != after.get(key))


def _collections():
    for prop in bpy.data.bl_rna.properties:
        if prop.type == "COLLECTION" and prop.identifier != "window_managers":
            yield getattr(bpy.data, prop.identifier)


def _of(block):
    own = [key for key in block.keys() if key not in block.bl_rna.properties]  # noqa: SIM118
    yield _plain({key: block[key] for key in own})
    yield _animation(block)
    yield _settings(block)
    if block.id_type == "OBJECT":
        yield [_settings(each) for each in (*block.modifiers, *block.constraints)]
        yield [slot.material for slot in block.material_slots]
    elif block.id_type == "KEY":
        yield [(key.name, key.frame, *map(_hash, _key(key))) for key in block.key_blocks]
    elif block.id_type == "MESH":
        yield _hash(_read(block.vertices, "co", 3)), len(block.polygons)
    elif block.id_type == "COLLECTION":
        yield block.objects.keys(), block.children.keys()
    elif block.id_type == "SCENE":
        parts = block.render, block.cycles, block.view_settings, block.render.image_settings
        yield [_settings(part) for part in parts]
        yield [(m.name, m.frame, m.camera) for m in block.timeline_markers]
        yield block.collection.objects.keys(), block.collection.children.keys()
    tree = getattr(block, "node_tree", block if block.id_type == "NODETREE" else None)
    if tree:
        yield [(node.name, node.mute, *map(_value, (*node.inputs, *node.outputs)))
               for node in tree.nodes]  # fmt: skip
        yield _animation(tree)
        yield [(link.from_socket.name, link.to_socket.name) for link in tree.links]


def _value(socket):
    value = getattr(socket, "default_value", None)
    return str(list(value) if hasattr(value, "__len__") else value)


def _settings(thing):
    """Return the plain properties of anything."""
    kinds = "BOOLEAN", "INT", "FLOAT", "STRING", "ENUM", "POINTER"
    found = {}
    for prop in thing.bl_rna.properties:
        if prop.type in kinds and not prop.is_readonly and prop.identifier not in VIEWED:
            value = getattr(thing, prop.identifier, None)
            if prop.type == "POINTER":
                value = value.name_full if isinstance(value, bpy.types.ID) else None
            found[prop.identifier] = list(value) if getattr(prop, "is_array", False) else value
    return found


VIEWED = {
    "tag",
    "use_nodes",
    "use_extra_user",
    "is_runtime_data",
    "is_evaluated",
    "show_expanded",
    "active_section",
}
"""Properties that say nothing of what a .blend holds."""


def _animation(block):
    animation = getattr(block, "animation_data", None)
    if animation is None:
        return None
    curves = [*animation.drivers, *(compat.fcurves(block) if animation.action else ())]
    return [
        (curve.data_path, curve.array_index, _hash(_read(curve.keyframe_points, "co", 2)),
         _hash(_read(curve.keyframe_points, "handle_left", 2)),
         curve.driver and (curve.driver.type, curve.driver.expression))
        for curve in curves
    ]  # fmt: skip


def _key(key):
    yield _read(key.data, "co", 3)
    if len(key.data) and hasattr(key.data[0], "radius"):
        yield _read(key.data, "radius", 1)


def _read(things, name, width):
    numbers = np.empty(width * len(things), np.float32)
    things.foreach_get(name, numbers)
    return numbers


def _hash(numbers):
    return zlib.crc32(numbers.tobytes())


def _plain(value):
    if isinstance(value, bpy.types.ID):
        return value.name_full
    if hasattr(value, "to_dict"):
        return value.to_dict()
    if hasattr(value, "to_list"):
        return value.to_list()
    return {key: _plain(each) for key, each in value.items()} if isinstance(value, dict) else value
