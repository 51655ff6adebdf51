"""A .blend of an earlier version: it opens, an artist's work in it is kept, it goes on and renders.

``tests/data/earlier.blend`` was made by Blender 4.5, with two lands, two cameras and what lies on
the lands, and then an artist worked in it. Its parts have names for marks, as they had then.
"""

import shutil
from pathlib import Path

import bpy
import numpy as np
import pytest
from lands import drained

from addon.blender import compat
from addon.shot import parts as shots
from addon.shot import scripting as stage

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture
def shot(tmp_path):
    for name in ("earlier.blend", "earlier.h5"):
        shutil.copy(DATA / name, tmp_path)
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "earlier.blend"))
    (found,) = shots.in_scene(bpy.context.scene)
    return found


def artist_s_work(parts):
    """What the artist has changed: a key, a text, a lens, places, a lamp, names."""
    curve = compat.fcurves(parts["Minimizer"]).find("location", index=2)
    return (
        [tuple(point.co) for point in curve.keyframe_points],
        parts["Title"].data.body,
        parts["Camera 2"].data.lens,
        parts["Land 2"].location.y,
        parts["Key"].data.energy,
        parts["Land"].name,
        [name for name in ("Badge 1", "Badge 2", "Badge 3") if name in parts],
    )


def test_its_parts_are_found(shot):
    parts = shots.parts_of(shot)
    assert len(parts) == len(shot.all_objects)
    first, second = shots.lands_of(shot)
    assert [len(land.data.vertices) for land in (first, second)] == [21 * 21, 13 * 13]
    assert parts["Path line 3"].parent == first and parts["Path curve 2"].parent == second
    assert [parts[name].type for name in ("Camera", "Camera 2", "Key", "Active Camera")] == [
        "CAMERA", "CAMERA", "LIGHT", "EMPTY"
    ]  # fmt: skip
    assert shots.scene_of(shot).camera in (parts["Camera"], parts["Camera 2"])
    assert shots.source_of(shot) == Path(bpy.data.filepath).with_name("earlier.h5")


def test_an_artist_s_work_is_kept(shot):
    before = artist_s_work(shots.parts_of(shot))
    assert before[1:] == ("MINE", 77.0, 3.0, 123.0, "My land", ["Badge 1"])
    settings = stage.Settings(**vars(shots.made_with(shot)[0]) | {"relief": 0.4})
    assert set(drained(stage.updating(shot, None, settings))) == {"Minimizer", "Title"}
    parts = shots.parts_of(shot)
    assert artist_s_work(parts) == before
    assert {part.surface for part in parts} == {"", "one", "other"}
    for land in shots.lands_of(shot):
        points = np.empty(3 * len(land.data.vertices), np.float32)
        key = land.data.shape_keys.key_blocks[-1]
        key.points.foreach_get("co", points)
        assert points[2::3].min() >= -1e-4
    assert np.ptp(points[2::3]) > 2.4  # higher than it was
    assert "Key" in stage.change_look(shot, bpy.context.scene, "ink")
    assert artist_s_work(parts) == before


def test_it_renders(shot, tmp_path):
    stage.update(shot)
    scene = shots.scene_of(shot)
    scene.render.resolution_percentage = 50
    scene.frame_set(3)
    scene.render.filepath = str(tmp_path / "frame.png")
    bpy.ops.render.render(write_still=True, scene=scene.name)
    image = bpy.data.images.load(scene.render.filepath)
    pixels = np.array(image.pixels).reshape(18, 32, 4)
    assert pixels[..., :3].max() > 0.2 and np.ptp(pixels[..., :3].mean(axis=2)) > 0.1
