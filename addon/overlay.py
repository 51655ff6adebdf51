"""Text in the picture: titles before the lens, the live loss beside the minimizer.

Native objects only: text curves parented to the camera, and Geometry Nodes that turn one keyed
number into curves, so the loss counts on a Blender without the add-on. Numbers are original losses.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import bpy
import numpy as np

from . import compat
from .animation import key_driven
from .look import glowing_material
from .surface import WIDTH

Clock = tuple[bpy.types.ID, str, float]
"""What says which snapshot a land shows: data-block, data path, its value per snapshot."""

WRITTEN = "moving_lands_text"
"""Custom property of a text: what was written into it."""

FONT = Path(__file__).parent / "assets" / "fonts" / "BarlowCondensed-Medium.ttf"

DEPTH = 0.05 * WIDTH
"""How far before the lens the titles stand: nearer than any land comes."""

MARGIN = 0.045
"""Between text and the frame's border, in frame widths."""

SMALL = 0.022
"""Size of the small text, in frame widths: legible at 640 x 360."""

LINE = 44
"""Most characters in a line of the sentence: it stays clear of the recipe."""

LEADER = ((0.012, -0.01), (0.055, -0.06))
"""Ends of the thin line from the bead to its label, as the camera sees them, in frame widths."""

NEARER = 0.12
"""How far before the bead its label stands, so that the land does not cover it; frame widths."""


def condensed_font() -> bpy.types.VectorFont:
    """Load the typeface, packed into the .blend so that it travels."""
    font = bpy.data.fonts.load(str(FONT), check_existing=True)
    if font.packed_file is None:
        font.pack()
    return font


def titles(
    camera: bpy.types.Object, aspect: float, sentence_lines: int
) -> dict[str, bpy.types.Object]:
    """Build the title block, lower left, and the recipe of the run, lower right.

    Parameters
    ----------
    camera : Object
        What the text stands before, whatever its lens and shift become.
    aspect : float
        Width of the picture over its height.
    sentence_lines : int
        How many lines stand below the title.

    Returns
    -------
    dict of Object
        By what they are: an Empty that is the picture's frame (its unit is the longer side, its
        origin the middle), and the texts in it, empty yet.
    """
    frame = _picture_frame(camera)
    width, height = min(1.0, aspect), min(1.0, 1.0 / aspect)
    edge = width / 2 - MARGIN * width
    pale = glowing_material("Text", "f2e9e4", 0.85)
    dim = glowing_material("Text dim", "f2e9e4", 0.42)
    made = {"Picture Frame": frame}
    above = SMALL * 1.1 * sentence_lines + 0.012
    blocks = (
        ("Title", "LEFT", -edge, 0.052, above, pale),
        ("Sentence", "LEFT", -edge, SMALL, 0.0, dim),
        ("Recipe", "RIGHT", edge, SMALL, 0.0, dim),
    )
    for name, align, x, size, rise, material in blocks:
        curve = bpy.data.curves.new(name, "FONT")
        curve.font = condensed_font()
        curve.size = size * width
        curve.space_character = 1.06
        curve.space_line = 1.1
        curve.align_x, curve.align_y = align, "BOTTOM"
        curve.materials.append(material)
        text = bpy.data.objects.new(name, curve)
        text.parent = frame
        text.location = (x, (MARGIN + rise) * width - height / 2, 0)
        only_seen(text)
        made[name] = text
    return made


def write(text: bpy.types.Object, body: str) -> bool:
    """Write a text in capitals, unless an artist changed it; return whether it was written."""
    body, curve = body.upper(), text.data
    if curve.get(WRITTEN, curve.body) != curve.body:
        return False
    curve.body = curve[WRITTEN] = body
    return True


def _picture_frame(camera: bpy.types.Object) -> bpy.types.Object:
    """Build an Empty that fills the picture, driven by the camera's lens and shift.

    The expressions are simple ones, which Blender evaluates itself: they run in a file whose
    scripts are not trusted, too.
    """
    frame = bpy.data.objects.new("Picture Frame", None)
    frame.empty_display_size = 0.01  # not across the view
    frame.parent = camera
    frame.location.z = -DEPTH
    longer_side = f"{DEPTH} * sensor / lens"
    sensor, lens = ("sensor", "sensor_width"), ("lens", "lens")
    for axis in range(3):
        _drive(frame, "scale", axis, longer_side, camera.data, sensor, lens)
    for axis, shift in enumerate(("shift_x", "shift_y")):
        expression = f"shift * {longer_side}"
        _drive(frame, "location", axis, expression, camera.data, sensor, lens, ("shift", shift))
    return frame


def _drive(
    thing: bpy.types.Object,
    path: str,
    axis: int,
    expression: str,
    source: bpy.types.Camera,
    *variables: tuple[str, str],
) -> None:
    driver = thing.driver_add(path, axis).driver
    driver.type = "SCRIPTED"
    for name, source_path in variables:
        variable = driver.variables.new()
        variable.name = name
        target = variable.targets[0]
        target.id_type, target.id, target.data_path = "CAMERA", source, source_path
    driver.expression = expression


def only_seen(thing: bpy.types.Object) -> None:
    """Keep an overlay out of the land's light: the camera sees it, nothing else does."""
    for ray in ("diffuse", "glossy", "transmission", "volume_scatter", "shadow"):
        setattr(thing, f"visible_{ray}", False)


