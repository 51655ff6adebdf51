"""What menus offer: looks and camera rigs, by name, label and description."""

from __future__ import annotations

from ..camera.rigs import RIGS as _RIGS
from ..look import LOOKS as _LOOKS

LOOKS = tuple((name, look.label, look.description) for name, look in _LOOKS.items())

RIGS = tuple((name, rig.label, rig.description) for name, rig in _RIGS.items())
