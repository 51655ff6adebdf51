"""Overlays: true numbers, inside the picture, sharp, and the artist's to change."""

import dataclasses

import bpy
import numpy as np
import pytest
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Vector

from addon.blender import compat
from addon.blender.parts import Part, Parts, parts_of
from addon.judge import gates as judge
from addon.land import dashes
from addon.land.styles import STYLES
from addon.nodes import geometry as nodes
from addon.nodes.graph import Graph
from addon.nodes.materials import glowing_material
from addon.overlays import layout as picture
from addon.overlays import letters
from addon.overlays import number_format as numbers
from addon.overlays.badges import BADGES
from addon.overlays.build import OVERLAYS, make_overlays, write_overlays
from addon.overlays.compositing import node_of, scenes_of
from addon.overlays.overlay import Content
from addon.sequence import heights
from addon.sequence.reader import open_sequence
from addon.shot import scripting as stage
from addon.shot.settings import Settings
from addon.units import WIDTH

RECIPE = {"sentence": "A land that sinks:", "credits": "for tests"}
RATES = np.array([0.1, np.nan, 0.3, 0.2, 0.1, 0.05])


def built(file, size=(160, 90), wanted=OVERLAYS, **framing):
    """A shot with its overlays, in an empty scene."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    with open_sequence(file) as opened:
        settings = stage.Settings.of_recipe(opened.recipe)
        framing |= {"seconds": 5.0, "width": size[0], "height": size[1], "samples": 1}
        framing |= {f"show_{name}": name in wanted for name in OVERLAYS}
        settings = dataclasses.replace(settings, **framing)
        given = opened.surfaces["network"]
        given.scalars["learning_rate"] = RATES
        recipe = {**opened.recipe, **RECIPE}
        shot = stage.build(dataclasses.replace(opened, recipe=recipe), settings)
        scale = heights.fit(given.losses(), settings.scale, settings.relief * WIDTH)
    parts = parts_of(shot)
    assert all(write_overlays(parts, Content("FUNNEL", RECIPE, [given], scale)).values())
    return parts, given, scale


@pytest.fixture(scope="module")
def shot(funnel_file):
    return built(funnel_file)


PAINTS = ("Overlay Bright", "Overlay Dim", "Overlay Line")


def shown(thing, frame=None, paints=PAINTS):
    """What of an overlay is seen: places in the picture, from its lower left corner, 0 to 1."""
    if frame is not None:
        bpy.context.scene.frame_set(frame)
    seen = thing.evaluated_get(bpy.context.evaluated_depsgraph_get())
    if thing.type == "FONT":
        return projected(seen, np.array(seen.bound_box))
    mesh = seen.data
    points = np.empty((len(mesh.vertices), 3), np.float32)
    mesh.vertices.foreach_get("co", points.ravel())
    gone = np.zeros(len(points), np.float32)
    if fade := mesh.attributes.get("fade"):
        fade.data.foreach_get("value", gone)
    visible = np.zeros(len(points), bool)
    names = [str(material and material.name) for material in mesh.materials]
    painted = np.array([name.startswith(paints) for name in names], bool)[
        [face.material_index for face in mesh.polygons]
    ]
    corners = np.empty(len(mesh.loops), np.int32)
    mesh.loops.foreach_get("vertex_index", corners)
    totals = [face.loop_total for face in mesh.polygons]
    visible[corners[np.repeat(painted, totals)]] = True
    return projected(seen, points[visible & (gone < 0.99)])


def projected(thing, points):
    """Where a thing's own points are in the picture, ``(n, 2)``."""
    scene = bpy.context.scene
    camera = scene.camera.evaluated_get(bpy.context.evaluated_depsgraph_get())
    into = np.array(camera.matrix_world.normalized().inverted() @ thing.matrix_world)
    x, y, z = (points @ into[:3, :3].T + into[:3, 3]).T
    corners = np.array(camera.data.view_frame(scene=scene))
    corners = corners[:, :2] / -corners[:, 2:]
    low, high = corners.min(axis=0), corners.max(axis=0)
    return (np.column_stack([x / -z, y / -z]) - low) / (high - low)


