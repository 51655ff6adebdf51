"""Every operator by keys, in a Blender with a window: run, repeated, undone and redone."""

import pytest
from funnel import funnel
from gui.window import CALL

from movinglands.sequence import write_sequence

FILM = "[film]\nfps = 4\nseconds = 1.0\nwidth = 64\nheight = 36\nsamples = 1\n"

LOOK = """
def look():
    scene = bpy.context.window_manager.windows[0].scene
    things = []
    for thing in sorted(scene.objects, key=lambda thing: thing.name):
        keys = getattr(thing.data, "shape_keys", None)
        blocks = keys.key_blocks if keys else ()
        points = blocks[-1].points if keys else ()
        heights = sum(round(point.co.z, 4) for point in points)
        materials = [slot.material.name.split(".")[0] for slot in thing.material_slots]
        modifiers = [modifier.name for modifier in thing.modifiers]
        numbers = [len(blocks), len(points), round(heights, 2)]
        things.append([thing.name, numbers, materials, modifiers])
    notes = [c["moving_lands_made_with"] for c in scene.collection.children_recursive
             if "moving_lands_made_with" in c]
    return [scene.name, scene.cycles.samples, notes, things]
"""


@pytest.fixture
def files(tmp_path):
    """Two sequences."""
    for name, frames, size in (("tiny", 6, 33), ("other", 3, 21)):
        write_sequence(
            tmp_path / f"{name}.h5", name.upper(), FILM, {"network": funnel(frames, size)}
        )
    return tmp_path


@pytest.fixture
def blender(window, files):
    """A Blender that knows how to ``look()``, and an imported shot."""
    window.run(LOOK)
    window.call("import_sequence", "Return", filepath=str(files / "tiny.h5"))
    assert window.run("'TINY' in bpy.data.collections")
    return window


def browse(window, file):
    """Choose a file in the file browser that is open."""
    window.until("bpy.context.window_manager.windows[0].screen.areas[0].type", "FILE_BROWSER")
    window.run(
        "browser = bpy.context.window_manager.windows[0].screen.areas[0].spaces.active.params\n"
        f"browser.directory = {str(file.parent).encode()!r}\n"
        f"browser.filename = {file.name!r}"
    )
    window.press("Return")


EDITS = {
    "import_sequence": {"filepath": "other.h5"},
    "update": {},
    "replace": {},
    "set_heights": {},
    "change_look": {"look": "ink"},
    "change_camera": {"rig": "orbit"},
    "add_skirt": {},
    "add_thickness": {},
    "apply_quality": {"quality": "final"},
}

ADDS = ("import_sequence", "add_skirt", "add_thickness")
"""What adds something each time."""


def call(window, name, files):
    """Call an operator, and answer what it asks."""
    given = {k: str(files / v) if k == "filepath" else v for k, v in EDITS[name].items()}
    if name == "update":
        write_sequence(files / "tiny.h5", "TINY", FILM, {"network": funnel(8)})
    if name == "replace":
        window.run(f"bind({CALL.upper()!r}, 'moving_lands.replace')")
        window.key(CALL)
        browse(window, files / "other.h5")
    else:
        asks = name in ("import_sequence", "set_heights")
        window.call(name, *["Return"] * asks, **given)


@pytest.mark.parametrize("name", EDITS)
def test_it_can_be_repeated_undone_and_redone(blender, files, name):
    before = blender.run("look()")
    call(blender, name, files)
    after = blender.run("look()")
    assert after != before or name == "set_heights"  # whose dialog shows what is so already
    blender.press("ctrl+z")
    assert blender.run("look()") == before
    blender.press("ctrl+shift+z")
    assert blender.run("look()") == after
    call(blender, name, files)
    last = blender.run("look()")
    blender.press("shift+r")
    repeated = blender.run("look()")
    assert (repeated != last) == (name in ADDS)
    blender.press("ctrl+z")
    assert blender.run("look()") == last
    blender.must_live()
