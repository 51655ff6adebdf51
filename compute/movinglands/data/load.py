"""A data set, as tensors that stay where they are used.

A source lists what there is and reads one image at a time; ``load`` chooses by seed, reads only
what it chose, and standardises in place: no image is decoded for nothing or held twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import UserError
from ..memory import must_fit
from ..progress import progress
from .source import Data, Split

HELD_OUT = 0.2
"""How much is held out for testing, where a data set has no test images of its own."""


@dataclass(frozen=True)
class LoadedData:
    """Images ``(n, channels, size, size)``, float32, standardised; labels ``(n,)``, int64."""

    images: Tensor
    labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    classes: int

    def to(self, device: torch.device) -> LoadedData:
        """Return the same data on another device."""
        tensors = {k: v.to(device) for k, v in vars(self).items() if isinstance(v, Tensor)}
        return LoadedData(**(vars(self) | tensors))


def load(data: Data) -> LoadedData:
    """Load a data set.

    Each image's middle square is resized, bilinearly and antialiased. Every channel is
    standardised to mean 0 and deviation 1 over the training images. Grey images among coloured
    ones are coloured too; where all are grey, there is one channel.

    Parameters
    ----------
    data : Data
        Which, how large, and the seed of the choice: of the images where they are limited, and
        of those held out for testing where the data set does not say.

    Raises
    ------
    UserError
        Where the data are not there, cannot be read, or do not fit into memory.
    """
    source = data.open()
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
        raise UserError(f"{data.called}: expected an image to train on and one to test on.")
    images = _read(test + train, data)
    labels = torch.tensor([int(split.labels[i]) for split, i in test + train])
    count = len(test)
    _standardise(images, images[count:])
    return LoadedData(
        images[count:], labels[count:], images[:count], labels[:count], source.classes
    )


def _shuffled(split: Split, generator: torch.Generator) -> list[tuple[Split, int]]:
    order = torch.randperm(len(split.labels), generator=generator)
    return [(split, i) for i in order.tolist()]


def _read(chosen: Sequence[tuple[Split, int]], data: Data) -> Tensor:
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


def _room(count: int, channels: int, data: Data) -> Tensor:
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
