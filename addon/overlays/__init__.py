"""Text, numbers and marks in the picture: titles, the live loss, badges, counters.

Native objects only: text curves parented to the camera, and Geometry Nodes that turn keyed numbers
into curves, so they count on a Blender without the add-on. Numbers are original losses. Each
overlay is made empty, written to whenever the losses are new, and hidden by its own icon.
"""

from ..land.bead import bead, key_bead
from .build import OVERLAYS, make_overlays, write_overlays
from .compositing import node_of, scenes_of
from .layout import CAPITAL, FONT, SMALL
from .materials import LINE as LINES
from .materials import PAINT
from .step_counter import CURVE
from .text import LINE, WRITTEN

__all__ = [
    "CAPITAL",
    "CURVE",
    "FONT",
    "LINE",
    "LINES",
    "OVERLAYS",
    "PAINT",
    "SMALL",
    "WRITTEN",
    "bead",
    "key_bead",
    "make_overlays",
    "node_of",
    "scenes_of",
    "write_overlays",
]
