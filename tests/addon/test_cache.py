"""The mesh cache: its file is what others read, and it shows what shape keys show."""

import shutil
import struct
import subprocess
import sys
from pathlib import Path

import bpy
import numpy as np
import pytest
from funnel import funnel
from lands import finish, seen, write_lands

from addon.land import cache_files, memory, mesh, mesh_cache
from addon.sequence.heights import HeightScale
from addon.sequence.reader import open_sequence
from addon.shot.build import import_sequence
from addon.shot.parts import Options, lands_of
from addon.shot.update import update
from movinglands.sequence import write_sequence

SCALE = HeightScale("log", 0.02, 50.0, 2.0)
FRAMES = (1, 11, 14.25, 16, 20.5, 25.999, 31, 40, -3)


@pytest.fixture
def shown(empty, tmp_path):
    write_lands(tmp_path / "lands.h5", 5, 7, 4)
    with open_sequence(tmp_path / "lands.h5") as opened:
        yield opened.surfaces["network"]


def built(shown, path=None):
    _, land = finish(mesh.building(shown, SCALE, 1, 31, path))
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
    (path,) = mesh_cache.beside_blend(["network"])
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
        mesh_cache.beside_blend(["network"])


def test_a_cache_that_is_there_is_not_overwritten(empty, tmp_path):
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    for name in ("shot a_b.pc2", "shot a_b 2.pc2", "shot a_b 3.pc2"):
        (path,) = mesh_cache.beside_blend(["a/b"])
        assert path == tmp_path / name
        path.touch()
    assert mesh_cache.next_file(tmp_path / "shot a_b 2.pc2", "a/b") == tmp_path / "shot a_b 4.pc2"


def test_caches_that_are_named_before_they_are_written_are_different_files(empty, tmp_path):
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    names = [path.name for path in mesh_cache.beside_blend(["a.b", "a b", "A/B", "c"])]
    assert names == ["shot a_b.pc2", "shot a_b 2.pc2", "shot A_B 3.pc2", "shot c.pc2"]


def test_surfaces_whose_names_are_one_file_name_have_a_cache_each(empty, tmp_path):
    write_sequence(tmp_path / "pair.h5", "PAIR", "", {"a.b": funnel(), "a b": funnel(size=21)})
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    cached, keyed = (
        import_sequence(tmp_path / "pair.h5", None, Options(cache=way, whole=False))
        for way in (True, False)
    )
    for land, expected in zip(lands_of(cached), lands_of(keyed), strict=True):
        assert mesh_cache.modifier(land)
        np.testing.assert_allclose(seen(land, 1), seen(expected, 1), atol=5e-6)


def test_writing_streams_and_given_up_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "land.pc2"
    path.write_bytes(b"before")
    asked = []

    def snapshots():
        for index in range(4):
            asked.append(index)
            yield np.full(6, index, np.float32)

    steps = mesh_cache.writing(path, snapshots(), 2, 4)
    assert next(steps) == 0.25
    assert next(steps) == 0.5
    assert asked == [0, 1]
    assert len(list(tmp_path.iterdir())) == 2
    steps.close()
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]
    assert finish(mesh_cache.writing(path, snapshots(), 2, 4))[0][-1] == 1
    assert path.stat().st_size == 32 + 4 * 2 * 12
    assert list(tmp_path.iterdir()) == [path]


def test_a_cache_that_the_disk_has_no_room_for_is_refused_before(tmp_path):
    path = tmp_path / "land.pc2"
    with pytest.raises(ValueError, match=r"land\.pc2: takes 12000000\.0 GB, the disk has .* left"):
        next(mesh_cache.writing(path, iter(()), 10**9, 10**6))
    assert not list(tmp_path.iterdir())


