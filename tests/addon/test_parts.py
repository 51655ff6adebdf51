"""What objects are in their shot: told by their records, whatever they are called and wherever."""

import dataclasses

import bpy
import numpy as np
import pytest
from funnel import funnel
from lands import drained

from addon.shot import parts as shots
from addon.shot import scripting as stage
from addon.shot.settings import Settings
from addon.units import WIDTH
from movinglands.sequence import write_sequence


def with_paths(size=11, frames=3, **paths):
    """A funnel with straight paths that lie at these betas."""
    line = np.linspace(-0.8, 0.8, 5)
    places = {
        name: np.column_stack([line, np.full(5, beta), np.ones(5)]) for name, beta in paths.items()
    }
    return dataclasses.replace(funnel(size=size, frames=frames), paths=places)


def written(path, **surfaces):
    write_sequence(path, "PARTS", "", surfaces)
    return path


def points_of(curve):
    """Where a curve's points are at its first snapshot."""
    key = curve.data.shape_keys.key_blocks[0]
    places = np.empty(3 * len(key.data), np.float32)
    key.data.foreach_get("co", places)
    return places.reshape(-1, 3)


def path_of(land, beta):
    """The curve on a land that lies at a beta."""
    unit = WIDTH / 2.4
    (found,) = [
        thing for thing in land.children
        if thing.type == "CURVE" and np.allclose(points_of(thing)[:, 1], beta * unit, atol=1e-3)
    ]  # fmt: skip
    return found


def test_a_path_called_like_another_land_s_is_its_own(empty, tmp_path):
    """Its name ends in 2, and there is a second land with a path of the name before that."""
    one, other = with_paths(**{"line 2": 0.5}), with_paths(line=-0.5)
    shot = stage.import_sequence(written(tmp_path / "a.h5", one=one, other=other))
    first, second = shots.lands_of(shot)
    mine, theirs = path_of(first, 0.5), path_of(second, -0.5)
    assert len({thing.name for thing in shots.parts_of(shot).values()}) == len(shot.all_objects)
    one, other = with_paths(**{"line 2": 0.25}), with_paths(line=-0.25)
    drained(stage.updating(shot, written(tmp_path / "b.h5", one=one, other=other)))
    assert path_of(first, 0.25) == mine
    assert path_of(second, -0.25) == theirs


@pytest.mark.parametrize("name", ["Land", "Bead", "Camera", "Live loss"])
def test_a_part_is_found_in_any_collection(empty, tmp_path, name):
    shot = stage.import_sequence(written(tmp_path / "a.h5", one=funnel(size=11, frames=3)))
    part = shots.parts_of(shot)[name]
    beside = bpy.data.collections.new("Beside")
    bpy.context.scene.collection.children.link(beside)
    (home,) = part.users_collection
    beside.objects.link(part)
    home.objects.unlink(part)
    assert shots.parts_of(shot)[name] == part
    longer = written(tmp_path / "b.h5", one=funnel(size=11, frames=5))
    assert drained(stage.updating(shot, longer)) == []
    if name == "Land":
        assert len(part.data.shape_keys.key_blocks) == 5


def test_a_part_that_was_deleted_stays_so(empty, tmp_path):
    shot = stage.import_sequence(written(tmp_path / "a.h5", one=funnel(size=11, frames=3)))
    part = shots.parts_of(shot)["Bead"]
    shot.objects.unlink(part)
    assert "Bead" not in shots.parts_of(shot)


def copied(collection):
    """A copy of a collection, of what is in it, and of the collections in it."""
    copy = collection.copy()
    for thing in list(copy.objects):
        copy.objects.unlink(thing)
        copy.objects.link(thing.copy())
    for child in list(copy.children):
        copy.children.unlink(child)
        copy.children.link(copied(child))
    return copy


def test_a_copy_of_a_shot_has_parts_of_its_own(empty, tmp_path):
    shot = stage.import_sequence(written(tmp_path / "a.h5", one=funnel(size=11, frames=3)))
    copy = copied(shot)
    bpy.context.scene.collection.children.link(copy)
    own, theirs = shots.parts_of(shot), shots.parts_of(copy)
    assert set(own) == set(theirs)
    assert set(own.values()) == set(shot.all_objects)
    assert set(theirs.values()) == set(copy.all_objects)
    for each, parts in ((shot, own), (copy, theirs)):
        bpy.context.view_layer.objects.active = parts["Land"]
        assert shots.at_hand(bpy.context) == each


