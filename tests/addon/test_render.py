"""Rendering: machines that share a folder, places, formats, estimates, and what is told."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import bpy
import numpy as np
import pytest
from rendered import altered, film_facts

from addon.judge import gates as judge
from addon.land import mesh_cache as cache
from addon.render import encode
from addon.render.frames import estimate, render_frame
from addon.render.job import prepare
from addon.shot import parts as shots
from addon.ui import cli, preferences

ROOT = Path(__file__).resolve().parents[2]


def said(printed):
    return [json.loads(line) for line in printed.splitlines() if line.startswith("{")]


def start(*words):
    return subprocess.Popen(
        [sys.executable, "-m", "addon", "render", *map(str, words), "--device", "cpu", "--json"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def wait_for(process, done):
    """Wait until a render has told that so many frames are there."""
    for line in process.stdout:
        if line.startswith("{") and json.loads(line).get("done", 0) >= done:
            return
    raise AssertionError("it ended before")


def header(exr):
    """The type of each channel of an OpenEXR file: 1 is half, 2 is float."""
    content = exr.read_bytes()
    listed = content[content.index(b"channels\0chlist\0") + 20 :]
    types = {}
    while listed[0]:
        name, _, rest = listed.partition(b"\0")
        types[name.decode()], listed = rest[0], rest[16:]
    return types


def decoded(film, frame, size):
    """A frame of a film as it is displayed, by Blender's own decoder."""
    scene = bpy.data.scenes.new("Decode")
    strips = scene.sequence_editor_create().strips
    strips.new_movie("Film", str(film), channel=1, frame_start=1, fit_method="ORIGINAL")
    scene.render.resolution_x, scene.render.resolution_y = size
    scene.view_settings.view_transform = "Standard"
    scene.frame_start = scene.frame_end = frame
    scene.render.filepath = str(film.with_name("decoded####.png"))
    bpy.ops.render.render(animation=True, scene=scene.name)
    return judge.read_still(film.with_name(f"decoded{frame:04d}.png"))


# Machines


def test_two_processes_share_a_folder(tiny_shot):
    def longer(scene):
        scene.frame_end, scene.cycles.samples = 12, 128
        scene.cycles.use_adaptive_sampling = False

    altered(tiny_shot, longer)
    first = start(tiny_shot)
    wait_for(first, 1)
    second = start(tiny_shot)
    told = [said(process.communicate(timeout=120)[0])[-1] for process in (first, second)]
    assert [each["event"] for each in told] == ["done", "done"]
    assert sum(each["rendered"] for each in told) == 12
    assert all(each["rendered"] for each in told)
    assert len(list(tiny_shot.parent.glob("frames/*.png"))) == 12
    assert film_facts(tiny_shot.with_suffix(".mp4"))[0] == 12
    assert not list(tiny_shot.parent.rglob(".*"))


def test_an_interrupted_render_leaves_whole_frames_and_goes_on(tiny_shot, command_line):
    altered(tiny_shot, lambda scene: setattr(scene.cycles, "samples", 256))
    rendering = start(tiny_shot)
    wait_for(rendering, 1)
    rendering.send_signal(signal.SIGINT)
    rendering.communicate(timeout=60)
    assert rendering.returncode == 130
    there = {file: file.stat().st_mtime_ns for file in tiny_shot.parent.glob("frames/*.png")}
    assert 0 < len(there) < 4
    assert all(judge.read_still(file).any() for file in there)
    assert not list(tiny_shot.parent.rglob(".*"))
    command_line("render", tiny_shot, "--device", "cpu")
    assert len(list(tiny_shot.parent.glob("frames/*.png"))) == 4
    assert all(file.stat().st_mtime_ns == time for file, time in there.items())


# Places and formats


def test_a_scene_of_its_own_is_rendered_whatever_scene_is_shown(tiny_shot):
    def look_elsewhere(scene):
        bpy.context.window.scene = bpy.data.scenes.new("Other")

    altered(tiny_shot, look_elsewhere)
    job = prepare(tiny_shot, device="cpu")
    assert shots.in_scene(job.scene)


def test_frames_go_where_the_artist_says_and_as_they_say(tiny_shot, command_line):
    def own(scene):
        scene.render.filepath = "//out/shot_##_of_it"
        scene.render.image_settings.color_depth = "16"
        scene.render.image_settings.color_mode = "RGBA"

    altered(tiny_shot, own)
    command_line("render", tiny_shot, "--device", "cpu")
    names = sorted(file.name for file in (tiny_shot.parent / "out").iterdir())
    pictures = [f"shot_0{n}_of_it.png" for n in (1, 2, 3, 4)]
    assert names == ["poster.png", "shot.json", *pictures, "tiny.mp4"]
    frame = (tiny_shot.parent / "out/shot_01_of_it.png").read_bytes()
    assert (frame[24], frame[25]) == (16, 6)  # bits, and truecolour with alpha
    assert film_facts(tiny_shot.parent / "out/tiny.mp4")[:2] == (4, (64, 36))


