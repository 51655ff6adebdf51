"""Paths, ellipses and samples lie on the land at every moment, and are the artist's to change."""

import zlib
from types import SimpleNamespace

import bpy
import numpy as np
import pytest
from mathutils import Vector
from mathutils.bvhtree import BVHTree

from addon.land import curves, mesh
from addon.land.styles import STYLES
from addon.sequence import heights
from addon.sequence.format import SequenceError
from addon.sequence.reader import open_sequence
from addon.sequence.selection import Selection
from addon.units import WIDTH
from movinglands.sequence import Frame, SurfaceData, write_sequence

FRAMES, SIZE = 6, 33
WHOLE = Selection()
SIDES = 8  # of the tube that a line is drawn as
MEAN, COVARIANCE = np.array([0.2, -0.1]), np.array([[0.06, 0.03], [0.03, 0.04]])


def trajectory(frames=FRAMES):
    """A place for every snapshot, the last in the middle."""
    return np.linspace([-1.1, -0.9], [0.0, 0.0], frames) + 0.1 * np.eye(frames, 2)


def path(places):
    """A path of the file: nobody knows its losses."""
    return np.concatenate([places, np.full((*np.shape(places)[:-1], 1), np.nan)], axis=-1)


def folds(frames=FRAMES, size=SIZE, **more):
    """A land whose folds deepen and turn."""
    axis = np.linspace(-1.2, 1.2, size)
    b, a = np.meshgrid(axis, axis, indexing="ij")
    losses = [3 + a**2 + (1 + t / 4) * np.sin(6 * a + (2 + t / 2) * b) for t in range(frames)]
    kept = {
        "alpha": axis,
        "beta": axis,
        "step": np.arange(frames) * 50,
        "origin": np.zeros((frames, 2)),
        "minimizer": path(trajectory(frames)),
        "frame": lambda t: Frame(losses[t].astype(np.float32)),
    }
    return SurfaceData(**kept | more)


def everything(frames=FRAMES, **more):
    """All that can lie on it."""
    slope = np.linspace(0, 0.6, frames)[:, None]
    moving = np.stack([np.linspace(-0.9, 0.9, 9) + 0 * slope, 0.4 - slope + 0 * np.ones(9)], -1)
    moving[0, 6:], moving[3, 2:4], moving[4] = np.nan, np.nan, np.nan
    samples = np.random.default_rng(0).multivariate_normal(MEAN, COVARIANCE, 30)
    samples[3], samples[7] = (1.4, 0.0), np.nan  # off the land, unknown
    return folds(
        frames,
        paths={
            "trajectory": path(trajectory(frames)),
            "across": path(np.array([(-1.1, -1.0), (1.05, 1.1)])),
            "beyond": path(np.array([(-0.5, 0.3), (0.6, 0.3), (9.0, 0.4)])),
            "moving": path(moving),
            "nowhere": np.full((3, 3), np.nan),
            "short": path(np.zeros((3, 2))),
        },
        posterior={"mean": MEAN, "covariance": COVARIANCE, "samples": path(samples)},
        **more,
    )


def finish(generator):
    """Run what yields its progress to its end."""
    last = 0.0
    while True:
        try:
            progress = next(generator)
        except StopIteration as stop:
            return stop.value
        assert last <= progress <= 1
        last = progress


def build(file, selection=WHOLE, cache=None):
    """A land and what lies on it, in the scene."""
    with open_sequence(file) as opened:
        shown = opened.surfaces["network"].select(selection)
        count = len(shown.frames)
        scale = heights.fit(shown.losses(), "linear", 2.4)
        land = finish(mesh.building(shown, scale, 1, 51, cache))
        made = finish(curves.building(shown, scale, land))
    for thing in (land, *made.values()):
        bpy.context.scene.collection.objects.link(thing)
    moments = np.linspace(1, 51, count)
    return SimpleNamespace(land=land, made=made, surface=shown, scale=scale, frames=moments)


@pytest.fixture(scope="module", autouse=True)
def scene():
    bpy.ops.wm.read_factory_settings(use_empty=True)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("curves") / "curves.h5"
    write_sequence(path, "CURVES", "", {"network": everything()})
    return path


@pytest.fixture(scope="module")
def built(file):
    return build(file)


@pytest.fixture(scope="module")
def travelling_file(tmp_path_factory):
    """The same, seen from a window that follows the trajectory."""
    path = tmp_path_factory.mktemp("travelling") / "travelling.h5"
    origin = 0.3 * trajectory()
    write_sequence(path, "TRAVELLING", "", {"network": everything(origin=origin)})
    return path