def box(places):
    return *places.min(axis=0), *places.max(axis=0)


def meet(one, other, gap=0.0):
    """Tell whether two boxes overlap."""
    return all(one[a] < other[a + 2] + gap and other[a] < one[a + 2] + gap for a in (0, 1))


def value(thing, name):
    return nodes.tree_with(thing, name).nodes[name].outputs[0].default_value


# Numbers


def drawn(draw):
    """The points of what a graph draws, from left to right."""
    graph = Graph.new("Test")
    graph.output(Geometry=draw(graph))
    thing = nodes.object_of(graph.tree)
    bpy.context.scene.collection.objects.link(thing)
    mesh = thing.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
    points = np.array([vertex.co for vertex in mesh.vertices])
    bpy.data.objects.remove(thing)
    return points[np.lexsort(points.round(4).T)]


def set_by_blender(graph, text):
    """A text as Blender sets it: its own spaces and outlines."""
    curves = graph.add("GeometryNodeStringToCurves", String=text, Size=1.0)
    curves.inputs["Character Spacing"].default_value = picture.SPACING
    compat.set_font(curves, picture.condensed_font())
    real = graph.add("GeometryNodeRealizeInstances", Geometry=curves.outputs[0])
    return graph.add("GeometryNodeFillCurve", Curve=real.outputs[0]).outputs[0]


def written_as(group, number, text):
    def draw(graph):
        words = graph.group(group, Value=float(number)).outputs[0]
        return letters.set_text(graph, words, 1.0, letters.letters_object())

    ours, expected = drawn(draw), drawn(lambda graph: set_by_blender(graph, text))
    return ours.shape == expected.shape and np.allclose(ours, expected, atol=1e-4)


@pytest.mark.parametrize(
    ("loss", "text"),
    [
        (2.41, "2.41"),
        (0.0532, "0.0532"),
        (1.3e-5, "1.3e-05"),
        (0.132, "0.132"),
        (1.0, "1.00"),
        (0.99996, "1.00"),
        (9.996, "10.0"),
        (99.94, "99.9"),
        (640.0, "640"),
        (12345.4, "12 345"),
        (2.5e6, "2.5e+06"),
        (0.00123, "0.00123"),
        (9.96e-6, "1.0e-05"),
        (-0.5, "-0.500"),
        (-3.2e-4, "-3.2e-04"),
        (0.0, "0"),
        (numbers.keyable([np.nan])[0], "INF"),
        (numbers.keyable([-np.inf])[0], "-INF"),
    ],
)
def test_losses_are_written_over_all_orders_of_magnitude(loss, text, empty):
    assert written_as(numbers.loss_text(), loss, text)


@pytest.mark.parametrize(
    ("step", "text"),
    [(0, "0"), (999, "999"), (1000, "1 000"), (1240.4, "1 240"), (1002034, "1 002 034")],
)
def test_steps_are_written_with_thin_spaces(step, text, empty):
    assert written_as(numbers.count_text(), step, text)


def test_every_number_is_that_of_the_snapshot_on_view(shot):
    parts, given, _ = shot
    scene = bpy.context.scene
    rates = np.interp(np.arange(6), [0, 2, 3, 4, 5], RATES[[0, 2, 3, 4, 5]])
    for snapshot, frame in enumerate(np.linspace(1, scene.frame_end, len(given.frames))):
        scene.frame_set(int(frame), subframe=frame - int(frame))
        loss = given.minimizer[snapshot, 2]
        assert value(parts["Live loss"], "Loss") == pytest.approx(loss, rel=1e-5)
        assert value(parts["Step"], "Step") == pytest.approx(given.step[snapshot], abs=0.01)
        assert value(parts["Learning Rate"], "Rate") == pytest.approx(rates[snapshot], rel=1e-4)
    for slot, at in enumerate((0, 2, 3)):
        loss = given.minimizer[at, 2]
        assert value(parts[f"Badge {slot + 1}"], "Loss") == pytest.approx(loss, rel=1e-5)


