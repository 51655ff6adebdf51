"""A whole shot: calm, composed, true in its numbers, and the artist's own."""

from types import SimpleNamespace

import bpy
import numpy as np
import pytest
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Vector
from mathutils.bvhtree import BVHTree

from addon.blender import compat
from addon.blender.keyframes import key_spline
from addon.camera.measuring import measured_cameras
from addon.camera.motion import measure
from addon.overlays.layout import FONT
from addon.sequence.reader import open_sequence
from addon.shot import parts as shots
from addon.shot import scripting as stage
from addon.splines import fit_spline
from addon.units import WIDTH


@pytest.fixture(scope="module")
def parts(shot):
    return shots.parts(shot.scene)


@pytest.fixture(scope="module")
def watched(shot, parts):
    """The camera and the bead at every frame, as evaluated, and the land at some."""
    places, axes, composed, clearances = [], [], [], []
    for frame in range(1, shot.scene.frame_end + 1):
        shot.scene.frame_set(frame)
        graph = bpy.context.evaluated_depsgraph_get()
        camera = parts["Camera"].evaluated_get(graph)
        bead = parts["Bead"].evaluated_get(graph).matrix_world.translation
        places.append(camera.matrix_world.translation.copy())
        axes.append([camera.matrix_world.col[axis].xyz for axis in range(3)])
        composed.append(world_to_camera_view(shot.scene, camera, bead))
        if frame % 10 == 1:
            tree = BVHTree.FromObject(parts["Land"].evaluated_get(graph), graph)
            clearances.append(tree.find_nearest(places[-1])[3])
    return np.array(places), np.array(axes), np.array(composed), np.array(clearances)


def test_the_camera_is_calm(shot, watched):
    places, axes, _, _ = watched
    motion = measure(places, -axes[:, 2], shot.scene.render.fps, WIDTH)
    assert motion.faults() == []
    tilt = np.degrees(np.arcsin(np.abs(axes[:, 0, 2])))
    assert tilt.max() <= 1


def test_the_minimizer_stays_on_a_third_inside_the_frame(watched):
    composed = watched[2]
    assert np.abs(composed[:, 0] - 1 / 3).max() <= 0.1
    assert composed[:, :2].min() >= 0.1
    assert composed[:, :2].max() <= 0.9


def test_the_camera_keeps_clear_of_the_moving_land(watched):
    assert watched[3].min() >= 0.02 * WIDTH


def test_the_bead_lies_on_the_land(shot, parts):
    middle = shot.losses[0].size // 2
    for frame in range(1, shot.scene.frame_end, 7):
        shot.scene.frame_set(frame)
        graph = bpy.context.evaluated_depsgraph_get()
        land = parts["Land"].evaluated_get(graph).data.vertices[middle].co
        bead = parts["Bead"].evaluated_get(graph).matrix_world.translation
        assert (land - bead).length <= 1e-3 * WIDTH


def test_the_label_counts_the_original_loss(shot, parts):
    tree = parts["Live loss"].modifiers[0].node_group
    for frame, loss in zip(shot.frames, shot.surface.minimizer[:, 2], strict=True):
        shot.scene.frame_set(int(frame), subframe=frame - int(frame))
        assert tree.nodes["Loss"].outputs[0].default_value == pytest.approx(loss, rel=1e-5)
    graph = bpy.context.evaluated_depsgraph_get()
    drawn = parts["Live loss"].evaluated_get(graph).to_mesh()
    assert len(drawn.polygons) > 50
    assert "Overlay Bright" in {material.name for material in drawn.materials if material}


@pytest.mark.parametrize(("lens", "shift"), [(None, None), (85.0, -0.2), (24.0, 0.1)])
def test_titles_stand_inside_the_picture_whatever_the_lens(shot, parts, lens, shift):
    camera = parts["Camera"].data
    before = camera.lens, camera.shift_x
    camera.lens, camera.shift_x = lens or before[0], shift or before[1]
    shot.scene.frame_set(1)
    bpy.context.view_layer.update()
    for name in ("Title", "Sentence", "Recipe"):
        text = parts[name]
        for corner in text.bound_box:
            at = world_to_camera_view(
                shot.scene, parts["Camera"], text.matrix_world @ Vector(corner)
            )
            assert 0.01 < at.x < 0.99, name
            assert 0.01 < at.y < 0.5, name
    camera.lens, camera.shift_x = before


def test_titles_say_what_it_is_and_how_it_was_made(parts):
    assert parts["Title"].data.body == "FUNNEL"
    assert "A FUNNEL" in parts["Recipe"].data.body
    assert "6 X 1 089 POINTS, LOG SCALE" in parts["Recipe"].data.body


def test_the_typeface_travels_in_the_blend(parts):
    assert parts["Title"].data.font.packed_file is not None
    assert FONT.with_name("OFL.txt").exists()


def test_dragging_the_empty_takes_the_camera_along(shot, parts):
    def looks_at():
        shot.scene.frame_set(60)
        graph = bpy.context.evaluated_depsgraph_get()
        return parts["Camera"].evaluated_get(graph).matrix_world.translation.copy()

    before = looks_at()
    parts["Minimizer"].delta_location.z -= 1
    after = looks_at()
    parts["Minimizer"].delta_location.z += 1
    assert (before - after).length == pytest.approx(1, abs=0.05)


