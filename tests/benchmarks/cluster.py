"""What a second worker adds: two Ray workers against one, a thread each, in turns."""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from movinglands.engine.work import Tile
from movinglands.errors import UserError
from movinglands.surfaces.job import SurfaceJob

from .refinement import gently
from .report import Row

if TYPE_CHECKING:
    from movinglands.cluster.pool import Cluster

TILE_SECONDS = 0.5
WARMING, TURN = 5.0, 8.0
"""Seconds of work that do not count, and that do."""


def bench() -> Iterator[Row]:
    """Measure the rates."""
    try:
        yield _efficiency()
    except UserError as error:
        yield Row("ray.efficiency", None, f"skipped: {error}")


def _efficiency() -> Row:
    if len(os.sched_getaffinity(0)) < 2:
        raise UserError("two workers need two cores.")
    import ray

    from movinglands.cluster.pool import Cluster  # which says so where there is no Ray

    with tempfile.TemporaryDirectory() as folder:
        shot = gently(Path(folder), resolution=161)
        ray.init(
            address="local",
            num_cpus=3,  # for both clusters, of which one rests
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
        try:
            with Cluster("", shot, workers=1) as one, Cluster("", shot, workers=2) as two:
                plan = one.tune(1_000_000, compiling=True)
                for cluster in (one, two):
                    cluster.use(plan)
                size = max(1, round(plan.rate * TILE_SECONDS / plan.launch)) * plan.launch
                rates: dict[Cluster, list[float]] = {one: [], two: []}
                for seconds in (WARMING, TURN, TURN, TURN):
                    for cluster, taken in rates.items():
                        taken.append(_rate(cluster, shot, size, seconds))
        finally:
            ray.shutdown()
    single, double = (median(taken[1:]) for taken in rates.values())
    return Row(
        "ray.efficiency",
        double / single / 2,
        f"2 workers {double:.4g} points/s",
        f"1 worker {single:.4g} points/s, of which 2 would do twice as many",
    )


def _rate(cluster: Cluster, shot: SurfaceJob, size: int, seconds: float) -> float:
    """Return points per second, from the first answer of a stream of tiles to its last."""
    begun, last, points = None, 0.0, 0

    def tiles() -> Iterator[Tile]:
        number = 0
        while begun is None or time.perf_counter() < begun + seconds:
            index = np.arange(number * size, (number + 1) * size) % shot.points
            yield Tile(0, shot.journal / f"{number}.npy", index)
            number += 1

    for tile, _ in cluster.evaluate(tiles()):
        last = time.perf_counter()
        if begun is None:
            begun = last
        else:
            points += len(tile.points)
    return points / (last - begun)
