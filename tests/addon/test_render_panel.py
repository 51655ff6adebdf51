"""The panel "Render": another Blender renders, this one goes on."""

import os
import shutil
import time
from pathlib import Path

import bpy
import pytest

import addon
from addon.judge import gates as judge
from addon.render import copies, quality
from addon.render.folder import record_of
from addon.render.signature import content
from addon.ui import render_job, render_panel
from addon.ui.render_job import runner


@pytest.fixture(scope="module")
def blend(tiny_file, tmp_path_factory, command_line):
    path = tmp_path_factory.mktemp("shot") / "tiny.blend"
    command_line("build", tiny_file, "-o", path)
    return path


@pytest.fixture
def shot(blend, tmp_path):
    """The tiny shot, opened as saved, in a folder of its own."""
    addon.register()
    path = Path(shutil.copy(blend, tmp_path))
    bpy.ops.wm.open_mainfile(filepath=str(path))
    bpy.context.scene.moving_lands_rendering.device = "CPU"
    bpy.ops.wm.save_mainfile()
    yield path
    addon.unregister()


def follow(until=None, seconds=60):
    """Look after the render, as Blender's timer does, until something is so or it is over."""
    deadline = time.monotonic() + seconds
    while runner.tick() is not None and not (until and until(runner.job.process)):
        assert time.monotonic() < deadline, vars(runner.job.process)
        time.sleep(0.02)
    return runner.job


def touch():
    """Do something that is not saved."""
    bpy.context.scene.render.resolution_percentage = 50
    bpy.ops.ed.undo_push(message="an edit")
    assert bpy.data.is_dirty


def names(folder):
    return sorted(file.name for file in folder.iterdir() if file.suffix != ".blend1")


def test_the_saved_blend_is_rendered_itself(shot):
    assert bpy.ops.moving_lands.render() == {"FINISHED"}
    labels = set()
    work = follow(lambda job: labels.add(job.label))
    assert work.outcome == ("CHECKMARK", "tiny.mp4 is rendered.")
    assert names(shot.parent) == ["frames", "poster.png", "tiny.blend", "tiny.mp4"]
    assert "rendering" in labels
    if not bpy.data.is_dirty:  # as 4.5 always is without a window
        assert record_of(shot.parent / "frames")["blend"] == content(shot)


def test_what_is_not_saved_is_rendered_from_a_copy_that_goes(shot):
    before = shot.read_bytes()
    touch()
    bpy.ops.moving_lands.render()
    assert names(shot.parent) == ["tiny.blend", "tiny.rendering.blend"]
    assert follow().outcome == ("CHECKMARK", "tiny.mp4 is rendered.")
    assert names(shot.parent) == ["frames", "poster.png", "tiny.blend", "tiny.mp4"]
    assert judge.read_still(shot.parent / "frames/0001.png").shape == (18, 32, 3)
    assert shot.read_bytes() == before
    assert bpy.data.filepath == str(shot)
    assert bpy.data.is_dirty


def test_a_blend_without_a_place_is_rendered_in_a_temporary_folder(shot, tmp_path, monkeypatch):
    monkeypatch.setattr(copies.tempfile, "tempdir", str(tmp_path))
    content = bpy.data.filepath
    bpy.ops.wm.read_homefile(use_empty=True)
    with bpy.data.libraries.load(content) as (there, here):
        here.scenes = there.scenes
    assert not bpy.data.is_saved
    here.scenes[0].moving_lands_rendering.device = "CPU"
    bpy.context.window.scene = here.scenes[0]
    bpy.ops.moving_lands.render()
    work = follow()
    assert work.outcome == ("CHECKMARK", "untitled.mp4 is rendered.")
    folder = work.blend.parent
    assert folder.parent == tmp_path
    assert names(folder) == ["frames", "poster.png", "untitled.mp4"]
    assert render_job.frames_folder(bpy.context.scene) == folder


