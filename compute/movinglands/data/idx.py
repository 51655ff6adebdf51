"""IDX files, as MNIST has them."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ..errors import UserError
from .source import Data, Source, Split


@dataclass(frozen=True)
class Idx(Data):
    """A folder of IDX files as of MNIST (LeCun et al. 1998): ``train-images-idx3-ubyte``.

    And so on, compressed with gzip (``.gz``) or not; ``t10k`` are the test images.
    """

    name: str = "idx"

    wanted: ClassVar[str] = "the path of a folder"

    def open(self) -> Source:
        folder = self.folder()
        train = _split(folder, "train")
        if train is None:
            raise UserError(
                f"{folder}: expected train-images-idx3-ubyte in it, or the same with .gz."
            )
        test = _split(folder, "t10k")
        labels = [split.labels for split in (train, test) if split is not None]
        return Source(int(np.concatenate(labels).max()) + 1, train, test)


def _split(folder: Path, part: str) -> Split | None:
    paths = [_path(folder, f"{part}-{kind}") for kind in ("images-idx3", "labels-idx1")]
    if not paths[0].exists():
        return None
    images, labels = _values(paths[0], 3), _values(paths[1], 1)
    if len(images) != len(labels):
        raise UserError(f"{paths[1]}: has {len(labels)} labels for {len(images)} images.")
    return Split(labels, lambda i: images[i])


def _path(folder: Path, name: str) -> Path:
    path = folder / f"{name}-ubyte"
    return path if path.exists() else path.with_name(path.name + ".gz")


def _values(path: Path, dimensions: int) -> np.ndarray:
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
