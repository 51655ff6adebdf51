"""What an artist clicks."""

import dataclasses
import shutil
from pathlib import Path
from types import SimpleNamespace

import bpy
import pytest
from funnel import funnel

import addon
from addon import ui
from addon.camera import rigs
from addon.camera.record import RECORD
from addon.look import LOOKS
from addon.sequence.format import SequenceError
from addon.shot import parts as shots
from addon.ui import choices, file_summary, import_operators, modal
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


def test_a_recipe_with_an_unknown_look_is_refused_unless_another_is_chosen(registered, tmp_path):
    path = tmp_path / "glass.h5"
    write_sequence(path, "GLASS", '[look]\nname = "glass"', {"network": funnel(frames=2, size=9)})
    words = {"filepath": str(path), "whole": False}
    with pytest.raises(RuntimeError, match=f"expected one of {', '.join(LOOKS)}"):
        bpy.ops.moving_lands.import_sequence(**words)
    bpy.ops.moving_lands.import_sequence(**words, look="ink")
    (land,) = shots.parts(bpy.context.scene).values()
    assert land.active_material.name == "Ink"


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
    assert shots.parts(bpy.context.scene)["Camera"][RECORD]["rig"] == "orbit"


def test_every_look_and_rig_can_be_chosen():
    assert tuple(name for name, *_ in choices.LOOKS) == tuple(LOOKS)
    assert tuple(name for name, *_ in choices.RIGS) == tuple(rigs.RIGS)


