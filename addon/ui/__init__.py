"""What people touch: operators, the sidebar panel, the command line."""

from __future__ import annotations

import bpy

from ..look import library
from . import (
    cli,
    compute_panel,
    edit_operators,
    import_operators,
    preferences,
    render_panel,
    shot_panel,
)

CLASSES = (
    *preferences.CLASSES,
    *import_operators.CLASSES,
    *edit_operators.CLASSES,
    *shot_panel.CLASSES,
    *compute_panel.CLASSES,
    *render_panel.CLASSES,
)

_commands: list[object] = []


def register() -> None:
    """Register classes, the File > Import entry and ``blender -c moving_lands``."""
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    shot_panel.register()
    library.register()
    compute_panel.register()
    render_panel.register()
    bpy.types.TOPBAR_MT_file_import.append(import_operators.menu_entry)
    _commands.append(bpy.utils.register_cli_command("moving_lands", cli.main))


def unregister() -> None:
    """Undo ``register``."""
    while _commands:
        bpy.utils.unregister_cli_command(_commands.pop())
    bpy.types.TOPBAR_MT_file_import.remove(import_operators.menu_entry)
    render_panel.unregister()
    library.unregister()
    compute_panel.unregister()
    shot_panel.unregister()
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