def bead(seen: float) -> bpy.types.Object:
    """Build the minimizer's mark: a small shining bead.

    Parameters
    ----------
    seen : float
        Width of the picture at the minimizer's distance, Blender units.
    """
    mesh = bpy.data.meshes.new("Bead")
    mesh.from_pydata(*_icosphere(0.009 * seen))
    mesh.shade_smooth()
    mesh.materials.append(glowing_material("Bead", "fff1dc", 1.6))
    mark = bpy.data.objects.new("Bead", mesh)
    only_seen(mark)
    return mark


def key_bead(mark: bpy.types.Object, clock: Clock, places: np.ndarray) -> bool:
    """Put a mark on its place at each snapshot; return whether it was ours to move.

    Parameters
    ----------
    mark : Object
        A child of the land.
    clock : bpy.types.ID, str, float
        What says which snapshot is seen: data-block, data path, its value per snapshot.
    places : ndarray
        ``(n, 3)`` places on the land, Blender units.
    """
    *source, each = clock
    when = each * np.arange(len(places))
    return all(
        [key_driven(mark, "location", source, when, places[:, axis], axis) for axis in range(3)]
    )


def _icosphere(radius: float) -> tuple[list, list, list]:
    import bmesh

    shape = bmesh.new()
    bmesh.ops.create_icosphere(shape, subdivisions=3, radius=radius)
    vertices = [tuple(v.co) for v in shape.verts]
    faces = [[v.index for v in face.verts] for face in shape.faces]
    shape.free()
    return vertices, [], faces


def live_loss(mark: bpy.types.Object, camera: bpy.types.Object, seen: float) -> bpy.types.Object:
    """Build the label beside the minimizer: the original loss, counting.

    Parameters
    ----------
    mark : Object
        What the label stands beside and moves with.
    camera : Object
        What it faces.
    seen : float
        Width of the picture at the minimizer's distance, Blender units.
    """
    tree = bpy.data.node_groups.new("Live loss", "GeometryNodeTree")
    tree.is_modifier = True
    tree.interface.new_socket("Geometry", in_out="INPUT", socket_type="NodeSocketGeometry")
    tree.interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    value = tree.nodes.new("ShaderNodeValue")
    value.name = value.label = "Loss"
    text = tree.nodes.new("FunctionNodeValueToString")
    text.inputs["Decimals"].default_value = 3
    joined = tree.nodes.new("GeometryNodeStringJoin")
    caption = tree.nodes.new("FunctionNodeInputString")
    caption.string = "LOSS "
    curves = tree.nodes.new("GeometryNodeStringToCurves")
    compat.set_font(curves, condensed_font())
    curves.inputs["Size"].default_value = 0.038 * seen
    fill = tree.nodes.new("GeometryNodeFillCurve")
    place = tree.nodes.new("GeometryNodeTransform")
    place.inputs["Translation"].default_value = (
        seen * (LEADER[1][0] + 0.008),
        seen * LEADER[1][1],
        seen * NEARER,
    )
    leader = _leader(tree, seen)
    join = tree.nodes.new("GeometryNodeJoinGeometry")
    paint = tree.nodes.new("GeometryNodeSetMaterial")
    paint.inputs["Material"].default_value = glowing_material("Label", "fff1dc", 0.9)
    realise = tree.nodes.new("GeometryNodeRealizeInstances")
    out = tree.nodes.new("NodeGroupOutput")
    chain = (curves, realise, fill, place, join, paint, out)
    tree.links.new(value.outputs[0], text.inputs["Value"])
    # Strings into a multi-input socket are joined last link first.
    tree.links.new(text.outputs[0], joined.inputs["Strings"])
    tree.links.new(caption.outputs[0], joined.inputs["Strings"])
    tree.links.new(joined.outputs[0], curves.inputs["String"])
    for before, after in pairwise(chain):
        tree.links.new(before.outputs[0], after.inputs[0])
    tree.links.new(leader, join.inputs[0])
    for column, node in enumerate((value, text, caption, joined, *chain)):
        node.location = (200 * column, 0)
    label = bpy.data.objects.new("Live loss", bpy.data.meshes.new("Live loss"))
    label.modifiers.new("Live loss", "NODES").node_group = tree
    label.parent = mark
    facing = label.constraints.new("COPY_ROTATION")
    facing.target = camera
    only_seen(label)
    return label


def key_loss(label: bpy.types.Object, clock: Clock, losses: np.ndarray) -> bool:
    """Let a label count the losses ``(n,)`` of the snapshots; return whether it was ours."""
    trees = [m.node_group for m in label.modifiers if m.type == "NODES" and m.node_group]
    tree = next((tree for tree in trees if "Loss" in tree.nodes), None)
    if tree is None:
        return False
    *source, each = clock
    path = 'nodes["Loss"].outputs[0].default_value'
    return key_driven(tree, path, source, each * np.arange(len(losses)), losses)


def _leader(tree: bpy.types.NodeTree, seen: float) -> bpy.types.NodeSocket:
    """Add the thin line from the bead to the label and return its mesh."""
    line = tree.nodes.new("GeometryNodeCurvePrimitiveLine")
    for end, place in zip(("Start", "End"), LEADER, strict=True):
        line.inputs[end].default_value = [seen * x for x in (*place, NEARER)]
    profile = tree.nodes.new("GeometryNodeCurvePrimitiveCircle")
    profile.inputs["Resolution"].default_value = 6
    profile.inputs["Radius"].default_value = 0.0007 * seen
    mesh = tree.nodes.new("GeometryNodeCurveToMesh")
    tree.links.new(line.outputs["Curve"], mesh.inputs["Curve"])
    tree.links.new(profile.outputs["Curve"], mesh.inputs["Profile Curve"])
    for column, node in enumerate((line, profile, mesh)):
        node.location = (200 * column, -300)
    return mesh.outputs["Mesh"]
