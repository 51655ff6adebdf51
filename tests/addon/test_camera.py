"""Cameras in Blender: calm on the evaluated scene, cut by markers, and the artist's own."""

from itertools import pairwise

import bpy
import numpy as np
import pytest
from funnel import funnel
from mathutils import Vector

from addon.blender import compat
from addon.blender.parts import Part, Parts
from addon.camera import cuts, measuring, writing
from addon.camera import objects as camera
from addon.camera.acts import Act
from addon.camera.planner import planning
from addon.camera.rigs import RIGS
from addon.camera.terrain import surveying
from addon.land import mesh as surface
from addon.overlays.layout import drive
from addon.sequence.heights import fit
from addon.sequence.reader import open_sequence
from addon.steps import drained
from addon.units import WIDTH
from movinglands.sequence import Frame, SurfaceData, write_sequence

FPS, SECONDS, ASPECT = 12, 6, 16 / 9
LAST = FPS * SECONDS


def noisy():
    """A descent that jumps, in a window that travels over a land of folds."""
    given, jumps = funnel(), np.random.default_rng(3)
    axis = given.alpha
    b, a = np.meshgrid(axis, axis, indexing="ij")
    count = 12
    origin = np.cumsum(jumps.normal(0, 0.03, (count, 2)), axis=0)
    depths = np.geomspace(1.0, 0.03, count) * np.exp(jumps.normal(0, 0.12, count))
    losses = []
    for (da, db), depth in zip(origin, depths, strict=True):
        folds = 2.4 + 0.4 * np.sin(5 * (a + da) + 2 * (b + db)) * (a**2 + b**2) + a**2
        losses.append((folds * (1 - (1 - depth) * np.exp(-4 * (a**2 + b**2)))).astype(np.float32))
    middle = len(axis) // 2
    lowest = [float(loss[middle, middle]) for loss in losses]
    return SurfaceData(
        alpha=axis,
        beta=axis,
        step=np.arange(count) * 10,
        origin=origin,
        minimizer=np.column_stack([origin, lowest]),
        frame=lambda t: Frame(losses[t]),
        attrs=given.attrs,
    )


def folded():
    """A land whose folds are sharp, and as high as its funnel is deep."""
    given = funnel()
    b, a = np.meshgrid(given.alpha, given.beta, indexing="ij")
    sharp = 1.5 * np.abs(np.sin(4 * a + b)) * np.minimum(1, 2 * (a**2 + b**2))
    losses = [given.frame(t).loss + sharp.astype(np.float32) for t in range(len(given.step))]
    return SurfaceData(
        **{key: getattr(given, key) for key in ("alpha", "beta", "step", "origin", "minimizer")},
        frame=lambda t: Frame(losses[t]),
        attrs=given.attrs,
    )


SEQUENCES = {"smooth": funnel, "noisy": noisy, "folded": folded}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sequences")
    for name, data in SEQUENCES.items():
        write_sequence(folder / f"{name}.h5", name, "", {"network": data()})
    return folder


@pytest.fixture
def scene(empty):
    scene = bpy.context.scene
    scene.render.fps, scene.frame_start, scene.frame_end = FPS, 1, LAST
    scene.render.resolution_x, scene.render.resolution_y = 64, 36
    return scene


def plans(terrain, acts, aspect=ASPECT):
    return drained(planning(acts, terrain, FPS, aspect))


def built(scene, file, acts=None):
    """Build a land, a bead on it, and cameras; return them, and what to plan them with."""
    with open_sequence(file) as opened:
        shown = opened.surfaces["network"]
        scale = fit(shown.losses(), "log", 2.4)
        land = drained(surface.building(shown, scale, 1, LAST))
        frames = np.arange(1.0, LAST + 1)
        when = np.linspace(0, len(shown.frames) - 1, LAST)
        unit = WIDTH / np.ptp(shown.alpha)
        inside = (shown.minimizer[:, :2] - shown.origin) * unit
        known = np.column_stack([inside, scale(shown.minimizer[:, 2])])
        places = np.column_stack([np.interp(when, np.arange(len(known)), a) for a in known.T])
        terrain = drained(surveying(shown, scale, frames, when, places))
    bead = bpy.data.objects.new("Bead", None)
    bead.parent = land
    for frame, place in zip(frames, places, strict=True):
        bead.location = place
        bead.keyframe_insert("location", frame=frame)
    acts = acts or [Act("ride", 1, LAST, RIGS["ride"].framing)]
    parts = Parts({Part("Land", "network"): land, Part("Bead", "network"): bead})
    parts |= camera.build(land, plans(terrain, acts))
    for part in parts.values():
        scene.collection.objects.link(part)
    cuts.bind(scene, parts)
    return parts, terrain, acts


