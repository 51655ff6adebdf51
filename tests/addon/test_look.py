"""The looks: their substance is data, their inputs are an artist's, and they stay theirs."""

import importlib
import re
import sys
from itertools import chain
from pathlib import Path

import bpy
import numpy as np
import pytest
from funnel import funnel

import addon
from addon.blender import compat
from addon.look import LOOKS, get_look, library
from addon.look.grading import set_view
from addon.look.shading import look_material
from addon.nodes.signature import signature
from addon.shot import parts as shots
from addon.shot import scripting as stage
from addon.shot.update import change_look
from addon.units import WIDTH
from movinglands.sequence import write_sequence


@pytest.fixture(scope="module")
def small_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("looks") / "small.h5"
    film = "[film]\nfps = 4\nseconds = 1.0\nwidth = 64\nheight = 36\nsamples = 4\n"
    write_sequence(path, "SMALL", film, {"network": funnel(frames=2, size=25)})
    return path


@pytest.fixture
def dressed(small_file, empty):
    """A small shot: collection, scene and parts."""
    collection = stage.import_sequence(small_file)
    scene = bpy.context.scene
    set_view(scene, LOOKS["flesh"].grade)
    return collection, scene, shots.parts_of(collection)


def rendered(scene, tmp_path):
    """A scene's picture ``(height, width, 3)``, from top to bottom, as displayed, 0 to 255."""
    scene.render.filepath = str(tmp_path / "picture.png")
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(scene.render.filepath)
    pixels = np.empty(len(image.pixels), np.float32)
    image.pixels.foreach_get(pixels)
    return 255 * pixels.reshape(image.size[1], image.size[0], 4)[::-1, :, :3]


@pytest.mark.parametrize("name", LOOKS)
def test_a_shot_in_each_look_is_neither_black_nor_blown(dressed, tmp_path, name):
    collection, scene, _ = dressed
    assert change_look(collection, scene, name) == []
    scene.frame_set(scene.frame_end)
    luma = rendered(scene, tmp_path) @ (0.2126, 0.7152, 0.0722)
    land = luma[luma > 12]
    assert land.size > 0.2 * luma.size
    assert 60 < np.median(land) < 190
    assert (luma >= 250).mean() < 0.02


def flat_lands(relief):
    """Five level lands in a row, at no height, a quarter, a half, three quarters and all of it."""
    mesh = bpy.data.meshes.new("Steps")
    points = [
        (x + dx - 2.5, dy, step * relief / 4)
        for step, x in enumerate(range(5))
        for dx, dy in ((0, 0), (1, 0), (1, 1), (0, 1))
    ]
    mesh.from_pydata(points, [], [range(4 * n, 4 * n + 4) for n in range(5)])
    land = bpy.data.objects.new("Steps", mesh)
    land["relief"] = relief
    bpy.context.scene.collection.objects.link(land)
    return land


def seen_from_above(lands, tmp_path, **values):
    """What lands show from above in even light: linear RGB ``(pixels, 3)``, along x."""
    scene = bpy.context.scene
    inputs = lands[0].data.materials[0].node_tree.nodes[0].inputs
    plain = ("Side Amount", "Glow", "Heat", "Contour Strength", "Edge Glow", "Jump", "Velvet")
    for name, value in chain(dict.fromkeys(plain, 0.0).items(), values.items()):
        if name in inputs:
            inputs[name].default_value = value
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.data.type, camera.data.ortho_scale = "ORTHO", 5.0
    camera.location = (0.0, 0.5, 50.0)
    scene.collection.objects.link(camera)
    scene.camera, scene.world = camera, bpy.data.worlds.new("White")
    background = compat.use_nodes(scene.world).nodes["Background"]
    background.inputs["Color"].default_value = (1.0, 1.0, 1.0, 1.0)
    scene.render.engine, scene.cycles.samples = "CYCLES", 8
    scene.cycles.use_denoising, scene.cycles.max_bounces = False, 0
    scene.render.resolution_x, scene.render.resolution_y = 100, 4
    scene.render.resolution_percentage = 100
    scene.view_settings.view_transform = "Standard"
    shown = rendered(scene, tmp_path)[2] / 255
    return np.where(shown <= 0.04045, shown / 12.92, ((shown + 0.055) / 1.055) ** 2.4)