@pytest.mark.parametrize(("budget", "cached"), [(0.0, True), (1.0, False)])
def test_memory_decides_on_the_storage(
    registered, tiny_file, tmp_path, monkeypatch, budget, cached
):
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    monkeypatch.setattr(
        import_operators, "preferences", lambda context: type("", (), {"memory_budget": budget})
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


def test_import_leaves_any_scene_as_it_is(registered, tiny_file):
    scene = bpy.context.scene
    bpy.data.objects.new("Key", None)  # the names we would like may be taken
    if hasattr(scene.render.image_settings, "media_type"):
        scene.render.image_settings.media_type = "VIDEO"
    else:
        scene.render.image_settings.file_format = "FFMPEG"
    world = scene.world = bpy.data.worlds.new("the artist's")
    assert bpy.ops.moving_lands.import_sequence(filepath=str(tiny_file)) == {"FINISHED"}
    (shot,) = shots.in_file()
    assert shots.parts_of(shot)["Key"].type == "LIGHT"
    assert shots.scene_of(shot) != scene
    assert (scene.world, world.users) == (world, 1)


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


REDONE = {
    "import_sequence": ({"look": "flesh", "rig": "ride"}, {"look": "ink", "rig": "orbit"}),
    "set_heights": ({"relief": 0.5}, {"relief": 0.1, "reverse": True}),
    "change_look": ({"look": "ink"}, {"look": "fur"}),
    "change_camera": ({"rig": "orbit"}, {"rig": "wide"}),
}


@pytest.mark.parametrize("name", REDONE)
def test_what_is_changed_in_the_redo_panel_is_as_a_fresh_call(imported, other_file, name):
    operator = getattr(bpy.ops.moving_lands, name)
    file = {"filepath": str(other_file)} if name == "import_sequence" else {}
    bpy.ops.ed.undo_push(message="before")

    def seen():
        notes = sorted(c[shots.MADE_WITH] for c in shots.in_file())
        return notes, look(), [len(bpy.data.objects), len(bpy.data.scenes)]

    first, then = REDONE[name]
    operator("EXEC_DEFAULT", True, **file, **first)
    bpy.ops.ed.undo()
    operator("EXEC_DEFAULT", True, **file, **then)
    redone = seen()
    bpy.ops.ed.undo()
    operator("EXEC_DEFAULT", True, **file, **then)
    assert seen() == redone


@pytest.mark.parametrize("name", [name for name in OPERATORS if name != "import_sequence"])
def test_without_a_shot_there_is_nothing_to_do(registered, name):
    assert not getattr(bpy.ops.moving_lands, name).poll()


STEPPING = ["import_sequence", "update", "replace", "set_heights", "change_camera"]


def test_every_operator_that_steps_is_tested():
    kinds = [kind for kind in ui.CLASSES if issubclass(kind, modal.InSteps)]
    assert {kind.bl_idname for kind in kinds} == {f"moving_lands.{name}" for name in STEPPING}


@pytest.mark.parametrize("name", STEPPING)
def test_execute_is_over_when_it_answers_whatever_its_properties(
    imported, other_file, monkeypatch, name
):
    """Blender repeats it by ``execute``, with the properties of the click, and crashes else."""
    monkeypatch.setattr(modal, "has_events", lambda context: bool(context.window))
    assert bpy.context.window
    operator = getattr(bpy.ops.moving_lands, name)
    rna = operator.get_rna_type()
    switches = [p.identifier for p in rna.properties if p.type == "BOOLEAN" and not p.is_readonly]
    file = {"filepath": str(other_file)} if "filepath" in rna.properties else {}
    for given in ({}, *({switch: True} for switch in switches)):
        assert operator("EXEC_DEFAULT", **file, **given) == {"FINISHED"}, given


class MOVING_LANDS_OT_trial(modal.InSteps, bpy.types.Operator):
    """Steps as a test wants them."""

    bl_idname = "moving_lands.trial"
    bl_label = "Trial"
    work = None
    instance = None

    def execute(self, context):  # without a window Blender never invokes
        type(self).instance = self
        return self.invoke(context, None)

    def ask(self, context, event):
        return super().execute(context)

    def steps(self, context):
        return type(self).work()

    def done(self, result):
        return f"it is {result}"


@pytest.fixture
def trial(empty, monkeypatch):
    """Run steps as a click does, by as many ticks as they take; return the answers."""
    monkeypatch.setattr(modal, "has_events", lambda context: bool(context.window))
    monkeypatch.setattr(modal, "SLICE", 0.0)
    bpy.utils.register_class(MOVING_LANDS_OT_trial)

    def run(work, *events):
        MOVING_LANDS_OT_trial.work = staticmethod(work)
        answers = [bpy.ops.moving_lands.trial()]
        for event in events:
            event = SimpleNamespace(type=event)
            answers.append(MOVING_LANDS_OT_trial.instance.modal(bpy.context, event))
        return answers

    yield run
    bpy.ops.wm.read_factory_settings(use_empty=True)  # ends those that are modal
    bpy.utils.unregister_class(MOVING_LANDS_OT_trial)


MODAL, FINISHED, CANCELLED = {"RUNNING_MODAL"}, {"FINISHED"}, {"CANCELLED"}


def test_a_click_goes_on_by_ticks(trial):
    def work():
        yield from (0.0, 0.5)
        return "done"

    answers = trial(work, "TIMER", "MOUSEMOVE", "TIMER", "TIMER")
    assert answers == [MODAL, MODAL, MODAL, MODAL, FINISHED]


def test_a_defect_ends_an_operator(trial, capsys, monkeypatch):
    undone = []

    def work():
        try:
            yield 0.0
            {}["nothing"]
        finally:
            undone.append(True)

    assert trial(work, "TIMER", "TIMER") == [MODAL, MODAL, CANCELLED]
    assert undone
    assert "KeyError: 'nothing'" in capsys.readouterr().err
    monkeypatch.setattr(modal, "has_events", lambda context: False)
    with pytest.raises(RuntimeError, match="Trial has failed: KeyError: 'nothing'"):
        bpy.ops.moving_lands.trial()


def test_escape_ends_an_operator(trial):
    undone = []

    def work():
        try:
            yield 0.0
            yield 1.0
        finally:
            undone.append(True)

    assert trial(work, "TIMER", "ESC") == [MODAL, MODAL, CANCELLED]
    assert undone


def linked(blend, imported, **how):
    """Save a shot, and bring its collection into a fresh .blend."""
    name = imported.name
    bpy.ops.wm.save_as_mainfile(filepath=str(blend))
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    with bpy.data.libraries.load(str(blend), link=True) as (_, here):
        here.collections = [name]
    (collection,) = here.collections
    bpy.context.scene.collection.children.link(collection)
    return collection


OF_SHOT = [
    "update",
    "replace",
    "set_heights",
    "change_look",
    "change_camera",
    "add_skirt",
    "add_thickness",
]


@pytest.mark.parametrize("override", [False, True])
def test_a_shot_of_another_file_is_refused(imported, tmp_path, override):
    collection = linked(tmp_path / "lib.blend", imported)
    if override:
        scene = bpy.context.scene
        collection.override_hierarchy_create(scene, bpy.context.view_layer)
    for name in OF_SHOT:
        operator = getattr(bpy.ops.moving_lands, name)
        assert not operator.poll(), name
        with pytest.raises(RuntimeError, match=r"belongs to lib\.blend: change it there, or make"):
            operator()


@pytest.mark.parametrize("name", ["import_sequence", *OF_SHOT])
def test_outside_object_mode_it_says_so(imported, name):
    land = shots.lands_of(imported)[0]
    bpy.context.view_layer.objects.active = land
    bpy.ops.object.mode_set(mode="EDIT")
    with pytest.raises(RuntimeError, match=r"Switch to Object Mode first\."):
        getattr(bpy.ops.moving_lands, name)()
    bpy.ops.object.mode_set(mode="OBJECT")


def test_a_new_shot_is_turned_to(imported):
    land = shots.lands_of(imported)[0]
    assert bpy.context.view_layer.objects.active == land
    assert bpy.context.selected_objects == [land]
    assert imported in shots.in_scene(bpy.context.window.scene)


def test_an_unasked_one_is_not(registered, tiny_file):
    scene, mine = bpy.context.scene, bpy.data.objects.new("mine", None)
    scene.collection.objects.link(mine)
    mine.select_set(True)
    bpy.ops.moving_lands.import_sequence(filepath=str(tiny_file), unasked=True)
    assert len(shots.in_file()) == 1
    assert bpy.context.window.scene == scene
    assert bpy.context.selected_objects == [mine]


def test_the_scene_of_a_shot_can_be_chosen(registered, tiny_file):
    scene, mine = bpy.context.scene, bpy.data.objects.new("mine", None)
    scene.collection.objects.link(mine)
    for into, expected in (("this scene", scene), ("own scene", None), ("AUTO", None)):
        bpy.context.window.scene = scene
        bpy.ops.moving_lands.import_sequence(filepath=str(tiny_file), into=into)
        assert (bpy.context.window.scene == scene) == (expected == scene), into


def test_heights_that_are_not_given_stay(imported):
    before, _ = shots.made_with(imported)
    bpy.ops.moving_lands.set_heights(reverse=True)
    after, _ = shots.made_with(imported)
    assert after == dataclasses.replace(before, reverse=True)


def test_a_faulty_file_is_opened_once_for_each_version(empty, tmp_path, monkeypatch):
    opened = []

    def refuse(path):
        opened.append(path)
        raise SequenceError(f"{path}: not an HDF5 file.")

    monkeypatch.setattr(file_summary, "open_sequence", refuse)
    bad = tmp_path / "bad.h5"
    for text in ("no sequence", "no sequence either"):
        bad.write_text(text)
        for _ in range(3):
            assert file_summary.summary(bad, 1) == ("Not an HDF5 file.", [])
    assert len(opened) == 2


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
