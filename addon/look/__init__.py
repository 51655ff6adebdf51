"""The looks of a shot: a file and a line for each.

A look is a node group for the land, five lamps, a world and colour management. ``look`` says what
one consists of, ``shading`` has the parts that their node groups share, ``lights`` and ``grading``
build lamps, world and colour management, ``apply`` gives a shot another look, ``library`` offers
the looks in the Asset Browser.
"""

from importlib import import_module

from .look import Grade, Lamp, Look

__all__ = ["LOOKS", "Grade", "Lamp", "Look", "get_look"]

FILES = (
    "flesh",
    "fur",
    "ink",
    "specimen",
)
"""Files beside this one, each with its ``LOOK``, in the order of menus."""

LOOKS: dict[str, Look] = {name: import_module(f".{name}", __name__).LOOK for name in FILES}
"""By the name that recipes have for them."""


def get_look(name: str) -> Look:
    """Return a look by its name.

    Raises
    ------
    ValueError
        Where there is no such look.
    """
    if name not in LOOKS:
        raise ValueError(f"look.name: expected one of {', '.join(LOOKS)}, got {name!r}.")
    return LOOKS[name]
