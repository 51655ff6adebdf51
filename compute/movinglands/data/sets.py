"""Data sets, as tensors that stay where they are used.

A source lists what there is and reads one image at a time; ``load`` chooses by seed, reads only
what it chose, and standardises in place: no image is decoded for nothing or held twice.
"""

from __future__ import annotations

import gzip
import io
import math
import os
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import UserError
from ..memory import must_fit
from ..pieces import recipe
from ..progress import progress

HELD_OUT = 0.2
"""How much is held out for testing, where a data set has no test images of its own."""

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
"""What is taken for an image in a folder."""

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""What is decoded. No others: for some, PostScript say, Pillow runs a program."""


@dataclass(frozen=True)
class DataSet:
    """Images ``(n, channels, size, size)``, float32, standardised; labels ``(n,)``, int64."""

    images: Tensor
    labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    classes: int

    def to(self, device: torch.device) -> DataSet:
        """Return the same data on another device."""
        tensors = {k: v.to(device) for k, v in vars(self).items() if isinstance(v, Tensor)}
        return DataSet(**(vars(self) | tensors))


@dataclass(frozen=True)
class _Split:
    """Labels ``(n,)``, and what reads image i: ``(height, width)``, or ``(height, width, 3)``."""

    labels: np.ndarray
    image: Callable[[int], np.ndarray]


@dataclass(frozen=True)
class _Source:
    classes: int
    train: _Split
    test: _Split | None = None


def load(data: recipe.Data) -> DataSet:
    """Load a data set.

    Each image's middle square is resized, bilinearly and antialiased. Every channel is
    standardised to mean 0 and deviation 1 over the training images. Grey images among coloured
    ones are coloured too; where all are grey, there is one channel.

    Parameters
    ----------
    data : recipe.Data
        Which, how large, and the seed of the choice: of the images where they are limited, and
        of those held out for testing where the data set does not say.

    Raises
    ------
    UserError
        Where the data are not there, cannot be read, or do not fit into memory.
    """
    source = _SOURCES[data.name](data)
    generator = torch.Generator().manual_seed(data.seed)
    train = _shuffled(source.train, generator)
    if source.test is not None:
        test = _shuffled(source.test, generator)
    else:
        held_out = max(1, round(len(train) * HELD_OUT))
        test, train = train[:held_out], train[held_out:]
    if data.limit:
        test, train = test[: data.limit], train[: data.limit]
    if not (test and train):
        raise UserError(f"{_name_of(data)}: expected an image to train on and one to test on.")
    images = _read(test + train, data)
    labels = torch.tensor([int(split.labels[i]) for split, i in test + train])
    count = len(test)
    _standardise(images, images[count:])
    return DataSet(images[count:], labels[count:], images[:count], labels[:count], source.classes)


def _name_of(data: recipe.Data) -> str:
    return f"data.source = {data.source!r}" if data.source else data.name


def _shuffled(split: _Split, generator: torch.Generator) -> list[tuple[_Split, int]]:
    order = torch.randperm(len(split.labels), generator=generator)
    return [(split, i) for i in order.tolist()]


def _read(chosen: Sequence[tuple[_Split, int]], data: recipe.Data) -> Tensor:
    """Read images ``(n, 1, size, size)``, or from the first coloured one ``(n, 3, size, size)``."""
    images = _room(len(chosen), 1, data)
    with progress("images", len(chosen), 0, "image", delay=1) as bar:
        for done, (split, i) in enumerate(chosen):
            image = _fitted(split.image(i), data.size)
            if len(image) > images.shape[1]:
                grey, images = images, _room(len(chosen), len(image), data)
                images[:done] = grey[:done]
            images[done] = image
            bar.update()
    return images


def _room(count: int, channels: int, data: recipe.Data) -> Tensor:
    what = (
        f"data.limit = {data.limit}: {count} images of {data.size} x {data.size} in {channels} "
        "channels"
    )
    must_fit(what, 4 * count * channels * data.size**2, "take fewer or smaller ones")
    return torch.empty(count, channels, data.size, data.size)


def _fitted(pixels: np.ndarray, size: int) -> Tensor:
    """Cut out an image's middle square and resize it: ``(channels, size, size)``."""
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    image = torch.tensor(pixels[top : top + side, left : left + side], dtype=torch.float32)
    image = image.permute(2, 0, 1) if image.ndim == 3 else image[None]
    if side == size:
        return image
    return F.interpolate(image[None], (size, size), mode="bilinear", antialias=True)[0]


