"""A signature changes with what a picture shows, and with nothing else."""

import shutil
import subprocess
import sys
from pathlib import Path

import bpy
import numpy as np
import pytest

from addon.blender import compat
from addon.judge.film import write_picture
from addon.render.signature import signature
from addon.shot.parts import in_scene, parts

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def blend(tiny_file, tmp_path_factory, command_line):
    """A shot with something of all kinds: an image beside it, a linked lamp, a driver, a cut."""
    folder = tmp_path_factory.mktemp("shot")
    path = folder / "tiny.blend"
    command_line("build", tiny_file, "-o", path)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    lamp = bpy.data.objects.new("Linked", bpy.data.lights.new("Linked", "POINT"))
    bpy.data.libraries.write(str(folder / "lamps.blend"), {lamp})
    write_picture(np.full((4, 4, 3), 100.0), folder / "wood.png")
    (folder / "land.pc2").write_bytes(b"POINTCACHE2\0")
    bpy.ops.wm.open_mainfile(filepath=str(path))
    scene = bpy.context.scene
    with bpy.data.libraries.load(str(folder / "lamps.blend"), link=True, relative=True) as (_, to):
        to.objects = ["Linked"]
    scene.collection.objects.link(to.objects[0])
    plane = bpy.data.objects.new("Plane", bpy.data.meshes.new("Plane"))
    plane.data.from_pydata([(0, 0, 0), (1, 0, 0), (0, 1, 0)], [], [(0, 1, 2)])
    scene.collection.objects.link(plane)
    material = bpy.data.materials.new("Wood")
    tree = compat.use_nodes(material)
    tree.nodes.new("ShaderNodeTexImage").image = bpy.data.images.load(str(folder / "wood.png"))
    plane.data.materials.append(material)
    cache = plane.modifiers.new("Cache", "MESH_CACHE")
    cache.cache_format, cache.filepath = "PC2", "//land.pc2"
    driver = plane.driver_add("location", 2).driver
    driver.expression = "frame / 10"
    plane.keyframe_insert("location", index=0, frame=1)
    plane.location[0] = 3.0
    plane.keyframe_insert("location", index=0, frame=4)
    group = bpy.data.node_groups.new("Nodes", "GeometryNodeTree")
    for kind, way in (("Geometry", "INPUT"), ("Float", "INPUT"), ("Geometry", "OUTPUT")):
        group.interface.new_socket(kind, in_out=way, socket_type=f"NodeSocket{kind}")
    plane.modifiers.new("Nodes", "NODES").node_group = group
    bpy.ops.file.make_paths_relative()
    bpy.ops.wm.save_as_mainfile(filepath=str(path), compress=True)
    return path


@pytest.fixture
def shot(blend, tmp_path):
    """That, in a folder of its own, opened."""
    path = Path(shutil.copytree(blend.parent, tmp_path / "copy"), blend.name)
    bpy.ops.wm.open_mainfile(filepath=str(path))
    return path


def reopened(path):
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    bpy.ops.wm.open_mainfile(filepath=str(path))
    return signature(bpy.context.scene)


def part(name):
    return parts(bpy.context.scene)[name]


def plane():
    return bpy.data.objects["Plane"]


def node_of(material, kind):
    return next(node for node in material.node_tree.nodes if node.type == kind)


def overlay():
    return next(thing for thing in bpy.data.objects if thing.type == "FONT")


def move_lamp(_):
    next(thing for thing in bpy.data.objects if thing.type == "LIGHT").location.x += 0.1


def turn_node(_):
    material = bpy.data.materials["Wood"]
    node_of(material, "BSDF_PRINCIPLED").inputs["Roughness"].default_value = 0.123


def turn_node_in_group(_):
    group = next(group for group in bpy.data.node_groups if group.type == "SHADER")
    socket = next(
        socket
        for node in group.nodes
        for socket in node.inputs
        if socket.type == "VALUE" and not socket.is_linked
    )
    socket.default_value += 0.01


