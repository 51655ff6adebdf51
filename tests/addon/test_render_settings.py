"""Devices, denoising and qualities of a render."""

import bpy
import pytest
from rendered import altered

import addon
from addon.blender import devices
from addon.judge import gates as judge
from addon.render import quality
from addon.render.job import prepare
from addon.shot import parts as shots

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


# Denoising


def test_a_blender_without_a_denoiser_takes_more_samples(tiny_shot, monkeypatch):
    monkeypatch.setattr(quality, "has_denoiser", lambda scene: False)
    altered(tiny_shot, lambda scene: setattr(scene.cycles, "samples", 6))
    job = prepare(tiny_shot, device="cpu")
    assert (job.scene.cycles.samples, job.scene.cycles.use_denoising) == (96, False)
    assert job.remarks == (
        "This Blender has no denoiser: 96 samples are taken instead of 6, so that the pictures "
        "are less grainy.",
    )
    assert job.how["denoiser"] == "none"


def test_the_panel_says_that_there_is_no_denoiser(tiny_file, empty, monkeypatch):
    monkeypatch.setattr(quality, "has_denoiser", lambda scene: False)
    addon.register()
    try:
        bpy.ops.moving_lands.import_sequence(filepath=str(tiny_file))
        scene = next(scene for scene in bpy.data.scenes if shots.in_scene(scene))
        assert (scene.cycles.samples, scene.cycles.use_denoising) == (16, False)
        bpy.context.window.scene = scene
        bpy.ops.moving_lands.apply_quality(quality="draft")
        assert (scene.cycles.samples, scene.cycles.use_denoising) == (64, False)
    finally:
        addon.unregister()


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


def test_an_artists_values_hold_unless_a_quality_is_asked_for(tiny_shot):
    def own(scene):
        scene.cycles.samples, scene.render.resolution_percentage = 3, 50
        scene.cycles.use_denoising, scene.render.use_motion_blur = False, True

    altered(tiny_shot, own)
    scene = prepare(tiny_shot, device="cpu").scene
    assert (scene.cycles.samples, scene.render.resolution_percentage) == (3, 50)
    assert (scene.cycles.use_denoising, scene.render.use_motion_blur) == (False, True)
    scene = prepare(tiny_shot, device="cpu", named_quality="draft").scene
    assert scene.cycles.samples == quality.QUALITIES["draft"].samples


def test_a_draft_is_small_and_changes_no_shot(tiny_shot, command_line):
    def larger(scene):
        scene.render.resolution_x, scene.render.resolution_y = 128, 72

    altered(tiny_shot, larger)
    before = tiny_shot.read_bytes()
    command_line("render", tiny_shot, "--quality", "draft", "--device", "cpu")
    assert judge.read_still(tiny_shot.parent / "frames/0001.png").shape == (18, 32, 3)
    assert not (tiny_shot.parent / "poster.png").exists()
    assert tiny_shot.read_bytes() == before


def test_qualities_are_not_mixed(tiny_shot, command_line):
    words = ("render", tiny_shot, "--frames", "1-1", "--device", "cpu")
    command_line(*words, "--quality", "draft")
    drawn = (tiny_shot.parent / "frames/0001.png").read_bytes()
    refused = command_line(*words, expect=2).stderr
    assert "frames of tiny.blend made otherwise (quality draft)" in refused
    assert (tiny_shot.parent / "frames/0001.png").read_bytes() == drawn
    command_line(*words, "--restart")
    assert judge.read_still(tiny_shot.parent / "frames/0001.png").shape == (36, 64, 3)
