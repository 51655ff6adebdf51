"""The sequence file: declared once, written whole, read by whoever likes."""

from .sequence import (
    DATASETS,
    FORMAT,
    OPTIONAL,
    VERSION,
    Dataset,
    Frame,
    SurfaceData,
    complete_frames,
    describe,
    finished_frames,
    fits,
    open_sequence,
    update_recipe,
    write_sequence,
)

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
    "open_sequence",
    "update_recipe",
    "write_sequence",
]
