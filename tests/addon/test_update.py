"""A shot brought up to date: its heights are the file's, all that an artist did is theirs."""

import dataclasses
import shutil

import bpy
import numpy as np
import pytest
from funnel import funnel
from lands import drained

from addon.blender import compat
from addon.sequence.reader import open_sequence
from addon.sequence.selection import Selection
from addon.shot import parts as shots
from addon.shot import scripting as stage
from addon.shot.settings import Settings
from addon.units import WIDTH
from movinglands.sequence import write_sequence

TITLE = "FUNNEL"


def written(path, recipe="", **shape):
    write_sequence(path, TITLE, recipe, {"network": funnel(**shape)})
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The sequence a shot is made of, and what it may become."""
    folder = tmp_path_factory.mktemp("sequences")
    return {
        "begun": written(folder / "begun.h5", complete=3),
        "grown": written(folder / "grown.h5"),
        "longer": written(folder / "longer.h5", frames=9),
        "shorter": written(folder / "shorter.h5", frames=2),
        "finer": written(folder / "finer.h5", size=41),
    }


@pytest.fixture
def shot(empty, files):
    return stage.import_sequence(files["begun"])


def heights_of(land, frame):
    bpy.context.scene.frame_set(frame)
    seen = land.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
    points = np.empty(3 * len(seen.vertices), np.float32)
    seen.vertices.foreach_get("co", points)
    return points[2::3]


def shows(shot, file, frame, snapshot):
    """Tell whether the shot's land shows a snapshot of a file."""
    settings, _ = shots.made_with(shot)
    with open_sequence(file) as opened:
        given = opened.surfaces["network"]
        losses = [given.loss(t).astype(float) for t in range(len(given.frames))]
    low, high = np.log(min(map(np.min, losses))), np.log(max(map(np.max, losses)))
    expected = (np.log(losses[snapshot]) - low) / (high - low) * settings.relief * WIDTH
    return np.allclose(heights_of(shots.parts_of(shot)["Land"], frame), expected.ravel(), atol=1e-4)