def test_numbers_follow_the_land_when_it_is_retimed(shot):
    parts, given, _ = shot
    keys = parts["Land"].data.shape_keys
    curve = compat.fcurves(keys).find("eval_time")
    curve.mute = True
    keys.eval_time = 30.0
    bpy.context.scene.frame_set(5)
    try:
        assert value(parts["Live loss"], "Loss") == pytest.approx(given.minimizer[3, 2], rel=1e-5)
        assert value(parts["Step"], "Step") == pytest.approx(given.step[3], abs=0.01)
        assert value(parts["Badge 2"], "Shown") == pytest.approx(1)
    finally:
        curve.mute = False


def test_badges_appear_as_the_minimizer_passes(shot):
    parts, _, _ = shot
    last = bpy.context.scene.frame_end
    counts = []
    for frame in (1, last):
        bpy.context.scene.frame_set(frame)
        counts.append([value(parts[f"Badge {n + 1}"], "Shown") for n in range(BADGES)])
    assert counts[0] == pytest.approx([1, 0, 0], abs=1e-4)
    assert counts[1] == pytest.approx([1, 1, 1], abs=1e-4)


def test_a_badge_hangs_where_the_minimizer_was(shot):
    parts, given, scale = shot
    for slot, at in enumerate((0, 2, 3)):
        bpy.context.scene.frame_set(bpy.context.scene.frame_end)
        graph = bpy.context.evaluated_depsgraph_get()
        place = parts[f"Badge {slot + 1}"].evaluated_get(graph).matrix_world.translation
        assert place.z == pytest.approx(float(scale(given.minimizer[at, 2])), abs=1e-4)


def test_the_dot_runs_along_the_learning_rate(shot):
    parts, given, _ = shot
    ends = []
    for frame in (1, bpy.context.scene.frame_end):
        bpy.context.scene.frame_set(frame)
        ends.append(value(parts["Learning Rate"], "Snapshot"))
    assert ends == pytest.approx([0, len(given.frames) - 1], abs=1e-3)
    run = np.array([v.co for v in parts["Learning Rate"].data.vertices])
    assert np.allclose(run[:, 0], np.linspace(0, 1, 6))
    assert run[:, 1].argmax() == 2


# Places


def test_the_leader_touches_neither_bead_nor_number(shot):
    parts, _, _ = shot
    at = shown(parts["Live loss"], 60)
    tip = shown_tip(parts)
    near = np.linalg.norm((at - tip) * (1, 9 / 16), axis=1).min()
    assert near > 0.009  # the bead's radius, in widths of the picture
    xs = np.sort(np.unique(at[:, 0].round(4)))
    assert np.diff(xs)[: len(xs) // 2].max() > 0.004  # a gap before the first letter


def test_text_is_where_it_was_whatever_the_lens(shot):
    parts, _, _ = shot
    camera = parts["Camera"].data
    names = ["Title", "Recipe", "Step"]
    before = [box(shown(parts[name], 60)) for name in names]
    lens, shift = camera.lens, camera.shift_x
    camera.lens, camera.shift_x = 85.0, -0.2
    bpy.context.view_layer.update()
    after = [box(shown(parts[name], 60)) for name in names]
    camera.lens, camera.shift_x = lens, shift
    assert np.allclose(before, after, atol=2e-3)


def test_nothing_needs_python_to_run(shot):
    owners = [*bpy.data.objects, *bpy.data.node_groups, *bpy.data.cameras, *bpy.data.scenes]
    drivers = [
        curve.driver
        for owner in owners
        if owner.animation_data
        for curve in owner.animation_data.drivers
    ]
    assert len(drivers) > 10
    assert all(d.type != "SCRIPTED" or d.is_simple_expression for d in drivers)
    assert not bpy.app.handlers.frame_change_post


@pytest.mark.parametrize(
    ("size", "framing"),
    [
        ((160, 90), {}),
        ((90, 90), {"third": 0.6}),
        ((90, 160), {}),
        ((160, 90), {"third": 0.72, "rise": 0.3, "lens": 60.0}),
        ((160, 90), {"elevation": 35.0, "distance": 1.3}),
    ],
)
def test_all_is_inside_the_picture_and_nothing_meets(size, framing, funnel_file):
    parts, _, _ = built(funnel_file, size, **framing)
    all_is_inside_and_nothing_meets(parts)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((160, 90), (90, 160)),
        ((160, 90), (90, 90)),
        ((160, 90), (239, 100)),
        ((90, 160), (160, 90)),
        ((90, 90), (239, 100)),
    ],
)
def test_the_layout_follows_the_resolution(before, after, funnel_file):
    parts, _, _ = built(funnel_file, before)
    render = bpy.context.scene.render
    parts["Sentence"].data.body = "A QUIET DESCENT: THE LAND AROUND A SMALL\nNETWORK AS IT LEARNS"
    parts[
        "Recipe"
    ].data.body = "SGD 0.02, MOMENTUM 0.9, BATCH 256\nLOSS OF A BATCH OF 8, TRAIN MODE"
    render.resolution_x, render.resolution_y = after
    all_is_inside_and_nothing_meets(parts, lines=False)