@pytest.fixture
def shot(scene, files):
    return built(scene, files / "smooth.h5")


THREE = [
    Act("wide", 1, 24, RIGS["wide"].framing),
    Act("below", 25, 48, RIGS["below"].framing, "fade"),
    Act("orbit", 49, LAST, RIGS["orbit"].framing, "cut"),
]


@pytest.fixture
def three(scene, files):
    return built(scene, files / "smooth.h5", THREE)


@pytest.mark.parametrize("name", SEQUENCES)
@pytest.mark.parametrize("rig", [r for r in RIGS if RIGS[r].looks_at == "minimizer"])
def test_every_rig_is_within_its_bounds_on_the_evaluated_scene(scene, files, rig, name):
    parts, _, _ = built(scene, files / f"{name}.h5", [Act(rig, 1, LAST, RIGS[rig].framing)])
    (found,) = measuring.measured_cameras(scene, parts).values()
    assert found.faults() == []
    assert found.speed > 0.005


def evaluated(thing, frame):
    bpy.context.scene.frame_set(frame)
    return thing.evaluated_get(bpy.context.evaluated_depsgraph_get()).matrix_world.copy()


def test_what_is_measured_is_so(scene, shot):
    """A camera without aim or rig, on a straight way down, over a land that is moved aside."""
    parts, _, _ = shot
    data = bpy.data.cameras.new("straight")
    straight = bpy.data.objects.new("straight", data)
    scene.collection.objects.link(straight)
    parts["Land"].location = (3, 1, 0.5)
    straight.rotation_euler = (0, 0, 0.4)
    for frame, height in ((1, 6.5), (25, 4.5)):
        straight.location = (3, 1, height)
        straight.keyframe_insert("location", frame=frame)
    for curve in compat.fcurves(straight):
        for point in curve.keyframe_points:
            point.interpolation = "LINEAR"
    found = measuring.measured(scene, parts["Land"], straight, parts["Bead"], range(1, 26))
    assert found.speed == pytest.approx(0.1, rel=1e-3)
    assert found.acceleration == pytest.approx(0, abs=1e-3)
    assert (found.turn, found.tilt) == (pytest.approx(0, abs=1e-3), pytest.approx(0, abs=1e-3))
    assert found.inside == pytest.approx(0.5, abs=0.01)
    assert found.off_third == pytest.approx(1 / 6, abs=0.01)
    assert found.hidden == 0
    straight.rotation_euler = (0, np.radians(20), 0)
    straight.location = (3, 1, -4)
    straight.animation_data_clear()
    tilted = measuring.measured(scene, parts["Land"], straight, parts["Bead"], range(1, 3))
    assert tilted.tilt == pytest.approx(20, abs=0.1)


@pytest.mark.parametrize("modified", [False, True])
def test_the_clearance_is_that_to_the_land_as_it_is_evaluated(scene, shot, modified):
    parts, terrain, _ = shot
    if modified:  # no grid any more
        parts["Land"].modifiers.new("finer", "SUBSURF").subdivision_type = "SIMPLE"
    still = bpy.data.objects.new("still", bpy.data.cameras.new("still"))
    scene.collection.objects.link(still)
    ground = float(terrain.height(np.array(5.0), np.array(0.0), np.array(0.0)))
    still.location = (0, 0, ground - 0.5)
    found = measuring.measured(scene, parts["Land"], still, parts["Bead"], [LAST])
    assert found.clearance == pytest.approx(0.05, abs=0.006)
    ground = float(terrain.height(np.array(5.0), np.array(3.0), np.array(0.0)))
    still.location = (3, 0, ground + 0.2)  # the funnel's rim is between
    assert measuring.measured(scene, parts["Land"], still, parts["Bead"], [LAST]).hidden == 1


@pytest.mark.parametrize(("rig", "hidden"), [("orbit", 0), ("ride", 1)])
def test_what_is_buried_in_fur_is_looked_for_over_it(scene, files, rig, hidden):
    """From over; from elsewhere a bead deep under the land has to be seen itself."""
    parts, _, _ = built(scene, files / "smooth.h5", [Act(rig, 1, LAST, RIGS["orbit"].framing)])
    eye = evaluated(parts["Camera"], LAST).translation
    aim = evaluated(parts["Bead"], LAST).translation
    parts["Bead"].delta_location = 0.2 * (aim - eye)
    found = measuring.measured(scene, parts["Land"], parts["Camera"], parts["Bead"], [LAST])
    assert found.hidden == hidden