STOPS = {
    "Tip": (0.8, 0.0, 0.0, 1.0),
    "Low": (0.0, 0.8, 0.0, 1.0),
    "Middle": (0.0, 0.0, 0.8, 1.0),
    "High": (0.8, 0.8, 0.0, 1.0),
    "Rim": (0.0, 0.8, 0.8, 1.0),
}


@pytest.mark.parametrize("relief", [1.0, 2.4])
@pytest.mark.parametrize("name", LOOKS)
def test_hue_follows_the_height_of_whichever_land_wears_it(empty, tmp_path, name, relief):
    land = flat_lands(relief)
    land.data.materials.append(look_material(LOOKS[name]))
    shown = seen_from_above([land], tmp_path, Balance=0.5, **STOPS)
    for middle, color in zip(range(10, 100, 20), STOPS.values(), strict=True):
        assert shown[middle] / shown[middle].max() == pytest.approx(
            np.array(color[:3]) / 0.8, abs=0.15
        )


def test_the_far_side_has_another_hue_but_not_at_the_tip(empty, tmp_path):
    low, high = flat_lands(2.4), flat_lands(2.4)
    for land, height in ((low, 0.0), (high, 2.4)):
        for point in land.data.vertices:
            point.co = (4 * point.co.x, point.co.y + (height > 0), height)
        land.scale.x = 0.25
        land.data.materials.append(bpy.data.materials.get("Flesh") or look_material(LOOKS["flesh"]))
    grey = dict.fromkeys(STOPS, (0.5, 0.3, 0.3, 1.0))
    tint = {"Side Tint": (0.2, 0.2, 0.8, 1.0), "Side Amount": 1.0}
    low.location.y, high.location.y = 0.0, -5.0
    tip = seen_from_above([low], tmp_path, **grey, **tint)
    assert tip[80:].mean(axis=0) == pytest.approx(tip[:20].mean(axis=0), abs=0.03)
    low.location.y, high.location.y = -5.0, -1.0
    rim = seen_from_above([high], tmp_path, **grey, **tint)
    red, _, blue = rim[:10].mean(axis=0)
    assert red > blue + 0.1
    red, _, blue = rim[90:].mean(axis=0)
    assert blue > red + 0.1


@pytest.mark.parametrize("count", [5, 8])
def test_contour_lines_lie_at_equal_steps_of_height(empty, tmp_path, count):
    mesh = bpy.data.meshes.new("Ramp")
    mesh.from_pydata([(-2.5, 0, 0), (2.5, 0, 2), (2.5, 1, 2), (-2.5, 1, 0)], [], [range(4)])
    ramp = bpy.data.objects.new("Ramp", mesh)
    ramp["relief"] = 2.0
    bpy.context.scene.collection.objects.link(ramp)
    mesh.materials.append(look_material(LOOKS["fur"]))
    lines = {"Contour Strength": 1.0, "Contour Count": count, "Contour Width": 2.0}
    white = dict.fromkeys(STOPS, (0.8, 0.8, 0.8, 1.0))
    black = {"Contour Colour": (0.0, 0.0, 0.0, 1.0)}
    shown = seen_from_above([ramp], tmp_path, **lines, **white, **black)[:, 1]
    dark = np.flatnonzero(shown < 0.75 * np.median(shown))
    groups = np.split(dark, np.flatnonzero(np.diff(dark) > 1) + 1)
    middles = [(g.mean() + 0.5) / 100 for g in groups]
    assert middles == pytest.approx([n / count for n in range(1, count)], abs=0.012)