def test_the_layout_follows_the_pixels(funnel_file):
    parts, _, _ = built(funnel_file)
    render = bpy.context.scene.render
    names = ("Title", "Recipe", "Step")
    render.resolution_x, render.pixel_aspect_x = 80, 2.0
    squeezed = [box(shown(parts[name], 60)) for name in names]
    render.resolution_x, render.pixel_aspect_x = 160, 1.0
    assert np.allclose(squeezed, [box(shown(parts[name], 60)) for name in names], atol=2e-3)


def test_an_artist_moves_text_and_it_still_follows_the_resolution(funnel_file):
    parts, _, _ = built(funnel_file)
    render, title = bpy.context.scene.render, parts["Title"]
    _, low, *_ = box(shown(title, 60))
    title.location.y += 0.1
    assert box(shown(title, 60))[1] > low + 0.1
    render.resolution_x, render.resolution_y = 90, 160
    all_is_inside_and_nothing_meets(parts, moved=("Title",))


def test_the_title_stands_above_as_many_lines_as_there_are(funnel_file):
    parts, given, scale = built(funnel_file)
    before = box(shown(parts["Title"], 60))[1]
    longer = {"sentence": "word " * 30, "credits": "for tests"}
    write_overlays(parts, Content("FUNNEL", longer, [given], scale))
    assert box(shown(parts["Title"], 60))[1] > before
    assert not meet(box(shown(parts["Title"])), box(shown(parts["Sentence"])))


def all_is_inside_and_nothing_meets(parts, lines=True, moved=()):
    """Check the layout; where the camera is not yet planned for it, without a label's lines."""
    render = bpy.context.scene.render
    size = render.resolution_x, render.resolution_y
    margin = picture.MARGIN * np.array([1.0, size[0] / size[1]])
    names = ["Title", "Sentence", "Recipe", "Step", "Learning Rate", "Live loss"]
    names += [f"Badge {n + 1}" for n in range(BADGES)]
    scene = bpy.context.scene
    for frame in (1, 80, scene.frame_end):
        scene.frame_set(frame)
        places = {name: shown(parts[name]) for name in names}
        boxes = {name: box(at) for name, at in places.items() if len(at)}
        if not lines:
            boxes["Live loss"] = box(shown(parts["Live loss"], paints=("Overlay Bright",)))
        for name, at in places.items():
            if "Badge" not in name and name != "Live loss":  # whose lines lead to the land
                assert np.all(at > 0.8 * margin), name
                assert np.all(at < 1 - 0.8 * margin), name
            assert np.all((at > 0) & (at < 1)), name
        fixed = ["Title", "Sentence", "Recipe", "Step", "Learning Rate"]
        for index, one in enumerate(fixed):
            for other in (*fixed[index + 1 :], "Live loss"):
                assert one in moved or not meet(boxes[one], boxes[other]), (frame, one, other)
        rounds = [disc(parts[f"Badge {n + 1}"]) for n in range(BADGES)]
        rounds = [at for at in rounds if at is not None]
        assert len(rounds) >= 1
        aspect = size[0] / size[1]
        tip = shown_tip(parts)
        for index, one in enumerate(rounds):
            for at in (*rounds[index + 1 :], tip):
                apart = np.linalg.norm((one - at) * (aspect, 1) / max(aspect, 1))
                assert apart > (0.04 if at is tip else 0.062), frame