def test_a_cache_goes_first_and_keeps_its_place_and_settings(shown, tmp_path):
    land = bpy.data.objects.new("land", built(shown).data.copy())
    land.modifiers.new("bend", "SIMPLE_DEFORM")
    mesh_cache.attach(land, tmp_path / "a.pc2")
    assert [m.type for m in land.modifiers] == ["MESH_CACHE", "SIMPLE_DEFORM"]
    mesh_cache.modifier(land).factor = 0.5
    land.modifiers[0].name = "renamed"
    mesh_cache.attach(land, tmp_path / "b.pc2")
    assert [m.name for m in land.modifiers] == ["renamed", "bend"]
    assert land.modifiers[0].factor == 0.5
    assert land.modifiers[0].filepath.endswith("b.pc2")


def test_an_update_that_does_not_fit_in_memory_changes_nothing(empty, tmp_path, monkeypatch):
    write_sequence(tmp_path / "funnel.h5", "FUNNEL", "", {"network": funnel()})
    shot = import_sequence(tmp_path / "funnel.h5", None, Options(whole=False))
    before = seen(*lands_of(shot), 1)
    monkeypatch.setattr(memory, "machine_memory", lambda: 1000)
    for refused in (lambda path: update(shot, path), import_sequence):
        with pytest.raises(ValueError, match=r"network: 6 frames of 1089 points take 0\.0 GB"):
            refused(tmp_path / "funnel.h5")
    np.testing.assert_array_equal(seen(*lands_of(shot), 1), before)


# Which files are kept


@pytest.fixture
def followed(empty):
    """What is saved and opened is followed, as in an add-on that is enabled."""
    cache_files.register()
    yield
    cache_files.unregister()
    bpy.ops.wm.read_factory_settings(use_empty=True)


class Shot:
    """A land with a cache, in a .blend that is saved; its heights are those of a seed."""

    def __init__(self, folder, name="shot"):
        self.folder, self.blend = folder, folder / f"{name}.blend"
        folder.mkdir(exist_ok=True)
        bpy.ops.wm.save_as_mainfile(filepath=str(self.blend))
        bpy.ops.ed.undo_push(message="begin")  # in the background, undo begins with the first
        (path,) = mesh_cache.beside_blend(["network"])
        with self.sequence(0) as opened:
            built(opened.surfaces["network"], path)
        cache_files.changed([path])
        bpy.ops.ed.undo_push(message="import")

    def sequence(self, seed):
        path = self.folder / f"{seed}.h5"
        if not path.exists():
            write_lands(path, 5, 7, 4, seed)
        return open_sequence(path)

    def update(self, seed, push=True):
        with self.sequence(seed) as opened:
            land = bpy.data.objects["Land network"]
            finish(mesh.renewing(land, opened.surfaces["network"], SCALE))
        if push:
            bpy.ops.ed.undo_push(message=f"update {seed}")

    def shows(self, seed):
        """Whether the land that is there shows the heights of this seed."""
        with self.sequence(seed) as opened:
            expected = SCALE(opened.surfaces["network"].loss(2)).ravel()
        return seen(bpy.data.objects["Land network"], 21)[:, 2] == pytest.approx(expected, abs=1e-4)

    def caches(self):
        return sorted(path.name for path in self.folder.glob("*.pc2"))


def save():
    bpy.ops.wm.save_mainfile()


def load(blend):
    bpy.ops.wm.open_mainfile(filepath=str(blend))


def test_undo_and_redo_show_what_was_there_after_each_update(followed, tmp_path):
    shot = Shot(tmp_path)
    save()
    for seed in range(1, 6):
        shot.update(seed)
    assert shot.shows(5)
    for seed in (4, 3, 2, 1, 0):
        bpy.ops.ed.undo()
        assert shot.shows(seed)
    for seed in (1, 2, 3):
        bpy.ops.ed.redo()
        assert shot.shows(seed)
    save()
    assert shot.shows(3)
    for seed in (4, 5):
        bpy.ops.ed.redo()
        assert shot.shows(seed)


def test_what_was_undone_and_done_otherwise_leaves_no_file(followed, tmp_path):
    """As when a slider is dragged in the panel of the last operation."""
    shot = Shot(tmp_path)
    save()
    for seed in range(1, 6):
        shot.update(seed)
        assert len(shot.caches()) == 2
        if seed < 5:
            bpy.ops.ed.undo()
    bpy.ops.ed.undo()
    assert shot.shows(0)
    bpy.ops.ed.redo()
    assert shot.shows(5)


