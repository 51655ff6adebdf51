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
    "lens": ("lens", 1, 5000),
    "azimuth": ("azimuth", -360, 360),
    "elevation": ("elevation", -90, 90),
    "distance": ("distance", 0.01, 100),
    "drift": ("drift", -360, 360),
    "third": ("frame_x", 0.05, 0.95),
    "rise": ("frame_y", 0.05, 0.95),
    "follow": ("follow", 0, 1),
}
"""The keys of a framing, as recipes call them: the field of ``Framing`` that each is, and the least
and the most that it may be."""

SHORTEST = 2
"""Frames that an act lasts at least."""


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


def framing_of(table: Mapping[str, Any], where: str) -> dict[str, float]:
    """Return the fields of ``Framing`` that a table sets; None means the rig's default.

    Raises
    ------
    ValueError
        For a value that is no number, or out of its bounds.
    """
    found = {}
    for key, (field, low, high) in FRAMING.items():
        value = table.get(key)
        if value is None:
            continue
        if type(value) not in (int, float) or not low <= value <= high:
            raise ValueError(
                f"{where}: {key}: expected a number from {low} to {high}, got {value!r}."
            )
        found[field] = float(value)
    return found


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
        For a key, rig or transition that does not exist, a value of the wrong type or out of its
        bounds, and acts that do not begin one after the other, or are too short.
    """
    if not isinstance(tables, (list, tuple)) or not all(isinstance(t, dict) for t in tables):
        raise ValueError("recipe: camera.acts: expected tables [[camera.acts]].")
    whole = framing_of(wanted, "recipe: camera")
    if not tables:
        rig = _rig(rig, "recipe: camera")
        return [Act(rig, 1, last_frame, replace(RIGS[rig].framing, **whole))]
    shares = [_start(table, n) for n, table in enumerate(tables)] + [1.0]
    acts = []
    for n, table in enumerate(tables):
        where = f"recipe: camera.acts {n + 1}"
        if shares[n + 1] <= shares[n]:
            raise ValueError(f"{where}: expected the next start, or the end 1.0, to be after it.")
        first, end = (_frame(share, last_frame) for share in shares[n : n + 2])
        last = end - 1 if n + 1 < len(tables) else end
        if last - first + 1 < SHORTEST:
            raise ValueError(f"{where}: expected an act of {SHORTEST} frames at least.")
        act = _act({"rig": rig, **table}, whole, first, last, where)
        acts.append(act if n else replace(act, transition="cut"))
    return acts


def _act(
    table: dict[str, Any], whole: Mapping[str, float], first: float, last: float, where: str
) -> Act:
    """Return the act of a table, on top of the framing of the whole shot."""
    for key in table:
        if key not in ("rig", "start", "transition", "line", *FRAMING):
            raise ValueError(f"{where}: no key {key!r}.")
    rig = _rig(table["rig"], where)
    transition = table.get("transition", "cut")
    if transition not in TRANSITIONS:
        raise ValueError(
            f"{where}: transition {transition!r}: expected one of {', '.join(TRANSITIONS)}."
        )
    framing = replace(RIGS[rig].framing, **{**whole, **framing_of(table, where)})
    return Act(rig, first, last, framing, transition, str(table.get("line", "")))


def _rig(name: Any, where: str) -> str:
    if not isinstance(name, str) or name not in RIGS:
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