def disc(badge):
    """The middle of a badge's round, if it is seen."""
    mesh = badge.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
    paints = [material and material.name for material in mesh.materials]
    faces = [f for f in mesh.polygons if paints[f.material_index] == "Overlay Plate"]
    if not faces:
        return None
    face = max(faces, key=lambda face: face.area)
    if mesh.attributes["fade"].data[face.vertices[0]].value > 0.5:
        return None
    points = np.array([badge.matrix_world @ mesh.vertices[i].co for i in face.vertices])
    at = world_to_camera_view(
        bpy.context.scene, bpy.context.scene.camera, Vector(points.mean(axis=0))
    )
    return np.array(at[:2])


def shown_tip(parts):
    graph = bpy.context.evaluated_depsgraph_get()
    bead = parts["Bead"].evaluated_get(graph).matrix_world.translation
    camera = bpy.context.scene.camera.evaluated_get(graph)
    return np.array(world_to_camera_view(bpy.context.scene, camera, bead)[:2])


# Apart from the land


@pytest.mark.parametrize("wanted", [(), ("loss",), ("title", "rate"), ("recipe", "step", "badges")])
def test_each_can_be_hidden(wanted, funnel_file):
    parts, _, _ = built(funnel_file, wanted=wanted)
    kinds = {
        "title": {"Title", "Sentence"},
        "recipe": {"Recipe"},
        "loss": {"Live loss"},
        "step": {"Step"},
        "badges": {f"Badge {n + 1}" for n in range(BADGES)},
        "rate": {"Learning Rate"},
    }
    for name, makes in kinds.items():
        for part in makes if wanted else ():
            assert parts[part].hide_render == parts[part].hide_viewport == (name not in wanted)
        assert wanted or not any(name in parts for name in makes)
    assert len(scenes_of(bpy.context.scene)) == (1 if wanted else 0)


def test_they_stand_before_whatever_camera_films(funnel_file):
    parts, _, _ = built(funnel_file, acts=[{"rig": "ride"}, {"rig": "orbit", "start": 0.5}])
    scene = bpy.context.scene
    (above,) = scenes_of(scene)
    for frame, filming in ((2, "Camera"), (59, "Camera"), (62, "Camera 2"), (119, "Camera 2")):
        scene.frame_set(frame)
        assert scene.camera == parts[filming]
        graph = bpy.context.evaluated_depsgraph_get()
        camera, eye = (thing.evaluated_get(graph) for thing in (scene.camera, above.camera))
        assert np.allclose(
            camera.matrix_world.normalized(), eye.matrix_world.normalized(), atol=1e-5
        )
        for path in ("lens", "shift_x", "shift_y"):
            assert getattr(eye.data, path) == pytest.approx(getattr(camera.data, path), rel=1e-5)
        assert np.all(shown(parts["Step"]) > 0)
        assert np.all(shown(parts["Step"]) < 1)


def rendered(path, frame=60):
    scene = bpy.context.scene
    scene.frame_start = scene.frame_end = frame
    scene.render.filepath = f"{path}####"
    bpy.ops.render.render(animation=True)
    return judge.read_still(path.with_name(f"{path.name}{frame:04d}.png"))


def test_text_is_sharp_whatever_blurs_the_land(funnel_file, tmp_path):
    parts, _, _ = built(funnel_file, wanted=("title", "loss"))
    parts["Land"].hide_render = parts["Bead"].hide_render = True
    scene = bpy.context.scene
    sharp = rendered(tmp_path / "sharp")
    assert (sharp.max(axis=2) > 180).sum() > 40
    parts["Camera"].data.dof.use_dof = True
    parts["Camera"].data.dof.aperture_fstop = 0.05
    scene.render.use_motion_blur = True
    assert np.array_equal(rendered(tmp_path / "blurred"), sharp)

    parts["Live loss"].hide_render = True  # its icon
    without = rendered(tmp_path / "without")
    assert (without.max(axis=2) > 180).sum() < (sharp.max(axis=2) > 180).sum()
    parts["Title"].hide_render = parts["Sentence"].hide_render = True
    assert rendered(tmp_path / "nothing").max() <= 1  # dithered

    parts["Title"].hide_render = False
    tree, _ = compat.compositing(scene)
    tree.nodes["Overlays"].mute = True
    assert rendered(tmp_path / "muted").max() <= 1  # the land's own scene has no text