@pytest.mark.parametrize("name", ["begun", "grown", "longer", "shorter", "finer"])
def test_the_land_and_its_minimizer_are_those_of_the_file(shot, files, name):
    kept = drained(stage.updating(shot, files[name]))
    assert kept == []
    end = bpy.context.scene.frame_end
    assert shows(shot, files[name], 1, 0)
    assert shows(shot, files[name], end, -1)
    parts = shots.parts_of(shot)
    with open_sequence(files[name]) as opened:
        loss = opened.surfaces["network"].minimizer[-1, 2]
    assert parts["Live loss"].modifiers[0].node_group.nodes["Loss"].outputs[0].default_value == (
        pytest.approx(loss, rel=1e-5)
    )
    graph = bpy.context.evaluated_depsgraph_get()
    bead, empty = (
        parts[n].evaluated_get(graph).matrix_world.translation for n in ("Bead", "Minimizer")
    )
    middle = heights_of(parts["Land"], end)
    assert bead.z == pytest.approx(middle[len(middle) // 2], abs=1e-3)
    assert (bead - empty).length < 0.02 * WIDTH


# What an artist does to a shot: each edit returns how to look at it afterwards.


def keys_of(owner, path, index=0):
    curve = compat.fcurves(owner).find(path, index=index)
    return [[*point.co, *point.handle_left] for point in curve.keyframe_points]


def dragged(owner, path, index=0):
    """Drag a key, as in the Graph Editor."""
    curve = compat.fcurves(owner).find(path, index=index)
    curve.keyframe_points[-2].co.y += 0.5
    curve.update()
    return lambda: keys_of(owner, path, index)


def own_material(parts):
    parts["Land"].data.materials[0] = bpy.data.materials.new("Mine")
    parts["Land"].data.materials.append(bpy.data.materials.new("Second"))
    return lambda: [slot.material.name for slot in parts["Land"].material_slots]


def skin(parts):
    nodes = parts["Land"].data.materials[0].node_tree.nodes
    inputs = next(node for node in nodes if node.type == "GROUP").inputs
    number = next(socket for socket in inputs if socket.type == "VALUE")
    color = next(socket for socket in inputs if socket.type == "RGBA")
    number.default_value, color.default_value = 0.123, (0.1, 0.2, 0.3, 1)
    return lambda: (number.default_value, *color.default_value)


def lamp(parts):
    key = parts["Key"]
    key.data.energy, key.data.color, key.location.x = 77, (0, 1, 0), 4.5
    return lambda: (key.data.energy, *key.data.color, *key.location)


def lamp_keys(parts):
    lamp = parts["Rim"].data
    lamp.keyframe_insert("energy", frame=3)
    return lambda: keys_of(lamp, "energy")


def lens(parts):
    camera = parts["Camera"].data
    camera.lens, camera.shift_x, camera.dof.use_dof, camera.dof.aperture_fstop = 99, 0.2, True, 1.2
    return lambda: (camera.lens, camera.shift_x, camera.dof.use_dof, camera.dof.aperture_fstop)


def camera_keys(parts):
    return dragged(parts["Camera"], "location", 1)


def minimizer_keys(parts):
    return dragged(parts["Minimizer"], "location", 2)


def minimizer_offset(parts):
    parts["Minimizer"].delta_location.z = 0.7
    return lambda: list(parts["Minimizer"].delta_location)


def retimed(parts):
    keys = parts["Land"].data.shape_keys
    return dragged(keys, "eval_time")


def retimed_with_more_keys(parts):
    keys = parts["Land"].data.shape_keys
    compat.fcurves(keys).find("eval_time").keyframe_points.insert(30, 2.0)
    return lambda: keys_of(keys, "eval_time")


def bead_keys(parts):
    curve = parts["Bead"].animation_data.drivers.find("location", index=2)
    curve.keyframe_points[0].co.y = 9
    return lambda: curve.keyframe_points[0].co.y


def bead_freed(parts):
    parts["Bead"].driver_remove("location", 2)
    parts["Bead"].location.z = 9
    return lambda: (parts["Bead"].location.z, len(parts["Bead"].animation_data.drivers))


def placed(parts):
    land = parts["Land"]
    land.location, land.scale, land.delta_rotation_euler.z = (1, 2, 3), (1, 1, 2), 0.3
    return lambda: [*land.location, *land.scale, *land.delta_rotation_euler]


def parented(parts):
    holder = bpy.data.objects.new("Holder", None)
    bpy.context.scene.collection.objects.link(holder)
    parts["Land"].parent = holder
    return lambda: parts["Land"].parent.name


def renamed(parts):
    shot = shots.in_scene(bpy.context.scene)[0]
    parts["Land"].name, parts["Camera"].name, shot.name = "My land", "Director", "Take 3"
    parts["Land"].data.name = "My mesh"
    return lambda: (
        parts["Land"].name, parts["Land"].data.name, parts["Camera"].name, shot.name
    )  # fmt: skip


def modifiers(parts):
    land = parts["Land"]
    bend = land.modifiers.new("Bend", "SIMPLE_DEFORM")
    bend.angle, bend.show_viewport = 0.25, False
    return lambda: [(m.name, m.type, m.angle) for m in land.modifiers]


def constraints(parts):
    rig = parts["Camera Rig"]
    rig.constraints[0].influence = 0.4
    return lambda: [(c.name, c.target.name, c.influence) for c in rig.constraints]


def collections(parts):
    other = bpy.data.collections.new("Lights")
    shots.in_scene(bpy.context.scene)[0].children.link(other)
    for collection in parts["Key"].users_collection:
        collection.objects.unlink(parts["Key"])
    other.objects.link(parts["Key"])
    return lambda: [c.name for c in parts["Key"].users_collection]


def visibility(parts):
    parts["Title"].hide_render = parts["Fill"].hide_viewport = True
    parts["Land"].visible_shadow = False
    return lambda: (
        parts["Title"].hide_render, parts["Fill"].hide_viewport, parts["Land"].visible_shadow
    )  # fmt: skip


def words(parts):
    parts["Recipe"].data.body = "In my own words"
    parts["Title"].data.size *= 2
    return lambda: (parts["Recipe"].data.body, parts["Title"].data.size)


def label(parts):
    nodes = parts["Live loss"].modifiers[0].node_group.nodes
    size = next(node for node in nodes if "Size" in node.inputs).inputs["Size"]
    size.default_value = 0.5
    return lambda: size.default_value


def removed(parts):
    bpy.data.objects.remove(parts["Live loss"])
    bpy.data.objects.remove(parts["Rim"])
    return lambda: sorted(shots.parts_of(shots.in_scene(bpy.context.scene)[0]))


def copied(parts):
    copy = parts["Bead"].copy()
    copy.location.z = 3
    shots.in_scene(bpy.context.scene)[0].objects.link(copy)
    copy.driver_remove("location")
    return lambda: list(copy.location)


def scene_settings(parts):
    scene = bpy.context.scene
    scene.frame_end, scene.render.resolution_x, scene.cycles.samples = 99, 1234, 7
    scene.world = bpy.data.worlds.new("Mine")
    return lambda: (
        scene.frame_end, scene.render.resolution_x, scene.cycles.samples, scene.world.name
    )  # fmt: skip


def properties(parts):
    parts["Land"]["take"] = 3
    parts["Land"].color = (1, 0, 0, 1)
    return lambda: (parts["Land"]["take"], list(parts["Land"].color))


EDITS = (
    own_material, skin, lamp, lamp_keys, lens, camera_keys, minimizer_keys, minimizer_offset,
    retimed, retimed_with_more_keys, bead_keys, bead_freed, placed, parented, renamed, modifiers,
    constraints, collections, visibility, words, label, removed, copied, scene_settings, properties,
)  # fmt: skip


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
def test_what_an_artist_did_stays(shot, files, edit):
    look = edit(shots.parts_of(shot))
    before = look()
    for name in ("grown", "finer", "longer"):
        drained(stage.updating(shot, files[name]))
        assert look() == before
    if edit not in (retimed, retimed_with_more_keys):
        assert shows(shot, files["longer"], 120, -1)


def test_it_says_what_it_left(shot, files):
    parts = shots.parts_of(shot)
    minimizer_keys(parts)
    bead_freed(parts)
    words(parts)
    assert drained(stage.updating(shot, files["grown"])) == ["Bead", "Recipe", "Minimizer"]


def test_what_was_changed_can_be_written_again(shot, files):
    parts = shots.parts_of(shot)
    minimizer_keys(parts)
    bead_freed(parts)
    words(parts)
    bpy.data.objects.remove(parts["Live loss"])
    assert drained(stage.updating(shot, files["grown"], overwrite=True)) == []
    assert drained(stage.updating(shot, files["grown"])) == []
    assert "FUNNEL" in parts["Recipe"].data.body
    land = heights_of(parts["Land"], 120)
    bead = parts["Bead"].evaluated_get(bpy.context.evaluated_depsgraph_get())
    assert bead.matrix_world.translation.z == pytest.approx(land[len(land) // 2], abs=1e-3)


def test_the_minimizer_follows_a_land_that_was_retimed(shot, files):
    parts = shots.parts_of(shot)
    curve = compat.fcurves(parts["Land"].data.shape_keys).find("eval_time")
    curve.keyframe_points[-1].co.x = 40  # over and done with at frame 40
    curve.update()
    drained(stage.updating(shot, files["begun"]))
    for frame in (1, 20, 40, 100):
        bpy.context.scene.frame_set(frame)
        graph = bpy.context.evaluated_depsgraph_get()
        bead, empty = (parts[name].evaluated_get(graph).matrix_world.translation
                       for name in ("Bead", "Minimizer"))  # fmt: skip
        land = heights_of(parts["Land"], frame)
        assert bead.z == pytest.approx(land[len(land) // 2], abs=1e-3)
        assert (bead - empty).length < 0.1 * WIDTH


def test_a_track_is_renewed_without_the_camera_that_followed_it(shot, files):
    parts = shots.parts_of(shot)
    bpy.data.objects.remove(parts["Camera"])
    before = keys_of(parts["Minimizer"], "location", 2)
    assert drained(stage.updating(shot, files["grown"])) == []
    assert keys_of(parts["Minimizer"], "location", 2) != before


def test_other_heights(shot, files):
    settings, _ = shots.made_with(shot)
    changed = dataclasses.replace(settings, scale="linear", relief=0.5, reverse=True)
    drained(stage.updating(shot, None, changed))
    land = shots.parts_of(shot)["Land"]
    with open_sequence(files["begun"]) as opened:
        losses = np.stack([opened.surfaces["network"].loss(t) for t in range(3)]).astype(float)
    expected = 5 * (1 - (losses - losses.min()) / np.ptp(losses))
    assert heights_of(land, 1) == pytest.approx(expected[0].ravel(), abs=1e-4)
    assert land["relief"] == pytest.approx(5)
    assert shots.made_with(shot)[0] == changed  # and the next update keeps to it
    drained(stage.updating(shot))
    assert heights_of(land, 1) == pytest.approx(expected[0].ravel(), abs=1e-4)


def test_given_up_it_has_changed_nothing(shot, files):
    land = shots.parts_of(shot)["Land"]
    before = heights_of(land, 120)
    for steps in range(1, 12):
        updating = stage.updating(shot, files["longer"])
        for _ in range(steps):
            next(updating)
        updating.close()
        assert len(land.data.shape_keys.key_blocks) == 3
        assert (heights_of(land, 120) == before).all()


def test_a_shot_without_its_land_cannot_be_updated(shot):
    bpy.data.objects.remove(shots.parts_of(shot)["Land"])
    with pytest.raises(ValueError, match="FUNNEL: it has no land any more: import it anew"):
        drained(stage.updating(shot))


def test_the_file_may_have_moved_with_the_blend(shot, files, tmp_path):
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    shutil.copy(files["begun"], tmp_path / "here.h5")
    drained(stage.updating(shot, tmp_path / "here.h5"))
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    for name in ("here.h5", "shot.blend"):
        (tmp_path / name).rename(moved / name)
    bpy.ops.wm.open_mainfile(filepath=str(moved / "shot.blend"))
    (found,) = shots.in_scene(bpy.context.scene)
    assert shots.source_of(found) == moved / "here.h5"
    assert drained(stage.updating(found)) == []


# Several surfaces


@pytest.fixture
def pair(empty, tmp_path):
    path = tmp_path / "pair.h5"
    write_sequence(path, "PAIR", "", {"one": funnel(), "other": funnel(size=21)})
    return path


@pytest.mark.parametrize(("arrange", "apart"), [("side", 1.12 * WIDTH), ("over", 0)])
def test_several_surfaces(pair, arrange, apart):
    shot = stage.import_sequence(pair, Settings(arrange=arrange))
    first, second = shots.lands_of(shot)
    assert second.location.x - first.location.x == pytest.approx(apart)
    assert [len(land.data.vertices) for land in (first, second)] == [33 * 33, 21 * 21]
    parts = shots.parts_of(shot)
    assert all(n in parts for n in ("Bead", "Bead 2", "Live loss", "Live loss 2", "Camera"))
    assert ("Light Rig 2" in parts) == (arrange == "side")
    if arrange == "side":
        assert parts["Light Rig 2"].location.x == pytest.approx(apart)
    before = {name: parts[name].data.energy for name in ("Key", "Key 2") if name in parts}
    assert stage.change_look(shot, bpy.context.scene, "ink") == []
    assert all(parts[name].data.energy != watts for name, watts in before.items())
    bpy.context.scene.frame_set(120)
    graph = bpy.context.evaluated_depsgraph_get()
    for land, bead in ((first, "Bead"), (second, "Bead 2")):
        seen = land.evaluated_get(graph)
        middle = seen.matrix_world @ seen.data.vertices[len(seen.data.vertices) // 2].co
        assert (parts[bead].evaluated_get(graph).matrix_world.translation - middle).length < 1e-3
    assert drained(stage.updating(shot)) == []
    bpy.data.objects.remove(first)
    assert drained(stage.updating(shot)) == []
    assert shots.lands_of(shot) == [second]


# Parts of a file


def test_a_part_of_a_sequence(empty, files):
    options = shots.Options(Selection(first=2, every=2, thin=2), whole=False)
    shot = stage.import_sequence(files["longer"], None, options)
    assert [part.kind for part in shots.parts_of(shot)] == ["Land"]
    land = shots.parts_of(shot)["Land"]
    assert [key.name for key in land.data.shape_keys.key_blocks] == [
        "step 100", "step 200", "step 300", "step 400"
    ]  # fmt: skip
    assert len(land.data.vertices) == 17 * 17
    assert bpy.context.scene.camera is None
    drained(stage.updating(shot))  # the same part
    assert len(land.data.shape_keys.key_blocks) == 4


@pytest.mark.parametrize("cache", [False, True], ids=["shape keys", "mesh cache"])
def test_given_up_an_import_leaves_nothing(empty, pair, tmp_path, cache):
    def everything():
        scene = bpy.context.scene
        there = set(bpy.data.user_map()), {path.name for path in tmp_path.iterdir()}
        return there, scene.camera, scene.world, scene.render.engine

    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    before = everything()
    for steps in range(1, 24):
        importing = stage.importing(pair, None, shots.Options(cache=cache))
        for _ in range(steps):
            next(importing)
        importing.close()
        assert everything() == before
