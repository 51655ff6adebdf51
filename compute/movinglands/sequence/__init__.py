"""The sequence file: declared once, written whole, read by whoever likes."""

from .read import (
    complete_frames,
    describe,
    finished_frames,
    is_finished,
    lies_elsewhere,
    open_sequence,
)
from .schema import DATASETS, FORMAT, OPTIONAL, VERSION, Dataset, fits
from .write import Frame, SurfaceData, update_recipe, write_sequence

__all__ = [
    "DATASETS",
    "FORMAT",
    "OPTIONAL",
    "VERSION",
    "Dataset",
    "Frame",
    "SurfaceData",
    "complete_frames",
    "describe",
    "finished_frames",
    "fits",
    "is_finished",
    "lies_elsewhere",
    "open_sequence",
    "update_recipe",
    "write_sequence",
]
