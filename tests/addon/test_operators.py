"""What an artist clicks."""

import shutil
from pathlib import Path

import bpy
import pytest
from funnel import funnel

import addon
from addon.camera import cuts, rigs
from addon.shot import parts as shots
from addon.shot.settings import CHOICES
from addon.ui import edit_operators
from movinglands.sequence import write_sequence


@pytest.fixture
def registered(empty):
    addon.register()
    yield
    addon.unregister()


@pytest.fixture
def own_file(tiny_file, tmp_path):
    """A sequence that a test may change."""
    return Path(shutil.copy(tiny_file, tmp_path))


@pytest.fixture
def imported(registered, own_file):
    """A shot, as a click on Import makes it."""
    bpy.ops.moving_lands.import_sequence(filepath=str(own_file))
    (shot,) = shots.in_scene(bpy.context.scene)
    return shot


@pytest.fixture(scope="module")
def other_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("other") / "other.h5"
    write_sequence(path, "OTHER", "", {"network": funnel(frames=3, size=21)})
    return path


def contents():
    kinds = ("objects", "meshes", "materials", "cameras", "lights", "collections", "node_groups")
    return {kind: len(getattr(bpy.data, kind)) for kind in kinds}


def test_import_builds_the_shot(registered, tiny_file):
    assert bpy.ops.moving_lands.import_sequence(filepath=str(tiny_file)) == {"FINISHED"}
    parts = shots.parts(bpy.context.scene)
    assert all(n in parts for n in ("Land", "Minimizer", "Camera", "Bead", "Live loss", "Key"))
    assert bpy.context.scene.camera == parts["Camera"]


def test_import_of_a_part(registered, tiny_file):
    bpy.ops.moving_lands.import_sequence(
        filepath=str(tiny_file), whole=False, first=1, last=4, every=2, thin=2
    )
    (land,) = shots.parts(bpy.context.scene).values()
    names = [key.name for key in land.data.shape_keys.key_blocks]
    assert names == ["step 50", "step 150", "step 200"]
    assert len(land.data.vertices) == 17 * 17


def test_look_and_camera_can_be_chosen(registered, tiny_file):
    bpy.ops.moving_lands.import_sequence(filepath=str(tiny_file), look="ink", rig="orbit")
    (shot,) = shots.in_scene(bpy.context.scene)
    settings, _ = shots.made_with(shot)
    assert (settings.name, settings.rig, settings.acts) == ("ink", "orbit", [])
    assert settings.film_acts[0].framing == rigs.RIGS["orbit"].framing
    assert shots.parts(bpy.context.scene)["Camera"][cuts.TAKE]["rig"] == "orbit"


def test_every_look_and_rig_can_be_chosen():
    assert tuple(name for name, *_ in edit_operators.LOOKS) == CHOICES["name"]
    assert tuple(name for name, *_ in edit_operators.RIGS) == tuple(rigs.RIGS)


@pytest.mark.parametrize(("budget", "cached"), [(0.0, True), (1.0, False)])
def test_memory_decides_on_the_storage(
    registered, tiny_file, tmp_path, monkeypatch, budget, cached
):
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    monkeypatch.setattr(
        edit_operators, "preferences", lambda context: type("", (), {"memory_budget": budget})
    )
    bpy.ops.moving_lands.import_sequence(filepath=str(tiny_file))
    assert (shots.parts(bpy.context.scene)["Land"].data.shape_keys is None) == cached
    assert bool(list(tmp_path.glob("*.pc2"))) == cached


def test_a_cache_needs_a_saved_blend(registered, tiny_file):
    with pytest.raises(RuntimeError, match=r"save the \.blend first"):
        bpy.ops.moving_lands.import_sequence(filepath=str(tiny_file), storage="CACHE")
    assert not shots.in_scene(bpy.context.scene)


@pytest.mark.parametrize("operator", ["import_sequence", "replace", "update"])
def test_a_bad_file_is_reported_and_leaves_nothing(imported, tmp_path, operator):
    bad = tmp_path / "bad.h5"
    bad.write_text("not a sequence")
    before = contents()
    with pytest.raises(RuntimeError, match="not an HDF5 file"):
        getattr(bpy.ops.moving_lands, operator)(filepath=str(bad))
    assert contents() == before


