"""The acts of a shot, as a recipe asks for them.

No bpy here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from .rigs import RIGS, Framing

TRANSITIONS = ("cut", "fade", "ease")

FRAMING = {
    "lens": "lens",
    "azimuth": "azimuth",
    "elevation": "elevation",
    "distance": "distance",
    "drift": "drift",
    "third": "frame_x",
    "rise": "frame_y",
    "follow": "follow",
}
"""The keys of a framing, as recipes call them, and the fields of ``Framing`` that they are."""


@dataclass(frozen=True)
class Act:
    """A part of a shot.

    Attributes
    ----------
    rig : str
        Name of one of ``RIGS``.
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


def framing_of(table: Mapping[str, Any]) -> dict[str, float]:
    """Return the fields of ``Framing`` that a table sets; None means the rig's default."""
    return {
        field: float(table[key]) for key, field in FRAMING.items() if table.get(key) is not None
    }


def read_acts(tables: Any, rig: str, wanted: Mapping[str, float], last_frame: float) -> list[Act]:
    """Return the acts that a recipe asks for.

    Parameters
    ----------
    tables : list of dict
        The recipe's ``[[camera.acts]]``; where there are none, the whole shot is one act.
    rig : str
        Of a shot without acts.
    wanted : mapping
        The recipe's own framing, which acts may change; as ``framing_of`` takes it.
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
    whole = framing_of(wanted)
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
        framing = replace(RIGS[kind].framing, **{**whole, **framing_of(table)})
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


def by_camera(acts: list[Act]) -> list[list[Act]]:
    """Return acts in groups that one camera films: those that ease into each other."""
    found: list[list[Act]] = []
    for act in acts:
        if act.transition == "ease" and found:
            found[-1].append(act)
        else:
            found.append([act])
    return found
