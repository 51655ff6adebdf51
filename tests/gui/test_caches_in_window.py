"""Mesh caches in a Blender with a window: as many files as undo and the .blend need, no more."""

import pytest
from funnel import funnel

from movinglands.sequence import write_sequence

SHOWN = """
def shown():
    scene = bpy.context.window_manager.windows[0].scene
    land = next(o for o in scene.objects if any(m.type == "MESH_CACHE" for m in o.modifiers))
    scene.frame_set(40)
    mesh = land.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
    return [len(mesh.vertices), round(sum(vertex.co.z for vertex in mesh.vertices), 3)]
"""


@pytest.fixture
def blender(window, tmp_path):
    """A Blender that knows what is ``shown()``, and a saved shot with a cache."""
    write(tmp_path, 9)
    window.run(SHOWN)
    window.run(f"bpy.ops.wm.save_as_mainfile(filepath={str(tmp_path / 'shot.blend')!r})")
    given = {"filepath": str(tmp_path / "lands.h5"), "storage": "CACHE", "whole": False}
    window.call("import_sequence", "Return", **given)
    window.run("bpy.ops.wm.save_mainfile()")
    return window


def write(folder, size):
    write_sequence(folder / "lands.h5", "LANDS", "", {"network": funnel(size=size)})


def update(blender, folder, size):
    write(folder, size)
    blender.call("update")
    return blender.run("shown()")


def caches(folder):
    return sorted(path.name for path in folder.glob("*.pc2"))


def test_undo_shows_what_was_there_and_quitting_leaves_what_is_saved(blender, tmp_path):
    states = [blender.run("shown()"), *(update(blender, tmp_path, n) for n in (11, 13, 7))]
    assert len({tuple(state) for state in states}) == 4
    for state in states[2::-1]:
        blender.press("ctrl+z")
        assert blender.run("shown()") == state
    for state in states[1:]:
        blender.press("ctrl+shift+z")
        assert blender.run("shown()") == state
    assert len(caches(tmp_path)) == 4
    blender.press("ctrl+z", "ctrl+z")
    last = update(blender, tmp_path, 5)
    assert len(caches(tmp_path)) == 3
    blender.run("bpy.ops.wm.save_mainfile()")
    blender.run("bpy.app.timers.register(bpy.ops.wm.quit_blender, first_interval=0.5)")
    blender.blender.wait(60)
    assert len(caches(tmp_path)) == 1
    assert last[0] == 25
