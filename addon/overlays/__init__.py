"""Text, numbers and marks in the picture: titles, the live loss, badges, counters.

Native objects only: text curves parented to the camera, and Geometry Nodes that turn keyed numbers
into curves, so they count on a Blender without the add-on. Numbers are original losses. Each
overlay is made empty, written to whenever the losses are new, and hidden by its own icon.
"""

from .apart import node_of, scenes_of
from .bead import bead, key_bead
from .counter import CURVE
from .paint import LINE as LINES
from .paint import PAINT
from .picture import CAPITAL, FONT, SMALL, only_seen
from .shot import OVERLAYS, make_overlays, write_overlays
from .titles import LINE, WRITTEN

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
    "only_seen",
    "scenes_of",
    "write_overlays",
]
