"""The panel "Compute": a computation beside Blender, and its land in the scene."""

import json
import shutil
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import bpy
import h5py
import pytest
import stand_in
from stand_in import HERE, lives

import addon
from addon.shot import parts as shots
from addon.ui import compute_panel, preferences, process
from addon.ui.compute_job import runner

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def half_file(tiny_file, tmp_path_factory):
    """The tiny sequence when three of its frames are there."""
    return _complete(tiny_file, tmp_path_factory.mktemp("half") / "half.h5", 3)


def _complete(whole, path, count):
    """Copy a sequence, of whose frames only the first are complete."""
    shutil.copy(whole, path)
    with h5py.File(path, "r+") as file:
        file["surfaces/network/evaluated"][count:] = 0
    return path


@pytest.fixture
def half(empty, tmp_path, monkeypatch):
    """A Blender whose preferences name a stand-in for the computing half, doing what it is told."""
    monkeypatch.setattr(process, "GRACE", 2.0)
    addon.register()
    entry = bpy.context.preferences.addons.new()
    entry.module = preferences.ROOT

    def does(code):
        return str(stand_in.python(tmp_path, stand_in.COMPUTING + code))

    chosen = entry.preferences
    chosen.python = does("say('done', file=output)")
    chosen.folder = str(tmp_path / "sequences")
    chosen.grow = False
    while preferences.runner.tick() is not None:
        time.sleep(0.02)
    yield SimpleNamespace(
        does=does,
        log=lambda: json.loads((tmp_path / "stand_in.py.json").read_text()),
        file=tmp_path / "sequences" / "gently.h5",
        chosen=chosen,
        folder=tmp_path,
    )
    addon.unregister()
    bpy.context.preferences.addons.remove(entry)


def settings():
    return bpy.context.scene.moving_lands_computing


def follow(until=None, seconds=30):
    """Look after the computation, as Blender's timer does, until something is so or it is over."""
    deadline = time.monotonic() + seconds
    while runner.tick() is not None and not (until and until(runner.job)):
        assert time.monotonic() < deadline, vars(runner.job.process)
        time.sleep(0.02)
    return runner.job


def land(scene=None):
    return shots.parts(scene or bpy.context.scene).get("Land")


def test_a_piece_is_computed_and_imported(half, tiny_file):
    half.does(
        f"say('progress', label='evaluating', done=1, total=4, seconds_left=9)\n"
        f"wait_for({str(half.folder / 'go')!r}); publish({str(tiny_file)!r})\n"
        "say('done', file=output)"
    )
    assert settings().piece == "gently"
    assert bpy.ops.moving_lands.compute() == {"FINISHED"}
    assert runner.is_looking()
    running = follow(lambda now: now.process.label)
    assert (running.title, running.process.progress) == ("GENTLY, Preview", 0.25)
    assert not bpy.ops.moving_lands.compute.poll()  # one at a time
    assert land() is None
    (half.folder / "go").touch()
    done = follow()
    assert done.outcome[0] == "CHECKMARK"
    assert half.file.exists()
    assert land()
    words = half.log()["words"]
    assert words[:6] == ["-m", "movinglands.cli", "compute", "gently", "--quality", "preview"]
    assert words[6:] == ["-o", str(half.file), "--json"]
    assert bpy.ops.moving_lands.compute.poll()


def test_the_import_can_be_undone(half, tiny_file):
    half.does(f"publish({str(tiny_file)!r}); say('done', file=output)")
    bpy.ops.ed.undo_push(message="before")
    bpy.ops.moving_lands.compute()
    bpy.ops.ed.undo_push(message="something else, meanwhile")
    bpy.ops.ed.undo()
    follow()
    assert land()
    bpy.ops.ed.undo()
    assert not land()


def test_settings_become_words(half):
    chosen = settings()
    chosen.quality, chosen.use_resolution, chosen.resolution = "final", True, 33
    bpy.ops.moving_lands.compute(restart=True)
    follow()
    words = half.log()["words"]
    expected = half.file.with_name("gently-final-33.h5")
    assert words[words.index("-o") + 1] == str(expected)
    assert words[words.index("--quality") + 1] == "final"
    assert words[words.index("--set") + 1] == "surface.resolution=33"
    assert "--restart" in words
    chosen.file = str(half.folder / "own name")
    assert compute_panel.sequence_file(chosen, bpy.context) == half.folder / "own name.h5"
    chosen.file = "//beside.h5"
    with pytest.raises(RuntimeError, match=r"save the \.blend first"):
        bpy.ops.moving_lands.compute()
    bpy.ops.wm.save_as_mainfile(filepath=str(half.folder / "shot.blend"))
    assert compute_panel.sequence_file(chosen, bpy.context) == half.folder / "beside.h5"


