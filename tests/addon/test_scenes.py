"""Where a shot comes: into a scene of its own, and an artist's scenes stay as they are."""

import bpy
import pytest
from funnel import funnel
from state import state

from addon.overlays.compositing import scenes_of
from addon.shot import parts as shots
from addon.shot import scripting as stage
from movinglands.sequence import write_sequence

FILM = stage.Settings(fps=8, seconds=1.0, width=64, height=36, rig="wide", poster_at=0.5)


@pytest.fixture
def file(tmp_path):
    write_sequence(tmp_path / "two.h5", "TWO", "", {"a": funnel(3, 9), "b": funnel(3, 9)})
    return tmp_path / "two.h5"


@pytest.fixture
def mine():
    """An artist's scene, in which they have begun something."""
    bpy.ops.wm.read_factory_settings()
    scene = bpy.context.scene
    scene.render.fps, scene.frame_end, scene.frame_current = 30, 77, 5
    scene.cursor.location = (1, 2, 3)
    for thing in scene.objects:  # cube, lamp and camera
        thing.select_set(True)
    return scene


def test_a_whole_shot_has_a_scene_of_its_own(mine, file):
    before = state()
    shot = stage.import_sequence(file, FILM)
    after = state()
    assert {key: after[key] for key in before} == before
    scene, parts = shots.scene_of(shot), shots.parts_of(shot)
    assert bpy.context.scene == scene != mine
    assert scene.name == "TWO" and scene.camera == parts["Camera"]
    assert (scene.render.fps, scene.frame_end, scene.frame_current) == (8, 8, FILM.poster_frame)
    layer = scene.view_layers[0]
    assert layer.objects.active == parts["Land"]
    assert list(layer.objects.selected) == shots.lands_of(shot)


def test_two_shots_have_nothing_to_do_with_each_other(mine, file):
    first = stage.import_sequence(file, FILM)
    scene = shots.scene_of(first)
    (apart,) = scenes_of(scene)
    before = state()
    second = stage.import_sequence(file, FILM)
    after = state()
    assert {key for key in before if after[key] != before[key]} == set()
    assert shots.scene_of(second) != scene
    assert apart.camera == shots.parts_of(first)["Overlay Camera"]
    assert shots.at_hand(bpy.context) == second


def test_lands_alone_come_where_the_cursor_is(mine, file):
    world, before = mine.world, state()
    shot = stage.import_sequence(file, FILM, shots.Options(whole=False))
    after = state()
    assert shots.scene_of(shot) == bpy.context.scene == mine
    changed = {key for key in before if after[key] != before[key]}
    assert changed == {("SCENE", mine.name)}  # which has the lands
    assert (mine.render.fps, mine.frame_end, mine.frame_current, mine.world) == (30, 77, 5, world)
    first, second = shots.lands_of(shot)
    assert tuple(first.location) == (1, 2, 3)
    assert tuple(second.location) == pytest.approx((1 + 11.2, 2, 3))
    assert bpy.context.view_layer.objects.active == first
    assert set(bpy.context.view_layer.objects.selected) == {first, second}


def test_an_empty_scene_is_taken(empty, file):
    scene = bpy.context.scene
    shot = stage.import_sequence(file, FILM)
    assert shots.scene_of(shot) == scene
    assert len(bpy.data.scenes) == 2  # and that of the overlays


def test_a_scene_with_settings_of_its_own_is_not(empty, file):
    bpy.context.scene.render.fps = 25
    assert shots.scene_of(stage.import_sequence(file, FILM)).name == "TWO"


def test_the_current_scene_is_taken_where_that_is_asked_for(mine, file):
    this = shots.Options(into="this scene")
    shot = stage.import_sequence(file, FILM, this)
    assert shots.scene_of(shot) == mine
    assert mine.render.fps == 8 and "Cube" in mine.objects
    assert shots.scene_of(stage.import_sequence(file, FILM, this)) != mine  # it has a shot


def test_each_shot_goes_by_its_own_scene(mine, file):
    """Not by the one that happens to be open."""
    shot = stage.import_sequence(file, FILM)
    scene = shots.scene_of(shot)
    scene.render.resolution_x, scene.render.resolution_y = 36, 64
    stage.update(shot)
    expected = list(shots.parts_of(shot)["Camera"].data.shift_x for _ in (0,))
    bpy.context.window.scene = mine
    stage.update(shot)
    assert list(shots.parts_of(shot)["Camera"].data.shift_x for _ in (0,)) == expected
    assert stage.change_look(shot, scene, "ink") == []
    assert stage.change_rig(shot, scene, "orbit") == []
    assert mine.render.fps == 30 and mine.world.name == "World"


def test_a_built_blend_has_the_shot_s_scene_and_nothing_else(file, tmp_path, command_line):
    command_line("build", file, "-o", tmp_path / "built.blend")
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "built.blend"))
    (shot,) = shots.in_file()
    scene = shots.scene_of(shot)
    assert bpy.context.scene == scene
    assert set(bpy.data.scenes) == {scene, *scenes_of(scene)}


def test_no_other_scene_can_be_asked_for():
    with pytest.raises(ValueError, match='into: expected "own scene" or "this scene", got \'mine'):
        shots.Options(into="mine")
