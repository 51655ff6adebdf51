"""Overlays are laid over the picture: only those of the shot, after whatever an artist composes."""

import bpy
import numpy as np
import pytest

from addon.blender import compat
from addon.blender.parts import OVERLAYS_OF, Parts, parts_of
from addon.judge import gates
from addon.overlays.build import make_overlays
from addon.overlays.compositing import node_of, scenes_of
from addon.overlays.overlay import Content
from addon.shot import scripting as stage

NOTHING = Content("", {}, [], None)


@pytest.fixture
def shot(tiny_file, empty):
    return stage.import_sequence(tiny_file)


def delete(*things):
    """Delete objects as an artist does, with X."""
    bpy.context.view_layer.update()
    for thing in bpy.context.view_layer.objects:
        thing.select_set(thing in things)
    bpy.ops.object.delete(use_global=False)


# What is in the film


def test_what_is_deleted_is_not_in_the_film(shot):
    scene, parts = bpy.context.scene, parts_of(shot)
    (above,) = scenes_of(scene)
    gone = [parts[name] for name in ("Title", "Live loss", "Badge 1")]
    assert set(gone) <= set(above.objects)
    names = [thing.name for thing in gone]
    delete(*gone)
    assert not set(names) & {thing.name for thing in above.objects}
    assert not set(names) & {thing.name for thing in scene.objects}
    assert {"Sentence", "Step"} <= {thing.name for thing in above.objects}


def test_what_is_deleted_is_no_longer_in_the_way(shot):
    delete(parts_of(shot)["Title"])
    stage.update(shot)
    assert not bpy.data.objects["Title"].users


def test_what_is_duplicated_is_in_the_film(shot):
    (above,) = scenes_of(bpy.context.scene)
    title = parts_of(shot)["Title"]
    bpy.context.view_layer.update()
    for thing in bpy.context.view_layer.objects:
        thing.select_set(thing == title)
    bpy.ops.object.duplicate()
    assert "Title.001" in above.objects


def as_before(shot):
    """Make of a shot what versions before made: overlays are linked to both scenes."""
    (above,) = scenes_of(bpy.context.scene)
    (overlays,) = above.collection.children
    for thing in list(overlays.objects):
        shot.objects.link(thing)
        above.collection.objects.link(thing)
    bpy.data.collections.remove(overlays)
    return above


def test_an_update_takes_out_of_the_film_what_was_deleted_before(shot):
    above = as_before(shot)
    delete(parts_of(shot)["Title"])
    assert "Title" in above.objects  # as it was before
    mine = bpy.data.objects.new("Mine", None)
    above.collection.objects.link(mine)
    stage.update(shot)
    assert "Title" not in above.objects
    assert {"Sentence", "Step", "Overlay Camera", "Mine"} <= {t.name for t in above.objects}
    delete(parts_of(shot)["Sentence"])
    assert "Sentence" not in above.objects
    left = set(above.objects)
    stage.update(shot)
    assert set(above.objects) == left


def test_a_second_shot_has_overlays_of_its_own(shot, tiny_file):
    scene = bpy.context.scene
    (above,) = scenes_of(scene)
    eye, there = above.camera, set(above.objects)
    second = stage.import_sequence(tiny_file)
    own = [s for s in bpy.data.scenes if OVERLAYS_OF in s and s != above]
    assert above.camera == eye
    assert set(above.objects) == there
    assert len(own) == 1
    assert own[0].camera == parts_of(second)["Overlay Camera"]
    assert set(own[0].objects) <= set(second.all_objects)


# An artist's compositing