NOTHING = Content("", {}, [], None)


def test_an_artists_compositing_stays(funnel_file):
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    tree, result = compat.compositing(scene)
    layer = tree.nodes.new("CompositorNodeRLayers")
    blur = tree.nodes.new("CompositorNodeBlur")
    tree.links.new(layer.outputs["Image"], blur.inputs["Image"])
    tree.links.new(blur.outputs[0], result)
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(camera)
    for _ in range(2):
        make_overlays(scene, camera, Parts({}), NOTHING, ("title",))
    over = node_of(scene)
    assert [node for node in tree.nodes if node.type == "GROUP"] == [over]
    assert over.inputs["Image"].links[0].from_node == blur
    assert len(scenes_of(scene)) == 1

    other = bpy.data.scenes.new("Another shot")
    make_overlays(other, camera, Parts({}), NOTHING, ("title",))
    assert node_of(other).node_tree == over.node_tree

    # As files have it in which there was no shadow yet.
    overlay = over.inputs["Overlays"].links[0].from_socket
    tree.nodes.remove(over)
    old = tree.nodes.new("CompositorNodeAlphaOver")
    old.name = "Overlays"
    tree.links.new(overlay, [socket for socket in old.inputs if socket.type == "RGBA"][1])
    make_overlays(scene, camera, Parts({}), NOTHING, ("title",))
    assert node_of(scene) == old
    assert "GROUP" not in {node.type for node in tree.nodes}


def before_grey(parts):
    """Let overlays be before nothing but grey."""
    parts["Land"].hide_render = parts["Bead"].hide_render = True
    scene = bpy.context.scene
    scene.render.dither_intensity, scene.cycles.use_denoising = 0, False
    scene.world = bpy.data.worlds.new("Grey")
    tree = compat.use_nodes(scene.world)
    tree.nodes.clear()
    grey, out = tree.nodes.new("ShaderNodeBackground"), tree.nodes.new("ShaderNodeOutputWorld")
    grey.inputs["Color"].default_value = (0.6, 0.6, 0.6, 1)
    tree.links.new(grey.outputs[0], out.inputs["Surface"])
    return node_of(scene)


@pytest.mark.parametrize("size", [(320, 180), (180, 320)])
def test_a_soft_shadow_lies_around_text_and_nowhere_else(size, funnel_file, tmp_path):
    parts, _, _ = built(funnel_file, size, wanted=("title",))
    parts["Sentence"].hide_render = True
    node = before_grey(parts)
    shaded = rendered(tmp_path / "shaded")
    shadow = node.inputs["Shadow"].default_value
    node.inputs["Shadow"].default_value = 0.0
    plain = rendered(tmp_path / "plain")
    node.inputs["Shadow"].default_value = shadow
    node.inputs["Shadow Size"].default_value *= 3
    wider = rendered(tmp_path / "wider")
    node.mute = True
    clean = rendered(tmp_path / "clean")
    assert np.ptp(clean) == 0

    drawn = np.any(plain != clean, axis=2)
    assert drawn.sum() > 40
    rows, columns = np.nonzero(drawn)
    rest = np.argwhere(~drawn)
    away = np.array(
        [np.hypot(rows - row, columns - column).min() for row, column in rest], np.float32
    )
    longer = max(size)
    left = shaded[~drawn].mean(axis=1) / clean[0, 0].mean()
    beside, around = left[away < 0.006 * longer], left[away > 0.01 * longer]
    assert beside.mean() < 0.6
    assert beside.mean() < left[(away > 0.009 * longer) & (away < 0.014 * longer)].mean() - 0.1
    assert around.min() > beside.mean()
    assert np.all(left[away > 0.03 * longer] == 1)
    assert np.any(wider[~drawn][away > 0.03 * longer] < clean.min())