def test_measuring_leaves_the_frame(scene, shot):
    scene.frame_set(7)
    measuring.measured_cameras(scene, shot[0])
    assert scene.frame_current == 7


def test_keys_are_few_and_the_empty_takes_the_camera_along(shot):
    parts, _, _ = shot
    for name in ("Minimizer", "Camera"):
        for curve in compat.fcurves(parts[name]):
            assert len(curve.keyframe_points) <= 12
    before = evaluated(parts["Camera"], 30).translation
    parts["Minimizer"].delta_location.z -= 1
    assert (before - evaluated(parts["Camera"], 30).translation).length == pytest.approx(
        1, abs=0.05
    )


def test_the_focus_is_on_the_minimizer(shot):
    parts, _, _ = shot
    dof = parts["Camera"].data.dof
    assert dof.use_dof and dof.focus_object == parts["Focus"]
    assert 0.5 < dof.aperture_fstop < 8
    for frame in (1, 30, LAST):
        focus, aim = (evaluated(parts[n], frame).translation for n in ("Focus", "Minimizer"))
        assert (focus - aim).length < 1e-4


CRAWL = [Act("crawl", 1, LAST, RIGS["crawl"].framing)]


def test_a_shallow_focus_is_pulled_from_what_is_nearer(scene, files):
    parts, _, _ = built(scene, files / "smooth.h5", CRAWL)
    away = []
    for frame in (1, 10, 19, LAST):
        focus, eye, aim = (
            evaluated(parts[name], frame).translation for name in ("Focus", "Camera", "Minimizer")
        )
        away.append((focus - aim).length)
        assert frame > 1 or (focus - eye).length < 0.9 * (aim - eye).length
    assert away[0] > away[1] > 10 * away[2] and max(away[2:]) < 1e-4
    assert len(keys(parts["Focus"])) <= 4


def test_a_focus_that_an_artist_pulled_stays_so(scene, files):
    parts, terrain, acts = built(scene, files / "smooth.h5", CRAWL)
    focus = parts["Focus"]
    assert camera.renew(parts, plans(deeper(terrain), acts))[focus]
    focus.location.x += 0.5
    before = focus.location.copy()
    assert not camera.renew(parts, plans(terrain, acts))[focus]
    assert focus.location == before
    focus.location.x -= 0.5
    assert camera.renew(parts, plans(terrain, acts))[focus]
    (curve,) = compat.fcurves(focus)
    curve.keyframe_points[-1].co.x += 12
    assert not camera.renew(parts, plans(deeper(terrain), acts))[focus]
    assert curve.keyframe_points[-1].co.x == 31


def filming(scene, frame):
    scene.frame_set(frame)
    return scene.camera


def test_cuts_are_markers(scene, three):
    parts, _, _ = three
    cameras = [parts[name] for name in ("Camera", "Camera 2", "Camera 3")]
    assert [m.frame for m in scene.timeline_markers] == [1, 25, 49]
    assert [filming(scene, f) for f in (1, 24, 25, 48, 49)] == [cameras[i] for i in (0, 0, 1, 1, 2)]
    for camera_, motion in measuring.measured_cameras(scene, parts).items():
        assert motion.faults() == [], camera_


def test_the_active_camera_is_where_the_camera_is_that_films(scene, three):
    parts, _, _ = three
    now = parts["Active Camera"]
    for frame in (1, 24, 25, 40, 48, 49, LAST):
        there = evaluated(now, frame)
        for camera_, here in ((scene.camera, there),):
            np.testing.assert_allclose(evaluated(camera_, frame), here, atol=1e-4)
        shown = now.evaluated_get(bpy.context.evaluated_depsgraph_get())
        assert shown["lens"] == pytest.approx(scene.camera.data.lens, rel=1e-5)
        assert shown["shift_y"] == pytest.approx(scene.camera.data.shift_y, rel=1e-4)


def test_text_stands_before_whichever_camera_films(scene, three):
    parts, _, _ = three
    text = bpy.data.objects.new("text", None)
    scene.collection.objects.link(text)
    text.parent, text.location.z = parts["Active Camera"], -0.5
    drive(text, "scale", 0, "36 / lens", parts["Active Camera"], "lens")
    parts["Camera 2"].data.lens = 77
    seen = evaluated(text, 30)
    expected = evaluated(parts["Camera 2"], 30) @ Vector((0, 0, -0.5))
    np.testing.assert_allclose(seen.translation, expected, atol=1e-4)
    assert seen.to_scale().x == pytest.approx(36 / 77, rel=1e-4)
    assert parts["Camera 2"].parent == parts["Camera Rig 2"]
    assert parts["Fade"].parent == parts["Camera"]