@pytest.fixture
def composed(empty):
    """A grey scene of few pixels, and nodes of an artist that invert it, and write a file."""
    scene = bpy.context.scene
    render = scene.render
    render.resolution_x = render.resolution_y = 8
    render.engine, scene.cycles.samples = "CYCLES", 1
    scene.view_settings.view_transform = "Raw"
    scene.world = bpy.data.worlds.new("Grey")
    back = compat.use_nodes(scene.world).nodes
    back.clear()
    grey, out = back.new("ShaderNodeBackground"), back.new("ShaderNodeOutputWorld")
    grey.inputs["Color"].default_value = (0.2, 0.2, 0.2, 1)
    scene.world.node_tree.links.new(grey.outputs[0], out.inputs["Surface"])
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(camera)
    scene.camera = camera

    tree, ends = compat.compositing(scene)
    layers = next((n for n in tree.nodes if n.type == "R_LAYERS"), None)
    layers = layers or tree.nodes.new("CompositorNodeRLayers")
    invert = tree.nodes.new("CompositorNodeInvert")
    tree.links.new(layers.outputs["Image"], invert.inputs["Color"])
    tree.links.new(invert.outputs[0], ends)
    tree.nodes.new("CompositorNodeOutputFile")
    scene.render.compositor_device = "CPU"
    return scene


def switch_off(scene):
    if compat.BLENDER_5:
        scene.render.use_compositing = False
    else:
        scene.use_nodes = False


def links(tree):
    return {(k.from_node.name, k.from_socket.name, k.to_node.name) for k in tree.links}


def level(scene, path):
    """How bright the picture is, that a scene renders."""
    scene.frame_start = scene.frame_end = 1
    scene.render.filepath = f"{path}####"
    bpy.ops.render.render(animation=True)
    return float(np.median(gates.read_still(path.with_name(f"{path.name}0001.png")))) / 255


def test_nodes_that_act_are_kept(composed, tmp_path):
    before, nodes = level(composed, tmp_path / "before"), set(compat.compositor(composed).nodes)
    make_overlays(composed, composed.camera, Parts({}), NOTHING, ("title",))
    tree = compat.compositor(composed)
    assert nodes <= set(tree.nodes)
    assert not any(node.mute for node in tree.nodes)
    assert any(source.startswith("Invert") and to == "Overlays" for source, _, to in links(tree))
    assert level(composed, tmp_path / "after") == pytest.approx(before, abs=0.01)
    assert before == pytest.approx(0.8, abs=0.02)


def test_nodes_that_are_switched_off_stay_so_and_can_be_switched_on(composed, tmp_path):
    tree = compat.compositor(composed)
    nodes, inside = set(tree.nodes), {k for k in links(tree) if k[2].startswith("Invert")}
    switch_off(composed)
    before = level(composed, tmp_path / "before")
    assert before == pytest.approx(0.2, abs=0.02)
    make_overlays(composed, composed.camera, Parts({}), NOTHING, ("title",))
    assert compat.compositor(composed) == tree
    assert nodes <= set(tree.nodes)
    assert inside <= links(tree)
    assert all(node.mute for node in tree.nodes if node.type == "OUTPUT_FILE")
    assert level(composed, tmp_path / "after") == pytest.approx(before, abs=0.01)

    (switch,) = [node for node in tree.nodes if node.type == "SWITCH"]
    if compat.BLENDER_5:
        switch.inputs["Switch"].default_value = True
    else:
        switch.check = True
    assert level(composed, tmp_path / "on") == pytest.approx(0.8, abs=0.02)
    assert node_of(composed) in set(tree.nodes)


def test_how_an_artist_composes_is_theirs(composed):
    composed.render.compositor_device = "GPU"
    make_overlays(composed, composed.camera, Parts({}), NOTHING, ("title",))
    assert composed.render.compositor_device == "GPU"


@pytest.mark.skipif(not compat.BLENDER_5, reason="a scene's nodes are its own before 5.0")
def test_nodes_of_two_scenes_are_changed_in_one(composed):
    tree = compat.compositor(composed)
    other = bpy.data.scenes.new("Other")
    other.compositing_node_group = tree
    before = links(tree)
    make_overlays(composed, composed.camera, Parts({}), NOTHING, ("title",))
    assert other.compositing_node_group == tree
    assert links(tree) == before
    assert node_of(composed)
    assert not node_of(other)