def test_parts_are_found_by_their_mark_whatever_they_are_called(shot, parts):
    name, parts["Land"].name = parts["Land"].name, "my land"
    assert shots.parts(shot.scene)["Land"] == parts["Land"]
    parts["Land"].name = name
    assert set(parts.values()) <= set(shot.collection.all_objects)


@pytest.mark.parametrize(
    ("recipe", "fault"),
    [
        ({"film": {"seconds": "5"}}, "film.seconds: expected float, got '5'"),
        ({"film": {"width": 640.5}}, "film.width: expected int, got 640.5"),
        ({"film": 3}, "film: expected a table of keys, got 3"),
        ({"look": {"relief": -1.0}}, "look.relief: expected a number from 0.001 to 100, got -1.0"),
        ({"film": {"poster_at": 3}}, "film.poster_at: expected a number from 0 to 1, got 3"),
        ({"look": {"name": "wool"}}, "look.name: expected one of flesh, fur, ink, specimen"),
        ({"camera": {"rig": "fly"}}, "camera.rig: expected one of ride, coaster"),
    ],
)
def test_a_recipe_from_anywhere_is_checked(recipe, fault):
    with pytest.raises(ValueError, match=fault):
        stage.Settings.of_recipe(recipe)


def test_nothing_needs_python_to_run(shot):
    assert not bpy.app.handlers.frame_change_pre
    assert not bpy.app.handlers.frame_change_post
    for thing in bpy.data.objects:
        for curve in thing.animation_data.drivers if thing.animation_data else ():
            driver = curve.driver
            assert driver.type != "SCRIPTED" or driver.is_simple_expression


def test_keys_of_a_spline_are_the_spline(empty):
    thing = bpy.data.objects.new("thing", None)
    bpy.context.scene.collection.objects.link(thing)
    spline = fit_spline(np.arange(1, 50), np.sin(np.arange(1, 50) / 8), 6)
    key_spline(thing, "location", spline, 2)
    for frame in range(1, 50):
        bpy.context.scene.frame_set(frame)
        assert thing.location.z == pytest.approx(float(spline(frame)[0]), abs=1e-4)


def looks(shot, frame=60):
    """Where a shot's camera is and what its lens is, at a frame."""
    shot.scene.frame_set(frame)
    camera = shot.scene.camera.evaluated_get(bpy.context.evaluated_depsgraph_get())
    return [*camera.matrix_world.translation, camera.data.lens, camera.data.shift_x]


def test_a_shot_is_filmed_by_another_rig(funnel_file):
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene, collection = bpy.context.scene, stage.import_sequence(funnel_file)
    shot = SimpleNamespace(scene=scene)
    parts = shots.parts_of(collection)
    ridden = looks(shot)
    assert stage.change_rig(collection, scene, "orbit") == []
    orbited = looks(shot)
    assert np.linalg.norm(np.subtract(orbited, ridden)[:3]) > 0.1 * WIDTH
    anew = stage.Settings(rig="orbit").film_acts[0].framing
    assert orbited[3] == pytest.approx(anew.lens)
    assert all(motion.faults() == [] for motion in measured_cameras(scene, parts).values())

    parts["Camera"].data.lens = 77.0  # an artist's
    assert stage.change_rig(collection, scene, "ride") == ["Lens"]
    assert looks(shot)[:3] == pytest.approx(ridden[:3], abs=1e-4)
    assert looks(shot)[3] == pytest.approx(77.0)
    curve = compat.fcurves(parts["Camera"])[0]
    curve.keyframe_points[0].co.y += 1.0
    curve.update()
    before = looks(shot, 1)
    assert stage.change_rig(collection, scene, "below") == ["Camera"]
    assert looks(shot, 1) == pytest.approx(before)
    assert stage.change_rig(collection, scene, "ride", overwrite=True) == []
    assert looks(shot) == pytest.approx(ridden, abs=1e-4)


def test_another_rig_given_up_has_changed_nothing(funnel_file):
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene, collection = bpy.context.scene, stage.import_sequence(funnel_file)
    shot = SimpleNamespace(scene=scene)
    before = looks(shot)
    steps, told = stage.changing_rig(collection, scene, "orbit"), [0.0]
    while told[-1] < 0.5:
        told.append(next(steps))
    steps.close()
    assert told == sorted(told) and len(told) > 5
    assert looks(shot) == before
    assert shots.made_with(collection)[0].rig == "ride"


def test_a_shot_without_its_land_cannot_be_filmed(funnel_file):
    bpy.ops.wm.read_factory_settings(use_empty=True)
    collection = stage.import_sequence(funnel_file)
    bpy.data.objects.remove(shots.parts_of(collection)["Land"])
    with pytest.raises(ValueError, match="it has no land any more: import it anew"):
        stage.change_rig(collection, bpy.context.scene, "orbit")


def test_only_one_camera_can_change_its_rig(funnel_file):
    bpy.ops.wm.read_factory_settings(use_empty=True)
    with open_sequence(funnel_file) as opened:
        acts = [{"rig": "ride"}, {"rig": "orbit", "start": 0.5}]
        collection = stage.build(opened, stage.Settings(seconds=5.0, acts=acts))
    with pytest.raises(ValueError, match="one camera"):
        stage.change_rig(collection, bpy.context.scene, "orbit")