def test_a_shorter_version_leaves_no_frames_of_the_longer(tiny_shot, command_line):
    words = ("render", tiny_shot, "--device", "cpu")
    command_line(*words)
    altered(tiny_shot, lambda scene: setattr(scene, "frame_end", 2))
    (tiny_shot.parent / "frames/notes.txt").write_text("mine")
    command_line(*words, "--restart")
    names = sorted(file.name for file in (tiny_shot.parent / "frames").iterdir())
    assert names == ["0001.png", "0002.png", "notes.txt", "shot.json"]


def test_every_second_frame(tiny_shot, command_line):
    altered(tiny_shot, lambda scene: setattr(scene, "frame_step", 2))
    command_line("render", tiny_shot, "--device", "cpu")
    names = sorted(file.name for file in tiny_shot.parent.glob("frames/*.png"))
    assert names == ["0001.png", "0003.png"]
    assert film_facts(tiny_shot.with_suffix(".mp4"))[0] == 2


def test_frames_that_the_shot_has_not(tiny_shot, command_line):
    refused = command_line("render", tiny_shot, "--frames", "5-9", "--device", "cpu", expect=2)
    assert "--frames 5 to 9: the shot's are 1 to 4." in refused.stderr
    assert not (tiny_shot.parent / "frames").exists()


def test_frames_can_be_picked(tiny_shot, command_line):
    command_line("render", tiny_shot, "--frames", "1,3-4", "--device", "cpu", "--threads", "1")
    names = [file.name for file in sorted(tiny_shot.parent.glob("frames/*.png"))]
    assert names == ["0001.png", "0003.png", "0004.png"]
    refused = command_line("render", tiny_shot, "--frames", "one", expect=2)
    assert "expected frames such as 1-48" in refused.stderr


def test_another_output_of_the_artists_is_for_their_own_renders(tiny_shot, command_line):
    def film(scene):
        if hasattr(scene.render.image_settings, "media_type"):
            scene.render.image_settings.media_type = "VIDEO"
        scene.render.image_settings.file_format = "FFMPEG"

    altered(tiny_shot, film)
    command_line("render", tiny_shot, "--frames", "1-1", "--device", "cpu")
    assert judge.read_still(tiny_shot.parent / "frames/0001.png").shape == (36, 64, 3)