def brightness(scene, path, frame):
    scene.frame_set(frame)
    scene.render.filepath = str(path / f"{frame}.png")
    bpy.ops.render.render(write_still=True)
    picture = bpy.data.images.load(scene.render.filepath)
    return np.array(picture.pixels[:]).reshape(-1, 4)[:, :3].mean()


def test_a_fade_is_black_between_two_takes(scene, three, tmp_path):
    scene.render.engine, scene.cycles.samples = "CYCLES", 1
    scene.view_settings.view_transform = "Standard"
    lamp = bpy.data.objects.new("Sun", bpy.data.lights.new("Sun", "SUN"))
    beneath = bpy.data.objects.new("Below", lamp.data)
    beneath.rotation_euler.x = np.pi
    for light in (lamp, beneath):
        light.data.energy = 3
        scene.collection.objects.link(light)
    scene.render.use_motion_blur = True
    seen = [brightness(scene, tmp_path, frame) for frame in (15, 22, 24, 25, 27, 36, 48, 49)]
    assert seen[2] < 0.25 * seen[0]
    assert seen[2] < seen[1] < seen[0]
    assert seen[3] < 0.25 * seen[5]
    assert seen[3] < seen[4] < seen[5]
    assert min(seen[6:]) > 0.5 * seen[5]  # a cut is not a fade


EASED = [
    Act("orbit", 1, 36, RIGS["orbit"].framing),
    Act("wide", 37, LAST, RIGS["wide"].framing, "ease"),
]


def test_takes_that_ease_have_one_camera(scene, files):
    parts, _, _ = built(scene, files / "smooth.h5", EASED)
    assert not scene.timeline_markers and "Camera 2" not in parts
    (found,) = measuring.measured_cameras(scene, parts).values()
    assert found.faults() == []
    lenses = []
    for frame in (1, 36, LAST):
        scene.frame_set(frame)
        lenses.append(parts["Camera"].data.lens)
    assert lenses[0] == pytest.approx(28) and lenses[2] == pytest.approx(35)
    assert all(a <= b for a, b in pairwise(lenses))


# The artist's hand


def keys(owner):
    return [[*p.co, *p.handle_left] for c in compat.fcurves(owner) for p in c.keyframe_points]


def deeper(terrain):
    """The same land of a training that went on."""
    places = terrain.places * [1, 1, 0.5]
    return terrain.__class__(**{**vars(terrain), "places": places})


def test_a_shot_is_planned_anew_where_nobody_touched_it(shot):
    parts, terrain, acts = shot
    before = {name: keys(parts[name]) for name in ("Minimizer", "Camera")}
    written = camera.renew(parts, plans(deeper(terrain), acts))
    assert written == {parts[name]: True for name in ("Minimizer", "Camera", "Focus")}
    assert keys(parts["Minimizer"]) != before["Minimizer"]


@pytest.mark.parametrize("name", ["Minimizer", "Camera"])
def test_keys_that_an_artist_dragged_stay_all_together(shot, name):
    parts, terrain, acts = shot
    curve = compat.fcurves(parts[name]).find("location", index=1)
    curve.keyframe_points[1].co.y += 0.5
    curve.update()
    before, start = keys(parts[name]), parts["Camera Rig"].location.copy()
    written = camera.renew(parts, plans(deeper(terrain), acts))
    assert keys(parts[name]) == before
    assert written == {parts[n]: n != name for n in ("Minimizer", "Camera", "Focus")}
    if name == "Camera":
        assert parts["Camera Rig"].location == start


def test_a_ride_that_an_artist_set_stays_so(shot):
    parts, terrain, acts = shot
    rig = parts["Camera Rig"]
    rig.constraints[0].influence = 0.4
    before = rig.location.copy()
    camera.renew(parts, plans(deeper(terrain), acts))
    assert rig.constraints[0].influence == pytest.approx(0.4)
    assert rig.location == before


def test_a_lens_and_what_was_taken_away_stay_so(three):
    parts, terrain, acts = three
    parts["Camera 2"].data.lens, parts["Camera 2"].data.shift_x = 99, 0.2
    gone = Parts({p: thing for p, thing in parts.items() if p.number != 2})
    written = camera.renew(gone, plans(deeper(terrain), acts))
    assert len(written) == 6
    assert (parts["Camera 2"].data.lens, parts["Camera 2"].data.shift_x) == (
        99,
        pytest.approx(0.2),
    )


