"""Faces and cut-outs without one, in the installation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .source import Data, Source, Split


@dataclass(frozen=True)
class Faces(Data):
    """scikit-image's excerpt of Labeled Faces in the Wild (Huang et al. 2007), in the library.

    Grey, 25 x 25 pixels: 100 faces, class 1, then 100 cut-outs without one, class 0.
    """

    name: str = "faces"

    def open(self) -> Source:
        from skimage.data import lfw_subset

        pixels = lfw_subset()
        return Source(2, Split(np.repeat([1, 0], 100), lambda i: pixels[i]))
