"""Handwritten digits, in the installation."""

from __future__ import annotations

from dataclasses import dataclass

from .source import Data, Source, Split


@dataclass(frozen=True)
class Digits(Data):
    """scikit-learn's 1797 handwritten digits of 8 x 8 pixels, which come with the library.

    They alone are resized without antialiasing, which only matters below 8 x 8: the first
    sequences were made so.
    """

    name: str = "digits"

    def open(self) -> Source:
        import torch  # here, because a recipe is read without it
        from sklearn.datasets import load_digits
        from torch.nn import functional as F

        source = load_digits()
        images = torch.from_numpy(source.images).float()[:, None]
        if self.size != images.shape[-1]:
            images = F.interpolate(images, (self.size, self.size), mode="bilinear")
        pixels = images[:, 0].numpy()
        return Source(10, Split(source.target, lambda i: pixels[i]))
