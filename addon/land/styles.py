"""How paths, ellipses and samples are drawn; a new kind of path is one line here."""

from __future__ import annotations

from typing import NamedTuple

from ..units import WIDTH


class Style(NamedTuple):
    """Thickness and light of a line, or of a sample's ball.

    Attributes
    ----------
    radius : float
        In Blender units; a line of 0.0011 widths is two pixels thick in a film 640 wide.
    color : str
        sRGB, such as "da9c8c".
    strength : float
        Of the light that it emits.
    dashed : bool
        Whether a line is drawn in dashes.
    """

    radius: float
    color: str
    strength: float
    dashed: bool = False


PATH = Style(0.0011 * WIDTH, "fff1dc", 1.8)
"""Of every path that is not named below."""

STYLES = {
    "Path line": Style(0.0018 * WIDTH, "ffbe0a", 1.25, dashed=True),
    "Path curve": Style(0.0018 * WIDTH, "ff0a78", 1.25, dashed=True),
    "Posterior 1 Sigma": Style(0.0009 * WIDTH, "e6e4ff", 1.7),
    "Posterior 2 Sigma": Style(0.0009 * WIDTH, "e6e4ff", 1.2),
    "Posterior 3 Sigma": Style(0.0009 * WIDTH, "e6e4ff", 0.8),
    "Posterior Samples": Style(0.003 * WIDTH, "ffdcae", 1.6),
}
"""By the names of objects. The dashed ones would be paler if they were brighter."""


def style_of(name: str) -> Style:
    """Return how an object of this name is drawn."""
    return STYLES.get(name, PATH)
