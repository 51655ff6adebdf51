"""Stamps: what is still as it was written, and what an artist changed."""

import bpy
import numpy as np
import pytest

from addon.blender import compat, edits
from addon.blender.keyframes import (
    is_keyed,
    key_driven,
    key_linear,
    key_spline,
    remove_keys,
    untouched,
)
from addon.splines import Spline


@pytest.fixture
def thing(empty):
    return bpy.data.objects.new("thing", None)


def test_nothing_is_untouched_that_was_never_stamped(thing):
    assert edits.stamped(thing, edits.TEXT) is None
    assert not edits.is_untouched(thing, edits.TEXT, "as it is")
    assert edits.is_untouched(thing, edits.TEXT, None)  # there was nothing, and there is nothing


@pytest.mark.parametrize(
    ("state", "same", "other"),
    [
        ("a text", "a text", "another"),
        ([1.0, 2.0], [1.0, 2.0 + 1e-7], [1.0, 2.1]),
        ([1.0, 2.0], [1.0, 2.0], [1.0]),
        ("a text", "a text", None),
    ],
)
def test_what_fits_its_stamp_is_untouched(thing, state, same, other):
    edits.stamp(thing, edits.SHAPE, state)
    assert edits.is_untouched(thing, edits.SHAPE, same)
    assert not edits.is_untouched(thing, edits.SHAPE, other)
    edits.release(thing, edits.SHAPE)
    assert edits.stamped(thing, edits.SHAPE) is None
    edits.release(thing, edits.SHAPE)  # again does no harm


def test_a_key_holds_stamps_of_several_parts(thing):
    edits.stamp(thing, edits.KEYS, "one", "first")
    edits.stamp(thing, edits.KEYS, "two", "second")
    assert edits.stamped(thing, edits.KEYS, "first") == "one"
    assert edits.is_untouched(thing, edits.KEYS, "two", "second")
    assert edits.is_untouched(thing, edits.KEYS, None, "third")


def test_checksums_tell_values_and_their_order():
    values = (1, "a", np.arange(3.0).tobytes(), (True, None))
    assert edits.checksum(*values) == edits.checksum(*values)
    assert edits.checksum(*values) != edits.checksum(*reversed(values))


def written(thing):
    """Key three properties, each in one of the ways there are."""
    smooth = Spline(np.array([1.0, 10, 20]), np.array([0.0, 1, 4]), np.array([0.0, 0.25, 0]))
    return [
        key_linear(thing, "location", [1, 10, 20], [0, 1, 4], 0),
        key_spline(thing, "location", smooth, 1),
        key_driven(thing, "location", (thing, "empty_display_size"), [0, 1, 2], [0, 1, 4], 2),
    ]


def curves(thing):
    return [*compat.fcurves(thing), *thing.animation_data.drivers]


def test_stamps_of_earlier_versions_hold(thing):
    written(thing)
    stamps = dict(thing["moving_lands_keys"])
    assert (stamps["location 0"], stamps["location 1"]) == ("0136128c", "c28b7e97")


@pytest.mark.parametrize("which", [0, 1, 2])
def test_keys_are_written_again_until_an_artist_changes_them(thing, which):
    assert written(thing) == written(thing) == [True] * 3
    curves(thing)[which].keyframe_points[1].co.y += 0.5
    assert [untouched(thing, "location", n) for n in range(3)] == [n != which for n in range(3)]
    assert written(thing) == [n != which for n in range(3)]
    assert curves(thing)[which].keyframe_points[1].co.y == 1.5


@pytest.mark.parametrize("which", [0, 1, 2])
def test_keys_that_an_artist_took_away_stay_away(thing, which):
    written(thing)
    if which < 2:
        compat.fcurves(thing).remove(curves(thing)[which])
    else:
        thing.driver_remove("location", 2)
    assert written(thing) == [n != which for n in range(3)]
    assert not is_keyed(thing, "location", which)


def test_all_keys_can_be_removed_whoever_changed_them(thing):
    written(thing)
    curves(thing)[0].keyframe_points[1].co.y += 0.5
    key_linear(thing, "scale", [1, 2], [1, 2], 0)
    thing.keyframe_insert("hide_render", frame=1)
    remove_keys(thing)
    assert [curve.data_path for curve in curves(thing)] == ["hide_render"]
    assert edits.stamped(thing, edits.KEYS) is None
    remove_keys(thing, "hide_render")
    assert curves(thing) == []
    assert written(thing) == [True] * 3
