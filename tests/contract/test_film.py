"""The whole way in one command, and what it does with what is there."""

import importlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

pytest.importorskip("torch", reason="computing needs torch, which this environment is without")

from addon.judge import gates as judge
from addon.look import LOOKS
from movinglands.cli import main
from movinglands.film import blender

ROOT = Path(__file__).resolve().parents[2]

RECIPE = """
title = "TINY"
[network]
width = 2
depth = 2
[training]
steps = 4
snapshots = 3
[surface]
resolution = 9
[film]
fps = 3
seconds = 1.0
width = 64
height = 36
samples = 1
poster_width = 64
poster_samples = 1
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    (folder / "tiny.toml").write_text(RECIPE)
    assert main(["film", str(folder / "tiny.toml"), "-o", str(folder / "film")]) == 0
    return folder


@pytest.fixture
def copy(made, tmp_path):
    return Path(shutil.copytree(made, tmp_path / "copy"))


def film(folder, *words):
    return main(["film", str(folder / "tiny.toml"), "-o", str(folder / "film"), *words])


def times(folder):
    return {
        str(file.relative_to(folder)): file.stat().st_mtime_ns
        for file in (folder / "film").rglob("*")
        if file.is_file()
    }


def change_recipe(folder, old, new):
    recipe = folder / "tiny.toml"
    recipe.write_text(recipe.read_text().replace(old, new))


def test_one_command_makes_everything(made):
    names = {file.name for file in (made / "film").iterdir()}
    assert {"tiny.h5", "tiny.blend", "tiny.mp4", "poster.png", "frames"} <= names
    assert not [name for name in names if "journal" in name or "writing" in name]
    assert len(list((made / "film/frames").glob("*.png"))) == 3


def test_again_it_does_nothing(copy):
    before = times(copy)
    assert film(copy) == 0
    assert times(copy) == before


def test_another_picture_of_the_same_surfaces_computes_nothing(copy):
    with h5py.File(copy / "film/tiny.h5") as file:
        created = file.attrs["created"]
    before = times(copy)
    change_recipe(copy, "seconds = 1.0", "seconds = 2.0")
    assert film(copy) == 0
    with h5py.File(copy / "film/tiny.h5") as file:
        assert file.attrs["created"] == created
        assert "seconds = 2.0" in file.attrs["recipe"]
    assert len(list((copy / "film/frames").glob("*.png"))) == 6
    after = times(copy)
    assert all(after[name] != before[name] for name in ("film/tiny.mp4", "film/poster.png"))


def save_again(blend, change=""):
    """Do what an artist's saving does: other bytes, and a shot that opens."""
    script = f"import sys, bpy; bpy.ops.wm.open_mainfile(filepath=sys.argv[1]); {change}"
    script += "\nbpy.ops.wm.save_as_mainfile(filepath=sys.argv[1], compress=False)"
    command = [sys.executable, "-c", script, str(blend)]
    subprocess.run(command, check=True, capture_output=True)


@pytest.mark.parametrize("words", [(), ("--restart",)])
def test_an_artists_shot_is_never_replaced(copy, capfd, words):
    save_again(copy / "film/tiny.blend")
    change_recipe(copy, "seconds = 1.0", "seconds = 2.0")
    before = times(copy)
    assert film(copy, *words) == 2
    assert "was changed by hand" in capfd.readouterr().err
    assert times(copy) == before


def test_a_shot_that_was_only_saved_again_keeps_its_frames(copy):
    save_again(copy / "film/tiny.blend")
    before = times(copy)
    assert film(copy) == 0
    after = times(copy)
    record = "film/frames/shot.json"
    assert {name for name in after if after[name] != before.get(name)} <= {record}


def test_frames_of_a_shot_that_was_worked_on_are_not_mixed(copy, capfd):
    save_again(copy / "film/tiny.blend", "bpy.context.scene.camera.data.lens = 20.0")
    before = times(copy)
    assert film(copy) == 2
    assert "frames of another version" in capfd.readouterr().err
    assert times(copy) == before


@pytest.mark.parametrize("moment", ["before the note", "after the note"])
def test_a_kill_while_a_shot_is_built_anew_leaves_a_shot_of_ours(copy, monkeypatch, moment):
    change_recipe(copy, "seconds = 1.0", "seconds = 2.0")
    module = importlib.import_module("movinglands.film.film")
    target = (module, "write_whole") if moment == "before the note" else (module, "replace")

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(*target, killed)
        assert film(copy) == 130
    assert film(copy) == 0
    assert len(list((copy / "film/frames").glob("*.png"))) == 6


def test_other_surfaces_are_refused_then_made_on_request(copy, capfd):
    change_recipe(copy, "resolution = 9", "resolution = 11")
    assert film(copy) == 2
    assert "surface.resolution = 9, now asked 11" in capfd.readouterr().err
    assert film(copy, "--restart") == 0
    with h5py.File(copy / "film/tiny.h5") as file:
        assert file["surfaces/network/loss"].shape == (3, 11, 11)


def test_a_look_that_the_add_on_lacks_is_told_before_anything_is_computed(made, tmp_path, capfd):
    (tmp_path / "tiny.toml").write_text(RECIPE + '[look]\nname = "glass"\n')
    assert film(tmp_path) == 2
    expected = f"look.name: expected one of {', '.join(LOOKS)}"
    assert expected in capfd.readouterr().err
    assert not (tmp_path / "film/tiny.h5").exists()


