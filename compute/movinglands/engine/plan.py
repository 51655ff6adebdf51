"""How points are evaluated on this machine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """How points are evaluated here. The same plan gives the same bits.

    Attributes
    ----------
    way : {"own", "loop", "vmap", "compiled"}
        By the user's own network; by a copy, a point at a time; many at once; compiled.
    launch : int
        Points in a launch.
    workers : int
        Threads that run compiled launches side by side.
    tile : int
        Points that are kept together, as one piece of finished work.
    rate : float
        Points per second when it was measured.
    channels_last : bool
        Whether images and filters lie in memory that way.
    seeded : bool
        Whether the loss draws from global generators.
    note : str
        What was tried and dropped, and why.
    """

    way: str = "loop"
    launch: int = 1
    workers: int = 1
    tile: int = 64
    rate: float = 0.0
    channels_last: bool = False
    seeded: bool = False
    note: str = ""

    def __str__(self) -> str:
        ways = {
            "own": "your own network, one point at a time",
            "loop": "one point at a time",
            "vmap": f"{self.launch} points at once",
        }
        how = ways.get(self.way, f"compiled, {self.launch} points at once")
        side = f", {self.workers} side by side" if self.workers > 1 else ""
        note = f" ({self.note})" if self.note else ""
        return f"{how}{side}: {self.rate:,.3g} points a second{note}"