def _standardise(images: Tensor, train: Tensor) -> None:
    """Shift and scale each channel, in place, by what it is over the training images."""
    for channel in range(images.shape[1]):
        mean, deviation = train[:, channel].mean(), train[:, channel].std()
        if deviation == 0:  # of a single colour: nothing to scale
            deviation = torch.ones(())
        images[:, channel].sub_(mean).div_(deviation)


def _digits(data: recipe.Data) -> _Source:
    """scikit-learn's 1797 handwritten digits of 8 x 8 pixels, which come with the library.

    They alone are resized without antialiasing, which only matters below 8 x 8: the first
    sequences were made so.
    """
    from sklearn.datasets import load_digits

    source = load_digits()
    images = torch.from_numpy(source.images).float()[:, None]
    if data.size != images.shape[-1]:
        images = F.interpolate(images, (data.size, data.size), mode="bilinear")
    pixels = images[:, 0].numpy()
    return _Source(10, _Split(source.target, lambda i: pixels[i]))


def _faces(data: recipe.Data) -> _Source:
    """scikit-image's excerpt of Labeled Faces in the Wild (Huang et al. 2007), in the library.

    Grey, 25 x 25 pixels: 100 faces, class 1, then 100 cut-outs without one, class 0.
    """
    from skimage.data import lfw_subset

    pixels = lfw_subset()
    return _Source(2, _Split(np.repeat([1, 0], 100), lambda i: pixels[i]))


def _folder(data: recipe.Data) -> _Source:
    """A folder of images: one sub-folder a class, in the order of their names, or a single class.

    In sub-folders ``train``, and ``test`` or ``val``, where it is split already.
    """
    folder, held_out = _folder_of(data), None
    if (folder / "train").is_dir():
        both = (folder / "test", folder / "val")
        held_out = next((other for other in both if other.is_dir()), None)
        folder = folder / "train"
    classes = _classes_in(folder)
    train = _listed(folder, classes)
    for name, count in zip(classes, np.bincount(train.labels, minlength=len(classes)), strict=True):
        if not count:
            raise UserError(f"{folder / name}: there are no images in it.")
    if held_out is None:
        return _Source(len(classes), train)
    for name in set(_classes_in(held_out)) - set(classes):
        raise UserError(f"{held_out / name}: expected the classes of {folder}, it has none such.")
    return _Source(len(classes), train, _listed(held_out, classes))


def _folder_of(data: recipe.Data) -> Path:
    folder = Path(data.source).expanduser()
    if not folder.is_dir():
        raise UserError(f"data.source = {data.source!r}: no such folder.")
    return folder


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def _classes_in(folder: Path) -> list[str]:
    """Return the names of a folder's classes; "" is the folder itself, where it has no others."""
    inside = list(folder.iterdir())
    names = sorted(path.name for path in inside if path.is_dir() and path.name[0] != ".")
    if names and any(map(_is_image, inside)):
        raise UserError(
            f"{folder}: has images beside sub-folders: expected one sub-folder for each class, "
            "or images alone."
        )
    return names or [""]


def _listed(folder: Path, classes: list[str]) -> _Split:
    paths: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        found = [path for path in (folder / name).rglob("*") if _is_image(path)]
        paths += sorted(found, key=Path.as_posix)  # the same order, and choice, everywhere
        labels += [label] * len(found)
    return _Split(np.array(labels, np.int64), lambda i: _pixels(paths[i], str(paths[i])))


def _pixels(file: Path | BinaryIO, where: str) -> np.ndarray:
    """Decode an image, the right way up, to values from 0 to 255, without transparency."""
    from PIL import Image, ImageOps

    try:
        with Image.open(file, formats=FORMATS) as opened:
            image = ImageOps.exif_transpose(opened)
            if image.mode.startswith("I;16"):
                return np.asarray(image) / 257
            if image.mode in ("I", "F"):
                raise ValueError("expected 8 or 16 bits a channel")
            return np.asarray(image.convert("L" if image.mode in ("1", "L", "LA") else "RGB"))
    except Exception as error:  # broken files lead its decoders to all kinds
        raise UserError(f"{where}: no image that can be read: {error}.") from None


def _idx(data: recipe.Data) -> _Source:
    """A folder of IDX files as of MNIST (LeCun et al. 1998): ``train-images-idx3-ubyte``.

    And so on, compressed with gzip (``.gz``) or not; ``t10k`` are the test images.
    """
    folder = _folder_of(data)
    train = _idx_split(folder, "train")
    if train is None:
        raise UserError(f"{folder}: expected train-images-idx3-ubyte in it, or the same with .gz.")
    test = _idx_split(folder, "t10k")
    labels = [split.labels for split in (train, test) if split is not None]
    return _Source(int(np.concatenate(labels).max()) + 1, train, test)