def test_what_an_artist_changed_is_written_again_where_asked_to_but_for_the_lens(scene, files):
    parts, terrain, acts = built(scene, files / "smooth.h5", CRAWL)
    before = [keys(parts[name]) for name in ("Minimizer", "Camera", "Focus")]
    ridden, focus = parts["Camera Rig"].constraints[0].influence, parts["Focus"].location.copy()
    for name in ("Minimizer", "Camera"):
        compat.fcurves(parts[name])[1].keyframe_points[1].co.y += 0.5
    parts["Camera Rig"].constraints[0].influence = 0.1
    parts["Focus"].location.x += 0.5
    parts["Camera"].data.lens = 99
    assert not any(camera.renew(parts, plans(terrain, acts)).values())
    assert all(camera.renew(parts, plans(terrain, acts), overwrite=True).values())
    assert [keys(parts[name]) for name in ("Minimizer", "Camera", "Focus")] == before
    assert parts["Camera Rig"].constraints[0].influence == pytest.approx(ridden)
    assert parts["Focus"].location == focus
    assert parts["Camera"].data.lens == 99


def test_a_focus_that_was_moved_goes_back_with_another_rig_where_asked_to(scene, files):
    shot = built(scene, files / "smooth.h5", CRAWL)
    shot[0]["Focus"].location.x += 0.5
    assert recast(shot) == ["Focus"]
    assert recast(shot, overwrite=True) == []


ORBIT = Act("orbit", 1, LAST, RIGS["orbit"].framing)


def recast(shot, overwrite=False):
    parts, terrain, _ = shot
    return camera.change_rig(parts, *plans(terrain, [ORBIT]), overwrite)


@pytest.mark.parametrize("noted", [True, False])
@pytest.mark.parametrize(
    ("path", "value", "keyed"),
    [
        ("aperture_fstop", 1.4, False),
        ("use_dof", False, False),
        ("aperture_fstop", 1.4, True),
        ("use_dof", True, True),
    ],
)
def test_a_depth_of_field_that_an_artist_set_stays_so(shot, path, value, keyed, noted):
    data = shot[0]["Camera"].data
    if not noted:  # as in a file of an earlier version
        del data[writing.DEPTH]
    setattr(data.dof, path, value)
    if keyed:
        data.dof.keyframe_insert(path, frame=1)
    before = data.dof.aperture_fstop, data.dof.use_dof
    assert recast(shot) == recast(shot) == ["Depth of Field"]
    assert (data.dof.aperture_fstop, data.dof.use_dof) == before
    assert recast(shot, overwrite=True) == recast(shot) == []
    assert data.dof.use_dof and data.dof.aperture_fstop not in before
    assert keys(data) == []


@pytest.mark.parametrize("noted", [True, False])
def test_a_depth_of_field_that_nobody_touched_is_that_of_the_rig(shot, noted):
    data = shot[0]["Camera"].data
    if not noted:
        del data[writing.DEPTH]
    before = data.dof.aperture_fstop
    assert recast(shot) == []
    assert data.dof.aperture_fstop != pytest.approx(before)


@pytest.mark.parametrize("frame", [1, LAST])
def test_keys_of_the_lens_go_with_the_acts_that_needed_them(scene, files, frame):
    shot = built(scene, files / "smooth.h5", EASED)
    data = shot[0]["Camera"].data
    assert keys(data)
    scene.frame_set(frame)
    assert recast(shot) == []
    assert keys(data) == []
    assert data.lens == ORBIT.framing.lens


@pytest.mark.parametrize("overridden", [False, True])
def test_linked_cameras_are_changed_where_they_are(shot, tmp_path, overridden):
    parts, terrain, acts = shot
    names = {part: thing.name for part, thing in parts.items()}
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    bpy.ops.wm.read_factory_settings(use_empty=True)
    with bpy.data.libraries.load(str(tmp_path / "shot.blend"), link=True) as (_, linked):
        linked.objects = list(names.values())
    there = dict(zip(names, linked.objects, strict=True))
    if overridden:
        there = {part: thing.override_create() for part, thing in there.items()}
    with pytest.raises(ValueError, match="is linked from another file: make it local"):
        camera.renew(Parts(there), plans(terrain, acts))
    with pytest.raises(ValueError, match="is linked from another file: make it local"):
        camera.change_rig(Parts(there), *plans(terrain, [ORBIT]))


def test_nothing_needs_the_add_on(three):
    for thing in (*bpy.data.objects, *bpy.data.cameras):
        for curve in thing.animation_data.drivers if thing.animation_data else ():
            assert curve.driver.type != "SCRIPTED" or curve.driver.is_simple_expression
