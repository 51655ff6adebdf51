"""The look of a shot: flesh, fur, ink or specimen.

A look is a material, five lamps, a world and the colour management. Each is noted down as it was
written: what an artist changed since no longer fits its note, is theirs, and stays when a shot is
dressed in another look.
"""

from __future__ import annotations

import zlib
from itertools import product

import bpy

from ..blender.parts import Part, parts_of
from ..nodes.signature import signature
from .lighting import RIGS, look_world, rig, set_lamp, set_view, set_world
from .materials import GROUPS, NOTE, look_material

__all__ = ["LOOKS", "dress", "grade", "lights", "material", "world"]

LOOKS = tuple(GROUPS)
"""What a look may be called."""


def material(name: str) -> bpy.types.Material:
    """Build the material of a look; its whole substance is one node group.

    Raises
    ------
    ValueError
        Where there is no such look.
    """
    return look_material(_known(name))


def lights(name: str, relief: float, azimuth: float) -> dict[str, bpy.types.Object]:
    """Build the lamps of a look.

    Parameters
    ----------
    name : str
        One of ``LOOKS``.
    relief : float
        Height of the land in Blender units.
    azimuth : float
        Of the camera, in degrees.

    Returns
    -------
    dict of Object
        The Empty that they hang on and the lamps, by what they are: the same for every look.

    Raises
    ------
    ValueError
        Where there is no such look.
    """
    parts = rig(_known(name), relief, azimuth)
    for part in RIGS[name]:
        parts[part][NOTE] = _state(parts[part])
    return parts


def world(name: str) -> bpy.types.World:
    """Build the world of a look; raises what ``material`` raises."""
    made = look_world(_known(name))
    made[NOTE] = _state(made)
    return made


def grade(scene: bpy.types.Scene, name: str) -> None:
    """Set the colour management of a look; raises what ``material`` raises."""
    set_view(scene, _known(name))
    scene[NOTE] = _state(scene)


def dress(
    collection: bpy.types.Collection, scene: bpy.types.Scene, name: str, overwrite: bool = False
) -> list[str]:
    """Dress a shot in another look.

    Materials of ours are exchanged in their slots, lamps, world and colour management are set anew;
    each only where nobody changed it, and none comes back that was taken away.

    Parameters
    ----------
    collection : Collection
        The shot.
    scene : Scene
        Where it is.
    name : str
        One of ``LOOKS``.
    overwrite : bool
        Also what was changed by hand. Such a material stays in the file.

    Returns
    -------
    list of str
        What was left as it is.

    Raises
    ------
    ValueError
        Where there is no such look.
    """
    there = parts_of(collection)
    lands = there.all("Land")
    kept = _exchange(lands, _known(name), overwrite)
    for (kind, lamp), surface in product(RIGS[name].items(), there.surfaces):
        thing = there.get(Part(kind, surface))
        if thing is None or thing.type != "LIGHT":
            continue
        if overwrite or _untouched(thing):
            set_lamp(thing, lamp, lands[0]["relief"])
            thing[NOTE] = _state(thing)
        else:
            kept.append(thing.name)
    if scene.world and (_untouched(scene.world) or (overwrite and NOTE in scene.world)):
        set_world(scene.world, name)
        scene.world[NOTE] = _state(scene.world)
    elif scene.world:
        kept.append(scene.world.name)
    if overwrite or _untouched(scene):
        grade(scene, name)
    else:
        kept.append("Color Management")
    return kept


def _exchange(lands: list[bpy.types.Object], name: str, overwrite: bool) -> list[str]:
    """Put a look's material in the place of another look's; return what was left."""
    kept: dict[str, None] = {}
    old: dict[bpy.types.Material, bpy.types.Material] = {}
    for slot in [slot for land in lands for slot in land.material_slots if slot.material]:
        before = slot.material
        if _untouched(before):
            old.setdefault(before, None)
        elif overwrite and NOTE in before:
            before.use_fake_user = True  # an artist's work: kept, though not used
            old.setdefault(before, None)
        else:
            kept[before.name] = None
            continue
        old[before] = old[before] or material(name)
        slot.material = old[before]
    for before in old:
        if not before.users:
            bpy.data.materials.remove(before)
    return list(kept)


def _known(name: str) -> str:
    if name not in LOOKS:
        raise ValueError(f"look.name: expected one of {', '.join(LOOKS)}, got {name!r}.")
    return name


# Whether an artist has been there


def _untouched(owner: bpy.types.ID) -> bool:
    """Tell whether something is as it was written here."""
    return NOTE in owner and owner[NOTE] == _state(owner)


def _state(owner: bpy.types.ID) -> str:
    """Return what tells a part of a look from one that was changed."""
    if isinstance(owner, (bpy.types.Material, bpy.types.World)):
        return signature(owner.node_tree)
    if isinstance(owner, bpy.types.Scene):
        view = owner.view_settings
        said = [view.view_transform, view.look, *_rounded((view.exposure, view.gamma))]
    else:
        light = owner.data
        said = [light.type, light.shape, *_rounded(owner.location), *_rounded(owner.rotation_euler)]
        said += _rounded((light.size, light.energy, light.spread, *light.color, *owner.scale))
        said += [bool(owner.animation_data), bool(light.animation_data), len(owner.constraints)]
    return f"{zlib.crc32(repr(said).encode()):08x}"


def _rounded(numbers) -> list[str]:
    return [f"{number:.4g}" for number in numbers]