def test_a_recipe_of_ones_own(half):
    chosen = settings()
    chosen.piece = "OWN"
    with pytest.raises(RuntimeError, match=r"Recipe missing: expected a \.toml file\."):
        bpy.ops.moving_lands.compute()
    chosen.recipe = str(half.folder / "gone.toml")
    with pytest.raises(RuntimeError, match=r"gone\.toml: expected a \.toml file\."):
        bpy.ops.moving_lands.compute()
    recipe = half.folder / "recipes" / "mine.toml"
    recipe.parent.mkdir()
    recipe.touch()
    chosen.recipe = str(recipe)
    bpy.ops.moving_lands.compute()
    follow()
    log = half.log()
    assert log["words"][3] == str(recipe)
    assert log["folder"] == str(recipe.parent)  # what it names lies beside it
    assert str(half.file.with_name("mine.h5")) in log["words"]


def test_the_choice_of_a_piece_keeps_to_its_name(half):
    """Though the list changes with what is installed."""
    other = {"name": "edge", "title": "EDGE HORIZON", "sentence": "A ring."}
    assert settings().piece == "gently"
    settings().piece = "gently"
    found = dict(preferences.installation(bpy.context))
    found["scenes"] = [other, *HERE["scenes"]]
    half.chosen.found = json.dumps(found)
    assert settings().piece == "gently"
    found["scenes"] = [other]
    half.chosen.found = json.dumps(found)
    assert settings().piece == "edge"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("say('error', message='a.toml: unknown key x.'); sys.exit(2)", "a.toml: unknown key x."),
        (
            "say('error', message='a.h5 was made with x = 1, now asked 2: give another file "
            "with -o, or --restart to replace it.'); sys.exit(2)",
            "a.h5 was made with x = 1, now asked 2: choose another File, or Start Over.",
        ),
        ("raise MemoryError('no more')", "MemoryError: no more"),
        ("os.abort()", "The process was ended by signal 6."),
        ("print('rubbish' * 10_000)\nprint('{}')\nsys.exit(3)", "The process ended with code 3."),
        ("say('done', file=output)", "no such file."),
    ],
)
def test_what_goes_wrong_is_said_and_changes_nothing(half, code, expected):
    half.does(code)
    before = len(bpy.data.objects)
    bpy.ops.moving_lands.compute()
    done = follow()
    icon, text = done.outcome
    assert icon == "ERROR"
    assert expected in text
    assert "Error: " not in text.removeprefix("MemoryError: ")
    assert len(bpy.data.objects) == before
    assert bpy.ops.moving_lands.compute.poll()


def test_no_python(half):
    half.chosen.python = ""
    with pytest.raises(RuntimeError, match="No Python to compute with: choose one in"):
        bpy.ops.moving_lands.compute()
    half.chosen.python = str(half.folder / "gone")
    with pytest.raises(RuntimeError, match="gone: no such file: choose a Python"):
        bpy.ops.moving_lands.compute()
    (half.folder / "text").write_text("no program")
    (half.folder / "mine.toml").touch()
    half.chosen.python = str(half.folder / "text")
    settings().recipe = str(half.folder / "mine.toml")
    with pytest.raises(RuntimeError, match="text: cannot be started: Permission denied"):
        bpy.ops.moving_lands.compute()


SLOW = "say('progress', label='training', done=1, total=100, seconds_left=60)\n"


def test_cancel(half):
    half.does(
        SLOW + "try:\n    time.sleep(60)\n"
        "except KeyboardInterrupt:\n    open(output + '.journal', 'w').close(); sys.exit(130)"
    )
    bpy.ops.moving_lands.compute()
    follow(lambda now: now.process.label)
    pid = half.log()["pid"]
    began = time.monotonic()
    assert bpy.ops.moving_lands.cancel_computing() == {"FINISHED"}
    assert time.monotonic() - began < 0.5
    assert not bpy.ops.moving_lands.cancel_computing.poll()
    done = follow()
    assert done.outcome == ("INFO", "Cancelled: Compute goes on from there.")
    assert not lives(pid)
    assert Path(f"{half.file}.journal").exists()
    assert land() is None


def test_who_does_not_listen_is_gone_within_the_grace_period(half):
    half.does("import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n" + SLOW
              + "time.sleep(60)")  # fmt: skip
    bpy.ops.moving_lands.compute()
    follow(lambda now: now.process.label)
    pid = half.log()["pid"]
    began = time.monotonic()
    bpy.ops.moving_lands.cancel_computing()
    follow()
    assert not lives(pid)
    assert time.monotonic() - began < process.GRACE + 2


