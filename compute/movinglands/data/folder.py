"""A folder of images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from ..errors import UserError
from .images import is_image, pixels_of
from .source import Data, Source, Split


@dataclass(frozen=True)
class Folder(Data):
    """A folder of images: one sub-folder a class, in the order of their names, or a single class.

    In sub-folders ``train``, and ``test`` or ``val``, where it is split already.
    """

    name: str = "folder"

    wanted: ClassVar[str] = "the path of a folder"

    def open(self) -> Source:
        folder, held_out = self.folder(), None
        if (folder / "train").is_dir():
            both = (folder / "test", folder / "val")
            held_out = next((other for other in both if other.is_dir()), None)
            folder = folder / "train"
        classes = _classes_in(folder)
        train = _listed(folder, classes)
        for name, count in zip(
            classes, np.bincount(train.labels, minlength=len(classes)), strict=True
        ):
            if not count:
                raise UserError(f"{folder / name}: there are no images in it.")
        if held_out is None:
            return Source(len(classes), train)
        for name in set(_classes_in(held_out)) - set(classes):
            raise UserError(
                f"{held_out / name}: expected the classes of {folder}, it has none such."
            )
        return Source(len(classes), train, _listed(held_out, classes))


def _classes_in(folder: Path) -> list[str]:
    """Return the names of a folder's classes; "" is the folder itself, where it has no others."""
    inside = list(folder.iterdir())
    names = sorted(path.name for path in inside if path.is_dir() and path.name[0] != ".")
    if names and any(map(is_image, inside)):
        raise UserError(
            f"{folder}: has images beside sub-folders: expected one sub-folder for each class, "
            "or images alone."
        )
    return names or [""]


def _listed(folder: Path, classes: list[str]) -> Split:
    paths: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        found = [path for path in (folder / name).rglob("*") if is_image(path)]
        paths += sorted(found, key=Path.as_posix)  # the same order, and choice, everywhere
        labels += [label] * len(found)
    return Split(np.array(labels, np.int64), lambda i: pixels_of(paths[i], str(paths[i])))
