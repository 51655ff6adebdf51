"""The sequence file: read and checked, its losses made heights."""

from .reader import Selection, open_sequence

__all__ = ["Selection", "open_sequence"]