def test_unregistering_ends_it(half):
    half.does(SLOW + "time.sleep(60)")
    bpy.ops.moving_lands.compute()
    follow(lambda now: now.process.label)
    pid = half.log()["pid"]
    addon.unregister()
    assert not lives(pid)
    assert not runner.is_looking()
    assert not hasattr(bpy.types.Scene, "moving_lands_computing")
    addon.register()
    assert runner.job is None


@pytest.fixture
def slow(half, tiny_file):
    """A computation that is done when ``go`` is there."""
    go = half.folder / "go"
    half.does(
        SLOW + f"wait_for({str(go)!r}); publish({str(tiny_file)!r}); say('done', file=output)"
    )
    bpy.ops.wm.save_as_mainfile(filepath=str(half.folder / "shot.blend"))
    bpy.ops.moving_lands.compute()
    follow(lambda now: now.process.label)
    return SimpleNamespace(**vars(half), go=go.touch)


def test_it_survives_undo(slow):
    bpy.ops.ed.undo_push(message="before")
    for name in ("one", "two"):
        bpy.data.objects.new(name, None)
        bpy.ops.ed.undo_push(message=name)
    bpy.ops.ed.undo()
    bpy.ops.ed.undo()
    assert runner.tick() is not None
    assert runner.job.process.running
    slow.go()
    assert follow().outcome[0] == "CHECKMARK"
    assert land()


def test_the_land_goes_to_the_scene_where_it_was_asked_for(slow):
    first = bpy.context.scene
    other = bpy.data.scenes.new("Other")
    bpy.context.window.scene = other
    slow.go()
    assert follow().outcome[0] == "CHECKMARK"
    assert land(bpy.data.scenes[first.name])
    assert not land(other)
    assert bpy.context.scene == other


def test_another_file_is_left_alone(slow):
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    assert runner.tick() is not None
    slow.go()
    icon, text = follow().outcome
    assert icon == "INFO"
    assert text == "gently.h5 is for shot.blend, which is not open: not imported."
    assert len(bpy.data.objects) == 0
    assert slow.file.exists()


def test_its_file_opened_again_is_still_its_own(slow):
    path = bpy.data.filepath
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    assert runner.job.scene is None
    bpy.ops.wm.open_mainfile(filepath=path)
    slow.go()
    assert follow().outcome[0] == "CHECKMARK"
    assert land()


def test_a_scene_that_was_never_saved_is_gone_with_its_file(half, tiny_file):
    half.does(f"publish({str(tiny_file)!r}); say('done', file=output)")
    bpy.ops.moving_lands.compute()
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    icon, text = follow().outcome
    assert icon == "INFO"
    assert text == "gently.h5 is for the unsaved .blend, which is not open: not imported."
    assert not bpy.data.objects


def test_a_scene_that_is_gone(slow):
    other = bpy.data.scenes.new("Other")
    bpy.data.scenes.remove(bpy.context.scene)
    slow.go()
    assert follow().outcome[0] == "INFO"
    assert not land(other)


def test_it_waits_for_an_artist_in_edit_mode(slow):
    mesh = bpy.data.objects.new("mesh", bpy.data.meshes.new("mesh"))
    bpy.context.scene.collection.objects.link(mesh)
    bpy.context.view_layer.objects.active = mesh
    bpy.ops.object.mode_set(mode="EDIT")
    slow.go()
    waiting = follow(lambda now: now.outcome[1])
    assert waiting.outcome == ("SORTTIME", "gently.h5 is complete, and waits for Object Mode.")
    assert not land()
    bpy.ops.object.mode_set(mode="OBJECT")
    text = "gently.h5 is complete, its land in the new scene TINY."
    assert follow().outcome == ("CHECKMARK", text)
    assert land(bpy.data.scenes["TINY"])


@pytest.fixture
def growing(half, tiny_file, half_file):
    """A computation that shows half of it, and the whole when ``go`` is there."""
    go = half.folder / "go"
    half.chosen.grow = True
    half.does(
        f"{SLOW}publish({str(half_file)!r}); wait_for({str(go)!r})\n"
        f"publish({str(tiny_file)!r}); say('done', file=output)"
    )
    return SimpleNamespace(**vars(half), go=go.touch)


def snapshots():
    return len(land().data.shape_keys.key_blocks)


