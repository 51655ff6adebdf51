"""Rendering: devices, qualities, formats, estimates, and machines that share a folder."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import bpy
import numpy as np
import pytest

from addon.judge import gates as judge
from addon.land import mesh_cache as cache
from addon.render import copies, devices, encode, quality
from addon.render.frames import estimate, render_frame
from addon.render.job import prepare
from addon.render.signature import signature
from addon.shot import parts as shots
from addon.ui import cli, preferences

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def blend(tiny_file, tmp_path_factory, command_line):
    path = tmp_path_factory.mktemp("shot") / "tiny.blend"
    command_line("build", tiny_file, "-o", path)
    return path


@pytest.fixture
def shot(blend, tmp_path):
    return Path(shutil.copy(blend, tmp_path))


def altered(path, change):
    """The shot as an artist saves it."""
    bpy.ops.wm.open_mainfile(filepath=str(path))
    change(bpy.context.scene)
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    return path


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


def film_facts(film):
    clip = bpy.data.movieclips.load(str(film))
    try:
        return clip.frame_duration, tuple(clip.size), clip.fps
    finally:
        bpy.data.movieclips.remove(clip)


# Machines


def test_two_processes_share_a_folder(shot):
    def longer(scene):
        scene.frame_end, scene.cycles.samples = 12, 128
        scene.cycles.use_adaptive_sampling = False

    altered(shot, longer)
    first = start(shot)
    wait_for(first, 1)
    second = start(shot)
    told = [said(process.communicate(timeout=120)[0])[-1] for process in (first, second)]
    assert [each["event"] for each in told] == ["done", "done"]
    assert sum(each["rendered"] for each in told) == 12
    assert all(each["rendered"] for each in told)
    assert len(list(shot.parent.glob("frames/*.png"))) == 12
    assert film_facts(shot.with_suffix(".mp4"))[0] == 12
    assert not list(shot.parent.rglob(".*"))


def test_an_interrupted_render_leaves_whole_frames_and_goes_on(shot, command_line):
    altered(shot, lambda scene: setattr(scene.cycles, "samples", 256))
    rendering = start(shot)
    wait_for(rendering, 1)
    rendering.send_signal(signal.SIGINT)
    rendering.communicate(timeout=60)
    assert rendering.returncode == 130
    there = {file: file.stat().st_mtime_ns for file in shot.parent.glob("frames/*.png")}
    assert 0 < len(there) < 4
    assert all(judge.read_still(file).any() for file in there)
    assert not list(shot.parent.rglob(".*"))
    command_line("render", shot, "--device", "cpu")
    assert len(list(shot.parent.glob("frames/*.png"))) == 4
    assert all(file.stat().st_mtime_ns == time for file, time in there.items())


# Devices


def test_the_devices_are_named_and_looking_changes_nothing(empty):
    chosen = bpy.context.preferences.addons["cycles"].preferences
    before = chosen.compute_device_type
    assert list(devices.found())[-1] == "CPU"
    assert all(devices.found().values())
    assert chosen.compute_device_type == before


def test_the_device_that_is_taken_is_real(empty):
    scene = bpy.context.scene
    there = devices.found()
    assert devices.choose(scene, "cpu") == f"CPU: {there['CPU']}"
    assert scene.cycles.device == "CPU"
    best = next(iter(there))
    assert devices.choose(scene, "auto") == f"{best}: {there[best]}"
    assert (scene.cycles.device == "GPU") == (best != "CPU")
    with pytest.raises(ValueError, match="device abacus: expected one of auto, optix, cuda"):
        devices.choose(scene, "abacus")
    absent = next(name for name in devices.BACKENDS if name not in there)
    with pytest.raises(ValueError, match=rf"no such hardware here, only .*cpu \({there['CPU']}\)"):
        devices.choose(scene, absent.lower())


@pytest.fixture
def preferences_kept():
    """Put back what Cycles computes on."""
    chosen = bpy.context.preferences.addons["cycles"].preferences
    before = chosen.compute_device_type
    yield chosen
    chosen.compute_device_type = before


def test_the_best_device_of_a_machine_without_a_gpu_is_what_there_was(empty, preferences_kept):
    if len(devices.found()) > 1:
        pytest.skip("this machine has a GPU")
    before = preferences_kept.compute_device_type
    devices.use_best(bpy.context.scene)
    assert bpy.context.scene.cycles.device == "CPU"
    assert preferences_kept.compute_device_type == before


@pytest.mark.parametrize(("chosen", "then"), [("NONE", "OPTIX"), ("CUDA", "CUDA")])
def test_what_an_artist_has_chosen_to_compute_on_stays(
    empty, preferences_kept, monkeypatch, chosen, then
):
    preferences_kept.compute_device_type = chosen
    monkeypatch.setattr(devices, "found", lambda: {"OPTIX": "A GPU", "CPU": "A CPU"})
    devices.use_best(bpy.context.scene)
    assert preferences_kept.compute_device_type == then


def test_a_panel_can_ask_for_devices_without_a_search(empty):
    devices.found.cache_clear()
    assert devices.known() is None
    there = devices.found()
    assert devices.known() == there


def test_a_scene_of_its_own_is_rendered_whatever_scene_is_shown(shot):
    def look_elsewhere(scene):
        bpy.context.window.scene = bpy.data.scenes.new("Other")

    altered(shot, look_elsewhere)
    job = prepare(shot, device="cpu")
    assert shots.in_scene(job.scene)


# Versions


def times(folder):
    return {file.name: file.stat().st_mtime_ns for file in folder.glob("frames/*.png")}


def test_a_save_that_changes_nothing_seen_keeps_the_frames(shot, command_line):
    words = ("render", shot, "--device", "cpu")
    command_line(*words)
    before, film = times(shot.parent), shot.with_suffix(".mp4").stat().st_mtime_ns

    def look_around(scene):
        scene.frame_set(3)
        for thing in scene.objects:
            thing.select_set(True)
        bpy.context.window.scene = bpy.data.scenes.new("Other")

    altered(shot, look_around)
    command_line(*words)
    assert times(shot.parent) == before
    assert shot.with_suffix(".mp4").stat().st_mtime_ns == film


def test_a_longer_film_keeps_its_frames_and_is_encoded_anew(shot, command_line):
    words = ("render", shot, "--device", "cpu")
    command_line(*words)
    before = times(shot.parent)
    altered(shot, lambda scene: setattr(scene, "frame_end", 5))
    command_line(*words)
    after = times(shot.parent)
    assert after.keys() - before.keys() == {"0005.png"}
    assert {name: after[name] for name in before} == before
    assert film_facts(shot.with_suffix(".mp4"))[0] == 5


def test_another_poster_is_made_alone(shot, command_line):
    words = ("render", shot, "--device", "cpu")
    command_line(*words)
    before = times(shot.parent)

    def later(scene):
        scene[shots.MARK]["poster_width"] = 32

    altered(shot, later)
    command_line(*words)
    assert times(shot.parent) == before
    assert judge.read_still(shot.parent / "poster.png").shape == (18, 32, 3)


def test_copies_of_a_shot_in_two_folders_agree(shot, tmp_path, command_line):
    out = tmp_path / "out"
    command_line("render", shot, "-o", out, "--frames", "1-2", "--device", "cpu")
    before = times(out)
    elsewhere = tmp_path / "elsewhere" / "another.blend"
    elsewhere.parent.mkdir()
    shutil.copy(shot, elsewhere)
    command_line("render", elsewhere, "-o", out, "--device", "cpu")
    assert {name: time for name, time in times(out).items() if name in before} == before
    assert len(times(out)) == 4


def earlier(record, **changes):
    """Make a record what earlier versions wrote: a digest of the .blend, not of what it shows."""
    known = json.loads(record.read_text())
    kept = {key: known[key] for key in ("blend", "Blender", "quality", "pictures")}
    record.write_text(json.dumps(kept | changes))


def test_frames_of_an_earlier_moving_lands_go_on_where_the_blend_is_the_same(shot, command_line):
    words = ("render", shot, "--device", "cpu")
    command_line(*words, "--frames", "1-2")
    before = times(shot.parent)
    earlier(shot.parent / "frames/shot.json")
    command_line(*words)
    assert {name: time for name, time in times(shot.parent).items() if name in before} == before
    altered(shot, lambda scene: scene.frame_set(2))
    command_line(*words)  # from now on it is known what they show
    earlier(shot.parent / "frames/shot.json", blend="0" * 64)
    refused = command_line(*words, expect=2).stderr
    assert "an earlier Moving Lands has rendered them, and could not tell" in refused


# Places that cannot be written to


@pytest.fixture
def read_only(blend, tiny_file):
    """A shot with a cache, in a folder where nothing can be written, not even by root."""
    if not hasattr(os, "geteuid"):
        pytest.skip("a folder cannot be made read-only like this")
    folder = Path(tempfile.mkdtemp())
    path = Path(shutil.copy(blend, folder))
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


# Denoising


def test_a_blender_without_a_denoiser_takes_more_samples(shot, monkeypatch):
    monkeypatch.setattr(quality, "has_denoiser", lambda scene: False)
    altered(shot, lambda scene: setattr(scene.cycles, "samples", 6))
    job = prepare(shot, device="cpu")
    assert (job.scene.cycles.samples, job.scene.cycles.use_denoising) == (96, False)
    assert job.remarks == (
        "This Blender has no denoiser: 96 samples are taken instead of 6, so that the pictures "
        "are less grainy.",
    )
    assert job.how["denoiser"] == "none"


# Qualities


def test_a_quality_sets_what_it_names(empty):
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.render.resolution_x, scene.cycles.max_bounces = 777, 5
    for name, asked in quality.QUALITIES.items():
        quality.apply(scene, name)
        assert scene.cycles.samples == asked.samples
        assert scene.render.resolution_percentage == asked.percentage
        assert scene.cycles.denoising_quality == asked.denoising
        assert scene.cycles.use_denoising
        assert scene.render.use_motion_blur == asked.motion_blur
    assert (scene.render.resolution_x, scene.cycles.max_bounces) == (777, 5)


def test_a_quality_sets_the_samples_of_the_engine_there_is(empty):
    scene = bpy.context.scene
    scene.render.engine = "BLENDER_WORKBENCH"
    samples = scene.cycles.samples
    quality.apply(scene, "final")
    assert scene.eevee.taa_render_samples == quality.QUALITIES["final"].samples
    assert scene.cycles.samples == samples


def test_an_artists_values_hold_unless_a_quality_is_asked_for(shot):
    def own(scene):
        scene.cycles.samples, scene.render.resolution_percentage = 3, 50
        scene.cycles.use_denoising, scene.render.use_motion_blur = False, True

    altered(shot, own)
    scene = prepare(shot, device="cpu").scene
    assert (scene.cycles.samples, scene.render.resolution_percentage) == (3, 50)
    assert (scene.cycles.use_denoising, scene.render.use_motion_blur) == (False, True)
    scene = prepare(shot, device="cpu", named_quality="draft").scene
    assert scene.cycles.samples == quality.QUALITIES["draft"].samples


def test_a_draft_is_small_and_changes_no_shot(shot, command_line):
    def larger(scene):
        scene.render.resolution_x, scene.render.resolution_y = 128, 72

    altered(shot, larger)
    before = shot.read_bytes()
    command_line("render", shot, "--quality", "draft", "--device", "cpu")
    assert judge.read_still(shot.parent / "frames/0001.png").shape == (18, 32, 3)
    assert not (shot.parent / "poster.png").exists()
    assert shot.read_bytes() == before


def test_qualities_are_not_mixed(shot, command_line):
    words = ("render", shot, "--frames", "1-1", "--device", "cpu")
    command_line(*words, "--quality", "draft")
    drawn = (shot.parent / "frames/0001.png").read_bytes()
    refused = command_line(*words, expect=2).stderr
    assert "frames of tiny.blend made otherwise (quality draft)" in refused
    assert (shot.parent / "frames/0001.png").read_bytes() == drawn
    command_line(*words, "--restart")
    assert judge.read_still(shot.parent / "frames/0001.png").shape == (36, 64, 3)


# Places and formats


def test_frames_go_where_the_artist_says_and_as_they_say(shot, command_line):
    def own(scene):
        scene.render.filepath = "//out/shot_##_of_it"
        scene.render.image_settings.color_depth = "16"
        scene.render.image_settings.color_mode = "RGBA"

    altered(shot, own)
    command_line("render", shot, "--device", "cpu")
    names = sorted(file.name for file in (shot.parent / "out").iterdir())
    pictures = [f"shot_0{n}_of_it.png" for n in (1, 2, 3, 4)]
    assert names == ["poster.png", "shot.json", *pictures, "tiny.mp4"]
    frame = (shot.parent / "out/shot_01_of_it.png").read_bytes()
    assert (frame[24], frame[25]) == (16, 6)  # bits, and truecolour with alpha
    assert film_facts(shot.parent / "out/tiny.mp4")[:2] == (4, (64, 36))


def test_a_shorter_version_leaves_no_frames_of_the_longer(shot, command_line):
    words = ("render", shot, "--device", "cpu")
    command_line(*words)
    altered(shot, lambda scene: setattr(scene, "frame_end", 2))
    (shot.parent / "frames/notes.txt").write_text("mine")
    command_line(*words, "--restart")
    names = sorted(file.name for file in (shot.parent / "frames").iterdir())
    assert names == ["0001.png", "0002.png", "notes.txt", "shot.json"]


def test_every_second_frame(shot, command_line):
    altered(shot, lambda scene: setattr(scene, "frame_step", 2))
    command_line("render", shot, "--device", "cpu")
    assert sorted(f.name for f in shot.parent.glob("frames/*.png")) == ["0001.png", "0003.png"]
    assert film_facts(shot.with_suffix(".mp4"))[0] == 2


def test_frames_that_the_shot_has_not(shot, command_line):
    refused = command_line("render", shot, "--frames", "5-9", "--device", "cpu", expect=2)
    assert "--frames 5 to 9: the shot's are 1 to 4." in refused.stderr
    assert not (shot.parent / "frames").exists()


def test_frames_can_be_picked(shot, command_line):
    command_line("render", shot, "--frames", "1,3-4", "--device", "cpu", "--threads", "1")
    names = [file.name for file in sorted(shot.parent.glob("frames/*.png"))]
    assert names == ["0001.png", "0003.png", "0004.png"]
    refused = command_line("render", shot, "--frames", "one", expect=2)
    assert "expected frames such as 1-48" in refused.stderr


def test_another_output_of_the_artists_is_for_their_own_renders(shot, command_line):
    def film(scene):
        if hasattr(scene.render.image_settings, "media_type"):
            scene.render.image_settings.media_type = "VIDEO"
        scene.render.image_settings.file_format = "FFMPEG"

    altered(shot, film)
    command_line("render", shot, "--frames", "1-1", "--device", "cpu")
    assert judge.read_still(shot.parent / "frames/0001.png").shape == (36, 64, 3)


def test_prores_is_made_of_16_bits_and_shows_the_frames(shot, command_line):
    command_line("render", shot, "--format", "mov", "--device", "cpu")
    film = shot.with_suffix(".mov")
    assert b"apch" in film.read_bytes()  # 422 HQ
    assert film_facts(film) == (4, (64, 36), pytest.approx(4))
    frame = shot.parent / "frames/0003.png"
    assert frame.read_bytes()[24] == 16
    light = judge.read_still(frame) / 255  # Blender reads 16 bits as light
    shown = np.where(light < 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    assert np.abs(decoded(film, 3, (64, 36)) - 255 * shown).mean() < 3
    assert not shot.with_suffix(".mp4").exists()


def test_exr_is_half_float_and_of_the_scenes_light(shot, command_line):
    command_line("render", shot, "--format", "exr", "--device", "cpu")
    frames = sorted(shot.parent.glob("frames/*"))
    assert [frame.name for frame in frames[:-1]] == [f"000{n}.exr" for n in (1, 2, 3, 4)]
    assert header(frames[0]) == {"B": 1, "G": 1, "R": 1}
    assert not list(shot.parent.glob("tiny.m*"))
    assert (shot.parent / "poster.png").read_bytes()[24] == 8
    image = bpy.data.images.load(str(frames[2]))
    light = np.array(image.pixels[:]).reshape(-1, 4)[:, :3]
    assert light.shape == (64 * 36, 3)
    assert light.any()
    assert np.isfinite(light).all()
    bpy.data.images.remove(image)


def test_an_artists_exr_stays_as_it_is(shot):
    def own(scene):
        scene.render.image_settings.file_format = "OPEN_EXR"
        scene.render.image_settings.color_depth = "32"

    altered(shot, own)
    job = prepare(shot, device="cpu")
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


def test_an_estimate_is_about_right(shot):
    def slower(scene):
        scene.render.resolution_x, scene.render.resolution_y = 480, 270
        scene.cycles.samples, scene.cycles.use_adaptive_sampling = 32, False

    altered(shot, slower)
    job = prepare(shot, device="cpu")
    estimated = estimate(job.scene)
    assert job.scene.render.resolution_percentage == 100
    start = time.perf_counter()
    render_frame(job.scene, 3, shot.parent / "frame.png")
    assert estimated == pytest.approx(time.perf_counter() - start, rel=0.7)


def test_an_estimate_renders_nothing_and_counts_what_is_left(shot, command_line):
    command_line("render", shot, "--frames", "1-3", "--device", "cpu")
    before = sorted(shot.parent.rglob("*"))
    printed = command_line("render", shot, "--estimate", "--device", "cpu", "--json").stdout
    told = said(printed)
    assert told[-1]["event"] == "done"
    (estimate,) = [each for each in told if each.get("label") == "estimate"]
    assert (estimate["done"], estimate["total"]) == (3, 4)
    assert 0 < estimate["seconds_left"] < 60
    assert sorted(shot.parent.rglob("*")) == before


# Programs that ask


def test_progress_is_told_in_lines_of_json(shot, command_line):
    printed = command_line("render", shot, "--device", "cpu", "--json")
    told = said(printed.stdout)
    assert told[-1] == {"event": "done", "file": str(shot.with_suffix(".mp4")), "rendered": 4}
    counts = [each for each in told if each.get("label") == "rendering"]
    keys = {"event", "label", "done", "total", "seconds_left"}
    assert all(each.keys() == keys for each in counts)
    done = [each["done"] for each in counts]
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0, 4)
    assert "encoding" in [each.get("label") for each in told]
    assert "rendering:" not in printed.stderr


def test_an_error_is_told_too(shot, command_line):
    refused = command_line("render", shot, "--device", "abacus", "--json", expect=2)
    (error,) = said(refused.stdout)
    assert error["event"] == "error"
    assert "device abacus" in error["message"]


def test_missing_frames_are_listed_with_the_files_they_need(shot, command_line):
    (shot.parent / "beside.pc2").touch()

    def cached(scene):
        modifier = shots.parts(scene)["Land"].modifiers.new("Cache", "MESH_CACHE")
        modifier.filepath = "//beside.pc2"
        modifier.show_render = modifier.show_viewport = False

    altered(shot, cached)
    command_line("render", shot, "--frames", "2-2", "--device", "cpu")
    told = said(command_line("render", shot, "--missing", "--json").stdout)
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
