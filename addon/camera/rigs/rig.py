"""What a rig is: how a camera frames what it looks at, and how it moves, in numbers.

No bpy here. Lengths are widths of the land.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..terrain import Terrain

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Framing:
    """How the camera sees what it looks at, half-way through its act.

    Attributes
    ----------
    lens : float
        Focal length in millimetres, on a 36 mm sensor.
    azimuth, elevation : float
        Degrees: where the camera is, seen from what it looks at (azimuth 0: from -y; elevation
        below 0: from below).
    distance : float
        Widths of the land.
    drift : float
        Degrees of azimuth from the begin of the act to its end.
    frame_x, frame_y : float
        Where in the picture its subject is: from the left, and from the bottom, 0 to 1.
    follow : float
        How much of its subject's way the camera shares at most, 0 to 1.
    """

    lens: float
    azimuth: float
    elevation: float
    distance: float
    drift: float
    frame_x: float
    frame_y: float
    follow: float


@dataclass(frozen=True)
class Course:
    """What happens on the land while a rig films it.

    Attributes
    ----------
    terrain : Terrain
        The land.
    frames, when : ndarray
        ``(n,)`` film frames, and the snapshot that is seen at each.
    places : ndarray
        ``(n, 3)`` where the minimizer is seen.
    line : str
        The path to fly along; "" for the first there is.
    done : ndarray
        ``(n,)`` how much of the move is done, 0 to 1.
    """

    terrain: Terrain
    frames: Array
    when: Array
    places: Array
    line: str
    done: Array


def minimizer(course: Course, extent: float) -> tuple[Array, Array]:
    """Return the subject of most rigs, the minimizer; as ``Rig.subject``."""
    return course.places, np.zeros(len(course.places))


@dataclass(frozen=True)
class Rig:
    """One way to film a land.

    Attributes
    ----------
    name : str
        As recipes call it.
    label, description : str
        As menus show it.
    framing : Framing
        By default.
    climb : float
        Degrees of elevation from the begin of its act to the end.
    dolly : float
        How much farther away it ends than it begins, as a part of the distance.
    blur : float
        How much of the picture's width a point infinitely far behind is blurred over: the f-stop
        follows.
    bank : float
        Degrees that it leans into its turn, at the fastest.
    looks_at : {"minimizer", "between", "line"}
        The minimizer, half-way between those of two lands, or ahead along a path.
    subject : callable
        Where that is: from a ``Course``, and the part of the wanted move that is made, to places
        ``(n, 3)`` and the azimuths ``(n,)`` from which its own are counted, in degrees.
    speed : callable, optional
        Its own speed, easing aside: from a ``Terrain``, film frames ``(n,)`` and frames a second
        to ``(n,)``, in any unit; by default always the same.
    elevations : tuple of float
        Degrees between which the middle of its move may be put.
    borders : int
        Sides of the land's border that may be seen.
    filled : tuple of float
        Least and most of the picture that the land should fill: the rest is black.
    whole : bool
        Whether the land, or all lands, should fit into the width of the picture: an upright one is
        taken from farther away.
    pull : float
        Seconds within which focus is pulled from what is nearer to what it looks at.
    allowed : tuple
        Names of figures of ``Motion`` with other upper bounds, and these.
    """

    name: str
    label: str
    description: str
    framing: Framing
    climb: float = 0.0
    dolly: float = 0.0
    blur: float = 0.006
    bank: float = 0.0
    looks_at: str = "minimizer"
    subject: Callable[[Course, float], tuple[Array, Array]] = minimizer
    speed: Callable[[Terrain, Array, float], Array] | None = None
    elevations: tuple[float, float] = (-80.0, 80.0)
    borders: int = 2
    filled: tuple[float, float] = (0.35, 0.75)
    whole: bool = False
    pull: float = 0.0
    allowed: tuple[tuple[str, float], ...] = ()

    def bounds(self) -> tuple[tuple[str, float], ...]:
        """Return the names of figures of ``Motion`` with other upper bounds, and these."""
        return ("borders", float(self.borders)), *self.allowed

    @property
    def from_above(self) -> bool:
        """Whether it films the land from above only."""
        return self.elevations[0] > 0