def test_prores_is_made_of_16_bits_and_shows_the_frames(tiny_shot, command_line):
    command_line("render", tiny_shot, "--format", "mov", "--device", "cpu")
    film = tiny_shot.with_suffix(".mov")
    assert b"apch" in film.read_bytes()  # 422 HQ
    assert film_facts(film) == (4, (64, 36), pytest.approx(4))
    frame = tiny_shot.parent / "frames/0003.png"
    assert frame.read_bytes()[24] == 16
    light = judge.read_still(frame) / 255  # Blender reads 16 bits as light
    shown = np.where(light < 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    assert np.abs(decoded(film, 3, (64, 36)) - 255 * shown).mean() < 3
    assert not tiny_shot.with_suffix(".mp4").exists()


def test_exr_is_half_float_and_of_the_scenes_light(tiny_shot, command_line):
    command_line("render", tiny_shot, "--format", "exr", "--device", "cpu")
    frames = sorted(tiny_shot.parent.glob("frames/*"))
    assert [frame.name for frame in frames[:-1]] == [f"000{n}.exr" for n in (1, 2, 3, 4)]
    assert header(frames[0]) == {"B": 1, "G": 1, "R": 1}
    assert not list(tiny_shot.parent.glob("tiny.m*"))
    assert (tiny_shot.parent / "poster.png").read_bytes()[24] == 8
    image = bpy.data.images.load(str(frames[2]))
    light = np.array(image.pixels[:]).reshape(-1, 4)[:, :3]
    assert light.shape == (64 * 36, 3)
    assert light.any()
    assert np.isfinite(light).all()
    bpy.data.images.remove(image)


def test_an_artists_exr_stays_as_it_is(tiny_shot):
    def own(scene):
        scene.render.image_settings.file_format = "OPEN_EXR"
        scene.render.image_settings.color_depth = "32"

    altered(tiny_shot, own)
    job = prepare(tiny_shot, device="cpu")
    assert (job.format, job.film) == ("exr", None)
    assert job.scene.render.image_settings.color_depth == "32"


def test_a_codec_that_is_not_there(empty, monkeypatch):
    monkeypatch.setitem(encode.CODECS, "mov", ("QUICKTIME", "ABACUS", "10"))
    with pytest.raises(ValueError, match="format mov: this Blender cannot encode ABACUS"):
        encode.set_pictures(bpy.context.scene, "mov")


@pytest.mark.parametrize("format", ["mp4", "mov"])
def test_films_of_odd_sizes_leave_out_a_line(empty, tmp_path, format):
    steps = np.random.default_rng(0).integers(40, 200, (5, 9, 3))
    picture = np.repeat(np.repeat(steps, 7, 0), 7, 1) / 255  # 35 rows, 63 columns
    image = bpy.data.images.new("picture", 63, 35)
    image.pixels = np.dstack([picture, np.ones((35, 63))]).ravel().tolist()
    image.filepath_raw, image.file_format = str(tmp_path / "0001.png"), "PNG"
    image.save()
    film = tmp_path / f"film.{format}"
    scene = bpy.context.scene
    scene.render.fps, scene.render.fps_base = 24, 1.001
    encode.encode(scene, [tmp_path / "0001.png"] * 3, film, format)
    assert film_facts(film) == (3, (62, 34), pytest.approx(24 / 1.001, rel=1e-3))
    shown, whole = decoded(film, 1, (62, 34)), judge.read_still(tmp_path / "0001.png")
    errors = [np.abs(shown - whole[y : y + 34, x : x + 62]).mean() for x in (0, 1) for y in (0, 1)]
    assert min(errors) < 9
    assert [scene.name for scene in bpy.data.scenes if "Encode" in scene.name] == []


# Time


def test_an_estimate_is_about_right(tiny_shot):
    def slower(scene):
        scene.render.resolution_x, scene.render.resolution_y = 480, 270
        scene.cycles.samples, scene.cycles.use_adaptive_sampling = 32, False

    altered(tiny_shot, slower)
    job = prepare(tiny_shot, device="cpu")
    estimated = estimate(job.scene)
    assert job.scene.render.resolution_percentage == 100
    start = time.perf_counter()
    render_frame(job.scene, 3, tiny_shot.parent / "frame.png")
    assert estimated == pytest.approx(time.perf_counter() - start, rel=0.7)


def test_an_estimate_renders_nothing_and_counts_what_is_left(tiny_shot, command_line):
    command_line("render", tiny_shot, "--frames", "1-3", "--device", "cpu")
    before = sorted(tiny_shot.parent.rglob("*"))
    printed = command_line("render", tiny_shot, "--estimate", "--device", "cpu", "--json").stdout
    told = said(printed)
    assert told[-1]["event"] == "done"
    (estimate,) = [each for each in told if each.get("label") == "estimate"]
    assert (estimate["done"], estimate["total"]) == (3, 4)
    assert 0 < estimate["seconds_left"] < 60
    assert sorted(tiny_shot.parent.rglob("*")) == before


# Programs that ask


def test_progress_is_told_in_lines_of_json(tiny_shot, command_line):
    printed = command_line("render", tiny_shot, "--device", "cpu", "--json")
    told = said(printed.stdout)
    assert told[-1] == {"event": "done", "file": str(tiny_shot.with_suffix(".mp4")), "rendered": 4}
    counts = [each for each in told if each.get("label") == "rendering"]
    keys = {"event", "label", "done", "total", "seconds_left"}
    assert all(each.keys() == keys for each in counts)
    done = [each["done"] for each in counts]
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0, 4)
    assert "encoding" in [each.get("label") for each in told]
    assert "rendering:" not in printed.stderr


def test_an_error_is_told_too(tiny_shot, command_line):
    refused = command_line("render", tiny_shot, "--device", "abacus", "--json", expect=2)
    (error,) = said(refused.stdout)
    assert error["event"] == "error"
    assert "device abacus" in error["message"]


def test_missing_frames_are_listed_with_the_files_they_need(tiny_shot, command_line):
    (tiny_shot.parent / "beside.pc2").touch()

    def cached(scene):
        modifier = shots.parts(scene)["Land"].modifiers.new("Cache", "MESH_CACHE")
        modifier.filepath = "//beside.pc2"
        modifier.show_render = modifier.show_viewport = False

    altered(tiny_shot, cached)
    command_line("render", tiny_shot, "--frames", "2-2", "--device", "cpu")
    told = said(command_line("render", tiny_shot, "--missing", "--json").stdout)
    assert told[0] == {"event": "missing", "frames": [1, 3, 4], "files": ["beside.pc2"]}


# Building


def test_a_land_beyond_the_memory_budget_streams_from_beside_the_blend(
    tiny_file, tmp_path, monkeypatch
):
    monkeypatch.setattr(preferences.DEFAULTS, "memory_budget", 0.0)
    blend = tmp_path / "new" / "large.blend"
    cli.build(tiny_file, blend)
    names = {file.name for file in blend.parent.iterdir()}
    assert names == {"large.blend", "large network.pc2"}
    bpy.ops.wm.open_mainfile(filepath=str(blend))
    land = shots.parts(bpy.context.scene)["Land"]
    assert cache.modifier(land).filepath == "//large network.pc2"
    evaluated = land.evaluated_get(bpy.context.evaluated_depsgraph_get()).to_mesh()
    assert np.ptp([vertex.co.z for vertex in evaluated.vertices]) > 0.1
