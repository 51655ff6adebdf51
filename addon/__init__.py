"""Moving Lands, the Blender half: from a sequence of loss surfaces to a film."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

FORMER = {"stage": ".shot.scripting", "shots": ".shot.parts"}
"""Names under which scripts import modules that have moved."""


def __getattr__(name: str) -> ModuleType:
    if name in FORMER:
        return import_module(FORMER[name], __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def register() -> None:
    """Register everything that people touch."""
    from . import ui
    from .land import cache_files

    ui.register()
    cache_files.register()


def unregister() -> None:
    """Take it all back."""
    from . import ui
    from .land import cache_files

    cache_files.unregister()
    ui.unregister()
