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
    borders : int
        Sides of the land's border that may be seen.
    filled : tuple of float
        Least and most of the picture that the land should fill.
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
    borders: int = 2
    filled: tuple[float, float] = (0.3, 0.8)
    allowed: tuple[tuple[str, float], ...] = ()


RIGS = {
    "ride": Rig(Framing(50, 60, -4.4, 0.6, 8, 0.37, 0.36, 1.0)),
    "coaster": Rig(
        Framing(50, 40, 20, 0.5, 44, 0.36, 0.4, 0.9),
        climb=-6,
        bank=9,
        paced=True,
        filled=(0.45, 0.88),
        allowed=(("tilt", 12.0),),
    ),
    "orbit": Rig(Framing(60, 20, 34, 0.95, 70, 0.36, 0.4, 0.35), filled=(0.45, 0.95)),
    "below": Rig(Framing(50, 50, -28, 0.62, 50, 0.35, 0.36, 0.8), filled=(0.35, 0.9)),
    "goblin": Rig(
        Framing(50, 25, 4, 0.78, 16, 0.37, 0.42, 0.5),
        climb=-62,
        borders=4,
        filled=(0.2, 0.9),
        allowed=(("hidden", 0.6),),
    ),
    "crawl": Rig(
        Framing(85, 65, 28, 0.36, 30, 0.36, 0.4, 1.0),
        climb=-4,
        blur=0.05,
        borders=1,
        filled=(0.75, 1.0),
    ),
    "wide": Rig(
        Framing(50, 35, 26, 1.5, 14, 0.36, 0.36, 0.2),
        climb=8,
        dolly=0.3,
        blur=0.003,
        borders=4,
        filled=(0.25, 0.8),
    ),
    "twin": Rig(
        Framing(50, 0, 22, 4.7, 8, 0.5, 0.45, 0.5),
        climb=6,
        blur=0.001,
        looks_at="between",
        borders=4,
        filled=(0.1, 0.8),
    ),
    "fly-line": Rig(
        Framing(50, 24, 26, 0.4, 0, 0.36, 0.4, 1.0),
        looks_at="line",
        blur=0.02,
        filled=(0.5, 1.0),
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


def of_tables(
    tables: Any, rig: str, framing: Framing, given: Mapping[str, float], last_frame: float
) -> list[Act]:
    """Return the acts that a recipe asks for.

    Parameters
    ----------
    tables : list of dict
        The recipe's ``[[camera.acts]]``; where there are none, the whole shot is one act.
    rig : str
        Of acts that do not say.
    framing : Framing
        Of the whole shot, where it is one act.
    given : mapping
        Keys of a framing that the recipe sets for all acts.
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
    if not tables:
        return [Act(rig, 1, last_frame, framing)]
    shares = [_start(table, n) for n, table in enumerate(tables)] + [1.0]
    framed = {field.name for field in fields(Framing)}
    acts = []
    for n, table in enumerate(tables):
        where = f"recipe: camera.acts {n + 1}"
        if shares[n + 1] <= shares[n]:
            raise ValueError(f"{where}: expected the next start, or the end 1.0, to be after it.")
        for key, value in table.items():
            if key not in {"rig", "start", "transition", "line"} | framed:
                raise ValueError(f"{where}: no key {key!r}.")
            if key in framed and (type(value) not in (int, float)):
                raise ValueError(f"{where}: {key}: expected a number, got {value!r}.")
        kind = table.get("rig", rig)
        if kind not in RIGS:
            raise ValueError(f"{where}: rig {kind!r}: expected one of {', '.join(RIGS)}.")
        transition = table.get("transition", "cut")
        if transition not in TRANSITIONS:
            raise ValueError(
                f"{where}: transition {transition!r}: expected one of {', '.join(TRANSITIONS)}."
            )
        own = {**given, **{k: float(v) for k, v in table.items() if k in framed}}
        acts.append(
            Act(
                kind,
                _frame(shares[n], last_frame),
                _frame(shares[n + 1], last_frame) - (n + 1 < len(tables)),
                replace(RIGS[kind].framing, **own),
                transition if n else "cut",
                str(table.get("line", "")),
            )
        )
    return acts


def _start(table: dict[str, Any], n: int) -> float:
    start = table.get("start", None if n else 0.0)
    if type(start) not in (int, float) or not (0 <= start < 1 if n else start == 0):
        expected = "a share of the film from 0 to 1" if n else "0, or nothing"
        raise ValueError(f"recipe: camera.acts {n + 1}: start: expected {expected}, got {start!r}.")
    return float(start)


def _frame(share: float, last_frame: float) -> float:
    return float(round(1 + share * (last_frame - 1)))


def takes(acts: list[Act]) -> list[list[Act]]:
    """Return acts in groups that one camera takes in one go: those that ease into each other."""
    found: list[list[Act]] = []
    for act in acts:
        if act.transition == "ease" and found:
            found[-1].append(act)
        else:
            found.append([act])
    return found
