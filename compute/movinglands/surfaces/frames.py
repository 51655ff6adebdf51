"""Where a surface's frames are kept while it is computed: as tiles, then whole."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..engine.work import Tile
from ..files import write_whole


class KeptFrame(NamedTuple):
    """A whole frame.

    ``values`` are ``(k, rows, cols)``, the loss first; ``evaluated`` is ``(rows, cols)``, or None
    where every point was measured; ``error`` is the largest of a refined frame.
    """

    values: NDArray[np.float32]
    evaluated: NDArray[np.uint8] | None
    error: float


class Frames:
    """The frames of a surface in its journal.

    Parameters
    ----------
    folder : Path
        The surface's, in the journal.
    shape : (int, int)
        Rows and columns.
    alike : bool
        Whether all frames are one, as of a fixed window.
    """

    def __init__(self, folder: Path, shape: tuple[int, int], alike: bool) -> None:
        self.folder, self.shape, self._alike = folder, shape, alike

    def file(self, t: int) -> Path:
        """Return where frame t is kept."""
        return self.folder / "frames" / f"{0 if self._alike else t:06d}.npz"

    def read(self, t: int) -> KeptFrame | None:
        """Return frame t, or None while it is missing."""
        if not self.file(t).exists():
            return None
        with np.load(self.file(t)) as kept:
            evaluated = kept["evaluated"]
            return KeptFrame(
                kept["values"], evaluated if evaluated.ndim else None, float(kept["error"])
            )

    def tiles(self, t: int, round_: int, index: NDArray[np.int64], size: int) -> list[Tile]:
        """Return points of a frame in tiles; a frame that is refined has several rounds."""
        folder = self._tiles(t)
        folder.mkdir(parents=True, exist_ok=True)
        pieces = [index[i : i + size] for i in range(0, len(index), size)]
        return [Tile(t, folder / f"{round_:02d}-{n:06d}.npy", p) for n, p in enumerate(pieces)]

    def finish(
        self, t: int, values: NDArray, evaluated: NDArray | None = None, error: float = 0.0
    ) -> None:
        """Keep a whole frame, values ``(points, k)``, instead of its tiles."""
        buffer = io.BytesIO()
        planes = values.T.reshape(-1, *self.shape).astype(np.float32)
        state = np.array(0 if evaluated is None else evaluated, np.uint8)
        np.savez(buffer, values=planes, evaluated=state, error=error)
        self.file(t).parent.mkdir(parents=True, exist_ok=True)
        write_whole(self.file(t), buffer.getvalue())
        shutil.rmtree(self._tiles(t), ignore_errors=True)

    def discard_tiles(self) -> None:
        """Remove all tiles, as of another size."""
        shutil.rmtree(self.folder / "tiles", ignore_errors=True)

    def _tiles(self, t: int) -> Path:
        return self.folder / "tiles" / f"{t:06d}"


def keep(tile: Tile, values: NDArray) -> None:
    """Write a tile's values to its file, whole."""
    buffer = io.BytesIO()
    np.save(buffer, values)
    write_whole(tile.file, buffer.getvalue())
