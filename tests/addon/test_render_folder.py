"""Frames of several versions of a tiny_shot, and folders that cannot be written to."""

import json
import os
import shutil
import tempfile
from pathlib import Path

import bpy
import pytest
from rendered import altered, film_facts, frame_times

from addon.judge import gates as judge
from addon.render import copies
from addon.render.job import prepare
from addon.render.signature import signature
from addon.shot import parts as shots
from addon.ui import cli

# Versions


def test_a_save_that_changes_nothing_seen_keeps_the_frames(tiny_shot, command_line):
    words = ("render", tiny_shot, "--device", "cpu")
    command_line(*words)
    before, film = frame_times(tiny_shot.parent), tiny_shot.with_suffix(".mp4").stat().st_mtime_ns

    def look_around(scene):
        scene.frame_set(3)
        for thing in scene.objects:
            thing.select_set(True)
        bpy.context.window.scene = bpy.data.scenes.new("Other")

    altered(tiny_shot, look_around)
    command_line(*words)
    assert frame_times(tiny_shot.parent) == before
    assert tiny_shot.with_suffix(".mp4").stat().st_mtime_ns == film


def test_a_longer_film_keeps_its_frames_and_is_encoded_anew(tiny_shot, command_line):
    words = ("render", tiny_shot, "--device", "cpu")
    command_line(*words)
    before = frame_times(tiny_shot.parent)
    altered(tiny_shot, lambda scene: setattr(scene, "frame_end", 5))
    command_line(*words)
    after = frame_times(tiny_shot.parent)
    assert after.keys() - before.keys() == {"0005.png"}
    assert {name: after[name] for name in before} == before
    assert film_facts(tiny_shot.with_suffix(".mp4"))[0] == 5


def test_another_poster_is_made_alone(tiny_shot, command_line):
    words = ("render", tiny_shot, "--device", "cpu")
    command_line(*words)
    before = frame_times(tiny_shot.parent)

    def later(scene):
        scene[shots.MARK]["poster_width"] = 32

    altered(tiny_shot, later)
    command_line(*words)
    assert frame_times(tiny_shot.parent) == before
    assert judge.read_still(tiny_shot.parent / "poster.png").shape == (18, 32, 3)


def test_copies_of_a_shot_in_two_folders_agree(tiny_shot, tmp_path, command_line):
    out = tmp_path / "out"
    command_line("render", tiny_shot, "-o", out, "--frames", "1-2", "--device", "cpu")
    before = frame_times(out)
    elsewhere = tmp_path / "elsewhere" / "another.blend"
    elsewhere.parent.mkdir()
    shutil.copy(tiny_shot, elsewhere)
    command_line("render", elsewhere, "-o", out, "--device", "cpu")
    assert {name: time for name, time in frame_times(out).items() if name in before} == before
    assert len(frame_times(out)) == 4


def earlier(record, **changes):
    """Make a record what earlier versions wrote: a digest of the .blend, not of what it shows."""
    known = json.loads(record.read_text())
    kept = {key: known[key] for key in ("blend", "Blender", "quality", "pictures")}
    record.write_text(json.dumps(kept | changes))


def test_frames_of_an_earlier_version_go_on_where_the_blend_is_the_same(tiny_shot, command_line):
    words = ("render", tiny_shot, "--device", "cpu")
    command_line(*words, "--frames", "1-2")
    before = frame_times(tiny_shot.parent)
    earlier(tiny_shot.parent / "frames/shot.json")
    command_line(*words)
    after = frame_times(tiny_shot.parent)
    assert {name: after[name] for name in before} == before
    altered(tiny_shot, lambda scene: scene.frame_set(2))
    command_line(*words)  # from now on it is known what they show
    earlier(tiny_shot.parent / "frames/shot.json", blend="0" * 64)
    refused = command_line(*words, expect=2).stderr
    assert "an earlier Moving Lands has rendered them, and could not tell" in refused


# Places that cannot be written to


@pytest.fixture
def read_only(tiny_blend, tiny_file):
    """A shot with a cache, in a folder where nothing can be written, not even by root."""
    if not hasattr(os, "geteuid"):
        pytest.skip("a folder cannot be made read-only like this")
    folder = Path(tempfile.mkdtemp())
    path = Path(shutil.copy(tiny_blend, folder))
    shutil.copy(tiny_file, folder / "other.h5")
    (folder / "beside.pc2").write_bytes(b"POINTCACHE2\0")

    def cached(scene):
        modifier = shots.parts(scene)["Land"].modifiers.new("Cache", "MESH_CACHE")
        modifier.cache_format, modifier.filepath = "PC2", "//beside.pc2"

    altered(path, cached)
    folder.chmod(0o555)
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(NOBODY)
    yield path
    if is_root:
        os.seteuid(0)
    folder.chmod(0o755)
    shutil.rmtree(folder)


NOBODY = 65534


def test_frames_that_have_no_place_are_refused_in_one_sentence(read_only, capfd):
    assert cli.main(["render", str(read_only), "--device", "cpu"]) == 2
    refused = capfd.readouterr().err
    frames = read_only.parent / "frames"
    assert f"{frames} cannot be written to (Permission denied): give a folder with -o." in refused


def test_a_copy_that_has_no_place_lies_in_a_temporary_folder_and_finds_its_files(read_only):
    before = signature(bpy.context.scene)
    bpy.context.scene.render.resolution_percentage = 50
    output = bpy.context.scene.render.filepath
    bpy.ops.ed.undo_push(message="an edit")
    copy = copies.saved()
    assert copy.name == "tiny.rendering.blend"
    assert bpy.context.scene.render.filepath == output
    assert copy.parent != read_only.parent
    bpy.ops.wm.open_mainfile(filepath=str(copy))
    scene = bpy.context.scene
    (cache,) = [m for m in shots.parts(scene)["Land"].modifiers if m.type == "MESH_CACHE"]
    assert Path(bpy.path.abspath(cache.filepath)).resolve() == read_only.with_name("beside.pc2")
    scene.render.resolution_percentage = 100
    assert signature(scene) == before
    assert prepare(copy, device="cpu").folder == read_only.parent / "frames"
    shutil.rmtree(copy.parent)


def test_a_sequence_that_has_no_place_beside_it_is_built_where_its_film_goes(read_only, capfd):
    out = Path(tempfile.mkdtemp())
    sequence = read_only.with_name("other.h5")
    assert cli.main(["render", str(sequence)]) == 2
    assert f"{read_only.parent} cannot be written to: give a folder" in capfd.readouterr().err
    words = ["render", str(sequence), "-o", str(out), "--device", "cpu", "--frames", "1-1"]
    assert cli.main(words) == 0
    assert (out / "other.blend").exists()
    assert [file.name for file in out.glob("frames/*.png")] == ["0001.png"]
    shutil.rmtree(out)
