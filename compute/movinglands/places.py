"""Where this package lies, and what lies beside it: in a checkout, installed, or on a Ray node."""

from __future__ import annotations

import importlib.util
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent

CHECKOUT = PACKAGE.parents[1]
"""The folder this package would lie in, were it a checkout."""


def addon() -> Path:
    """Return where the add-on would lie: in a checkout, or where Ray has put it on a node."""
    here = CHECKOUT / "addon"
    spec = importlib.util.find_spec("addon")
    if not here.exists() and spec is not None and spec.origin:
        there = Path(spec.origin).parent
        return there if (there / "__main__.py").exists() else here
    return here


def scenes() -> Path:
    """Return the folder of the pieces' recipes."""
    return _carried("scenes", CHECKOUT / "scenes")


def typeface() -> Path:
    """Return the file of the pictures' typeface."""
    fonts = _carried("fonts", CHECKOUT / "addon" / "assets" / "fonts")
    return fonts / "BarlowCondensed-Medium.ttf"


def _carried(name: str, in_checkout: Path) -> Path:
    """Return a folder that an installed package carries within itself (see setup.py)."""
    inside = PACKAGE / name
    return inside if inside.is_dir() else in_checkout