def trees(tree):
    """A node tree and all that are in it."""
    yield tree
    for node in tree.nodes:
        if getattr(node, "node_tree", None):
            yield from trees(node.node_tree)


@pytest.mark.parametrize("name", LOOKS)
def test_a_look_is_one_group_without_noise_that_an_artist_understands(empty, name):
    material = look_material(LOOKS[name])
    kinds = sorted(node.bl_idname for node in material.node_tree.nodes)
    assert kinds == ["ShaderNodeGroup", "ShaderNodeOutputMaterial"]
    group = next(n.node_tree for n in material.node_tree.nodes if n.type == "GROUP")
    assert group.name == name.title()
    inputs = [i for i in group.interface.items_tree if i.item_type == "SOCKET"]
    inputs = [i for i in inputs if i.in_out == "INPUT"]
    assert 15 <= len(inputs) <= 28
    for given in inputs:
        assert re.fullmatch(r"[A-Z][a-z]+( [A-Z][a-z]+)?", given.name), given.name
        assert len(given.description) > 15 and not given.description.endswith("."), given.name
        assert given.parent.name, given.name
        if given.socket_type == "NodeSocketFloat":
            assert given.min_value <= given.default_value <= given.max_value <= 200
    for tree in trees(material.node_tree):
        assert tree.animation_data is None
        for node in tree.nodes:
            textures = node.bl_idname.startswith("ShaderNodeTex")
            assert not textures or node.bl_idname == "ShaderNodeTexCoord", node.name
            linked = [s for s in node.outputs if s.is_linked]
            assert linked or node.type in ("GROUP_OUTPUT", "OUTPUT_MATERIAL", "FRAME"), node.name


def test_every_input_does_something(empty):
    for name in LOOKS:
        group = next(
            n.node_tree for n in look_material(LOOKS[name]).node_tree.nodes if n.type == "GROUP"
        )
        fed = {
            link.from_socket.name
            for link in group.links
            if link.from_node.type == "GROUP_INPUT" and link.to_node.type != "GROUP_OUTPUT"
        }
        inputs = [i for i in group.interface.items_tree if i.item_type == "SOCKET"]
        assert fed == {i.name for i in inputs if i.in_out == "INPUT"}, name


def test_a_group_nobody_changed_is_shared_one_that_was_is_left_alone(empty):
    first, second = look_material(LOOKS["flesh"]), look_material(LOOKS["flesh"])
    groups = [m.node_tree.nodes["Flesh"].node_tree for m in (first, second)]
    assert groups[0] == groups[1]
    groups[0].nodes["Principled BSDF"].inputs["Metallic"].default_value = 1.0
    third = look_material(LOOKS["flesh"]).node_tree.nodes["Flesh"].node_tree
    assert third != groups[0]
    assert third.nodes["Principled BSDF"].inputs["Metallic"].default_value == 0.0


def test_there_is_no_other_look(empty):
    with pytest.raises(ValueError, match=f"expected one of {', '.join(LOOKS)}, got 'glass'"):
        get_look("glass")


DOCS = Path(__file__).parents[2] / "docs" / "looks.md"


def test_the_docs_have_a_row_for_each_look_and_name_each_input(empty):
    text = DOCS.read_text(encoding="utf-8")
    table = text.partition("## What each is")[2].partition("##")[0]
    assert re.findall(r"^\| \*\*(.+?)\*\* \|", table, re.MULTILINE) == list(LOOKS)
    inputs = text.partition("## Inputs")[2].partition("##")[0]
    named = set(re.findall(r"\*([A-Z][A-Za-z ]+)\*", inputs))
    for look in LOOKS.values():
        items = look.group().interface.items_tree
        given = {i.name for i in items if i.item_type == "SOCKET" and i.in_out == "INPUT"}
        assert given <= named, look.label