def test_import_takes_any_scene_as_it_is(registered, tiny_file):
    scene = bpy.context.scene
    bpy.data.objects.new("Key", None)  # the names we would like may be taken
    if hasattr(scene.render.image_settings, "media_type"):
        scene.render.image_settings.media_type = "VIDEO"
    else:
        scene.render.image_settings.file_format = "FFMPEG"
    world = scene.world = bpy.data.worlds.new("the artist's")
    assert bpy.ops.moving_lands.import_sequence(filepath=str(tiny_file)) == {"FINISHED"}
    assert shots.parts(scene)["Key"].type == "LIGHT"
    assert world.users == 1


def test_a_second_import_is_a_second_shot(imported, other_file):
    bpy.ops.moving_lands.import_sequence(filepath=str(other_file), whole=False)
    first, second = shots.in_scene(bpy.context.scene)
    assert {first.name, second.name} == {"TINY", "OTHER"}
    bpy.context.view_layer.objects.active = shots.lands_of(second)[0]
    assert shots.at_hand(bpy.context) == second
    bpy.ops.moving_lands.update()
    assert len(shots.lands_of(first)[0].data.vertices) == 33 * 33
    assert len(shots.lands_of(second)[0].data.vertices) == 21 * 21


def look():
    """What operators change: lands' files, snapshots, points, heights and modifiers."""
    scene = bpy.context.scene
    scene.frame_set(scene.frame_end)
    graph = bpy.context.evaluated_depsgraph_get()
    found = []
    for shot in shots.in_scene(scene):
        for land in shots.lands_of(shot):
            middle = land.evaluated_get(graph).data.vertices[len(land.data.vertices) // 3]
            names = [modifier.name for modifier in land.modifiers]
            names += [slot.material.name for slot in land.material_slots]
            keys = len(land.data.shape_keys.key_blocks)
            eye = scene.camera.matrix_world.translation.to_tuple(4)
            found.append((shot[shots.MARK], eye, keys, len(land.data.vertices), middle.co.z, names))
    return found


OPERATORS = {
    "update": {},
    "replace": {"filepath": None},
    "set_heights": {"scale": "linear", "relief": 0.5, "reverse": True},
    "change_look": {"look": "ink"},
    "change_camera": {"rig": "orbit"},
    "add_skirt": {},
    "add_thickness": {},
    "import_sequence": {"filepath": None},
}


@pytest.mark.parametrize("name", OPERATORS)
def test_every_operator_can_be_undone(imported, other_file, own_file, name):
    given = {k: str(other_file) if v is None else v for k, v in OPERATORS[name].items()}
    if name == "update":
        write_sequence(own_file, "TINY", "", {"network": funnel(frames=8)})
    before = look()
    bpy.ops.ed.undo_push(message="before")
    operator = getattr(bpy.ops.moving_lands, name)
    assert operator("EXEC_DEFAULT", True, **given) == {"FINISHED"}
    after = look()
    assert after != before
    bpy.ops.ed.undo()
    assert look() == before
    bpy.ops.ed.redo()
    assert look() == after


@pytest.mark.parametrize("name", [name for name in OPERATORS if name != "import_sequence"])
def test_without_a_shot_there_is_nothing_to_do(registered, name):
    assert not getattr(bpy.ops.moving_lands, name).poll()


def test_every_operator_and_property_has_a_tooltip(registered):
    found = [name for name in dir(bpy.types) if name.startswith("MOVING_LANDS_")]
    assert len(found) > 8
    for name in found:
        kind = getattr(bpy.types, name)
        if "_OT_" in name:
            rna = getattr(bpy.ops.moving_lands, name.split("_OT_")[1]).get_rna_type()
            assert rna.description, name
        elif "_PG_" in name or "_AP_" in name:
            rna = kind.bl_rna
        else:
            continue
        own = set(kind.__annotations__)
        for prop in rna.properties:
            if prop.identifier in own and not prop.is_hidden:
                assert prop.description, f"{name}.{prop.identifier}"
                assert not prop.description.endswith("."), f"{name}.{prop.identifier}"


def test_a_dropped_file_is_imported(registered):
    (handler,) = [
        kind
        for kind in bpy.types.FileHandler.__subclasses__()
        if kind.__name__.startswith("MOVING")
    ]
    assert handler.bl_import_operator == "moving_lands.import_sequence"
    assert set(handler.bl_file_extensions.split(";")) == {".h5", ".hdf5"}


def test_everything_unregisters(registered):
    addon.unregister()
    assert not [name for name in dir(bpy.types) if name.startswith("MOVING_LANDS_")]
    assert not hasattr(bpy.types.Scene, "moving_lands_shot")
    addon.register()
    assert hasattr(bpy.types, "MOVING_LANDS_OT_import_sequence")