def link_nodes(_):
    tree = bpy.data.materials["Wood"].node_tree
    image = node_of(bpy.data.materials["Wood"], "TEX_IMAGE")
    surface = node_of(bpy.data.materials["Wood"], "BSDF_PRINCIPLED")
    tree.links.new(image.outputs[0], surface.inputs[0])


def move_key(_):
    curve = compat.fcurves(plane()).find("location", index=0)
    curve.keyframe_points[1].co.y = 4.0


def ease_key(_):
    curve = compat.fcurves(plane()).find("location", index=0)
    curve.keyframe_points[0].interpolation = "CONSTANT"


def drive_otherwise(_):
    plane().animation_data.drivers[0].driver.expression = "frame / 20"


def mute_driver(_):
    plane().animation_data.drivers[0].mute = True


def write_text(_):
    overlay().data.body += "!"


def add_modifier(_):
    plane().modifiers.new("Thick", "SOLIDIFY").thickness = 0.1


def turn_input_of_nodes(_):
    nodes = plane().modifiers["Nodes"]
    name = nodes.node_group.interface.items_tree["Float"].identifier
    if compat.BLENDER_5:
        getattr(nodes.properties.inputs, name).value = 1.5
    else:
        nodes[name] = 1.5


def move_vertex(_):
    plane().data.vertices[0].co.z = 0.5


def move_shape_key(_):
    part("Land").data.shape_keys.key_blocks[1].points[3].co.z += 0.01


def weigh_vertex(_):
    plane().vertex_groups.new(name="Some").add([1], 0.5, "REPLACE")


def paint_vertex(_):
    plane().data.attributes.new("heat", "FLOAT", "POINT").data[1].value = 0.5


def shade_smooth(_):
    plane().data.polygons[0].use_smooth = not plane().data.polygons[0].use_smooth


def repaint_image(folder):
    write_picture(np.full((4, 4, 3), 101.0), folder / "wood.png")


def another_cache(folder):
    (folder / "land.pc2").write_bytes(b"POINTCACHE2\1")


def lose_cache(folder):
    (folder / "land.pc2").unlink()


def change_library(folder):
    path, library = bpy.data.filepath, folder / "lamps.blend"
    bpy.ops.wm.open_mainfile(filepath=str(library))
    bpy.data.lights["Linked"].energy = 77.0
    bpy.ops.wm.save_as_mainfile(filepath=str(library))
    bpy.ops.wm.open_mainfile(filepath=path)


def mute_compositing(_):
    tree = compat.compositor(bpy.context.scene)
    tree.nodes["Overlays"].mute = True


def cut_to_another(_):
    scene = bpy.context.scene
    eye = bpy.data.objects.new("Eye", bpy.data.cameras.new("Eye"))
    scene.collection.objects.link(eye)
    scene.timeline_markers.new("cut", frame=3).camera = eye


def set_scene(path, value):
    def change(_):
        owner, _, name = path.rpartition(".")
        setattr(eval(f"bpy.context.scene.{owner}" if owner else "bpy.context.scene"), name, value)

    change.__name__ = path
    return change


SEEN = [
    move_lamp,
    turn_node,
    turn_node_in_group,
    link_nodes,
    move_key,
    ease_key,
    drive_otherwise,
    mute_driver,
    write_text,
    add_modifier,
    turn_input_of_nodes,
    move_vertex,
    move_shape_key,
    weigh_vertex,
    paint_vertex,
    shade_smooth,
    repaint_image,
    another_cache,
    lose_cache,
    change_library,
    mute_compositing,
    cut_to_another,
    set_scene("render.resolution_x", 66),
    set_scene("render.resolution_percentage", 50),
    set_scene("render.use_motion_blur", True),
    set_scene("render.fps", 30),
    set_scene("cycles.samples", 7),
    set_scene("cycles.seed", 7),
    set_scene("view_settings.exposure", 0.5),
    set_scene("view_layers[0].use_pass_mist", True),
    set_scene("camera.data.lens", 21.0),
    set_scene("camera.data.dof.aperture_fstop", 9.0),
    set_scene("world.color", (0.1, 0.2, 0.3)),
]