def test_growing(growing):
    bpy.ops.moving_lands.compute()
    follow(lambda now: now.shown)
    assert runner.job.process.running
    first = land()
    assert snapshots() == 3
    first.location.x = 3.0  # the artist's
    growing.go()
    assert follow().outcome[0] == "CHECKMARK"
    assert land() == first
    assert first.location.x == 3.0
    assert snapshots() == 6
    assert len([c for c in bpy.data.collections if shots.MARK in c]) == 1


def test_it_grows_in_a_scene_of_its_own(growing):
    bpy.context.scene.render.fps = 30  # an artist has begun something there
    bpy.ops.moving_lands.compute()
    follow(lambda now: now.shown)
    assert not land()
    growing.go()
    assert follow().outcome[0] == "CHECKMARK"
    (shot,) = shots.in_file()
    assert len(shots.parts_of(shot)["Land"].data.shape_keys.key_blocks) == 6


def test_a_land_that_was_removed_while_growing_stays_removed(growing):
    bpy.ops.moving_lands.compute()
    follow(lambda now: now.shown)
    for thing in list(shots.parts(bpy.context.scene).values()):
        bpy.data.objects.remove(thing)
    for collection in [c for c in bpy.data.collections if shots.MARK in c]:
        bpy.data.collections.remove(collection)
    growing.go()
    icon, text = follow().outcome
    assert icon == "INFO"
    assert "was removed: not imported again" in text
    assert land() is None


def test_nothing_complete_yet(half, tiny_file, tmp_path):
    """The first version of a growing file may hold no whole surface."""
    nothing, go = _complete(tiny_file, tmp_path / "nothing.h5", 0), tmp_path / "go"
    half.chosen.grow = True
    half.does(
        f"publish({str(nothing)!r}); {SLOW}wait_for({str(go)!r})\n"
        f"publish({str(tiny_file)!r}); say('done', file=output)"
    )
    bpy.ops.moving_lands.compute()
    follow(lambda now: now.process.label and now._seen)
    assert not land()
    go.touch()
    assert follow().outcome[0] == "CHECKMARK"
    assert land()


def test_what_is_in_the_scene_already_is_not_imported_twice(half, tiny_file):
    half.file.parent.mkdir(exist_ok=True)
    shutil.copy(tiny_file, half.file)
    bpy.ops.moving_lands.import_sequence(filepath=str(half.file))
    before = land()
    bpy.ops.moving_lands.compute()
    assert follow().outcome[0] == "CHECKMARK"
    assert land() == before
    assert len([c for c in bpy.data.collections if shots.MARK in c]) == 1


def test_everything_has_a_tooltip(half):
    for name in compute_panel.MOVING_LANDS_PG_computing.__annotations__:
        description = compute_panel.MOVING_LANDS_PG_computing.bl_rna.properties[name].description
        assert description and not description.endswith("."), name
    for operator in ("compute", "cancel_computing", "check_python"):
        description = getattr(bpy.ops.moving_lands, operator).get_rna_type().description
        assert description and not description.endswith("."), operator


RECIPE = """
title = "TINY"
network = { width = 2, depth = 2 }
training = { steps = 6, snapshots = 3 }
surface = { resolution = 9 }
film = { fps = 4, seconds = 1.0, width = 64, height = 36, samples = 1 }
"""


@pytest.mark.skipif(not find_spec("torch"), reason="this Python has no torch")
def test_the_real_thing(half, monkeypatch):
    """The other half itself: found, asked what there is, and computing."""
    python = half.folder / "real"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "compute"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    half.chosen.python = str(python)
    while preferences.runner.tick() is not None:
        time.sleep(0.05)
    assert preferences.problem() == ""
    assert "CPU" in preferences.installation(bpy.context)["device"]
    assert settings().piece == "gently"

    recipe = half.folder / "tiny.toml"
    recipe.write_text(RECIPE)
    settings().piece, settings().recipe = "OWN", str(recipe)
    bpy.ops.moving_lands.compute()
    labels = []
    done = follow(lambda now: labels.append(now.process.label), seconds=120)
    assert done.outcome == ("CHECKMARK", "tiny.h5 is complete, its land in the scene.")
    assert {"training", "evaluating"} & set(labels)
    assert (len(land().data.vertices), snapshots()) == (81, 3)

    settings().use_resolution, settings().resolution = True, 11  # the same file: another recipe
    settings().file = str(done.file)
    bpy.ops.moving_lands.compute()
    icon, text = follow(seconds=120).outcome
    assert icon == "ERROR"
    assert "surface.resolution = 9, now asked 11: choose another File, or Start Over." in text