def test_imports_that_were_undone_leave_no_file(followed, tmp_path):
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    write_sequence(tmp_path / "funnel.h5", "FUNNEL", "", {"network": funnel()})
    bpy.ops.ed.undo_push(message="empty")
    for _ in range(3):
        import_sequence(tmp_path / "funnel.h5", None, Options(cache=True, whole=False))
        bpy.ops.ed.undo_push(message="import")
        bpy.ops.ed.undo()
    assert len(list(tmp_path.glob("*.pc2"))) == 1
    bpy.ops.ed.redo()
    assert len(list(tmp_path.glob("*.pc2"))) == 1
    assert cache_files.in_use() == set(tmp_path.glob("*.pc2"))


def test_a_deleted_land_comes_back_with_its_heights(followed, tmp_path):
    shot = Shot(tmp_path)
    shot.update(1)
    bpy.data.objects.remove(bpy.data.objects["Land network"])
    bpy.ops.ed.undo_push(message="delete")
    (path,) = mesh_cache.beside_blend(["other"])
    with shot.sequence(2) as opened:
        built(opened.surfaces["network"], path)
    cache_files.changed([path])
    bpy.ops.ed.undo_push(message="another land")
    for _ in range(2):
        bpy.ops.ed.undo()
    assert shot.shows(1)


def test_saved_and_opened_again_one_cache_is_left(followed, tmp_path):
    shot = Shot(tmp_path)
    save()
    for seed in range(1, 6):
        shot.update(seed)
    bpy.ops.ed.undo()
    save()
    load(shot.blend)
    assert shot.shows(4)
    assert len(shot.caches()) == 1
    shot.update(5)
    save()
    load(shot.blend)
    assert shot.shows(5)
    assert len(shot.caches()) == 1


def test_opened_again_without_saving_it_shows_what_was_saved(followed, tmp_path):
    shot = Shot(tmp_path)
    save()
    before = shot.caches()
    for seed in range(1, 4):
        shot.update(seed)
    load(shot.blend)
    assert shot.shows(0)
    assert shot.caches() == before


def test_without_undo_only_the_saved_cache_and_the_new_one_are_there(followed, tmp_path):
    bpy.context.preferences.edit.use_global_undo = False
    shot = Shot(tmp_path)
    save()
    for seed in range(1, 6):
        shot.update(seed, push=False)
        assert len(shot.caches()) == 2
    save()
    assert len(shot.caches()) == 1
    assert shot.shows(5)


@pytest.mark.parametrize("folder", ["", "elsewhere"])
def test_saved_under_another_name_both_keep_their_heights(followed, tmp_path, folder):
    first = Shot(tmp_path)
    save()
    first.update(1)
    second = tmp_path / folder / "second.blend"
    second.parent.mkdir(exist_ok=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(second))
    first.update(2)
    save()
    load(first.blend)
    assert first.shows(0)
    for seed in (3, 4):
        first.update(seed)
    save()
    load(second)
    assert first.shows(2)
    first.update(5)
    save()
    load(first.blend)
    assert first.shows(4)
    load(second)
    assert first.shows(5)
    assert [path.name for path in second.parent.glob("second*.pc2")] == ["second network 2.pc2"]


def test_the_cache_of_an_earlier_version_is_replaced_too(followed, tmp_path):
    shot = Shot(tmp_path)
    land = bpy.data.objects["Land network"]
    land["moving_lands"] = "Land"
    del land["moving_lands_cache"]
    save()
    load(shot.blend)
    shot.update(1)
    save()
    load(shot.blend)
    assert shot.caches() == ["shot network 2.pc2"]


