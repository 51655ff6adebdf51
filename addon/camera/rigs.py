"""The camera rigs, and the acts of a shot: what each wants to show, in numbers.

No bpy here. A rig is where the camera would be, seen from what it looks at, and how far it moves
during its act; a planner finds the calm path nearest to that. Lengths are widths of the land.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

TRANSITIONS = ("cut", "fade", "ease")


@dataclass(frozen=True)
class Framing:
    """How the minimizer is seen.

    Attributes
    ----------
    lens : float
        Millimetres, on a 36 mm sensor.
    azimuth, elevation, drift : float
        Degrees: where the camera is, seen from the minimizer, at the middle of the shot (0: from
        -y; elevation below 0: from below), and how far it moves around during the shot.
    distance : float
        Widths of the land.
    third, rise : float
        Where the minimizer stands in the frame: from its left, and from its bottom, 0 to 1.
    follow : float
        How much of the descent the camera shares at most, 0 to 1.
    """

    lens: float
    azimuth: float
    elevation: float
    distance: float
    drift: float
    third: float
    rise: float
    follow: float


@dataclass(frozen=True)
class Rig:
    """One kind of shot.

    Attributes
    ----------
    framing : Framing
        By default.
    climb : float
        Degrees of elevation from its begin to its end.
    dolly : float
        How much farther away it ends than it begins, as a part of the distance.
    blur : float
        How much of the picture's width a point infinitely far behind is blurred over: the f-stop
        follows.
    bank : float
        Degrees, at the fastest.
    looks_at : {"minimizer", "between", "line"}
        At the minimizer, half-way between those of two lands, or ahead along a path.
    paced : bool
        Whether its speed is the learning rate's.
    elevations : tuple of float
        Degrees between which the middle of its move may be put.
    borders : int
        Sides of the land's border that may be seen.
    filled : tuple of float
        Least and most of the picture that the land should fill: the rest is black.
    pull : float
        Seconds within which focus is pulled from what is nearer to what it looks at.
    allowed : tuple
        Names of figures of ``camerawork.CALM`` with other bounds, and these.
    """

    framing: Framing
    climb: float = 0.0
    dolly: float = 0.0
    blur: float = 0.006
    bank: float = 0.0
    looks_at: str = "minimizer"
    paced: bool = False
    elevations: tuple[float, float] = (-80.0, 80.0)
    borders: int = 2
    filled: tuple[float, float] = (0.35, 0.75)
    pull: float = 0.0
    allowed: tuple[tuple[str, float], ...] = ()

    @property
    def over(self) -> bool:
        """Whether it looks at the land from over it only."""
        return self.elevations[0] > 0


RIGS = {
    "ride": Rig(Framing(50, 60, -4.4, 0.6, 8, 0.37, 0.36, 1.0), filled=(0.3, 0.75)),
    "coaster": Rig(
        Framing(42, 40, -8, 0.55, 44, 0.36, 0.38, 0.9),
        climb=-8,
        elevations=(-18, 60),
        bank=9,
        paced=True,
        filled=(0.3, 0.75),
        allowed=(("tilt", 12.0),),
    ),
    "orbit": Rig(
        Framing(28, 65, 36, 0.8, 60, 0.34, 0.29, 0.3),
        climb=16,
        dolly=0.2,
        elevations=(12, 65),
        filled=(0.35, 0.7),
    ),
    "below": Rig(
        Framing(45, 50, -21, 0.68, 50, 0.35, 0.36, 0.8),
        climb=-10,
        elevations=(-36, -20),
        filled=(0.35, 0.92),
    ),
    "goblin": Rig(
        Framing(50, 25, 4, 0.78, 16, 0.37, 0.42, 0.5),
        climb=-62,
        borders=4,
        filled=(0.2, 0.8),
        allowed=(("hidden", 0.6),),
    ),
    "crawl": Rig(
        Framing(50, 65, 22, 0.38, 40, 0.36, 0.4, 1.0),
        climb=-6,
        dolly=-0.35,
        elevations=(10, 75),
        blur=0.028,
        borders=1,
        filled=(0.75, 1.0),
        pull=1.5,
        allowed=(("hidden", 0.2),),
    ),
    "wide": Rig(
        Framing(35, 35, 28, 1.15, 16, 0.36, 0.35, 0.2),
        climb=14,
        elevations=(12, 60),
        dolly=0.6,
        blur=0.003,
        borders=4,
        filled=(0.25, 0.65),
    ),
    "twin": Rig(
        Framing(50, 0, 38, 2.9, 10, 0.5, 0.42, 0.5),
        climb=-10,
        blur=0.001,
        looks_at="between",
        borders=4,
        filled=(0.2, 0.8),
    ),
    "fly-line": Rig(
        Framing(42, 24, 18, 0.48, 0, 0.36, 0.36, 1.0),
        elevations=(8, 60),
        filled=(0.35, 0.9),
        looks_at="line",
        blur=0.02,
        pull=1.5,
    ),
}
"""By name, as recipes call them."""


@dataclass(frozen=True)
class Act:
    """A part of a shot.

    Attributes
    ----------
    rig : str
        One of ``RIGS``.
    first, last : float
        Film frames.
    framing : Framing
        How it is framed.
    transition : {"cut", "fade", "ease"}
        How it comes from the act before: at once, over black, or in one move.
    line : str
        The path it flies along, of those of the sequence; the first there is if empty.
    """

    rig: str
    first: float
    last: float
    framing: Framing
    transition: str = "cut"
    line: str = ""


FRAMING = tuple(field.name for field in fields(Framing))
"""The keys of a framing, as recipes call them."""


def said(table: Mapping[str, Any]) -> dict[str, float]:
    """Return the framing keys that a table says; those of None are the rig's own."""
    return {key: float(table[key]) for key in FRAMING if table.get(key) is not None}


