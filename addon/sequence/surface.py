"""One network's loss surfaces, over the training. Losses are read from the file frame by frame."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from .format import SequenceError
from .selection import Selection

READERS = 2
"""Threads that read ahead: one unpacks the next frame while the other computes."""

Frame = NDArray[np.float32]


@dataclass(frozen=True)
class Surface:
    """One network's surfaces. Only the losses stay in the file.

    Attributes
    ----------
    alpha, beta : ndarray
        ``(cols,)`` and ``(rows,)``: coordinates from the window's centre.
    frames : ndarray of int
        ``(n,)`` the frames of the file that are complete; what follows has a row for each.
    step, origin, minimizer : ndarray
        ``(n,)`` training steps; ``(n, 2)`` the window's centre in the plane; ``(n, 3)`` alpha, beta
        and loss of the weights.
    scalars : dict of ndarray
        ``(n,)`` each, such as the learning rate.
    paths : dict of ndarray
        ``(points, 3)`` or ``(n, points, 3)`` each: alpha, beta and loss along a line.
    posterior : dict of ndarray
        A Gaussian in the plane: ``mean`` (2,), ``covariance`` (2, 2) and ``samples`` (samples, 3),
        those that the file has.
    attrs : dict
        How it was made.
    taken : tuple of ndarray, optional
        The rows and columns of the file that are shown; None for all.
    """

    name: str
    alpha: NDArray[np.float64]
    beta: NDArray[np.float64]
    frames: NDArray[np.int64]
    step: NDArray[np.int64]
    origin: NDArray[np.float64]
    minimizer: NDArray[np.float64]
    scalars: dict[str, NDArray[np.float64]]
    paths: dict[str, NDArray[np.float64]]
    posterior: dict[str, NDArray[np.float64]]
    attrs: dict[str, Any]
    dataset: h5py.Dataset
    taken: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None

    def loss(self, index: int) -> Frame:
        """Return the losses ``(rows, cols)`` of a frame, counted among the complete ones."""
        try:
            loss = self.dataset[self.frames[index]]
        except OSError:
            file, name = self.dataset.file.filename, self.dataset.name.strip("/")
            raise SequenceError(f"{file}: {name}: damaged at frame {self.frames[index]}.") from None
        return loss if self.taken is None else loss[np.ix_(*self.taken)]

    def losses(self, then: Callable[[Frame], Frame] = lambda loss: loss) -> Iterator[Frame]:
        """Yield ``then(losses)`` of each frame, while the next frames are read and computed.

        The file must stay open until the end, or until this is closed.
        """
        count = len(self.frames)
        with ThreadPoolExecutor(READERS) as readers:
            coming: deque[Future[Frame]] = deque()
            for index in range(count + READERS):
                if index < count:
                    coming.append(readers.submit(lambda at: then(self.loss(at)), index))
                if index >= READERS:
                    yield coming.popleft().result()

    def select(self, selection: Selection) -> Surface:
        """Return the same surface with fewer frames and points.

        Raises
        ------
        ValueError
            Where none of its frames is selected.
        """
        try:
            shown = selection.snapshots(len(self.frames))
        except ValueError as error:
            raise ValueError(f"{self.name}: {error}") from None
        rows, cols = (selection.lines(len(axis)) for axis in (self.beta, self.alpha))
        taken = (self.taken[0][rows], self.taken[1][cols]) if self.taken else (rows, cols)
        return replace(
            self,
            alpha=self.alpha[cols],
            beta=self.beta[rows],
            frames=self.frames[shown],
            step=self.step[shown],
            origin=self.origin[shown],
            minimizer=self.minimizer[shown],
            scalars={name: curve[shown] for name, curve in self.scalars.items()},
            paths={k: line[shown] if line.ndim == 3 else line for k, line in self.paths.items()},
            taken=taken if selection.thin > 1 else self.taken,
        )

    def points(self) -> int:
        """Return the number of points of one frame."""
        return len(self.alpha) * len(self.beta)
