"""The land: what is measured is what is seen, at every moment."""

import bpy
import numpy as np
import pytest

from addon import heights, stage, surface


def seen(thing, frame):
    """The vertices Blender shows at a film frame, which may lie between two."""
    scene = bpy.context.scene
    scene.frame_set(int(frame), subframe=frame - int(frame))
    mesh = thing.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
    places = np.empty(len(mesh.vertices) * 3, dtype=np.float32)
    mesh.vertices.foreach_get("co", places)
    return places.reshape(-1, 3)


@pytest.fixture(scope="module")
def land(shot):
    return stage.parts(shot.scene)["Land"]


def test_heights_are_the_log_of_the_losses_on_one_scale(shot, land):
    low, high = shot.losses.min(), shot.losses.max()
    relief = shot.settings.relief * surface.WIDTH
    for frame, loss in zip(shot.frames, shot.losses, strict=True):
        expected = np.log(loss.astype(np.float64) / low) / np.log(high / low) * relief
        assert seen(land, frame)[:, 2] == pytest.approx(expected.ravel(), abs=2e-5 * relief)


def test_between_two_snapshots_the_land_is_between_them(shot, land):
    halfway = (shot.frames[2] + shot.frames[3]) / 2
    either = (seen(land, shot.frames[2]) + seen(land, shot.frames[3])) / 2
    assert seen(land, halfway) == pytest.approx(either, abs=1e-4)


def test_the_land_is_a_grid_of_the_windows_proportions(shot, land):
    places = seen(land, 1).reshape(*shot.losses[0].shape, 3)
    width = places[0, -1, 0] - places[0, 0, 0]
    assert width == pytest.approx(surface.WIDTH)
    assert np.all(np.diff(places[..., 0], axis=1) > 0)
    assert np.all(np.diff(places[..., 1], axis=0) > 0)
    assert not land.data.validate()
    assert len(land.data.polygons) == (shot.losses.shape[1] - 1) * (shot.losses.shape[2] - 1)
    assert all(polygon.use_smooth for polygon in land.data.polygons)


def test_the_uv_map_spans_the_window(land):
    layer = land.data.uv_layers[0]
    uv = np.empty(len(layer.uv) * 2, dtype=np.float32)
    layer.uv.foreach_get("vector", uv)
    assert (uv.min(), uv.max()) == (0, 1)


def test_one_curve_says_when_each_snapshot_is_seen(shot, land):
    keys = land.data.shape_keys
    assert [key.name for key in keys.key_blocks] == [f"step {step}" for step in shot.surface.step]
    shot.scene.frame_set(shot.scene.frame_end)
    assert keys.eval_time == pytest.approx(keys.key_blocks[-1].frame)


def test_a_land_too_large_for_memory_is_refused_before_it_is_built(shot):
    class Vast:
        frames = range(1_000_000)

        def points(self):
            return 1_000_000

    with pytest.raises(ValueError, match="1000000 frames of 1000000 points take 36000"):
        surface.check_memory(Vast())


def test_losses_of_a_diverged_network_stay_on_the_land():
    scale = heights.HeightScale("log", 0.1, 10, 2)
    assert scale([np.nan, np.inf, -np.inf, 0.01]).tolist() == [2, 2, 0, 0]
