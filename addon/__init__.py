"""Moving Lands, the Blender half: from a sequence of loss surfaces to a film."""

from __future__ import annotations


def register() -> None:
    """Register everything that people touch."""
    from . import ui

    ui.register()


def unregister() -> None:
    """Take it all back."""
    from . import ui

    ui.unregister()
