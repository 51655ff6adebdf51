"""The sidebar tab in a Blender with a window: drawn whole, and without reading or waiting."""

PANELS = """
import sys, traceback

def module(name):
    return next(m for full, m in sys.modules.items() if full.endswith("moving_lands.addon." + name))

def open_tab():
    for area in bpy.context.window_manager.windows[0].screen.areas:
        if area.type == "VIEW_3D":
            area.spaces.active.show_region_ui = True
            for region in area.regions:
                if region.type == "UI" and not region.is_property_readonly("active_panel_category"):
                    region.active_panel_category = "Moving Lands"

def open_panels():
    for name in ("compute", "render"):
        panel = getattr(bpy.types, f"MOVING_LANDS_PT_{name}")
        bpy.utils.unregister_class(panel)
        panel.bl_options = set()
        bpy.utils.register_class(panel)

calls = []

def watch(module, name):
    function = getattr(module, name)
    def watched(*given):
        drawing = any(frame.name.startswith("draw") for frame in traceback.extract_stack())
        if not (watched.cache_info and watched.cache_info().currsize):
            calls.append([name, drawing])
        return function(*given)
    watched.cache_info = getattr(function, "cache_info", None)
    setattr(module, name, watched)

watch(module("blender.devices"), "found")
watch(module("ui.file_summary"), "open_sequence")
open_panels()
open_tab()
"""


def test_drawing_reads_no_file_twice_and_looks_for_no_device(window, tmp_path):
    bad = tmp_path / "bad.h5"
    bad.write_text("no sequence")
    window.run(PANELS)
    window.draw()
    window.run("open_tab()")
    window.run(f"bpy.context.scene.moving_lands_shot.file = {str(bad)!r}")
    window.run("bpy.context.scene.render.engine = 'CYCLES'")
    window.until("['found', False] in calls")
    window.draw()
    calls = window.run("calls")
    assert ["found", True] not in calls
    assert [name for name, _ in calls].count("open_sequence") == 1
    assert "Traceback" not in window.log()
