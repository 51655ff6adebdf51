"""Every operator by keys, in a Blender with a window: run, repeated, undone and redone."""

import pytest
from funnel import funnel
from gui.window import CALL, VIEWPORT

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


BESIDE = {
    "render": "cancel_render",
    "estimate": "cancel_render",
    "compute": "cancel_computing",
    "check_python": None,
    "open_folder": None,
}
"""What starts something beside Blender, and what ends it."""


def test_every_operator_is_tested(window):
    names = {*EDITS, *BESIDE, *filter(None, BESIDE.values())}
    assert set(window.run("dir(bpy.ops.moving_lands)")) == names


@pytest.mark.parametrize("name", BESIDE)
def test_what_runs_beside_blender_leaves_the_shot_alone(blender, name):
    before = blender.run("look()")
    blender.run(f"bind({CALL.upper()!r}, 'moving_lands.{name}')")
    blender.key(CALL)
    blender.draw()
    blender.press("Escape")  # an error's popup: there is no Python to compute with
    if BESIDE[name]:
        blender.call(BESIDE[name])
    blender.press("shift+r")
    blender.press("ctrl+z")
    assert blender.run("look()") == before


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


def note(window):
    """Return what the shot was made with."""
    return window.run("look()[2][0]")


REDO_PANEL, LAST_ROW = (150, 703), (197, 698)
"""In the viewport's lower left: the header while it is closed, the last row once it is open."""


def test_the_redo_panel_gives_what_a_fresh_call_gives(blender):
    before = note(blender)
    assert '"reverse": false' in before
    blender.call("set_heights", "Return")
    blender.draw()
    blender.click(*REDO_PANEL)
    blender.draw()
    blender.click(*LAST_ROW)
    assert note(blender) == before.replace('"reverse": false', '"reverse": true')
    changed = blender.run("look()")
    blender.click(*LAST_ROW)
    assert note(blender) == before
    blender.move(*VIEWPORT)
    blender.press("ctrl+z")
    blender.call("set_heights", "Return")
    blender.run("bpy.ops.ed.undo()")
    blender.run("bpy.ops.moving_lands.set_heights(reverse=True)")
    assert blender.run("look()") == changed


STEPPING = ["import_sequence", "update", "set_heights", "change_camera"]


@pytest.mark.parametrize("name", STEPPING)
def test_escape_changes_nothing(blender, files, name):
    before = blender.run("look()")
    write_sequence(files / "tiny.h5", "TINY", FILM, {"network": funnel(7)})
    given = {k: str(files / v) if k == "filepath" else v for k, v in EDITS[name].items()}
    blender.run(f"bind({CALL.upper()!r}, 'moving_lands.{name}', **{given!r})")
    if name in ("import_sequence", "set_heights"):
        blender.key(CALL)
        blender.draw()
        blender.press("Return", "Escape")
    else:
        blender.press(CALL, "Escape")
    assert blender.run("look()") == before
    call(blender, name, files)
    assert blender.run("look()") != before or name == "set_heights"


MEANWHILE = """
import sys
modal = next(m for name, m in sys.modules.items() if name.endswith("moving_lands.addon.ui.modal"))
modal.SLICE = 0.0
steps = []

def meanwhile():
    if count() >= 0:
        return 0.0
    steps.append(True)
    if len(steps) < 5:
        return 0.0
    {}

bpy.app.timers.register(meanwhile)
"""


def begin_import(window, file):
    """Import a file by its dialog, and do not wait for the end."""
    given = {"filepath": str(file)}
    window.run(f"bind({CALL.upper()!r}, 'moving_lands.import_sequence', **{given!r})")
    window.key(CALL)
    window.draw()
    window.key("Return")


def test_what_an_artist_makes_meanwhile_stays(blender, files):
    before = blender.run("len(bpy.data.objects)")
    add = "bpy.context.scene.collection.objects.link(bpy.data.objects.new('mine', None))"
    blender.run(MEANWHILE.format(add))
    begin_import(blender, files / "other.h5")
    blender.until("'mine' in bpy.data.objects")
    blender.press("Escape")
    assert blender.run("'mine' in bpy.data.objects")
    assert blender.run("len(bpy.data.objects)") == before + 1


def test_an_undo_meanwhile_ends_it(blender, files):
    before = blender.run("look()")
    blender.run("bpy.ops.ed.undo_push(message='something')")
    blender.run(MEANWHILE.format("bpy.ops.ed.undo()"))
    begin_import(blender, files / "other.h5")
    blender.until("len(steps) >= 5 and count() >= 0")
    blender.draw()
    blender.press("Escape")  # the error's popup
    assert blender.run("look()") == before
