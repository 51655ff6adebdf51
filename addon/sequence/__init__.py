"""The sequence file: read and checked, its losses made heights. No bpy in here."""

from .reader import open_sequence
from .selection import Selection

__all__ = ["Selection", "open_sequence"]