def at(frame):
    """Go to a film frame, which may lie between two."""
    bpy.context.scene.frame_set(int(frame), subframe=frame - int(frame))
    return bpy.context.evaluated_depsgraph_get()


def moments(shot):
    """Every snapshot, halves, and others."""
    halves = (shot.frames[1:] + shot.frames[:-1]) / 2
    return [*shot.frames, *halves, shot.frames[1] + 1.7, shot.frames[-1] - 0.3]


def middles(thing, graph):
    """The middle of a line's tube, point by point, and how thick it is there."""
    thing.data.use_fill_caps = False  # they repeat the ends
    graph.update()
    seen = thing.evaluated_get(graph)
    mesh = seen.to_mesh()
    places = np.empty(3 * len(mesh.vertices), np.float32)
    mesh.vertices.foreach_get("co", places)
    seen.to_mesh_clear()
    rings = places.reshape(-1, SIDES, 3)
    middle = rings.mean(axis=1)
    return middle, np.linalg.norm(rings - middle[:, None], axis=-1).mean(axis=1)


def balls(thing, graph):
    """The places of the balls that are drawn."""
    places = [
        tuple(instance.matrix_world.translation)
        for instance in graph.object_instances
        if instance.parent and instance.parent.original == thing
    ]
    return np.array(places)


def over(land, graph, places):
    """How far places lie over the land that is drawn; NaN beside it."""
    tree = BVHTree.FromObject(land.evaluated_get(graph), graph)
    far, down = 100.0, Vector((0, 0, -1))
    hits = [tree.ray_cast(Vector((x, y, far)), down)[0] for x, y, _ in places.tolist()]
    ground = np.array([hit.z if hit else np.nan for hit in hits])
    return places[:, 2] - ground


def between(places):
    """The points of a line and ten more between any two."""
    return np.concatenate(
        [places[:-1] + t * np.diff(places, axis=0) for t in np.linspace(0, 1, 12)]
    )


LINES = ["Path across", "Path beyond", "Path moving", "Path trajectory", "Posterior 2 Sigma"]


@pytest.mark.parametrize("name", LINES)
def test_lines_lie_on_the_land_at_every_moment(built, name):
    for frame in moments(built)[1:]:
        graph = at(frame)
        places, thickness = middles(built.made[name], graph)
        gap = over(built.land, graph, places[thickness > 1e-6])
        assert len(gap) > 3
        assert np.isnan(gap).sum() <= 1  # at the border itself
        assert np.nanmax(np.abs(gap)) < 2e-3 * WIDTH