def test_lands_are_brought_up_to_date_by_name(empty, tmp_path):
    one, other = funnel(size=11, frames=3), funnel(size=21, frames=3)
    shot = stage.import_sequence(written(tmp_path / "a.h5", one=one, other=other))
    first, second = shots.lands_of(shot)
    more = {"before": funnel(size=5, frames=3), "one": one, "other": other}
    assert drained(stage.updating(shot, written(tmp_path / "b.h5", **more))) == []
    assert [len(land.data.vertices) for land in (first, second)] == [11 * 11, 21 * 21]
    alone = written(tmp_path / "c.h5", other=funnel(size=31, frames=3))
    assert drained(stage.updating(shot, alone)) == [first.name]
    assert [len(land.data.vertices) for land in (first, second)] == [11 * 11, 31 * 31]
    assert shots.lands_of(shot) == [first, second]


def test_surfaces_of_other_names_take_the_lands_in_order(empty, tmp_path):
    one, other = funnel(size=11, frames=3), funnel(size=21, frames=3)
    shot = stage.import_sequence(written(tmp_path / "a.h5", one=one, other=other))
    first, second = shots.lands_of(shot)
    renamed = {"generator": funnel(size=5, frames=3), "one": funnel(size=7, frames=3)}
    drained(stage.updating(shot, written(tmp_path / "b.h5", **renamed)))
    assert [len(land.data.vertices) for land in (first, second)] == [7 * 7, 5 * 5]
    swapped = {"generator": funnel(size=9, frames=3), "one": funnel(size=7, frames=3)}
    drained(stage.updating(shot, written(tmp_path / "c.h5", **swapped)))
    assert [len(land.data.vertices) for land in (first, second)] == [7 * 7, 9 * 9]


# As versions before recorded it


def as_before(shot):
    """Give a shot's parts the names that were their only record."""
    parts = shots.parts_of(shot)
    for part, thing in parts.items():
        thing[shots.MARK] = parts.name(part)
    for key in ("moving_lands_shot", "moving_lands_surfaces"):
        del shot[key]
    return {parts.name(part): thing for part, thing in parts.items()}


def test_a_shot_of_an_earlier_version_is_read(empty, tmp_path):
    acts = [{"rig": "ride"}, {"rig": "orbit", "start": 0.5, "transition": "fade"}]
    surfaces = {
        "one": with_paths(**{"line 2": 0.5, "line": 0.1}), "other": with_paths(curve=-0.5)
    }  # fmt: skip
    path = written(tmp_path / "a.h5", **surfaces)
    shot = stage.import_sequence(path, Settings(acts=acts, seconds=10.0))
    first, second = shots.lands_of(shot)
    before = as_before(shot)
    parts = shots.parts_of(shot)
    assert {parts.name(part): thing for part, thing in parts.items()} == before
    assert shots.lands_of(shot) == [first, second]
    assert parts["Camera 2"].type == "CAMERA" and parts["Badge 2"] and parts["Key 2"]
    assert drained(stage.updating(shot)) == []
    assert {part.surface for part in shots.parts_of(shot)} == {"", "one", "other"}
    after = shots.parts_of(shot)
    assert {after.name(part): thing for part, thing in after.items()} == before


def test_the_active_camera_is_found_by_its_earlier_name(empty, tmp_path):
    acts = [{"rig": "ride"}, {"rig": "orbit", "start": 0.5}]
    path = written(tmp_path / "a.h5", one=with_paths())
    shot = stage.import_sequence(path, Settings(acts=acts, seconds=4.0))
    active = shots.parts_of(shot)["Active Camera"]
    active[shots.MARK] = {**active[shots.MARK], "kind": "Camera Now"}
    assert shots.parts_of(shot)["Active Camera"] == active
    as_before(shot)
    active[shots.MARK] = "Camera Now"
    parts = shots.parts_of(shot)
    assert parts["Active Camera"] == parts["Camera Now"] == active
