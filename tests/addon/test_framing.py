"""Where a shot's subject is in the picture, whatever the shape of the picture."""

from dataclasses import replace

import bpy
import numpy as np
import pytest
from bpy_extras.object_utils import world_to_camera_view
from funnel import funnel

from addon.camera.measuring import measured_cameras
from addon.camera.rigs import RIGS
from addon.shot import parts as shots
from addon.shot import scripting as stage
from movinglands.sequence import write_sequence

SETTINGS = stage.Settings(fps=12, seconds=4.0, width=64, height=36)

UPRIGHT, SQUARE, WIDE = (36, 64, 1.0, 1.0), (64, 64, 1.0, 1.0), (239, 100, 1.0, 1.0)
ANAMORPHIC = (48, 64, 1.0, 1.5)
"""Width and height in pixels, and the sides of a pixel."""

SHAPES = pytest.mark.parametrize("shape", [UPRIGHT, SQUARE, WIDE, ANAMORPHIC])


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("framing") / "funnel.h5"
    write_sequence(path, "FUNNEL", "", {"network": funnel()})
    return path


def give(scene, shape):
    render = scene.render
    render.resolution_x, render.resolution_y, render.pixel_aspect_x, render.pixel_aspect_y = shape


def check(scene, collection, rig):
    """Check that the aim is where the rig wants it, and the minimizer near to it."""
    parts, framing = shots.parts_of(collection), RIGS[rig].framing
    for frame in (1, 20, scene.frame_end):
        scene.frame_set(frame)
        graph = bpy.context.evaluated_depsgraph_get()
        camera, aim = (parts[name].evaluated_get(graph) for name in ("Camera", "Minimizer"))
        seen = world_to_camera_view(scene, camera, aim.matrix_world.translation)
        np.testing.assert_allclose(seen.xy, (framing.frame_x, framing.frame_y), atol=1e-3)
    (found,) = measured_cameras(scene, parts).values()
    assert found.faults() == []


@SHAPES
def test_another_rig_frames_as_the_scene_is_rendered(empty, file, shape):
    scene, collection = bpy.context.scene, stage.import_sequence(file, SETTINGS)
    give(scene, shape)
    assert stage.change_rig(collection, scene, "orbit") == []
    check(scene, collection, "orbit")


def test_a_shot_is_built_for_the_pixels_of_its_scene(empty, file):
    scene = bpy.context.scene
    give(scene, ANAMORPHIC)
    settings = replace(SETTINGS, width=48, height=64)
    options = stage.Options(into="this scene")
    check(scene, stage.import_sequence(file, settings, options), "ride")


def test_an_updated_shot_frames_as_the_scene_is_rendered_but_for_an_artist_s_lens(empty, file):
    scene, collection = bpy.context.scene, stage.import_sequence(file, SETTINGS)
    data = shots.parts_of(collection)["Camera"].data
    give(scene, UPRIGHT)
    assert stage.update(collection) == []
    check(scene, collection, "ride")
    data.shift_x += 0.1
    before = data.shift_x, data.shift_y
    give(scene, SQUARE)
    stage.update(collection)
    assert (data.shift_x, data.shift_y) == before


def test_a_film_that_runs_faster_is_as_calm(empty, file):
    """Keys stay where they are; what takes half the time may move half as far."""
    scene, collection = bpy.context.scene, stage.import_sequence(file, SETTINGS)
    scene.render.fps = 24
    stage.update(collection)
    (found,) = measured_cameras(scene, shots.parts_of(collection)).values()
    assert found.faults() == []
