"""What people touch: operators, the sidebar panel, the command line."""

from __future__ import annotations

import bpy

from ..look import library
from . import commands, computing, operators, panel, preferences, rendering

CLASSES = (
    *preferences.CLASSES,
    *operators.CLASSES,
    *panel.CLASSES,
    *computing.CLASSES,
    *rendering.CLASSES,
)

_commands: list[object] = []


def register() -> None:
    """Register classes, the File > Import entry and ``blender -c moving_lands``."""
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    panel.register()
    library.register()
    computing.register()
    rendering.register()
    bpy.types.TOPBAR_MT_file_import.append(operators.menu_entry)
    _commands.append(bpy.utils.register_cli_command("moving_lands", commands.main))


def unregister() -> None:
    """Undo ``register``."""
    while _commands:
        bpy.utils.unregister_cli_command(_commands.pop())
    bpy.types.TOPBAR_MT_file_import.remove(operators.menu_entry)
    rendering.unregister()
    library.unregister()
    computing.unregister()
    panel.unregister()
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