def of_tables(tables: Any, rig: str, wanted: Mapping[str, float], last_frame: float) -> list[Act]:
    """Return the acts that a recipe asks for.

    Parameters
    ----------
    tables : list of dict
        The recipe's ``[[camera.acts]]``; where there are none, the whole shot is one act.
    rig : str
        Of a shot without acts.
    wanted : mapping
        The recipe's own framing, which acts may change; as ``said`` takes it.
    last_frame : float
        Of the film; its first is 1.

    Raises
    ------
    ValueError
        For a key, rig or transition that does not exist, a value of the wrong type, and acts that
        do not begin one after the other.
    """
    if not isinstance(tables, (list, tuple)) or not all(isinstance(t, dict) for t in tables):
        raise ValueError("recipe: camera.acts: expected tables [[camera.acts]].")
    whole = said(wanted)
    if not tables:
        rig = _rig(rig, "recipe: camera")
        return [Act(rig, 1, last_frame, replace(RIGS[rig].framing, **whole))]
    shares = [_start(table, n) for n, table in enumerate(tables)] + [1.0]
    acts = []
    for n, table in enumerate(tables):
        where = f"recipe: camera.acts {n + 1}"
        if shares[n + 1] <= shares[n]:
            raise ValueError(f"{where}: expected the next start, or the end 1.0, to be after it.")
        _check_keys(table, where)
        kind = _rig(table.get("rig", rig), where)
        transition = table.get("transition", "cut")
        if transition not in TRANSITIONS:
            raise ValueError(
                f"{where}: transition {transition!r}: expected one of {', '.join(TRANSITIONS)}."
            )
        first, end = (_frame(share, last_frame) for share in shares[n : n + 2])
        last = end - 1 if n + 1 < len(tables) else end
        framing = replace(RIGS[kind].framing, **{**whole, **said(table)})
        line = str(table.get("line", ""))
        acts.append(Act(kind, first, last, framing, transition if n else "cut", line))
    return acts


def _check_keys(table: dict[str, Any], where: str) -> None:
    for key, value in table.items():
        if key not in ("rig", "start", "transition", "line", *FRAMING):
            raise ValueError(f"{where}: no key {key!r}.")
        if key in FRAMING and type(value) not in (int, float):
            raise ValueError(f"{where}: {key}: expected a number, got {value!r}.")


def _rig(name: Any, where: str) -> str:
    if name not in RIGS:
        raise ValueError(f"{where}: rig {name!r}: expected one of {', '.join(RIGS)}.")
    return name


def _start(table: dict[str, Any], n: int) -> float:
    start: Any = table.get("start", None if n else 0.0)
    if type(start) not in (int, float) or not (0 <= start < 1 if n else start == 0):
        expected = "a share of the film from 0 to 1" if n else "0, or nothing"
        raise ValueError(f"recipe: camera.acts {n + 1}: start: expected {expected}, got {start!r}.")
    return float(start)


def _frame(share: float, last_frame: float) -> float:
    return float(round(1 + share * (last_frame - 1)))


def joined(names: list[str]) -> Rig:
    """Return the rig of acts that one camera takes: the first, with the widest bounds of all."""
    found = [RIGS[name] for name in names]
    lows, highs = zip(*(rig.elevations for rig in found), strict=True)
    emptiest, fullest = zip(*(rig.filled for rig in found), strict=True)
    return replace(
        found[0],
        elevations=(min(lows), max(highs)),
        borders=max(rig.borders for rig in found),
        filled=(min(emptiest), max(fullest)),
        allowed=tuple(sorted(bound for rig in found for bound in rig.allowed)),
    )


def takes(acts: list[Act]) -> list[list[Act]]:
    """Return acts in groups that one camera takes in one go: those that ease into each other."""
    found: list[list[Act]] = []
    for act in acts:
        if act.transition == "ease" and found:
            found[-1].append(act)
        else:
            found.append([act])
    return found
