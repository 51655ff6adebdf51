"""The looks in the Asset Browser: ``assets/looks.blend`` as an asset library.

An extension has no asset library of its own, in 4.5 as in 5.2: it is one in the preferences while
the add-on is enabled. What is dragged from it is copied, so that no .blend depends on it.
"""

from __future__ import annotations

from pathlib import Path

import bpy

ASSETS = Path(__file__).parents[1] / "assets"

FILE = ASSETS / "looks.blend"
"""Made by ``make_looks.py`` beside it, in 4.5, which is the oldest that opens it."""

NAME = "Moving Lands"


def register() -> None:
    """Add the library to the preferences, unless it is there."""
    if not _ours():
        libraries = bpy.context.preferences.filepaths.asset_libraries
        library = libraries.new(name=NAME, directory=str(ASSETS))
        library.import_method = "APPEND"  # 5.x has no other that copies


def unregister() -> None:
    """Take it away again."""
    for library in _ours():
        bpy.context.preferences.filepaths.asset_libraries.remove(library)


def _ours() -> list[bpy.types.UserAssetLibrary]:
    libraries = bpy.context.preferences.filepaths.asset_libraries
    return [library for library in libraries if Path(library.path) == ASSETS]