def _idx_split(folder: Path, part: str) -> _Split | None:
    paths = [_idx_path(folder, f"{part}-{kind}") for kind in ("images-idx3", "labels-idx1")]
    if not paths[0].exists():
        return None
    images, labels = _idx_values(paths[0], 3), _idx_values(paths[1], 1)
    if len(images) != len(labels):
        raise UserError(f"{paths[1]}: has {len(labels)} labels for {len(images)} images.")
    return _Split(labels, lambda i: images[i])


def _idx_path(folder: Path, name: str) -> Path:
    path = folder / f"{name}-ubyte"
    return path if path.exists() else path.with_name(path.name + ".gz")


def _idx_values(path: Path, dimensions: int) -> np.ndarray:
    """Read an IDX file of bytes.

    Two zeros, the type (8: unsigned bytes), the number of dimensions; each one's length, as a
    big-endian 32-bit integer; the values, the last dimension fastest.
    """
    opened: Any = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rb") as file:
            content = file.read()
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{path}: cannot be read: {reason}.") from None
    start = 4 + 4 * dimensions
    if len(content) < start or content[:4] != bytes((0, 0, 8, dimensions)):
        raise UserError(f"{path}: expected an IDX file of bytes in {dimensions} dimensions.")
    shape = struct.unpack(f">{dimensions}I", content[4:start])
    if math.prod(shape) != len(content) - start or 0 in shape:
        lengths = " x ".join(map(str, shape))
        raise UserError(f"{path}: expected {lengths} bytes, got {len(content) - start}.")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _hub(data: recipe.Data) -> _Source:
    """A data set of the Hugging Face hub, or a local folder of the same make."""
    splits = _hub_splits(data)
    taken = next(iter(splits)) if len(splits) == 1 else "train"
    if taken not in splits:
        raise UserError(f"{_name_of(data)}: expected a split train, got {', '.join(splits)}.")
    train = splits.pop(taken)
    image, label = _hub_image(train.features, data), _hub_label(train.features, data)
    labels = _hub_labels(train, label)
    if labels is None:
        raise UserError(f"{_name_of(data)}: some training images have no label in {label}.")
    test, test_labels = None, []
    for name in ("test", "validation", "valid", "val"):
        if name in splits and (found := _hub_labels(splits[name], label)) is not None:
            test, test_labels = splits[name], found
            break

    classes = getattr(train.features.get(label), "num_classes", None)
    if classes is None:  # plain values, not numbered yet
        number = {value: i for i, value in enumerate(sorted({*labels, *test_labels}))}
        labels, test_labels = ([number[value] for value in some] for some in (labels, test_labels))
        classes = len(number)
    held_out = None if test is None else _hub_split(test, image, test_labels, data)
    return _Source(classes, _hub_split(train, image, labels, data), held_out)


def _hub_splits(data: recipe.Data) -> dict[str, Any]:
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
        raise UserError(f"{_name_of(data)}: {reason}.") from None


def _hub_image(features: dict[str, Any], data: recipe.Data) -> str:
    from datasets import Image

    columns = [name for name, feature in features.items() if isinstance(feature, Image)]
    if len(columns) != 1:
        raise UserError(
            f"{_name_of(data)}: expected one column of images, "
            f"got {len(columns)} among {', '.join(features)}."
        )
    return columns[0]


def _hub_label(features: dict[str, Any], data: recipe.Data) -> str:
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


def _hub_labels(split: Any, label: str) -> list[Any] | None:
    """Return a split's labels, or None where some are missing."""
    if not label:
        return [0] * len(split)
    labels = list(split[label])
    unknown = {None, -1} if hasattr(split.features[label], "num_classes") else {None}
    return None if unknown & set(labels) else labels


def _hub_split(split: Any, column: str, labels: list[int], data: recipe.Data) -> _Split:
    from datasets import Image

    # Undecoded, for all images to go the same way.
    rows = split.select_columns([column]).cast_column(column, Image(decode=False))

    def image(i: int) -> np.ndarray:
        where = f"{data.source}: {split.split} image {i}"
        stored = rows[i][column] or {"bytes": None, "path": None}
        content, path = stored["bytes"], stored["path"]
        if content is None and not path:
            raise UserError(f"{where}: there is none.")
        return _pixels(Path(path) if content is None else io.BytesIO(content), where)

    return _Split(np.array(labels), image)


_SOURCES: dict[str, Callable[[recipe.Data], _Source]] = {
    "digits": _digits,
    "faces": _faces,
    "folder": _folder,
    "idx": _idx,
    "hub": _hub,
}