def test_the_black_of_a_fade_casts_no_shadow(funnel_file, tmp_path):
    acts = [{"rig": "ride"}, {"rig": "orbit", "start": 0.5, "transition": "fade"}]
    parts, _, _ = built(funnel_file, wanted=("step",), acts=acts)
    node = before_grey(parts)
    fading = rendered(tmp_path / "fading", 56)
    full = rendered(tmp_path / "full", 30)
    corner = np.s_[-30:, :60]  # the counter is in the opposite one
    assert 0.05 * full[corner].mean() < fading[corner].mean() < 0.9 * full[corner].mean()
    node.inputs["Shadow"].default_value = 0.0
    assert np.array_equal(rendered(tmp_path / "plain", 56)[corner], fading[corner])


def test_what_an_artist_changed_stays(funnel_file):
    parts, given, scale = built(funnel_file)
    parts["Title"].data.body = "Mine"
    tree = nodes.tree_with(parts["Step"], "Step")
    path = 'nodes["Step"].outputs[0].default_value'
    tree.animation_data.drivers.find(path).keyframe_points[0].co.y = 77
    parts["Learning Rate"].data.vertices[1].co.y = 0.9
    parts = Parts({part: parts[part] for part in parts if part != Part("Badge", "network", 1)})
    written = write_overlays(parts, Content("Funnel", RECIPE, [given], scale))
    untaken = {thing.name for thing, was in written.items() if not was}
    assert untaken == {"Title", "Step", "Learning Rate"}
    assert parts["Title"].data.body == "Mine"
    assert parts["Learning Rate"].data.vertices[1].co.y == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("name", "stamp"), [("Title", "moving_lands_text"), ("Learning Rate", "moving_lands_curve")]
)
def test_what_an_earlier_version_wrote_is_known(name, stamp, funnel_file):
    parts, given, scale = built(funnel_file)
    assert stamp in parts[name].data
    parts[name].data[stamp] = "of something else"
    written = write_overlays(parts, Content("Funnel", RECIPE, [given], scale))
    assert {thing.name for thing, was in written.items() if not was} == {name}


def test_each_has_a_switch_in_the_recipe():
    switches = {field.name for field in dataclasses.fields(Settings)}
    assert {f"show_{name}" for name in OVERLAYS} == {s for s in switches if s.startswith("show_")}


# Dashes


def test_a_path_is_drawn_in_dashes_on_its_own_course(empty):
    curve = bpy.data.curves.new("Path line", "CURVE")
    curve.dimensions = "3D"
    spline = curve.splines.new("POLY")
    spline.points.add(2)
    length = 4 * dashes.PERIOD
    spline.points.foreach_set("co", [0, 0, 0, 1, length, 0, 0, 1, length, length, 0, 1])
    spline.points[2].radius = 0.0  # outside the window
    radius, color, strength, _ = STYLES["Path line"]
    curve.bevel_depth = radius
    curve.materials.append(glowing_material("Path line", color, strength))
    line = bpy.data.objects.new("Path line", curve)
    bpy.context.scene.collection.objects.link(line)
    dashes.dash(line)
    mesh = line.evaluated_get(bpy.context.evaluated_depsgraph_get()).to_mesh()
    points = np.array([vertex.co for vertex in mesh.vertices])
    first = points[(points[:, 0] < length - radius) & (points[:, 1] < 2 * radius)]
    assert np.abs(first[:, 1:]).max() == pytest.approx(radius, rel=0.05)
    along = first[:, 0] / dashes.PERIOD
    assert np.isin(np.arange(4), along.astype(int)).all()
    gap = (along % 1 > dashes.DASH + 2 / dashes.PIECES) & (along % 1 < 1 - 1 / dashes.PIECES)
    assert not gap.any()
    thinner = points[(points[:, 1] > 3 * dashes.PERIOD) & (points[:, 1] < 4 * dashes.PERIOD)]
    assert np.ptp(thinner[:, 0]) < 0.6 * 2 * radius  # it thins out where there is no land
    assert {material.name for material in mesh.materials if material} == {"Path line"}