def test_the_looks_share_lamps_and_say_what_they_are(empty):
    (names,) = {tuple(look.lamps) for look in LOOKS.values()}
    assert len(names) == 5
    for name, look in LOOKS.items():
        assert look.label == name.title()
        assert len(look.description) > 15 and len(look.asset) > 15 and look.tags
        low, high = look.black
        assert 0 <= low < high <= 100


def test_the_look_of_the_docs_is_one(empty, tmp_path, monkeypatch):
    """The file that the docs show, as it stands there, in the add-on's folder."""
    code = re.search(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)[1]
    (tmp_path / "chalk.py").write_text(code, encoding="utf-8")
    package = importlib.import_module("addon.look")
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    look = importlib.import_module("addon.look.chalk").LOOK
    try:
        material = look_material(look)
    finally:
        del sys.modules["addon.look.chalk"]
        del package.chalk
    assert material.name == "Chalk"
    assert set(look.lamps) == set(LOOKS["flesh"].lamps)


# An artist's hand


def test_another_look_dresses_the_whole_shot(dressed):
    collection, scene, there = dressed
    before = set(bpy.data.materials)
    power = there["Key"].data.energy, there["Key"].data.color[:]
    assert change_look(collection, scene, "ink") == []
    assert there["Land"].material_slots[0].material.name == "Ink"
    assert "Flesh" not in bpy.data.materials
    assert len(bpy.data.materials) == len(before)
    assert (there["Key"].data.energy, there["Key"].data.color[:]) != power
    assert change_look(collection, scene, "specimen") == []
    assert max(scene.world.color) > 0.0


def test_what_an_artist_changed_stays_when_a_shot_is_dressed_anew(dressed):
    collection, scene, there = dressed
    material = there["Land"].material_slots[0].material
    material.node_tree.nodes["Flesh"].inputs["Wetness"].default_value = 0.9
    there["Key"].location.x += 1.0
    there["Rim"].data.energy = 5.0
    bpy.data.objects.remove(there["Funnel"])
    scene.view_settings.exposure = 1.0
    sky = scene.world.node_tree.nodes["Background"].inputs["Strength"]
    sky.default_value = 0.3
    kept = change_look(collection, scene, "ink")
    assert set(kept) == {material.name, "Key", "Rim", scene.world.name, "Color Management"}
    assert there["Land"].material_slots[0].material == material
    assert material.node_tree.nodes["Flesh"].inputs["Wetness"].default_value == pytest.approx(0.9)
    assert (there["Rim"].data.energy, scene.view_settings.exposure) == (5.0, 1.0)
    assert sky.default_value == pytest.approx(0.3)
    assert "Funnel" not in shots.parts_of(collection)

    assert change_look(collection, scene, "ink", overwrite=True) == []
    assert there["Land"].material_slots[0].material.name == "Ink"
    assert there["Rim"].data.energy != 5.0
    assert material.use_fake_user  # nothing of theirs is lost
    assert "Funnel" not in shots.parts_of(collection)


def test_a_lamp_of_another_type_is_an_artists(dressed):
    collection, scene, there = dressed
    there["Key"].data.type = "POINT"
    assert change_look(collection, scene, "ink") == ["Key"]
    assert there["Key"].data.type == "POINT"
    assert change_look(collection, scene, "ink", overwrite=True) == []
    assert there["Key"].data.shape == "DISK"


def colours(scene):
    """A scene's world and colour management, as they can be seen."""
    view, render = scene.view_settings, scene.render
    world = scene.world and (scene.world.name, scene.world.color[:])
    return world, view.view_transform, view.look, view.exposure, render.engine, render.fps


