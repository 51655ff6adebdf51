"""The command line: resumable, careful with what is there, and clear about bad input."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import bpy
import h5py
import numpy as np
import pytest

from addon.judge import gates as judge

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def filmed(tiny_file, tmp_path_factory, command_line):
    """A shot, built and rendered to the end."""
    folder = tmp_path_factory.mktemp("film")
    blend = folder / "tiny.blend"
    command_line("build", tiny_file, "-o", blend)
    command_line("render", blend, "--device", "cpu")
    return folder


@pytest.fixture
def copy(filmed, tmp_path):
    return Path(shutil.copytree(filmed, tmp_path / "film"))


def frames(folder):
    return {file.name: file.stat().st_mtime_ns for file in (folder / "frames").glob("*.png")}


def test_a_render_leaves_frames_a_film_and_a_poster(filmed):
    assert sorted(frames(filmed)) == ["0001.png", "0002.png", "0003.png", "0004.png"]
    assert judge.read_still(filmed / "frames/0001.png").shape == (36, 64, 3)
    assert judge.read_still(filmed / "poster.png").shape == (54, 96, 3)
    assert not list(filmed.rglob("*.writing*"))


def test_the_film_is_h264_and_shows_the_frames(filmed):
    clip = bpy.data.movieclips.load(str(filmed / "tiny.mp4"))
    try:
        assert clip.frame_duration == 4
        assert tuple(clip.size) == (64, 36)
        assert clip.fps == pytest.approx(4)
    finally:
        bpy.data.movieclips.remove(clip)
    assert b"avc1" in (filmed / "tiny.mp4").read_bytes()


def test_a_second_run_does_nothing(copy, command_line):
    before = {file: file.stat().st_mtime_ns for file in copy.rglob("*")}
    command_line("render", copy / "tiny.blend", "--device", "cpu")
    assert {file: file.stat().st_mtime_ns for file in copy.rglob("*")} == before


def test_only_what_is_missing_is_rendered(copy, command_line):
    before = frames(copy)
    original = judge.read_still(copy / "frames/0003.png")
    (copy / "frames/0003.png").unlink()
    command_line("render", copy / "tiny.blend", "--device", "cpu")
    after = frames(copy)
    assert {name for name in after if after[name] != before[name]} == {"0003.png"}
    assert np.array_equal(judge.read_still(copy / "frames/0003.png"), original)


def test_a_range_of_frames_makes_no_film_yet(copy, command_line):
    for old in ("frames/0001.png", "frames/0004.png", "tiny.mp4"):
        (copy / old).unlink()
    command_line("render", copy / "tiny.blend", "--frames", "1-2", "--device", "cpu")
    assert sorted(frames(copy)) == ["0001.png", "0002.png", "0003.png"]
    assert not (copy / "tiny.mp4").exists()


def test_frames_of_two_versions_of_a_shot_are_never_mixed(copy, command_line):
    before = frames(copy)
    bpy.ops.wm.open_mainfile(filepath=str(copy / "tiny.blend"))
    bpy.data.lights["Key"].energy *= 2
    bpy.ops.wm.save_mainfile()
    refused = command_line("render", copy / "tiny.blend", expect=2)
    assert 'another version of tiny.blend (changed since: Area Light "Key")' in refused.stderr
    assert frames(copy) == before
    command_line("render", copy / "tiny.blend", "--restart", "--device", "cpu")
    assert all(frames(copy)[name] != before[name] for name in before)


def test_film_and_poster_belong_to_a_version_too(copy, command_line):
    before = {name: (copy / name).stat().st_mtime_ns for name in ("tiny.mp4", "poster.png")}
    shutil.rmtree(copy / "frames")
    command_line("render", copy / "tiny.blend", "--device", "cpu")
    assert all((copy / name).stat().st_mtime_ns != old for name, old in before.items())


def test_restarting_a_range_renders_that_range(copy, command_line):
    before = frames(copy)
    words = ("--restart", "--frames", "2-2", "--device", "cpu")
    command_line("render", copy / "tiny.blend", *words)
    after = frames(copy)
    assert {name for name in after if after[name] != before[name]} == {"0002.png"}


def test_pictures_that_are_not_ours_stay(copy, command_line):
    (copy / "frames/shot.json").unlink()
    (copy / "frames/painting.png").write_text("mine")
    refused = command_line("render", copy / "tiny.blend", expect=2)
    assert "holds pictures of something else" in refused.stderr
    (copy / "frames/painting.png").rename(copy / "painting.png")
    assert len(frames(copy)) == 4


def test_a_device_that_is_not_there_costs_nothing(copy, command_line):
    before = frames(copy)
    words = ("--restart", "--device", "abacus")
    assert "abacus" in command_line("render", copy / "tiny.blend", *words, expect=2).stderr
    assert frames(copy) == before


def test_half_a_picture_is_never_taken_for_a_whole(copy, command_line):
    original = judge.read_still(copy / "frames/0001.png")
    (copy / "frames/0001.png").unlink()
    (copy / "frames/.0001.png.123.writing0001.png").write_text("half")
    command_line("render", copy / "tiny.blend", "--device", "cpu")
    assert np.array_equal(judge.read_still(copy / "frames/0001.png"), original)
    assert not list((copy / "frames").glob(".*"))


def test_a_shot_that_is_there_is_not_replaced(copy, tiny_file, command_line):
    before = (copy / "tiny.blend").read_bytes()
    refused = command_line("build", tiny_file, "-o", copy / "tiny.blend", expect=2)
    assert "--restart to replace it" in refused.stderr
    assert (copy / "tiny.blend").read_bytes() == before
    command_line("build", tiny_file, "-o", copy / "tiny.blend", "--restart")


def test_a_killed_render_goes_on(copy, command_line):
    shutil.rmtree(copy / "frames")
    (copy / "tiny.mp4").unlink()
    rendering = subprocess.Popen(
        [sys.executable, "-m", "addon", "render", str(copy / "tiny.blend"), "--device", "cpu"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while not (copy / "frames/0001.png").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    rendering.send_signal(signal.SIGKILL)
    rendering.wait()
    survived = frames(copy)
    command_line("render", copy / "tiny.blend", "--device", "cpu")
    assert len(frames(copy)) == 4
    assert all(frames(copy)[name] == survived[name] for name in survived)
    assert (copy / "tiny.mp4").exists()


def test_plain_blender_renders_the_same_frames_into_the_same_place(filmed, tmp_path):
    """As `blender -b shot.blend -a` does; the add-on is out of reach there."""
    script = (
        "import sys, bpy; bpy.ops.wm.open_mainfile(filepath=sys.argv[1]);"
        "bpy.ops.render.render(animation=True);"
        "assert not any(m.partition('.')[0] == 'addon' for m in sys.modules)"
    )
    moved = shutil.copy(filmed / "tiny.blend", tmp_path / "elsewhere.blend")
    command = [sys.executable, "-c", script, str(moved)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(frames(tmp_path)) == sorted(frames(filmed))
    for name in frames(filmed):
        ours, plain = (judge.read_still(f / "frames" / name) for f in (filmed, tmp_path))
        assert np.array_equal(ours, plain), name


def broken(path, change):
    """A sequence file with one thing wrong."""
    with h5py.File(path, "r+") as file:
        change(file)
    return path


BAD = {
    "no such file": (lambda path: path.unlink(), "no such file"),
    "not HDF5": (lambda path: path.write_text("loss"), "not an HDF5 file"),
    "other version": (
        lambda path: broken(path, lambda f: f.attrs.update(version=2)),
        "expected format moving-lands version 1",
    ),
    "missing dataset": (
        lambda path: broken(path, lambda f: f.__delitem__("surfaces/network/step")),
        "surfaces/network/step: missing",
    ),
    "misshapen dataset": (
        lambda path: broken(
            path,
            lambda f: (
                f.__delitem__("surfaces/network/origin"),
                f.create_dataset("surfaces/network/origin", data=np.zeros((2, 2))),
            ),
        ),
        "surfaces/network/origin: expected shape",
    ),
    "negative loss": (
        lambda path: broken(
            path, lambda f: f["surfaces/network/loss"].__setitem__((0, 0, 0), -1.0)
        ),
        "a log scale needs positive losses",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_sentence_and_loses_nothing(name, tiny_file, tmp_path, command_line):
    spoil, sentence = BAD[name]
    path = Path(shutil.copy(tiny_file, tmp_path))
    spoil(path)
    blend = tmp_path / "kept.blend"
    blend.write_text("an artist's work")
    refused = command_line("build", path, "-o", blend, "--restart", expect=2)
    assert sentence in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert "Traceback" not in refused.stderr
    assert blend.read_text() == "an artist's work"
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("render", "nothing.blend"), "nothing.blend: no such file"),
        (("render", "README.md"), "not an HDF5 file"),
        (("judge", "README.md"), "README.md"),
        (("judge", "nothing.png"), "nothing.png: no such file"),
    ],
)
def test_a_missing_or_foreign_file_is_named(words, sentence, command_line):
    assert sentence in command_line(*words, expect=2).stderr


def test_a_damaged_blend_is_named(tmp_path, command_line):
    blend = tmp_path / "damaged.blend"
    blend.write_text("not one")
    assert "damaged.blend: not a .blend" in command_line("render", blend, expect=2).stderr
    assert os.listdir(tmp_path) == ["damaged.blend"]


def test_the_gates_of_a_picture_are_measured():
    picture = np.zeros((10, 10, 3))
    picture[:4] = (120, 120, 60)  # the subject: four tenths
    picture[0, 0] = 255
    gates = {gate.name: gate for gate in judge.judge_still(picture, "flesh")}
    assert gates["any channel >= 250, percent"].value == pytest.approx(1)
    assert gates["luma >= 250, percent"].value == pytest.approx(1)
    assert not gates["luma >= 250, percent"].passed
    assert gates["luma < 6, percent"].value == pytest.approx(60)
    assert gates["luma < 6, percent"].passed
    assert gates["subject luma, median"].value == pytest.approx(120 - 60 * 0.0722, abs=0.01)
    assert gates["subject saturation, median"].value == pytest.approx(0.5)
