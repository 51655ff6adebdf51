"""Data sets, as tensors that stay where they are used."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


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


def digits(size: int, seed: int, test_fraction: float = 0.2) -> DataSet:
    """Load scikit-learn's 1797 handwritten digits, which come with the library.

    Parameters
    ----------
    size : int
        Pixels; the originals are 8 x 8 and are resized bilinearly to anything else.
    seed : int
        Of the split into training and test images.
    test_fraction : float
        How much is held out.
    """
    from sklearn.datasets import load_digits

    source = load_digits()
    images = torch.from_numpy(source.images).float()[:, None]
    labels = torch.from_numpy(source.target).long()
    if size != images.shape[-1]:
        images = F.interpolate(images, size=(size, size), mode="bilinear", align_corners=False)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    images, labels = images[order], labels[order]
    held_out = round(len(images) * test_fraction)
    train_images = images[held_out:]
    images = (images - train_images.mean()) / train_images.std()
    return DataSet(
        images=images[held_out:],
        labels=labels[held_out:],
        test_images=images[:held_out],
        test_labels=labels[:held_out],
        classes=10,
    )