def test_a_file_of_the_artists_own_stays(followed, tmp_path):
    shot = Shot(tmp_path)
    mine = tmp_path / "mine.pc2"
    shutil.copy(tmp_path / "shot network.pc2", mine)
    bpy.data.objects["Land network"].modifiers[0].filepath = "//mine.pc2"
    save()
    shot.update(1)
    save()
    load(shot.blend)
    assert shot.shows(1)
    assert mine.exists()


def test_nothing_is_noted_beside_the_caches_of_an_artist(followed, tmp_path):
    Shot(tmp_path)
    mine = tmp_path / "shot cloth.pc2"
    shutil.copy(tmp_path / "shot network.pc2", mine)
    cloth = bpy.data.objects.new("cloth", bpy.data.meshes.new("cloth"))
    bpy.context.scene.collection.objects.link(cloth)
    modifier = cloth.modifiers.new("cache", "MESH_CACHE")
    modifier.cache_format, modifier.filepath = "PC2", str(mine)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "copy.blend"), copy=True)
    assert [path.name for path in tmp_path.glob("*.users")] == ["shot network.pc2.users"]


def test_a_file_that_another_one_shows_stays_as_it_was(followed, tmp_path):
    """To the byte: frames that were rendered from it go by its content."""
    shot = Shot(tmp_path)
    save()
    before = (tmp_path / "shot network.pc2").read_bytes()
    copy = tmp_path / "a copy.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(copy), copy=True)
    assert (tmp_path / "shot network.pc2").read_bytes() == before
    copy.unlink()
    shot.update(1)
    save()
    load(shot.blend)
    assert [path.name for path in tmp_path.glob("*.pc2*")] == ["shot network 2.pc2"]


def test_of_a_land_that_two_files_show_neither_loses_its_cache(followed, tmp_path):
    shot = Shot(tmp_path)
    save()
    second = tmp_path / "second.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(second))
    load(shot.blend)
    shot.update(1)
    save()
    load(second)
    assert shot.shows(0)
    shot.update(2)
    save()
    load(shot.blend)
    assert shot.shows(1)


def test_a_copy_to_render_keeps_its_cache_as_long_as_it_is_there(followed, tmp_path):
    shot = Shot(tmp_path)
    save()
    copy = tmp_path / "shot (rendering).blend"
    shot.update(1)
    bpy.ops.wm.save_as_mainfile(filepath=str(copy), copy=True)
    shot.update(2)
    save()
    load(copy)
    assert shot.shows(1)
    load(shot.blend)
    assert len(shot.caches()) == 2
    copy.unlink()
    shot.update(3)
    save()
    load(shot.blend)
    assert shot.shows(3)


def test_nothing_is_removed_where_another_blender_saved_over_it(followed, tmp_path):
    shot = Shot(tmp_path)
    save()
    shot.update(1)
    other = tmp_path / "other.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(other), copy=True)
    other.replace(shot.blend)
    for seed in (2, 3):
        shot.update(seed)
    load(shot.blend)
    assert shot.shows(1)


QUIT = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[3:]
import bpy
from addon.land import cache_files
from test_cache import Shot, save
bpy.ops.wm.read_factory_settings(use_empty=True)
cache_files.register()
shot = Shot(Path(sys.argv[1]))
save()
for seed in (1, 2, 3):
    shot.update(seed)
if sys.argv[2] == "saved":
    save()
cache_files.unregister()
"""


@pytest.mark.parametrize(("how", "left", "seed"), [("saved", 1, 3), ("not saved", 2, 0)])
def test_quitting_leaves_what_is_saved_and_what_was_open(followed, tmp_path, how, left, seed):
    """What was open is for Recover Last Session."""
    root = Path(__file__).parents[2]
    paths = [root, root / "compute", root / "tests", root / "tests/addon"]
    command = [sys.executable, "-c", QUIT, str(tmp_path), how, *map(str, paths)]
    subprocess.run(command, check=True, timeout=100)
    assert len(list(tmp_path.glob("*.pc2"))) == left
    load(tmp_path / "shot.blend")
    shot = Shot.__new__(Shot)
    shot.folder = tmp_path
    assert shot.shows(seed)