@pytest.mark.parametrize("change", SEEN, ids=lambda change: change.__name__)
def test_what_is_seen_counts(shot, change):
    before = signature(bpy.context.scene)
    change(shot.parent)
    after = signature(bpy.context.scene)
    assert after != before


def test_what_is_seen_is_the_same_once_it_is_saved(shot):
    for change in SEEN:
        if change is not change_library:  # it opens another file
            change(shot.parent)
    after = signature(bpy.context.scene)
    assert reopened(shot) == after


def other_frame(_):
    bpy.context.scene.frame_set(3)


def other_selection(_):
    for thing in bpy.context.scene.objects:
        thing.select_set(not thing.select_get())
    bpy.context.view_layer.objects.active = part("Camera")
    plane().data.vertices[0].select = not plane().data.vertices[0].select
    compat.fcurves(plane()).find("location", index=0).select = False


def edited_and_left(_):
    for thing in (plane(), part("Badge 1")):
        bpy.context.view_layer.objects.active = thing
        bpy.ops.object.mode_set(mode="EDIT")
        bpy.ops.object.mode_set(mode="OBJECT")


def hidden_in_the_viewport(_):
    part("Land").hide_viewport = True
    plane().hide_set(True)
    plane().display_type = "WIRE"


def other_windows(_):
    for screen in bpy.data.screens:
        for area in screen.areas:
            area.type = "TEXT_EDITOR"
    bpy.data.texts.new("notes").write("a lamp here")


def other_scene_shown(_):
    bpy.context.window.scene = bpy.data.scenes.new("Other")
    bpy.context.window.scene = next(scene for scene in bpy.data.scenes if in_scene(scene))


def moved_nodes(_):
    for material in bpy.data.materials:
        for node in material.node_tree.nodes if material.node_tree else ():
            node.location.x += 10
            node.select = True


def something_nobody_sees(_):
    bpy.data.objects.new("Unused", bpy.data.meshes.new("Unused"))


UNSEEN = [
    other_frame,
    other_selection,
    edited_and_left,
    hidden_in_the_viewport,
    other_windows,
    other_scene_shown,
    moved_nodes,
    something_nobody_sees,
    set_scene("frame_end", 3),
    set_scene("render.filepath", "//elsewhere/"),
    set_scene("render.use_overwrite", False),
    set_scene("render.threads_mode", "FIXED"),
    set_scene("cycles.device", "GPU"),
    set_scene("cycles.preview_samples", 3),
    set_scene("tool_settings.use_snap", True),
    set_scene("cursor.location", (1.0, 2.0, 3.0)),
]


@pytest.mark.parametrize("change", UNSEEN, ids=lambda change: change.__name__)
def test_what_is_not_seen_does_not_count(shot, change):
    before = signature(bpy.context.scene)
    change(shot.parent)
    assert signature(bpy.context.scene) == before


def test_what_is_not_seen_is_the_same_once_it_is_saved(shot):
    before = signature(bpy.context.scene)
    for change in UNSEEN:
        change(shot.parent)
    assert reopened(shot) == before


def test_another_process_finds_the_same_in_another_folder(blend, shot):
    script = (
        "import sys, json; from pathlib import Path; from addon.render.opening import open_blend;"
        "from addon.render.signature import signature;"
        "print(); print(json.dumps(signature(open_blend(Path(sys.argv[1])))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(blend)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    import json

    told = next(line for line in done.stdout.splitlines() if line.startswith("{"))
    assert json.loads(told) == signature(bpy.context.scene)


def test_a_render_changes_nothing(shot):
    before = signature(bpy.context.scene)
    bpy.context.scene.render.filepath = str(shot.parent / "####")
    bpy.ops.render.render(animation=True)
    assert signature(bpy.context.scene) == before


def test_what_changed_is_named(shot):
    before = signature(bpy.context.scene)
    overlay().data.body += "!"
    after = signature(bpy.context.scene)
    assert [name for name in after if after[name] != before[name]] == [
        f'Text Curve "{overlay().data.name}"'
    ]
