"""Giving a shot another look.

All that a look consists of is stamped as it was written: what an artist changed since is theirs,
and stays.
"""

from __future__ import annotations

import bpy

from ..blender.edits import LOOK, is_untouched
from ..blender.parts import Parts
from ..nodes.signature import signature
from . import get_look
from .grading import set_view, set_world, view_state
from .lights import FORMERLY, lamp_state, set_lamp
from .look import Grade, Look
from .shading import look_material


def apply_look(
    name: str,
    parts: Parts,
    relief: float,
    scene: bpy.types.Scene | None,
    overwrite: bool = False,
) -> list[str]:
    """Give a shot another look.

    Materials of looks are exchanged in their slots, lamps, world and colour management are set
    anew; each only where nobody changed it.

    Parameters
    ----------
    name : str
        One of ``LOOKS``.
    parts : Parts
        Of the shot.
    relief : float
        Height of the lands in Blender units.
    scene : Scene, optional
        The shot's own; without one, world and colour management are not the shot's to set.
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
    look = get_look(name)
    kept = _exchange_materials(parts.all("Land"), look, overwrite)
    for part, thing in parts.items():
        lamp = look.lamps.get(FORMERLY.get(part.kind, part.kind))
        if lamp is None or thing.type != "LIGHT":
            continue
        if overwrite or _is_ours(thing):
            set_lamp(thing, lamp, relief)
        else:
            kept.append(thing.name)
    return kept + (_regrade(scene, look.grade, overwrite) if scene else [])


def _regrade(scene: bpy.types.Scene, grade: Grade, overwrite: bool) -> list[str]:
    """Set world and colour management of a scene; return what was left."""
    kept = []
    if world := scene.world:
        if _is_ours(world) or (overwrite and LOOK in world):
            set_world(world, grade)
        else:
            kept.append(world.name)
    if overwrite or _is_ours(scene):
        set_view(scene, grade)
    else:
        kept.append("Color Management")
    return kept


def _exchange_materials(lands: list[bpy.types.Object], look: Look, overwrite: bool) -> list[str]:
    """Put a look's material in the place of another look's; return what was left."""
    kept: dict[str, None] = {}
    new: dict[bpy.types.Material, bpy.types.Material] = {}
    for slot in [slot for land in lands for slot in land.material_slots if slot.material]:
        before = slot.material
        if before not in new:
            if _is_ours(before):
                new[before] = look_material(look)
            elif overwrite and LOOK in before:
                before.use_fake_user = True  # an artist's work: kept, though not used
                new[before] = look_material(look)
            else:
                kept[before.name] = None
                continue
        slot.material = new[before]
    for before in new:
        if not before.users:
            bpy.data.materials.remove(before)
    return list(kept)


def _is_ours(owner: bpy.types.ID) -> bool:
    """Tell whether a part of a look is as it was written."""
    if LOOK not in owner:
        return False
    if isinstance(owner, bpy.types.Object):
        state = lamp_state(owner)
    elif isinstance(owner, bpy.types.Scene):
        state = view_state(owner)
    else:
        state = signature(owner.node_tree)
    return is_untouched(owner, LOOK, state)
