"""The mesh cache: its file is what others read, and it shows what shape keys show."""

import shutil
import struct

import bpy
import numpy as np
import pytest
from lands import finish, seen, write_lands

from addon.land import mesh as surface
from addon.land import mesh_cache as cache
from addon.sequence.heights import HeightScale
from addon.sequence.reader import open_sequence

SCALE = HeightScale("log", 0.02, 50.0, 2.0)
FRAMES = (1, 11, 14.25, 16, 20.5, 25.999, 31, 40, -3)


@pytest.fixture
def shown(empty, tmp_path):
    write_lands(tmp_path / "lands.h5", 5, 7, 4)
    with open_sequence(tmp_path / "lands.h5") as opened:
        yield opened.surfaces["network"]


def built(shown, path=None):
    _, land = finish(surface.building(shown, SCALE, 1, 31, path))
    bpy.context.scene.collection.objects.link(land)
    return land


def test_the_file_is_a_pc2_file(shown, tmp_path):
    """As 3ds Max' SDK lays it out: char[12], int, int, float, float, int, then float[3]."""
    land = built(shown)
    built(shown, tmp_path / "land.pc2")
    content = (tmp_path / "land.pc2").read_bytes()
    assert content[:12] == b"POINTCACHE2\x00"
    assert struct.unpack("<ii", content[12:20]) == (1, 35)
    assert struct.unpack("<ff", content[20:28]) == (0.0, 1.0)
    assert struct.unpack("<i", content[28:32]) == (4,)
    assert len(content) == 32 + 4 * 35 * 12
    points = np.frombuffer(content[32:], "<f4").reshape(4, 35, 3)
    for index, key in enumerate(land.data.shape_keys.key_blocks):
        expected = np.empty(35 * 3, np.float32)
        key.points.foreach_get("co", expected)
        np.testing.assert_array_equal(points[index].ravel(), expected)


def test_it_shows_what_shape_keys_show_between_snapshots_too(shown, tmp_path):
    keyed, cached = built(shown), built(shown, tmp_path / "land.pc2")
    for frame in FRAMES:
        np.testing.assert_allclose(seen(cached, frame), seen(keyed, frame), atol=5e-6)
    assert not cached.data.shape_keys


def test_without_its_file_it_is_the_first_snapshot(shown, tmp_path):
    cached = built(shown, tmp_path / "land.pc2")
    before = seen(cached, 1)
    (tmp_path / "land.pc2").unlink()
    np.testing.assert_array_equal(seen(cached, 20), before)


def test_blend_and_cache_move_together(shown, tmp_path):
    shot = tmp_path / "a" / "shot.blend"
    shot.parent.mkdir()
    bpy.ops.wm.save_as_mainfile(filepath=str(shot))
    path = cache.beside_blend("network")
    assert path == shot.with_name("shot network.pc2")
    cached = built(shown, path)
    assert cached.modifiers[0].filepath == "//shot network.pc2"
    expected = [seen(cached, frame) for frame in FRAMES]
    bpy.ops.wm.save_mainfile()
    bpy.ops.wm.read_factory_settings(use_empty=True)
    shutil.move(tmp_path / "a", tmp_path / "b")
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "b" / "shot.blend"))
    moved = bpy.data.objects["Land network"]
    for frame, places in zip(FRAMES, expected, strict=True):
        np.testing.assert_array_equal(seen(moved, frame), places)


def test_an_absolute_path_becomes_relative_when_the_blend_is_first_saved(shown, tmp_path):
    built(shown, tmp_path / "land.pc2")
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"), copy=True)
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "shot.blend"))
    assert bpy.data.objects["Land network"].modifiers[0].filepath == "//land.pc2"


def test_a_blend_that_is_not_saved_has_no_place_for_it(empty):
    with pytest.raises(ValueError, match=r"lies beside the \.blend: save the \.blend first\.$"):
        cache.beside_blend("network")


def test_a_cache_that_is_there_is_not_overwritten(empty, tmp_path):
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    for name in ("shot a_b.pc2", "shot a_b 2.pc2", "shot a_b 3.pc2"):
        path = cache.beside_blend("a/b")
        assert path == tmp_path / name
        path.touch()
    assert cache.beside(tmp_path / "shot a_b 2.pc2") == tmp_path / "shot a_b 4.pc2"


def test_writing_streams_and_given_up_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "land.pc2"
    path.write_bytes(b"before")
    asked = []

    def snapshots():
        for index in range(4):
            asked.append(index)
            yield np.full(6, index, np.float32)

    steps = cache.writing(path, snapshots(), 2, 4)
    assert next(steps) == 0.25
    assert next(steps) == 0.5
    assert asked == [0, 1]
    assert len(list(tmp_path.iterdir())) == 2
    steps.close()
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]
    assert finish(cache.writing(path, snapshots(), 2, 4))[0][-1] == 1
    assert path.stat().st_size == 32 + 4 * 2 * 12
    assert list(tmp_path.iterdir()) == [path]


def test_a_cache_that_the_disk_has_no_room_for_is_refused_before(tmp_path):
    path = tmp_path / "land.pc2"
    with pytest.raises(ValueError, match=r"land\.pc2: takes 12000000\.0 GB, the disk has .* left"):
        next(cache.writing(path, iter(()), 10**9, 10**6))
    assert not list(tmp_path.iterdir())


def test_a_cache_goes_first_and_keeps_its_place_and_settings(shown, tmp_path):
    land = bpy.data.objects.new("land", built(shown).data.copy())
    land.modifiers.new("bend", "SIMPLE_DEFORM")
    cache.attach(land, tmp_path / "a.pc2")
    assert [m.type for m in land.modifiers] == ["MESH_CACHE", "SIMPLE_DEFORM"]
    cache.modifier(land).factor = 0.5
    land.modifiers[0].name = "renamed"
    cache.attach(land, tmp_path / "b.pc2")
    assert [m.name for m in land.modifiers] == ["renamed", "bend"]
    assert land.modifiers[0].factor == 0.5
    assert land.modifiers[0].filepath.endswith("b.pc2")
