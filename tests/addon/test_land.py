"""The land: what is measured is what is seen, at every moment, and what was done to it stays."""

import dataclasses

import bpy
import h5py
import numpy as np
import pytest
from funnel import FRAMES
from lands import data_blocks, finish, seen, write_lands

from addon.blender import compat
from addon.land import memory
from addon.land.memory import check_memory
from addon.land.mesh import building, clock, renewing
from addon.land.mesh_cache import modifier
from addon.land.modifiers import add_skirt, add_thickness
from addon.sequence import heights
from addon.sequence.format import SequenceError
from addon.sequence.memory import cache_memory, keys_memory
from addon.sequence.reader import open_sequence
from addon.sequence.selection import Selection
from addon.shot import parts as shots
from addon.units import WIDTH

SCALE = heights.HeightScale("log", 0.02, 50.0, 2.0)


@pytest.fixture(scope="module")
def land(shot):
    return shots.parts(shot.scene)["Land"]


def test_heights_are_the_log_of_the_losses_on_one_scale(shot, land):
    low, high = shot.losses.min(), shot.losses.max()
    relief = shot.settings.relief * WIDTH
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
    assert width == pytest.approx(WIDTH)
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
    vertices = np.empty(len(layer.uv), dtype=np.int32)
    land.data.loops.foreach_get("vertex_index", vertices)
    places = seen(land, 1)[vertices, :2]
    assert uv.reshape(-1, 2) == pytest.approx(places / WIDTH + 0.5, abs=1e-6)


def test_one_curve_says_when_each_snapshot_is_seen(shot, land):
    keys = land.data.shape_keys
    assert [key.name for key in keys.key_blocks] == [f"step {step}" for step in shot.surface.step]
    shot.scene.frame_set(shot.scene.frame_end)
    assert keys.eval_time == pytest.approx(keys.key_blocks[-1].frame)


class Vast:
    """A surface that nobody wrote."""

    paths, posterior = {}, {}

    def __init__(self, name="network", points=1_000_000, frames=1_000_000):
        self.name, self.frames, self._points = name, range(frames), points

    def points(self):
        return self._points


def test_a_land_too_large_for_memory_is_refused():
    with pytest.raises(ValueError, match="1000000 frames of 1000000 points take 36000"):
        check_memory([Vast()], cached=False)
    check_memory([Vast()], cached=True)