@pytest.mark.parametrize("beside", [False, True])
def test_a_land_alone_takes_no_world_and_no_colour_management(small_file, empty, beside):
    scene = bpy.context.scene
    if beside:  # a whole shot, whose they are
        whole = stage.import_sequence(small_file)
        scene = next(s for s in bpy.data.scenes if whole in s.collection.children_recursive)
        bpy.context.window.scene = scene
    else:
        scene.world = bpy.data.worlds.new("Artist's")
        scene.view_settings.exposure = 0.7
    before = colours(scene)
    collection = stage.import_sequence(small_file, options=shots.Options(whole=False))
    assert change_look(collection, scene, "fur") == []
    assert shots.parts_of(collection)["Land"].material_slots[0].material.name == "Fur"
    assert colours(scene) == before
    change_look(collection, scene, "fur", overwrite=True)
    assert scene.view_settings.exposure == pytest.approx(LOOKS["fur"].grade.exposure)
    assert beside or scene.world.name == "Artist's"


def test_a_shot_of_an_earlier_version_is_known(dressed):
    collection, scene, there = dressed
    for name, part in list(there.items()):
        part["moving_lands"] = there.name(name)  # what it was called, and no more
        if name.kind == "Top":
            part["moving_lands"] = part.name = "Sky"
    del collection["moving_lands_shot"], collection["moving_lands_surfaces"]
    sky = shots.parts_of(collection)["Sky"]
    assert change_look(collection, scene, "fur") == []
    assert sky.data.energy == LOOKS["fur"].lamps["Top"].watts


@pytest.mark.parametrize("overwrite", [False, True])
def test_an_artists_own_material_world_and_lamps_are_theirs(dressed, overwrite):
    collection, scene, there = dressed
    own, sky = bpy.data.materials.new("Own"), bpy.data.worlds.new("Own")
    there["Land"].material_slots[0].material, scene.world = own, sky
    lamp = bpy.data.objects.new("Key", bpy.data.lights.new("Key", "POINT"))
    collection.objects.link(lamp)
    place = lamp.location.copy()
    kept = change_look(collection, scene, "fur", overwrite)
    assert {"Own"} <= set(kept)
    assert there["Land"].material_slots[0].material == own
    assert scene.world == sky
    assert lamp.location == place


def test_a_change_inside_the_group_counts_too(dressed):
    collection, scene, there = dressed
    material = there["Land"].material_slots[0].material
    bpy.data.node_groups["Land Data"].nodes["Layer Weight"].inputs["Blend"].default_value = 0.4
    assert material.name in change_look(collection, scene, "fur")


def test_moving_nodes_about_is_no_change(dressed):
    collection, scene, there = dressed
    for node in there["Land"].material_slots[0].material.node_tree.nodes:
        node.location.x += 100.0
    assert change_look(collection, scene, "fur") == []


def test_a_saved_shot_still_knows_what_was_changed(dressed, tmp_path):
    collection, _, there = dressed
    there["Key"].data.energy = 1.0
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "shot.blend"))
    scene = bpy.context.scene
    (collection,) = shots.in_scene(scene)
    assert change_look(collection, scene, "fur") == ["Key"]


# Other choices, one after the other


def everything(collection, scene):
    """All that a look sets, as numbers and names."""
    there = shots.parts_of(collection)
    lamps = {
        part.kind: (*thing.location, *thing.rotation_euler, thing.data.energy, *thing.data.color)
        for part, thing in there.items()
        if thing.type == "LIGHT"
    }
    materials = sorted((m.name, signature(m.node_tree)) for m in bpy.data.materials if m.node_tree)
    groups = sorted((group.name, signature(group)) for group in bpy.data.node_groups)
    made = shots.made_with(collection)[0].name
    return lamps, materials, groups, colours(scene), signature(scene.world.node_tree), made


