"""What an artist clicks."""

import bpy
import pytest

import addon
from addon import stage


@pytest.fixture
def registered(empty):
    addon.register()
    yield
    addon.unregister()


def contents():
    kinds = ("objects", "meshes", "materials", "cameras", "lights", "collections", "node_groups")
    return {kind: len(getattr(bpy.data, kind)) for kind in kinds}


def test_import_builds_the_shot(registered, tiny_file):
    assert bpy.ops.moving_lands.import_sequence(filepath=str(tiny_file)) == {"FINISHED"}
    parts = stage.parts(bpy.context.scene)
    assert {"Land", "Minimizer", "Camera", "Bead", "Live loss", "Key"} <= set(parts)
    assert bpy.context.scene.camera == parts["Camera"]


def test_a_bad_file_is_reported_and_leaves_nothing(registered, tmp_path):
    bad = tmp_path / "bad.h5"
    bad.write_text("not a sequence")
    before = contents()
    with pytest.raises(RuntimeError, match="not an HDF5 file"):
        bpy.ops.moving_lands.import_sequence(filepath=str(bad))
    assert contents() == before


def test_import_can_be_undone(registered, tiny_file):
    bpy.ops.ed.undo_push(message="before")
    bpy.ops.moving_lands.import_sequence("EXEC_DEFAULT", True, filepath=str(tiny_file))
    assert stage.parts(bpy.context.scene)
    bpy.ops.ed.undo()
    assert not stage.parts(bpy.context.scene)


def test_import_takes_any_scene_as_it_is(registered, tiny_file):
    scene = bpy.context.scene
    bpy.data.objects.new("Key", None)  # the names we would like may be taken
    if hasattr(scene.render.image_settings, "media_type"):
        scene.render.image_settings.media_type = "VIDEO"
    else:
        scene.render.image_settings.file_format = "FFMPEG"
    world = scene.world = bpy.data.worlds.new("the artist's")
    assert bpy.ops.moving_lands.import_sequence(filepath=str(tiny_file)) == {"FINISHED"}
    assert stage.parts(scene)["Key"].type == "LIGHT"
    assert world.users == 1


def test_everything_unregisters(registered):
    addon.unregister()
    assert not hasattr(bpy.types, "MOVING_LANDS_OT_import_sequence")
    addon.register()
    assert hasattr(bpy.types, "MOVING_LANDS_OT_import_sequence")
