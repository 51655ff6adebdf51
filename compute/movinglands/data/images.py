"""Image files."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..errors import UserError

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
"""What is taken for an image in a folder."""

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""What is decoded. No others: for some, PostScript say, Pillow runs a program."""


def is_image(path: Path) -> bool:
    """Tell whether a file counts as an image."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def pixels_of(file: Path | BinaryIO, where: str) -> np.ndarray:
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
