"""What an overlay is: the kinds of its parts, how it is made and written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import bpy

from ..blender.parts import Part, Parts
from ..sequence.heights import HeightScale
from ..sequence.surface import Surface
from .layout import Picture

Written = dict[bpy.types.Object, bool]
"""Of each object whether it took what was written, or is an artist's by now."""


@dataclass(frozen=True)
class Content:
    """What overlays show.

    Attributes
    ----------
    title : str
        Of the shot.
    recipe : dict
        Of the run; its "sentence" and "credits" stand below the title.
    surfaces : list of Surface
        What the lands show, in order.
    scale : HeightScale
        The lands'.
    """

    title: str
    recipe: dict[str, Any]
    surfaces: list[Surface]
    scale: HeightScale


@dataclass(frozen=True)
class Overlay:
    """One of the overlays of a shot.

    Attributes
    ----------
    kinds : tuple of str
        Of its parts; so they are called in the sidebar.
    make : callable
        Build its objects, empty, of the picture, the parts that there are, and the content.
    write : callable
        Write the content into the parts that there are, except where an artist changed them.
    """

    kinds: tuple[str, ...]
    make: Callable[[Picture, Parts, Content], dict[Part, bpy.types.Object]]
    write: Callable[[Parts, Content], Written]
