"""Tiles evaluated in this process, one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from numpy.typing import NDArray

from .evaluator import Evaluator
from .plan import Plan
from .tuning import place_of
from .work import Tile, Work


class Local:
    """Evaluates tiles here; a ``Backend``.

    Parameters
    ----------
    work : Work
        What is evaluated.
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self._evaluator = Evaluator(work.objective, work.plane, work.packages)

    def __enter__(self) -> Local:
        return self

    def __exit__(self, *_: object) -> None:
        self._evaluator.close()

    @property
    def where(self) -> str:
        """The machine and device that its plans are for."""
        return place_of(self._work.objective)

    def tune(self, points: int, compiling: bool | None = None) -> Plan:
        """Find the fastest plan; the rest is as in ``Evaluator.tune``."""
        self._evaluator.place(*self._work.centre(self._work.frames[-1]))
        return self._evaluator.tune(points, compiling)

    def use(self, plan: Plan) -> None:
        """Evaluate by this plan from now on."""
        self._evaluator.use(plan)

    def evaluate(self, tiles: Iterable[Tile]) -> Iterator[tuple[Tile, NDArray]]:
        """Evaluate tiles in their order."""
        placed = None
        for tile in tiles:
            if placed != tile.frame:
                self._evaluator.place(*self._work.centre(tile.frame))
                placed = tile.frame
            yield tile, self._evaluator(self._work.coordinates(tile.points), tile.points)