def test_memory_is_that_of_all_lands_together(monkeypatch):
    one = Vast("one", 1000, 10)
    monkeypatch.setattr(memory, "machine_memory", lambda: 3 * keys_memory(one) // 2)
    check_memory([one], cached=False)
    expected = r"one, other: 20 frames of 1000 to 2000 points take .* GB of memory, .* has"
    with pytest.raises(ValueError, match=expected):
        check_memory([one, Vast("other", 2000, 10)], cached=False)
    monkeypatch.setattr(memory, "machine_memory", lambda: 3 * cache_memory(one) // 2)
    with pytest.raises(ValueError, match="GB of memory"):
        check_memory([one, one], cached=True)


def test_what_lies_on_a_land_takes_memory_too(shot, monkeypatch):
    surface = shot.surface
    land = keys_memory(surface)
    moving = np.stack([np.linspace(-1, 1, FRAMES)] * 2000, axis=1)[..., None] * [1.0, -1.0, np.nan]
    crowded = dataclasses.replace(surface, paths={"moving": moving})
    monkeypatch.setattr(memory, "machine_memory", lambda: 2 * land)
    check_memory([surface], cached=False)
    with pytest.raises(ValueError, match="GB of memory"):
        check_memory([crowded], cached=False)


def test_losses_of_a_diverged_network_stay_on_the_land():
    scale = heights.HeightScale("log", 0.1, 10, 2)
    assert scale([np.nan, np.inf, -np.inf, 0.01]).tolist() == [2, 2, 0, 0]


@pytest.fixture
def lands(empty, tmp_path):
    """Make the surface of a new file, by rows, columns, snapshots and seed; see ``write_lands``."""
    opened = []

    def make(*size, **options):
        path = tmp_path / f"{len(opened)}.h5"
        losses = write_lands(path, *size, **options)
        opened.append(open_sequence(path))
        return opened[-1].__enter__().surfaces["network"], losses

    yield make
    for sequence in opened:
        sequence.__exit__(None, None, None)


def built(shown, path=None, last=31):
    _, land = finish(building(shown, SCALE, 1, last, path))
    bpy.context.scene.collection.objects.link(land)
    return land


def shows(land, losses, first=1, last=31):
    """Whether a land shows these snapshots, evenly spread over these frames."""
    for frame, loss in zip(np.linspace(first, last, len(losses)), losses, strict=True):
        found = seen(land, frame)[:, 2]
        if found != pytest.approx(SCALE(loss).ravel(), abs=2e-5 * SCALE.relief):
            return False
    return True


@pytest.fixture(params=["shape keys", "mesh cache"])
def kept_in(request, tmp_path):
    """Where the snapshots go: both ways are to do the same."""
    return tmp_path / "land.pc2" if request.param == "mesh cache" else None


def test_building_tells_its_progress(lands, kept_in):
    shown, losses = lands(5, 7, 8)
    yielded, land = finish(building(shown, SCALE, 1, 31, kept_in))
    assert yielded == pytest.approx(np.arange(1, 9) / 8)
    assert not land.users_collection
    bpy.context.scene.collection.objects.link(land)
    assert shows(land, losses)


def test_a_selection_is_built(lands, kept_in):
    shown, losses = lands(9, 12, 11)
    land = built(shown.select(Selection(2, every=4, thin=4)), kept_in)
    assert shows(land, losses[[2, 6, 10]][:, ::4][:, :, [0, 4, 7, 11]])
    assert np.ptp(seen(land, 1)[:, 0]) == pytest.approx(WIDTH)


def test_a_single_snapshot_stands_still(lands, kept_in):
    shown, losses = lands(5, 7, 1)
    land = built(shown, kept_in)
    assert shows(land, losses, 1, 1)
    assert shows(land, losses, 31, 31)


@pytest.mark.parametrize("after", [0, 3])
def test_building_given_up_leaves_nothing(lands, kept_in, tmp_path, after):
    shown, _ = lands(5, 7, 8)
    before, files = data_blocks(), set(tmp_path.iterdir())
    steps = building(shown, SCALE, 1, 31, kept_in)
    for _ in range(after):
        next(steps)
    steps.close()
    assert data_blocks() == before
    assert set(tmp_path.iterdir()) == files


def test_a_damaged_frame_leaves_nothing(lands, kept_in, tmp_path):
    write_lands(tmp_path / "damaged.h5", 5, 7, 8)
    with h5py.File(tmp_path / "damaged.h5", "r+") as file:
        file["surfaces/network/loss"].id.write_direct_chunk((5, 0, 0), b"not what gzip writes")
    before, files = data_blocks(), set(tmp_path.iterdir())
    with open_sequence(tmp_path / "damaged.h5") as opened:
        shown = opened.surfaces["network"]
        with pytest.raises(SequenceError, match=r"network/loss: damaged at frame 5\.$"):
            finish(building(shown, SCALE, 1, 31, kept_in))
    assert data_blocks() == before
    assert set(tmp_path.iterdir()) == files


def dress(land):
    """Do to a land what artists do; return what is to be found on it afterwards."""
    mesh = land.data
    land.name, mesh.name = "my land", "my mesh"
    for name in ("first", "second", "third"):
        mesh.materials.append(bpy.data.materials.new(name))
    land.material_slots[1].link = "OBJECT"
    land.material_slots[1].material = bpy.data.materials.new("of the object")
    land.parent = bpy.data.objects.new("turntable", None)
    land["mine"], mesh["mine"] = "object", "mesh"
    land.modifiers.new("bend", "SIMPLE_DEFORM").show_viewport = False
    land.modifiers.new("round", "SUBSURF").show_viewport = False
    add_skirt(land).show_viewport = False
    land.modifiers.move(2, 1)
    land.vertex_groups.new(name="rim").add([0, 3], 0.5, "REPLACE")
    land.location.x = 0.25
    land.keyframe_insert("location", index=0, frame=1)
    twin = bpy.data.objects.new("twin", mesh)
    bpy.context.scene.collection.objects.link(twin)
    follower = bpy.data.objects.new("follower", None)
    owner, path, _ = clock(land)
    target = follower.driver_add("location", 2).driver.variables.new().targets[0]
    target.id_type, target.id, target.data_path = owner.id_type, owner, path
    follower.animation_data.drivers[0].driver.type = "SUM"
    bpy.context.scene.collection.objects.link(follower)
    return follower


def dressing(land, follower):
    """What is on a dressed land."""
    target = follower.animation_data.drivers[0].driver.variables[0].targets[0]
    twins = [thing.name for thing in bpy.data.objects if thing.data == land.data]
    return {
        "names": (land.name, land.data.name, *twins),
        "materials": [(slot.link, slot.material.name) for slot in land.material_slots],
        "modifiers": [(m.name, m.type) for m in land.modifiers],
        "parent": land.parent.name,
        "properties": (land["mine"], land.data["mine"]),
        "groups": land.vertex_groups.keys(),
        "clock": (target.id, target.data_path) == clock(land)[:2],
        "smooth": all(polygon.use_smooth for polygon in land.data.polygons),
        "place": (land.location.x, land.animation_data.action is not None),
        "data-blocks": data_blocks(),
    }


@pytest.mark.parametrize("size", [(5, 7, 4), (5, 7, 6), (5, 7, 2), (9, 6, 4), (3, 4, 9), (7, 5, 1)])
def test_renewing_changes_heights_and_keeps_what_is_on_the_land(lands, kept_in, size):
    land = built(lands(5, 7, 4)[0], kept_in)
    follower = dress(land)
    seen(land, 17)  # a clock that is not at 0
    before = dressing(land, follower)
    shown, losses = lands(*size, seed=3)
    yielded, _ = finish(renewing(land, shown, SCALE))
    assert yielded == pytest.approx(np.arange(1, size[2] + 1) / size[2])
    assert dressing(land, follower) == before
    assert shows(land, losses)
    assert not land.data.validate()
    assert len(land.data.uv_layers) == 1
    if size[:2] == (5, 7):
        assert [group.weight for group in land.data.vertices[3].groups] == [0.5]
    owner, _, spacing = clock(land)
    seen(land, 31)
    assert follower.evaluated_get(bpy.context.evaluated_depsgraph_get()).location.z == (
        pytest.approx(spacing * (size[2] - 1), rel=1e-5)
    )
    if not kept_in:
        keys = owner.key_blocks
        assert [key.name for key in keys] == [f"step {step}" for step in shown.step]
        assert [key.frame for key in keys] == pytest.approx(10 * np.arange(size[2]), abs=1e-3)
        assert not owner.use_relative


def test_a_retimed_land_keeps_its_timing(lands, kept_in):
    land = built(lands(5, 7, 4)[0], kept_in)
    owner, path, _ = clock(land)
    compat.fcurves(owner).find(path).keyframe_points[1].co.x = 21
    shown, losses = lands(5, 7, 7, seed=3)
    finish(renewing(land, shown, SCALE))
    assert shows(land, losses[:4], 1, 21)


def test_a_land_whose_timing_was_taken_away_gets_none(lands, kept_in):
    land = built(lands(5, 7, 4)[0], kept_in)
    owner, _, _ = clock(land)
    owner.animation_data_clear()
    finish(renewing(land, lands(5, 7, 7, seed=3)[0], SCALE))
    assert owner.animation_data is None


def test_names_that_an_artist_gave_to_shape_keys_stay(lands):
    land = built(lands(5, 7, 4)[0])
    land.data.shape_keys.key_blocks[2].name = "it understands"
    finish(renewing(land, lands(5, 7, 5, seed=10)[0], SCALE))
    names = [key.name for key in land.data.shape_keys.key_blocks]
    assert names == ["step 10", "step 20", "it understands", "step 40", "step 50"]


@pytest.mark.parametrize("size", [(5, 7, 6), (9, 6, 5)])
def test_renewing_given_up_leaves_the_land_as_it_was(lands, kept_in, size, tmp_path):
    first, losses = lands(5, 7, 4)
    land = built(first, kept_in)
    follower = dress(land)
    shown, _ = lands(*size, seed=3)
    before, files = dressing(land, follower), set(tmp_path.iterdir())
    steps = renewing(land, shown, SCALE)
    for _ in range(size[2] - 1):
        next(steps)
    steps.close()
    assert dressing(land, follower) == before
    assert shows(land, losses)
    assert set(tmp_path.iterdir()) == files


def test_a_land_in_edit_mode_is_not_renewed(lands):
    land = built(lands(5, 7, 4)[0])
    bpy.context.view_layer.objects.active = land
    bpy.ops.object.mode_set(mode="EDIT")
    with pytest.raises(ValueError, match=r"Land network is in Edit Mode: leave it first\."):
        next(renewing(land, lands(5, 7, 4, seed=3)[0], SCALE))


def test_a_land_changed_by_hand_is_not_renewed(lands):
    shown, _ = lands(5, 7, 4)
    land = built(shown)
    land.shape_key_add(name="mine")
    with pytest.raises(ValueError, match="35 points and 4 shape keys, found 35 and 5"):
        next(renewing(land, shown, SCALE))
    land.shape_key_clear()
    land.data.vertices.add(1)
    with pytest.raises(ValueError, match=r"changed by hand: expected 35 points .* found 36"):
        next(renewing(land, shown, SCALE))


def test_a_renewed_cache_is_another_file(lands, tmp_path):
    land = built(lands(5, 7, 4)[0], tmp_path / "land.pc2")
    before = (tmp_path / "land.pc2").read_bytes()
    for name in ("land 2.pc2", "land 3.pc2"):
        finish(renewing(land, lands(5, 7, 4, seed=3)[0], SCALE))
        assert land.modifiers[0].filepath == str(tmp_path / name)
    assert (tmp_path / "land.pc2").read_bytes() == before
    given = tmp_path / "given.pc2"
    finish(renewing(land, lands(5, 7, 4, seed=3)[0], SCALE, given))
    assert modifier(land).filepath == str(given)


def test_a_land_with_shape_keys_gets_no_cache(lands, tmp_path):
    land = built(lands(5, 7, 4)[0])
    steps = renewing(land, lands(5, 7, 4)[0], SCALE, tmp_path / "land.pc2")
    with pytest.raises(ValueError, match="Land network has shape keys: a mesh cache takes a new"):
        next(steps)


def test_a_clock_needs_something_that_runs(lands):
    land = built(lands(5, 7, 4)[0])
    land.shape_key_clear()
    with pytest.raises(ValueError, match="Land network: expected shape keys or a Mesh Cache"):
        clock(land)


def test_a_skirt_hangs_from_the_border_down_to_its_base(lands):
    shown, _ = lands(5, 7, 4)
    land = built(shown)
    before = seen(land, 7)
    skirt = add_skirt(land, base=-0.7)
    after = seen(land, 7)
    np.testing.assert_array_equal(after[:35], before)
    grid = before.reshape(5, 7, 3)
    border = {tuple(p[:2]) for side in (grid[0], grid[-1], grid[:, 0], grid[:, -1]) for p in side}
    assert {tuple(p[:2]) for p in after[35:]} == border
    assert after[35:, 2] == pytest.approx(-0.7)
    walls = land.evaluated_get(bpy.context.evaluated_depsgraph_get()).data.polygons[24:]
    assert len(walls) == len(after[35:]) == 20
    assert not any(wall.use_smooth for wall in walls)
    assert all(wall.normal.dot(wall.center.xy.to_3d()) > 0 for wall in walls)  # outwards
    land.modifiers.remove(skirt)
    np.testing.assert_array_equal(seen(land, 7), before)


def test_a_skirt_and_a_thickness_are_kept_by_renewing(lands):
    land = built(lands(5, 7, 4)[0])
    add_thickness(land, 0.3)
    add_skirt(land, -0.5)
    shown, losses = lands(4, 6, 4, seed=3)
    finish(renewing(land, shown, SCALE))
    places = seen(land, 1)
    assert places[:24, 2] == pytest.approx(SCALE(losses[0]).ravel(), abs=1e-4)
    assert len(places) > 24


def test_a_thickness_grows_downwards(lands):
    shown, _ = lands(5, 7, 4)
    land = built(shown)
    before = seen(land, 1)
    add_thickness(land, 0.3)
    after = seen(land, 1)
    assert len(after) == 2 * len(before)
    np.testing.assert_array_equal(after[:35], before)
    assert np.linalg.norm(after[35:] - before, axis=1) == pytest.approx(0.3, rel=0.5)
    assert np.all(after[35:, 2] < before[:, 2])
