"""Data sets of the Hugging Face hub."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ..errors import UserError
from .images import pixels_of
from .source import Data, Source, Split


@dataclass(frozen=True)
class Hub(Data):
    """A data set of the Hugging Face hub, or a local folder of the same make."""

    name: str = "hub"

    wanted: ClassVar[str] = "the name of a data set"
    labelled: ClassVar[bool] = True

    def open(self) -> Source:
        splits = _splits(self)
        taken = next(iter(splits)) if len(splits) == 1 else "train"
        if taken not in splits:
            raise UserError(f"{self.called}: expected a split train, got {', '.join(splits)}.")
        train = splits.pop(taken)
        image, label = _image(train.features, self), _label(train.features, self)
        labels = _labels(train, label)
        if labels is None:
            raise UserError(f"{self.called}: some training images have no label in {label}.")
        test, test_labels = None, []
        for name in ("test", "validation", "valid", "val"):
            if name in splits and (found := _labels(splits[name], label)) is not None:
                test, test_labels = splits[name], found
                break

        classes = getattr(train.features.get(label), "num_classes", None)
        if classes is None:  # plain values, not numbered yet
            number = {value: i for i, value in enumerate(sorted({*labels, *test_labels}))}
            labels, test_labels = (
                [number[value] for value in some] for some in (labels, test_labels)
            )
            classes = len(number)
        held_out = None if test is None else _split(test, image, test_labels, self)
        return Source(classes, _split(train, image, labels, self), held_out)


def _splits(data: Data) -> dict[str, Any]:
    try:
        import datasets
    except ImportError as error:
        raise UserError(
            f"data.name = 'hub' needs datasets: pip install movinglands[hub] ({error})."
        ) from None
    name, configuration = os.path.expanduser(data.source), ""
    if not os.path.exists(name):
        name, _, configuration = name.partition(":")
    try:
        return datasets.load_dataset(name, configuration or None)
    except (datasets.exceptions.DatasetsError, OSError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise UserError(f"{data.called}: {reason}.") from None


def _image(features: dict[str, Any], data: Data) -> str:
    from datasets import Image

    columns = [name for name, feature in features.items() if isinstance(feature, Image)]
    if len(columns) != 1:
        raise UserError(
            f"{data.called}: expected one column of images, "
            f"got {len(columns)} among {', '.join(features)}."
        )
    return columns[0]


def _label(features: dict[str, Any], data: Data) -> str:
    """Return the column of the classes, or "" where there are none: all is one class then."""
    from datasets import ClassLabel, Value

    kinds = ("bool", "int", "uint", "string", "large_string")
    classed = [name for name, feature in features.items() if isinstance(feature, ClassLabel)]
    usable = classed + [
        name
        for name, feature in features.items()
        if isinstance(feature, Value) and feature.dtype.startswith(kinds)
    ]
    if data.label:
        if data.label not in usable:
            expected = ", ".join(usable) or "none, there are no labels"
            raise UserError(f"data.label = {data.label!r}: expected one of {expected}.")
        return data.label
    if len(classed) > 1:
        raise UserError(f"data.label: expected one of {', '.join(classed)}, none is given.")
    return classed[0] if classed else "label" if "label" in usable else ""


def _labels(split: Any, label: str) -> list[Any] | None:
    """Return a split's labels, or None where some are missing."""
    if not label:
        return [0] * len(split)
    labels = list(split[label])
    unknown = {None, -1} if hasattr(split.features[label], "num_classes") else {None}
    return None if unknown & set(labels) else labels


def _split(split: Any, column: str, labels: list[int], data: Data) -> Split:
    from datasets import Image

    # Undecoded, for all images to go the same way.
    rows = split.select_columns([column]).cast_column(column, Image(decode=False))

    def image(i: int) -> np.ndarray:
        where = f"{data.source}: {split.split} image {i}"
        stored = rows[i][column] or {"bytes": None, "path": None}
        content, path = stored["bytes"], stored["path"]
        if content is None and not path:
            raise UserError(f"{where}: there is none.")
        return pixels_of(Path(path) if content is None else io.BytesIO(content), where)

    return Split(np.array(labels), image)
