"""What runs on the cluster: an evaluator, in a process of its own."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..engine.evaluator import Evaluator
from ..engine.plan import Plan
from ..engine.work import Ingredients
from ..errors import UserError
from .packing import folder_of, new_files, unpacked
from .session import exceptions, ray


class Worker:
    """What runs on the cluster: an evaluator, in a process of its own."""

    def __init__(self, device: str) -> None:
        torch.set_num_threads(1)
        self._device = torch.device(device)
        self._frame: int | None = None

    def greet(self) -> None:
        """Answer, as soon as there is a process."""

    def prepare(self, ingredients: bytes, plan: Plan, packages: dict[str, bytes]) -> dict:
        """Get ready to evaluate; return the packages that had to be compiled for it."""
        with _located(), folder_of(packages) as folder:
            self._evaluator = self._evaluator_of(ingredients, folder, plan)
            return new_files(folder, packages)

    def tune(
        self, ingredients: bytes, centre: bytes, points: int, compiling: bool | None
    ) -> tuple[Plan, dict[str, bytes]]:
        """Return the fastest plan on this device, and the packages that it needs."""
        with _located(), folder_of({}) as folder:
            evaluator = self._evaluator_of(ingredients, folder)
            evaluator.place(*unpacked(centre, self._device))
            return evaluator.tune(points, compiling), new_files(folder, {})

    def evaluate(
        self, frame: int, centre: list, points: NDArray[np.float64], index: NDArray[np.int64]
    ) -> NDArray:
        """Return the values of points of a frame."""
        with _located():
            if frame != self._frame:
                self._evaluator.place(*unpacked(_fetched(centre[0]), self._device))
                self._frame = frame
            return self._evaluator(points, index)

    def _evaluator_of(
        self, ingredients: bytes, packages: Path, plan: Plan | None = None
    ) -> Evaluator:
        given: Ingredients = unpacked(ingredients, self._device)
        return Evaluator(given.objective(self._device), given.plane, packages, plan)


def _fetched(reference: Any) -> bytes:
    """Return what a reference stands for; a worker whose node is gone ends with it.

    The loss has not failed then, and the tile goes to another worker.
    """
    try:
        return ray.get(reference)
    except (OSError, exceptions.RaySystemError, exceptions.LocalRayletDiedError):
        os._exit(1)


@contextmanager
def _located() -> Iterator[None]:
    """Note on an exception where it was raised: its traceback does not leave the process."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        error.add_note("On a worker:\n" + "".join(traceback.format_tb(error.__traceback__)))
        raise
