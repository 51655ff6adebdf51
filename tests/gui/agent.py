"""Runs in a Blender with a window, from a timer: what it finds in ``todo.py`` beside it."""

import ast
import json
import traceback
from pathlib import Path

import bpy

FOLDER = Path(__file__).parent


class AGENT_OT_probe(bpy.types.Operator):
    """Counts its key presses: what was pressed before is over then."""

    bl_idname = "agent.probe"
    bl_label = "Probe"
    count = 0

    def execute(self, context):
        AGENT_OT_probe.count += 1
        return {"FINISHED"}


def bind(key, operator, **properties):
    """Call an operator by a key, whatever the mouse is over."""
    keys = bpy.context.window_manager.keyconfigs.addon.keymaps.new("Window").keymap_items
    for item in [item for item in keys if item.type == key]:
        keys.remove(item)
    properties_of = keys.new(operator, key, "PRESS").properties
    for name, value in properties.items():
        setattr(properties_of, name, value)


def count():
    """Return how often the probe was pressed, once nothing of ours is under way; or -1."""
    windows = bpy.context.window_manager.windows
    running = [op.bl_idname for window in windows for op in window.modal_operators]
    return -1 if any("MOVING_LANDS" in name for name in running) else AGENT_OT_probe.count


def draws():
    """Have everything drawn again; return how often that was done."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            area.tag_redraw()
    return drawn[0]


def value_of(code):
    """Run code; return the value of its last line, if that is an expression."""
    *lines, last = ast.parse(code).body
    if not isinstance(last, ast.Expr):
        lines, last = [*lines, last], None
    exec(compile(ast.Module(lines, []), "todo.py", "exec"), NAMES)
    return last and eval(compile(ast.Expression(last.value), "todo.py", "eval"), NAMES)


NAMES = {"bpy": bpy, "bind": bind, "count": count, "draws": draws}


def look():
    """Do what there is to do."""
    todo = FOLDER / "todo.py"
    if todo.exists():
        code = todo.read_text()
        todo.unlink()
        try:
            answer = {"value": value_of(code)}
        except Exception:
            answer = {"error": traceback.format_exc()}
        partial = FOLDER / "answer.part"
        partial.write_text(json.dumps(answer, default=list))
        partial.rename(FOLDER / "answer.json")
    return 0.01


drawn = [0]


def count_draws():
    """Count how often the viewport is drawn."""
    drawn[0] += 1


bpy.types.SpaceView3D.draw_handler_add(count_draws, (), "WINDOW", "PRE_VIEW")
bpy.utils.register_class(AGENT_OT_probe)
bpy.app.timers.register(look, persistent=True)