def test_pictures_missing_from_a_finished_film_are_made(copy):
    (copy / "film/frames/0002.png").unlink()
    (copy / "film/tiny.mp4").unlink()
    (copy / "film/poster.png").unlink()
    assert film(copy) == 0
    assert {"film/frames/0002.png", "film/tiny.mp4", "film/poster.png"} <= set(times(copy))


def test_a_still_is_judged(made, capfd):
    assert main(["judge", str(made / "film/poster.png")]) == 0
    assert "luma < 6, percent" in capfd.readouterr().out
    assert main(["judge", str(made / "nothing.png")]) == 2
    assert "nothing.png: no such file" in capfd.readouterr().err


@pytest.fixture(scope="module")
def nodes():
    """A Ray cluster of two nodes of one core each, and a head of none."""
    pytest.importorskip("ray")
    utilities = pytest.importorskip("ray.cluster_utils")
    settings = {"num_cpus": 0, "include_dashboard": False}
    # A node that is silent for a second is dead.
    settings["_system_config"] = {
        "health_check_initial_delay_ms": 0,
        "health_check_period_ms": 500,
        "health_check_timeout_ms": 500,
        "health_check_failure_threshold": 2,
    }
    made = utilities.Cluster(True, head_node_args=settings)
    for _ in range(2):
        made.add_node(num_cpus=1)
    yield made
    made.shutdown()


def pictures(folder):
    files = sorted((folder / "film/frames").glob("*.png"))
    return {file.name: judge.read_still(file) for file in files}


def assert_same_pictures(folder, other):
    found, expected = pictures(folder), pictures(other)
    assert found.keys() == expected.keys()
    for name, picture in expected.items():
        assert np.array_equal(found[name], picture), name


def test_frames_are_rendered_on_ray(made, copy, nodes):
    for old in ("frames/0001.png", "frames/0003.png", "tiny.mp4"):
        (copy / "film" / old).unlink()
    before = times(copy)
    assert film(copy, "--ray", nodes.address) == 0
    assert_same_pictures(copy, made)
    after = times(copy)
    assert after.keys() - before.keys() == {
        "film/frames/0001.png",
        "film/frames/0003.png",
        "film/tiny.mp4",
    }
    assert all(after[name] == before[name] for name in before)


@pytest.mark.slow
def test_a_node_that_dies_while_it_renders(made, copy, nodes, monkeypatch):
    rendering = importlib.import_module("movinglands.film.rendering")
    monkeypatch.setattr(rendering, "LONGEST", 1)
    for frame in (copy / "film/frames").glob("*.png"):
        frame.unlink()
    write, written = rendering.write_whole, []

    def writing(path, content):
        write(path, content)
        written.append(path)
        if len(written) == 1:
            nodes.remove_node(next(iter(nodes.worker_nodes)), allow_graceful=False)

    monkeypatch.setattr(rendering, "write_whole", writing)
    rendering.render_frames(copy / "film/tiny.blend", copy / "film", nodes.address)
    nodes.add_node(num_cpus=1)
    assert_same_pictures(copy, made)


def test_nodes_without_a_blender_leave_the_frames_to_this_machine(made, copy, nodes, monkeypatch):
    rendering = importlib.import_module("movinglands.film.rendering")

    def on_node(*_):
        from movinglands.film import blender

        raise blender.NoBlender("node-7: No Blender: put blender on PATH.")

    monkeypatch.setattr(rendering, "_on_node", on_node)
    (copy / "film/frames/0002.png").unlink()
    assert film(copy, "--ray", nodes.address) == 0
    assert_same_pictures(copy, made)


@pytest.mark.parametrize(("code", "tries"), [(139, 5), (2, 1)])
def test_a_blender_that_crashes_is_tried_again(copy, nodes, monkeypatch, capfd, code, tries):
    rendering = importlib.import_module("movinglands.film.rendering")
    log = copy / "tries"

    def on_node(*_):
        from movinglands.film import blender

        with open(log, "a") as tries:
            tries.write("x")
        raise blender.BlenderFailed(code, "node-7: it went wrong.")

    monkeypatch.setattr(rendering, "_on_node", on_node)
    (copy / "film/frames/0002.png").unlink()
    assert film(copy, "--ray", nodes.address) == 2
    assert "lands: --ray: node-7: it went wrong." in capfd.readouterr().err
    assert len(log.read_text()) == tries


def test_blenders_of_two_versions_are_not_mixed(copy, nodes, capfd):
    note = copy / "film/frames/shot.json"
    note.write_text(json.dumps(json.loads(note.read_text()) | {"Blender": "2.79"}))
    (copy / "film/frames/0002.png").unlink()
    assert film(copy, "--ray", nodes.address) == 2
    assert "made otherwise (Blender 2.79)" in capfd.readouterr().err


def test_what_a_shot_is_made_of_travels_with_it(copy, nodes):
    """Here a mesh cache, without which the land would lie still."""
    script = (
        "import sys, bpy; from pathlib import Path; from addon.ui import cli, preferences;"
        "preferences.DEFAULTS.memory_budget = 0.0;"
        "cli.build(Path(sys.argv[1]), Path(sys.argv[2]))"
    )
    sequence, blend = copy / "film/tiny.h5", copy / "cached/tiny.blend"
    command = [sys.executable, "-c", script, str(sequence), str(blend)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    assert (blend.parent / "tiny network.pc2").exists()
    blender.run("render", blend, "-o", copy / "here/film")
    rendering = importlib.import_module("movinglands.film.rendering")
    rendering.render_frames(blend, copy / "there/film", nodes.address)
    assert_same_pictures(copy / "there", copy / "here")