def test_choosing_again_in_the_redo_panel_is_as_choosing_at_once(small_file, empty):
    """The redo panel undoes what was done, and does it with the other choice."""
    addon.register()
    try:
        bpy.ops.moving_lands.import_sequence(filepath=str(small_file))
        bpy.ops.ed.undo_push(message="before")
        bpy.ops.moving_lands.change_look("EXEC_DEFAULT", True, look="fur")
        (collection,) = shots.in_scene(bpy.context.scene)
        at_once = everything(collection, bpy.context.scene)
        bpy.ops.ed.undo()
        bpy.ops.moving_lands.change_look("EXEC_DEFAULT", True, look="ink")
        bpy.ops.ed.undo()
        bpy.ops.moving_lands.change_look("EXEC_DEFAULT", True, look="fur")
        (collection,) = shots.in_scene(bpy.context.scene)
        assert everything(collection, bpy.context.scene) == at_once
    finally:
        addon.unregister()


@pytest.mark.parametrize("name", LOOKS)
def test_one_look_after_another_leaves_nothing_of_the_first(dressed, name):
    collection, scene, _ = dressed
    change_look(collection, scene, name)
    at_once = everything(collection, scene)[0::3]
    for other in (*LOOKS, name):
        assert change_look(collection, scene, other) == []
    assert everything(collection, scene)[0::3] == at_once


# In the viewport


def test_no_line_of_the_lamps_crosses_the_picture(dressed):
    """Blender draws lines to a parent that is shown, and a ray up to the cutoff distance."""
    _, _, there = dressed
    lamps = [thing for thing in there.values() if thing.type == "LIGHT"]
    assert len(lamps) == 5
    for lamp in lamps:
        assert lamp.data.cutoff_distance < 0.1 * WIDTH
        assert not lamp.data.use_custom_distance  # so it ends no light
        assert lamp.parent == there["Light Rig"] and lamp.parent.hide_viewport
        assert not lamp.hide_viewport and not lamp.hide_render  # or it would not light
        assert lamp.visible_get()


# The asset library


def from_library(kind):
    """What of a kind the library offers, copied into this file."""
    with bpy.data.libraries.load(str(library.FILE), assets_only=True) as (there, here):
        setattr(here, kind, list(getattr(there, kind)))
    return {asset.name: asset for asset in getattr(here, kind)}


@pytest.mark.parametrize("kind", ["materials", "node_groups"])
def test_the_library_offers_each_look_with_a_picture_of_its_own(empty, kind):
    found = from_library(kind)
    assert set(found) == {look.label for look in LOOKS.values()}
    pictures = []
    catalogue = library.ASSETS.joinpath("blender_assets.cats.txt").read_text()
    for asset in found.values():
        data = asset.asset_data
        assert data.catalog_id in catalogue
        assert len(data.description) > 20
        assert len(data.tags) >= 3
        pixels = np.empty(4 * np.prod(asset.preview.image_size), np.float32)
        asset.preview.image_pixels_float.foreach_get(pixels)
        pictures.append(pixels)
        assert asset.preview.image_size[0] >= 128
        assert pixels.reshape(-1, 4)[:, :3].std() > 0.1
    for n, picture in enumerate(pictures):
        assert all(np.abs(picture - other).mean() > 0.02 for other in pictures[:n])
    assert library.FILE.stat().st_size < 1e6


def test_the_library_is_what_the_code_makes(empty):
    """Fails where a look was changed and the library was not made anew."""
    found = from_library("materials")
    for look in LOOKS.values():
        theirs = found[look.label].node_tree.nodes[look.label].node_tree
        assert signature(theirs) == signature(look.group()), look.label


def test_a_look_from_the_library_can_be_changed_for_another(dressed):
    collection, scene, there = dressed
    there["Land"].material_slots[0].material = from_library("materials")["Fur"]
    assert change_look(collection, scene, "ink") == []


def test_the_library_is_in_the_preferences_while_the_add_on_is_enabled():
    libraries = bpy.context.preferences.filepaths.asset_libraries
    before = [item.name for item in libraries]
    library.register()
    library.register()
    (ours,) = [item for item in libraries if item.name not in before]
    assert (ours.name, ours.import_method) == ("Moving Lands", "APPEND")
    assert ours.path == str(library.ASSETS)
    library.unregister()
    assert [item.name for item in libraries] == before
