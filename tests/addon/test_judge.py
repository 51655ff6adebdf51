"""The judge: figures that are known beforehand are what it says, and bounds are held against."""

import bpy
import numpy as np
import pytest

from addon.judge import film as judge_film
from addon.judge import gates as judge
from addon.judge import shot as judge_shot
from addon.render import encode
from addon.shot import scripting as stage


def by_name(gates):
    return {gate.name.split(" (")[0]: gate for gate in gates}


def steady(level, size=(48, 64)):
    """A frame: a subject of a luma on the upper half, black below."""
    picture = np.zeros((*size, 3))
    picture[: size[0] // 2] = level
    return picture


# Stills


def test_the_gates_of_a_picture_are_measured():
    picture = np.zeros((10, 10, 3))
    picture[:4] = (120, 120, 60)  # the subject: four tenths
    picture[0, 0] = 255
    gates = by_name(judge.judge_still(picture, "flesh"))
    assert gates["any channel >= 250, percent"].value == pytest.approx(1)
    assert gates["luma >= 250, percent"].value == pytest.approx(1)
    assert not gates["luma >= 250, percent"].passed
    assert gates["luma < 6, percent"].value == pytest.approx(60)
    assert gates["luma < 6, percent"].passed
    assert gates["subject luma, median"].value == pytest.approx(120 - 60 * 0.0722, abs=0.01)
    assert gates["subject saturation, median"].value == pytest.approx(0.5)


@pytest.mark.parametrize(("look", "passes"), [("flesh", True), ("fur", False), ("specimen", True)])
def test_how_black_a_picture_may_be_is_up_to_its_look(look, passes):
    gates = by_name(judge.judge_still(steady(120), look))
    assert gates["luma < 6, percent"].passed is passes


def test_a_gate_says_name_figure_bounds_and_verdict():
    assert str(judge.Gate("tilt", 1.5, 0, 1)).split() == ["tilt", "1.5", "0", "to", "1", "out"]
    clear = str(judge.Gate("clearance", 0.03, 0.02, np.inf)).split()
    assert clear == ["clearance", "0.03", "from", "0.02", "ok"]
    assert not judge.Gate("figure", np.nan, 0, 1).passed


# Films


def test_a_step_of_light_is_measured_and_a_cut_is_none():
    levels = [100, 100, 102.55, 102.55, 250, 250, 250]  # half of the picture: 0.5 %, then a cut
    gates, sheet = judge_film.judge_film([steady(level) for level in levels], "flesh")
    gates = by_name(gates)
    assert gates["cuts"].value == 1
    assert gates["luma change a frame, percent"].value == pytest.approx(0.5, abs=0.01)
    assert gates["luma change a frame, percent"].passed
    assert gates["frames"].value == len(sheet) == 7


def test_fine_spikes_that_move_are_no_cut():
    lit = np.random.default_rng(0).uniform(40, 200, (90, 160, 1)) * np.ones(3)
    moving = [np.roll(lit, n, axis=1) for n in range(8)]
    gates = by_name(judge_film.judge_film(moving, "fur")[0])
    assert gates["cuts"].value == 0
    assert gates["luma change a frame, percent"].passed


def test_flicker_is_what_turns_back_and_motion_is_none():
    flickering = [steady(100 + 2 * (-1) ** n) for n in range(12)]
    brightening = [steady(100 + 2 * n) for n in range(12)]
    found = [
        by_name(judge_film.judge_film(frames, "flesh")[0])["flicker, percent"]
        for frames in (flickering, brightening)
    ]
    assert found[0].value == pytest.approx(100 * 2 / 255, rel=0.01)  # 2 to either side
    assert not found[0].passed
    assert found[1].value == pytest.approx(0, abs=1e-6)


def test_the_worst_frame_of_a_film_is_told():
    levels = [120] * 5 + [60] * 5
    gates = by_name(judge_film.judge_film([steady(level) for level in levels], "flesh")[0])
    assert gates["subject luma, median"].value == pytest.approx(60)


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """A film of 13 frames whose light takes one step of 2 % of the scale, and a cut."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    folder = tmp_path_factory.mktemp("film")
    frames = []
    for number in range(13):
        frames.append(folder / f"{number + 1:04d}.png")
        level = 100 if number < 5 else 110.2 if number < 9 else 240
        judge_film.write_picture(steady(level), frames[-1])
    path = folder / "film.mp4"
    encode.encode(bpy.context.scene, frames, path, "mp4")
    return path


def test_a_film_is_decoded_and_judged(film):
    scenes = len(bpy.data.scenes)
    frames = list(judge_film.decoded(film))
    assert len(bpy.data.scenes) == scenes
    assert len(frames) == 13
    assert all(frame.shape == (48, 64, 3) for frame in frames)
    assert frames[0][10, 10] == pytest.approx([100] * 3, abs=4)
    gates = by_name(judge_film.judge_film(frames, "flesh")[0])
    assert gates["luma change a frame, percent"].value == pytest.approx(2, abs=0.3)
    assert gates["cuts"].value == 1


def test_the_command_judges_films(film, command_line):
    said = command_line("judge", film, "--sheet")
    lines = said.stdout.splitlines()
    change = next(line for line in lines if line.startswith("luma change"))
    assert "(at 6)" in change
    assert change.endswith("out")
    sheet = judge.read_still(film.with_suffix(".sheet.png"))
    assert sheet.shape == (3 * 48, 4 * 64, 3)
    assert sheet[10, 10] == pytest.approx([100] * 3, abs=4)
    assert sheet[2 * 48 + 10, 3 * 64 + 10] == pytest.approx([240] * 3, abs=6)
    command_line("judge", film, "--strict", expect=1)


def test_what_is_no_film_is_named(tmp_path, command_line):
    (tmp_path / "none.mp4").write_text("no film")
    assert "none.mp4: not a film" in command_line("judge", tmp_path / "none.mp4", expect=2).stderr


# Shots


def test_labels_stand_out_by_their_contrast():
    labels = np.zeros((60, 60, 3))
    labels[20:40, 30:33] = 255
    picture = np.full((60, 60, 3), 80.0)
    picture[20:40, 30:33] = 230
    linear = [((level / 255 + 0.055) / 1.055) ** 2.4 for level in (230, 80)]
    expected = (linear[0] + 0.05) / (linear[1] + 0.05)
    assert judge_shot.contrast(picture, labels) == pytest.approx(expected, rel=0.02)


def test_what_counts_is_the_ground_next_to_a_stroke():
    labels = np.zeros((60, 60, 3))
    labels[20:40, 30:33] = 255
    shadowed = np.full((60, 60, 3), 230.0)
    plain = shadowed.copy()
    shadowed[17:43, 27:36] = 40
    shadowed[20:40, 30:33] = 230
    assert judge_shot.contrast(shadowed, labels) > 4.5
    assert judge_shot.contrast(plain, labels) == pytest.approx(1, rel=0.01)


def test_a_shot_is_judged_on_its_evaluated_scene(funnel_file, tmp_path, command_line):
    bpy.ops.wm.read_factory_settings(use_empty=True)
    stage.import_sequence(funnel_file)
    scene = bpy.context.scene
    scene.cycles.samples = 1
    scene.frame_end = 12
    blend = tmp_path / "shot.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(blend))
    lines = command_line("judge", blend).stdout.splitlines()
    said = {line[:44].strip(): line[44:].split() for line in lines}
    assert {"Camera: speed", "Camera: clearance", "Camera: off third"} <= set(said)
    assert said["Camera: tilt"][-1] == "ok"
    assert said["height of small capitals, pixels"][-1] == "ok"
    assert float(said["contrast of labels"][0]) > 4.5


def test_a_blend_without_a_shot_is_named(tmp_path, empty, command_line):
    blend = tmp_path / "bare.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(blend))
    assert "bare.blend: no shot" in command_line("judge", blend, expect=2).stderr