def test_a_cancelled_render_is_resumed_as_the_shot_was(shot):
    bpy.context.scene.cycles.samples = 256
    touch()
    bpy.ops.moving_lands.render()
    follow(lambda job: job.label == "rendering" and job.progress > 0)
    assert not bpy.ops.moving_lands.render.poll()  # one at a time
    assert bpy.ops.moving_lands.cancel_render() == {"FINISHED"}
    assert not bpy.ops.moving_lands.cancel_render.poll()
    work = follow()
    assert work.outcome[0] == "INFO"
    there = {file: file.stat().st_mtime_ns for file in shot.parent.glob("frames/*.png")}
    assert 0 < len(there) < 4
    bpy.context.scene.render.resolution_percentage = 100  # the artist goes on
    bpy.ops.moving_lands.render(resume=True)
    assert follow().outcome == ("CHECKMARK", "tiny.mp4 is rendered.")
    assert all(file.stat().st_mtime_ns == time for file, time in there.items())
    sizes = {judge.read_still(file).shape for file in shot.parent.glob("frames/*.png")}
    assert sizes == {(18, 32, 3)}
    assert names(shot.parent) == ["frames", "poster.png", "tiny.blend", "tiny.mp4"]


def test_without_a_cancelled_render_there_is_nothing_to_resume(shot):
    with pytest.raises(RuntimeError, match="no cancelled render of this shot"):
        bpy.ops.moving_lands.render(resume=True)


def test_frames_of_an_earlier_shot_are_only_replaced_when_asked(shot):
    bpy.ops.moving_lands.render()
    follow()
    frame = shot.parent / "frames/0002.png"
    before = frame.stat().st_mtime_ns
    touch()
    assert render_panel._shows_another_version(bpy.context.scene)
    bpy.ops.moving_lands.render()
    icon, text = follow().outcome
    assert icon == "ERROR"
    assert "choose another Folder, or Start Over." in text
    assert frame.stat().st_mtime_ns == before
    bpy.ops.moving_lands.render(restart=True)
    assert follow().outcome == ("CHECKMARK", "tiny.mp4 is rendered.")
    assert frame.stat().st_mtime_ns != before


def test_the_format_is_the_panels(shot):
    bpy.context.scene.moving_lands_rendering.format = "EXR"
    bpy.ops.moving_lands.render()
    assert follow().outcome == ("CHECKMARK", "The frames are rendered.")
    assert (shot.parent / "frames/0001.exr").exists()


def test_an_estimate_leaves_a_sentence_and_nothing_else(shot):
    touch()
    bpy.ops.moving_lands.estimate()
    icon, text = follow().outcome
    assert icon == "TIME"
    assert text.startswith("About 0:")
    assert text.endswith(" for 4 frames.")
    assert names(shot.parent) == ["tiny.blend"]


def test_a_scene_without_a_camera(shot):
    bpy.context.scene.camera = None
    assert not bpy.ops.moving_lands.render.poll()
    assert not bpy.ops.moving_lands.estimate.poll()


def test_a_copy_that_an_artist_opens_is_theirs(shot):
    opened = shot.with_stem("tiny.rendering")
    bpy.ops.wm.save_as_mainfile(filepath=str(opened))
    bpy.ops.moving_lands.render()
    assert follow().outcome[0] == "CHECKMARK"
    assert opened.exists()


def test_a_quality_is_applied_and_can_be_undone(shot):
    scene = bpy.context.scene
    bpy.ops.ed.undo_push(message="before")
    bpy.ops.moving_lands.apply_quality("EXEC_DEFAULT", True, quality="final")
    assert scene.cycles.samples == quality.QUALITIES["final"].samples
    bpy.ops.ed.undo()
    assert bpy.context.scene.cycles.samples == 1


def test_the_folder_is_shown_once_it_is_there(shot, tmp_path, monkeypatch):
    assert not bpy.ops.moving_lands.open_folder.poll()
    (shot.parent / "frames").mkdir()
    assert bpy.ops.moving_lands.open_folder.poll()
    programs = tmp_path / "bin"
    programs.mkdir()
    browser = programs / "xdg-open"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {tmp_path}/shown\n')
    browser.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    assert bpy.ops.moving_lands.open_folder() == {"FINISHED"}
    deadline = time.monotonic() + 5
    while not (tmp_path / "shown").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert Path((tmp_path / "shown").read_text()) == shot.parent / "frames"


def test_unregistering_ends_what_is_under_way(shot):
    bpy.context.scene.cycles.samples = 4096
    touch()
    bpy.ops.moving_lands.render()
    follow(lambda job: job.label == "rendering")
    job = runner.job.process
    addon.unregister()
    assert not job.running
    assert runner.job is None
    addon.register()
