"""Where images come from: what there is, and one image at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from .. import keys
from ..errors import UserError


@dataclass(frozen=True)
class Split:
    """Labels ``(n,)``, and what reads image i: ``(height, width)``, or ``(height, width, 3)``."""

    labels: np.ndarray
    image: Callable[[int], np.ndarray]


@dataclass(frozen=True)
class Source:
    """What there is to learn from: how many classes, and images, split where they are."""

    classes: int
    train: Split
    test: Split | None = None


@dataclass(frozen=True)
class Data:
    """What the network learns, resized to ``size`` x ``size`` pixels.

    At most ``limit`` images are taken for training, and for testing; 0 takes all. A data set is a
    dataclass derived from this one: further fields are further keys.
    """

    name: str = ""
    source: str = ""
    label: str = ""
    size: int = keys.number(8, 4, 512)
    limit: int = keys.number(0, 0, 1_000_000_000)
    seed: int = keys.seed()

    wanted: ClassVar[str] = ""
    """What ``source`` is, in words; nothing where there is none."""

    labelled: ClassVar[bool] = False
    """Whether ``label`` says anything: the column of the classes, where that is not plain."""

    def __post_init__(self) -> None:
        if self.source and not self.wanted:
            raise ValueError(f'source: {self.name} has none: expected "", got {self.source!r}.')
        if self.wanted and not self.source:
            raise ValueError(f"source: {self.name} needs {self.wanted}, got {self.source!r}.")
        if self.label and not self.labelled:
            raise ValueError(f'label: {self.name} has none: expected "", got {self.label!r}.')

    @property
    def called(self) -> str:
        """The data set in an error."""
        return f"data.source = {self.source!r}" if self.source else self.name

    def folder(self) -> Path:
        """Return the source as a folder.

        Raises
        ------
        UserError
            Where it is none.
        """
        folder = Path(self.source).expanduser()
        if not folder.is_dir():
            raise UserError(f"data.source = {self.source!r}: no such folder.")
        return folder

    def open(self) -> Source:
        """Find out what there is.

        Raises
        ------
        UserError
            Where the data are not there, or cannot be read.
        """
        raise NotImplementedError
