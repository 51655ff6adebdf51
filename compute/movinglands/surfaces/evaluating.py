"""Frames out of tiles: measured throughout, or refined."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ..engine.refine import refine
from ..engine.work import Tile
from .frames import Frames, keep

Evaluate = Callable[[Iterable[Tile]], Iterator[tuple[Tile, NDArray]]]
"""Evaluates tiles, in any order: here, or on a cluster."""


def measured(
    frames: Frames, missing: list[int], size: int, evaluate: Evaluate, bar: tqdm
) -> Iterator[int]:
    """Measure whole frames, their tiles in one stream, so that no worker waits between.

    Parameters
    ----------
    frames : Frames
        Where they are kept.
    missing : list of int
        Which.
    size : int
        Points of a tile.
    evaluate : callable
    bar : tqdm
        Counts points.

    Yields
    ------
    int
        A frame that is kept now.
    """
    everything = np.arange(frames.shape[0] * frames.shape[1])
    due: dict[int, tuple[int, list[Tile]]] = {}

    def stream() -> Iterator[Tile]:
        for t in missing:
            tiles = frames.tiles(t, 0, everything, size)
            todo = [tile for tile in tiles if not tile.file.exists()]
            due[t] = len(todo), tiles
            bar.update(sum(len(tile.points) for tile in tiles if tile.file.exists()))
            yield from todo

    def finished() -> Iterator[int]:
        for t in [t for t, (left, _) in due.items() if not left]:
            frames.finish(t, np.concatenate([np.load(tile.file) for tile in due.pop(t)[1]]))
            yield t

    for tile, values in evaluate(stream()):
        keep(tile, values)
        bar.update(len(tile.points))
        left, tiles = due[tile.frame]
        due[tile.frame] = left - 1, tiles
        yield from finished()
    yield from finished()


def refined(
    frames: Frames,
    missing: list[int],
    size: int,
    evaluate: Evaluate,
    bar: tqdm,
    tolerance: float,
    scale: str,
) -> Iterator[int]:
    """Refine frame after frame, each beginning with what the one before it taught.

    Parameters
    ----------
    frames, missing, size, evaluate, bar
        As in ``measured``.
    tolerance, scale
        As in ``refine``.

    Yields
    ------
    int
        A frame that is kept now.
    """
    for t in missing:
        before = frames.read(t - 1) if t else None
        rounds = iter(range(100))

        def measure(index: NDArray[np.int64], t: int = t, rounds=rounds) -> NDArray:
            tiles = frames.tiles(t, next(rounds), index, size)
            for tile, values in evaluate(x for x in tiles if not x.file.exists()):
                keep(tile, values)
                bar.update(len(tile.points))
            return np.concatenate([np.load(tile.file) for tile in tiles])[:, 0]

        found = refine(
            measure,
            *frames.shape,
            tolerance=tolerance,
            scale=scale,
            hint=None if before is None else before.evaluated,
        )
        frames.finish(t, found.loss.reshape(-1, 1), found.evaluated, found.error)
        bar.update(int((found.evaluated == 2).sum()))
        yield t