@pytest.mark.parametrize("name", ["Path across", "Posterior 3 Sigma"])
def test_a_line_does_not_dive_under_a_fold(built, name):
    deepest = 0.0
    for frame in moments(built):
        graph = at(frame)
        places, thickness = middles(built.made[name], graph)
        places = places[thickness > 1e-6]
        assert np.nanmin(over(built.land, graph, between(places))) > -1e-5 * WIDTH
        straight = np.linspace(places[0], places[len(places) // 2], 50)
        deepest = min(deepest, np.nanmin(over(built.land, graph, straight)))
    assert deepest < -5e-3 * WIDTH  # as a straight line would


def test_what_travels_with_the_window_stays_on_the_land(travelling_file):
    shot = build(travelling_file)
    for frame in moments(shot)[1:]:
        graph = at(frame)
        for name in ("Path across", "Path moving", "Posterior 1 Sigma"):
            places, thickness = middles(shot.made[name], graph)
            gap = over(shot.land, graph, places[thickness > 0.9 * thickness.max()])
            assert np.nanmax(np.abs(gap)) < 2e-3 * WIDTH, name
        gap = over(shot.land, graph, balls(shot.made["Posterior Samples"], graph))
        assert np.nanmax(np.abs(gap)) < 2e-3 * WIDTH
    # The last snapshot's window is around the trajectory's last point.
    unit = WIDTH / np.ptp(shot.surface.alpha)
    line, _ = middles(shot.made["Path trajectory"], at(shot.frames[-1]))
    last = 0.7 * trajectory()[-1] * unit
    assert line[-1, :2] == pytest.approx(last, abs=1e-4)


def test_a_path_is_where_the_file_says(built):
    unit = WIDTH / np.ptp(built.surface.alpha)
    places, _ = middles(built.made["Path across"], at(20))
    assert places[[0, -1], :2] / unit == pytest.approx(np.array([(-1.1, -1.0), (1.05, 1.1)]))
    towards = (places[:, :2] / unit - (-1.1, -1.0)) @ np.array([-2.1, 2.15])
    assert np.abs(towards).max() < 1e-5
    # A moving one, between its unknown points too.
    places, _ = middles(built.made["Path moving"], at(built.frames[3]))
    assert places[[0, -1], 0] / unit == pytest.approx([-0.9, 0.9], abs=1e-5)
    assert places[:, 1] / unit == pytest.approx(0.4 - 0.36, abs=1e-5)


def test_a_line_ends_at_the_border_of_the_land(built):
    places, thickness = middles(built.made["Path beyond"], at(10))
    seen = places[thickness > 1e-6]
    assert seen[:, 0].max() == pytest.approx(WIDTH / 2, abs=1e-3)
    assert places[:, 0].max() > WIDTH


def test_the_ellipses_are_those_of_the_covariance(built):
    unit = WIDTH / np.ptp(built.surface.alpha)
    variances, axes = np.linalg.eigh(COVARIANCE)
    for sigma in (1, 2, 3):
        places, _ = middles(built.made[f"Posterior {sigma} Sigma"], at(30))
        offsets = (places[:, :2] / unit - MEAN) @ axes
        distance = np.sqrt((offsets**2 / variances).sum(axis=1))
        assert distance == pytest.approx(sigma, rel=1e-3)
        extent = np.sqrt(variances) * sigma
        assert offsets.max(axis=0) == pytest.approx(extent, rel=1e-3)
        assert offsets.min(axis=0) == pytest.approx(-extent, rel=1e-3)
        assert built.made[f"Posterior {sigma} Sigma"].data.splines[0].use_cyclic_u


def test_each_sample_on_the_land_is_a_ball(built):
    unit = WIDTH / np.ptp(built.surface.alpha)
    samples = built.surface.posterior["samples"][:, :2]
    expected = samples[np.abs(samples).max(axis=1) <= 1.2] * unit
    assert len(expected) == 28
    for frame in moments(built)[::3]:
        graph = at(frame)
        places = balls(built.made["Posterior Samples"], graph)
        assert places[:, :2] == pytest.approx(expected, abs=1e-4)
        assert np.abs(over(built.land, graph, places)).max() < 2e-3 * WIDTH
    dots = built.made["Posterior Samples"]
    for instance in graph.object_instances:
        if instance.parent and instance.parent.original == dots:
            ball = instance.object.data
            radius = max(vertex.co.length for vertex in ball.vertices)
            material = ball.materials[ball.polygons[0].material_index]
            assert material.name == "Posterior Samples"
            assert ball.polygons[0].use_smooth
    assert radius == pytest.approx(STYLES["Posterior Samples"].radius, rel=1e-2)


def test_the_trajectory_is_drawn_as_the_minimizer_walks(built):
    unit = WIDTH / np.ptp(built.surface.alpha)
    line = built.made["Path trajectory"]
    for index in range(1, FRAMES):
        places, _ = middles(line, at(built.frames[index]))
        assert places[-1, :2] / unit == pytest.approx(trajectory()[index], abs=2e-3)
        places, _ = middles(line, at((built.frames[index - 1] + built.frames[index]) / 2))
        halfway = trajectory()[index - 1 : index + 1].mean(axis=0)
        assert places[-1, :2] / unit == pytest.approx(halfway, abs=3e-3)


def test_a_land_that_stands_still_has_its_whole_trajectory(tmp_path):
    still = folds(1, paths={"trajectory": path(trajectory())})
    write_sequence(tmp_path / "still.h5", "STILL", "", {"network": still})
    shot = build(tmp_path / "still.h5")
    graph = at(30)
    places, _ = middles(shot.made["Path trajectory"], graph)
    unit = WIDTH / np.ptp(shot.surface.alpha)
    assert places[[0, -1], :2] / unit == pytest.approx(trajectory()[[0, -1]], abs=1e-5)
    assert np.abs(over(shot.land, graph, places)).max() < 1e-4 * WIDTH


def test_retiming_the_land_retimes_what_lies_on_it(file):
    shot = build(file)
    keys = shot.land.data.shape_keys
    keys.animation_data_clear()
    keys.eval_time = 23.0
    graph = at(3)
    places, _ = middles(shot.made["Path across"], graph)
    assert np.nanmax(np.abs(over(shot.land, graph, places))) < 1e-3 * WIDTH


def renew(shot, file, selection=WHOLE):
    """Import another file into a shot."""
    with open_sequence(file) as opened:
        shown = opened.surfaces["network"].select(selection)
        finish(mesh.renewing(shot.land, shown, shot.scale))
        finish(curves.renewing(shot.made, shown, shot.scale, shot.land))
    shot.frames = np.linspace(1, 51, len(shown.frames))


@pytest.fixture(scope="module")
def longer_file(tmp_path_factory):
    """More snapshots, on a finer grid."""
    path = tmp_path_factory.mktemp("longer") / "longer.h5"
    write_sequence(path, "LONGER", "", {"network": everything(frames=9, size=41)})
    return path


@pytest.fixture
def shot(file):
    """One to change; it leaves the scene afterwards."""
    made = build(file)
    yield made
    bpy.data.batch_remove([made.land, *made.made.values()])


def lies_on_the_land(shot, name, frame):
    graph = at(frame)
    if name == "Posterior Samples":
        places = balls(shot.made[name], graph)
    else:
        places, thickness = middles(shot.made[name], graph)
        places = places[thickness > 1e-6]
    gap = over(shot.land, graph, places)
    return len(gap) > 3 and np.nanmax(np.abs(gap)) < 2e-3 * WIDTH


def test_renewing_lays_everything_on_the_new_land(shot, longer_file):
    renew(shot, longer_file)
    for name in (*LINES, "Posterior Samples"):
        for frame in moments(shot)[2:]:
            assert lies_on_the_land(shot, name, frame), (name, frame)
    assert len(shot.made["Path across"].data.shape_keys.key_blocks) == 9
    line, _ = middles(shot.made["Path trajectory"], at(shot.frames[-1]))
    unit = WIDTH / np.ptp(shot.surface.alpha)
    assert line[-1, :2] / unit == pytest.approx([0, 0], abs=1e-3)


@pytest.mark.parametrize("cached", [False, True])
def test_fewer_snapshots_and_points_are_no_other_thing(file, tmp_path, cached):
    cache = tmp_path / "land.pc2" if cached else None
    shot = build(file, Selection(first=1, every=2, thin=3), cache)
    assert shot.surface.frames.tolist() == [1, 3, 5]
    for name in (*LINES, "Posterior Samples"):
        for frame in moments(shot)[1:]:
            assert lies_on_the_land(shot, name, frame), (name, frame)
    unit = WIDTH / np.ptp(shot.surface.alpha)
    for frame, place in zip(shot.frames, trajectory()[1::2], strict=True):
        line, _ = middles(shot.made["Path trajectory"], at(frame))
        assert line[-1, :2] / unit == pytest.approx(place, abs=1e-3)
    renew(shot, file)
    for name in (*LINES, "Posterior Samples"):
        for frame in moments(shot)[2:]:
            assert lies_on_the_land(shot, name, frame), (name, frame)


def test_renewing_keeps_what_the_artist_changed(shot, longer_file):
    line, dots = shot.made["Path across"], shot.made["Posterior Samples"]
    mine = bpy.data.materials.new("mine")
    line.data.materials[0] = mine
    line.data.bevel_depth, line.name, line.data.name = 0.3, "my line", "my curve"
    line.parent, line.location.z = None, 0.7
    line.modifiers.new("mine", "WAVE")
    dots.modifiers[0].show_viewport = False
    data, group = line.data, dots.modifiers[0].node_group
    renew(shot, longer_file)
    assert (line.data, line.data.bevel_depth, line.name) == (data, pytest.approx(0.3), "my line")
    assert (line.data.name, list(line.data.materials)) == ("my curve", [mine])
    assert (line.parent, line.location.z) == (None, pytest.approx(0.7))
    assert "mine" in line.modifiers
    assert (dots.modifiers[0].show_viewport, dots.modifiers[0].node_group) == (False, group)


def test_a_line_shaped_by_hand_stays_as_it_is(shot, longer_file):
    keys = shot.made["Path across"].data.shape_keys.key_blocks
    keys[2].data[5].co.z += 0.5
    before = [tuple(point.co) for point in keys[2].data]
    renew(shot, longer_file)
    after = shot.made["Path across"].data.shape_keys.key_blocks
    assert len(after) == FRAMES
    assert [tuple(point.co) for point in after[2].data] == before
    assert lies_on_the_land(shot, "Posterior 1 Sigma", 30)


def test_a_line_that_became_something_else_stays_it(shot, longer_file):
    line = shot.made["Path across"]
    bpy.context.view_layer.objects.active = line
    line.select_set(True)
    with pytest.raises(ValueError, match="is in Edit Mode: leave it first"):
        bpy.ops.object.mode_set(mode="EDIT")
        renew(shot, longer_file)
    bpy.ops.object.mode_set(mode="OBJECT")
    bpy.ops.object.convert(target="MESH")
    count = len(line.data.vertices)
    renew(shot, longer_file)
    assert (line.type, len(line.data.vertices)) == ("MESH", count)


def test_a_timing_made_by_hand_stays_as_it_is(shot, longer_file):
    keyed, changed, loosened = (
        shot.made[name] for name in ("Path across", "Posterior 1 Sigma", "Posterior Samples")
    )
    keyed.data.shape_keys.driver_remove("eval_time")
    for frame, value in ((1, 40.0), (51, 10.0)):
        keyed.data.shape_keys.eval_time = value
        keyed.data.shape_keys.keyframe_insert("eval_time", frame=frame)
    driver = changed.data.shape_keys.animation_data.drivers[0].driver
    driver.type, driver.expression = "SCRIPTED", "50 - clock"
    loosened.data.shape_keys.driver_remove("eval_time")
    loosened.data.shape_keys.eval_time = 13.0
    renew(shot, longer_file)
    at(51)
    assert keyed.data.shape_keys.eval_time == pytest.approx(10)
    assert loosened.data.shape_keys.eval_time == pytest.approx(13)
    drivers = changed.data.shape_keys.animation_data.drivers
    assert [curve.driver.expression for curve in drivers] == ["50 - clock"]
    assert len(keyed.data.shape_keys.key_blocks) == 9


def test_a_trajectory_that_is_shown_whole_stays_whole(shot, longer_file):
    line = shot.made["Path trajectory"]
    line.driver_remove(f'["{curves.DRAWN}"]')
    line[curves.DRAWN] = 5.0
    renew(shot, longer_file)
    at(1)
    assert line[curves.DRAWN] == 5.0
    line[curves.DRAWN] = 8.0
    line.update_tag()
    places, _ = middles(line, at(2))
    unit = WIDTH / np.ptp(shot.surface.alpha)
    assert places[-1, :2] / unit == pytest.approx([0, 0], abs=1e-3)


def test_given_up_it_changes_nothing(file, shot, longer_file):
    things, keys = len(bpy.data.objects), len(bpy.data.shape_keys)
    with open_sequence(longer_file) as opened:
        shown = opened.surfaces["network"]
        for generator in (
            curves.building(shown, shot.scale, shot.land),
            curves.renewing(shot.made, shown, shot.scale, shot.land),
        ):
            next(generator)
            generator.close()
    assert (len(bpy.data.objects), len(bpy.data.shape_keys)) == (things, keys)
    assert lies_on_the_land(shot, "Path across", 30)


def test_it_runs_without_python(built):
    for thing in built.made.values():
        for owner in (thing, thing.data, thing.data.shape_keys):
            for curve in owner.animation_data.drivers if owner.animation_data else ():
                assert curve.driver.type == "SUM" or curve.driver.is_simple_expression


@pytest.mark.parametrize(
    ("part", "value", "fault"),
    [
        ("mean", [np.nan, 0], "posterior/mean: expected finite coordinates"),
        ("covariance", [[1, 2], [2, 1]], "posterior/covariance: expected a symmetric matrix"),
        ("covariance", [[1, 0.5], [0, 1]], "posterior/covariance: expected a symmetric matrix"),
        ("covariance", [[np.inf, 0], [0, 1]], "posterior/covariance: expected a symmetric matrix"),
    ],
)
def test_a_posterior_that_is_none_is_refused(tmp_path, part, value, fault):
    path = tmp_path / "posterior.h5"
    posterior = {"mean": MEAN, "covariance": COVARIANCE} | {part: np.array(value, float)}
    write_sequence(path, "POSTERIOR", "", {"network": folds(posterior=posterior)})
    with pytest.raises(SequenceError, match=fault), open_sequence(path):
        pass


def test_nothing_lies_on_a_land_without_any(tmp_path):
    write_sequence(tmp_path / "bare.h5", "BARE", "", {"network": folds()})
    assert build(tmp_path / "bare.h5").made == {}


def test_what_is_no_line_has_no_object(built):
    assert not {"Path nowhere", "Path short"} & set(built.made)
    assert len(built.made) == 8


def test_a_line_that_an_earlier_version_wrote_is_known_as_written(shot, longer_file):
    """The stamps that stand in files: CRC-32 of all keys, field by field."""
    for name, fields in (("Path across", ("co", "radius", "tilt")), ("Posterior Samples", ("co",))):
        data, mark = shot.made[name].data, 0
        for key in data.shape_keys.key_blocks:
            for field in fields:
                numbers = np.empty((3 if field == "co" else 1) * len(key.data), np.float32)
                key.data.foreach_get(field, numbers)
                mark = zlib.crc32(numbers.tobytes(), mark)
        data["moving_lands_shape"] = f"{mark:08x}"
    renew(shot, longer_file)
    for name in ("Path across", "Posterior Samples"):
        assert len(shot.made[name].data.shape_keys.key_blocks) == 9
