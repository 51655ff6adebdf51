"""What a look consists of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import bpy


@dataclass(frozen=True)
class Lamp:
    """An area light, in the shape of a disk.

    Attributes
    ----------
    place : tuple of float
        x and y in widths of the land, z in reliefs; the camera is at -y.
    size : float
        Diameter in widths.
    watts : float
        For a land of 10 units.
    color : str
        sRGB.
    aim : float
        Height of what it looks at, above the land's middle; in reliefs.
    spread : float
        Degrees.
    """

    place: tuple[float, float, float]
    size: float
    watts: float
    color: str
    aim: float = 0.35
    spread: float = 180.0


@dataclass(frozen=True)
class Grade:
    """World and colour management.

    Attributes
    ----------
    ground : str
        What is seen behind the land, sRGB before the view transform.
    ambient : str
        The light that comes from everywhere, so that no shadow is a hole.
    strength : float
        Of that light.
    exposure : float
        In stops.
    contrast : str
        The view transform's look.
    """

    ground: str
    ambient: str
    strength: float
    exposure: float = 0.0
    contrast: str = "AgX - Medium High Contrast"


@dataclass(frozen=True)
class Look:
    """How a land is shaded, lit and judged.

    Attributes
    ----------
    label : str
        What menus, its material and its node group are called.
    description : str
        In a menu.
    group : callable
        Builds its node group.
    lamps : dict of Lamp
        By their names, which are the same in every look: a shot gets another one by setting them.
        "Key" and "Top" are one light from one side, below and above the plate, "Rim" is behind,
        "Fill" is weak, "Funnel" shines into the pit.
    grade : Grade
        World and colour management.
    black : tuple of float
        The judge's bounds of the share of a picture that is black, in percent.
    asset : str
        Description in the Asset Browser.
    tags : tuple of str
        Ditto, to search for.
    preview : tuple of float
        Azimuth and elevation in degrees from which it is seen in the Asset Browser.
    """

    label: str
    description: str
    group: Callable[[], bpy.types.NodeTree]
    lamps: dict[str, Lamp]
    grade: Grade
    black: tuple[float, float]
    asset: str
    tags: tuple[str, ...]
    preview: tuple[float, float] = (60.0, -16.0)
