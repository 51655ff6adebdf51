"""The one module that knows Blender 4.5 from 5.x."""

from __future__ import annotations

from typing import Any

import bpy

BLENDER_5 = bpy.app.version >= (5, 0, 0)


def use_nodes(owner: Any) -> bpy.types.NodeTree:
    """Return the node tree of a material, world or light, made where 4.5 has none yet."""
    if not BLENDER_5:
        owner.use_nodes = True
    return owner.node_tree


def write_as_png(image_settings: bpy.types.ImageFormatSettings) -> None:
    """Set an output to pictures, whatever it was before."""
    if BLENDER_5:
        image_settings.media_type = "IMAGE"
    image_settings.file_format = "PNG"
    image_settings.color_mode, image_settings.color_depth = "RGB", "8"


def write_as_exr(image_settings: bpy.types.ImageFormatSettings) -> None:
    """Set an output to scene-linear pictures of half floats."""
    if BLENDER_5:
        image_settings.media_type = "IMAGE"
    image_settings.file_format = "OPEN_EXR"
    image_settings.color_mode, image_settings.color_depth = "RGB", "16"
    image_settings.exr_codec = "ZIP"


def write_as_video(image_settings: bpy.types.ImageFormatSettings) -> None:
    """Set an output to a film file."""
    if BLENDER_5:
        image_settings.media_type = "VIDEO"
    image_settings.file_format = "FFMPEG"


def fcurves(owner: bpy.types.ID) -> Any:
    """Return the F-curves of a data-block's own action, made where there is none.

    Works the same on 4.5 and 5.x; ``action.fcurves`` does not.
    """
    animation = owner.animation_data or owner.animation_data_create()
    if animation.action is None:
        animation.action = bpy.data.actions.new(owner.name)
    action = animation.action
    if animation.action_slot is None:
        animation.action_slot = action.slots.new(owner.id_type, owner.name)
    layer = action.layers[0] if action.layers else action.layers.new("Layer")
    strip = layer.strips[0] if layer.strips else layer.strips.new(type="KEYFRAME")
    return strip.channelbag(animation.action_slot, ensure=True).fcurves


def set_font(node: bpy.types.Node, font: bpy.types.VectorFont) -> None:
    """Set the typeface of a String to Curves node: a socket in 5.x, a property before."""
    if "Font" in node.inputs:
        node.inputs["Font"].default_value = font
    else:
        node.font = font


def compositor(scene: bpy.types.Scene) -> bpy.types.NodeTree | None:
    """Return a scene's compositing nodes, if it has some."""
    return scene.compositing_node_group if BLENDER_5 else scene.node_tree


def is_composited(scene: bpy.types.Scene) -> bool:
    """Tell whether a scene has compositing nodes, and they act."""
    on = scene.render.use_compositing and (BLENDER_5 or scene.use_nodes)
    return bool(on and compositor(scene))


def compositing(scene: bpy.types.Scene) -> tuple[bpy.types.NodeTree, bpy.types.NodeSocket]:
    """Switch a scene's compositing nodes on, made where there are none.

    Nodes that there are stay as they are; what is another scene's too, is copied for this one.

    Returns
    -------
    NodeTree, NodeSocket
        The nodes, and where the picture ends.
    """
    scene.render.use_compositing = True
    if BLENDER_5:
        tree = scene.compositing_node_group
        if tree is None:
            tree = bpy.data.node_groups.new("Compositing", "CompositorNodeTree")
        elif tree.library or tree.users - tree.use_fake_user > 1:
            tree = tree.copy()
        scene.compositing_node_group = tree
        if not any(item.item_type == "SOCKET" for item in tree.interface.items_tree):
            tree.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
        kind = "NodeGroupOutput"
    else:
        scene.use_nodes = True
        tree = scene.node_tree
        kind = "CompositorNodeComposite"
    ends = [node for node in tree.nodes if node.bl_idname == kind] or [tree.nodes.new(kind)]
    # Of several, 4.5 does not tell which one is in use.
    return tree, next((n for n in ends if getattr(n, "is_active_output", False)), ends[0]).inputs[0]
