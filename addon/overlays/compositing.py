"""Overlays are rendered by a scene of their own, and laid over the picture by the compositor.

A denoiser takes small text for noise, depth of field and motion blur would smear it, and the land
might cover it. So a second scene renders it through the same lens, always sharp, with nothing but
clear samples; ``blender -b -a`` renders both. In the shot's own scene overlays can be seen and
edited, but not rendered. Mute the compositor's node for a picture without them.
"""

from __future__ import annotations

from collections.abc import Iterable

import bpy

from ..blender import compat
from ..blender.parts import OVERLAYS_OF
from ..units import WIDTH
from .layout import drive
from .materials import APART
from .shadow import laid_over

SAMPLES = 24
"""Enough for smooth edges: there is no other noise."""

LEAST_SAMPLES = 8
"""Where nothing is, which is most of the picture."""

SHARP = 1.2
"""Width of the pixel filter."""

NODE = "Overlays"
"""Name of the compositor's node."""

FOLLOWED = ("lens", "shift_x", "shift_y", "sensor_width")
"""What the overlays' camera has from the shot's; not its aperture."""


def lay_over(
    scene: bpy.types.Scene, camera: bpy.types.Object, things: Iterable[bpy.types.Object]
) -> bpy.types.Object:
    """Let overlays be rendered apart from a scene, and laid over its picture.

    Parameters
    ----------
    scene : Scene
        The shot's.
    camera : Object
        Through which it is seen, or an Empty that is where the camera is that films.
    things : iterable of Object
        The overlays.

    Returns
    -------
    Object
        The overlays' own camera.
    """
    apart = _scene_of(scene)
    for thing in things:
        if apart not in thing.users_scene:
            apart.collection.objects.link(thing)
    eye = _camera_beside(camera)
    apart.collection.objects.link(eye)
    apart.camera = eye
    scene[APART] = 1.0
    _compose(scene, apart)
    return eye


def scenes_of(scene: bpy.types.Scene) -> list[bpy.types.Scene]:
    """Return the scenes that render a scene's overlays."""
    return [other for other in bpy.data.scenes if other.get(OVERLAYS_OF) == scene]


def node_of(scene: bpy.types.Scene) -> bpy.types.Node | None:
    """Return the node that lays a scene's overlays over its picture; mute it for clean plates."""
    tree = compat.compositor(scene)
    return tree.nodes.get(NODE) if tree else None


def _scene_of(scene: bpy.types.Scene) -> bpy.types.Scene:
    there = scenes_of(scene)
    if there:
        return there[0]
    apart = bpy.data.scenes.new("Overlays")
    apart[OVERLAYS_OF] = scene
    render, cycles = apart.render, apart.cycles
    render.engine = "CYCLES"
    render.film_transparent = True
    render.use_persistent_data = True
    cycles.device = scene.cycles.device
    cycles.samples, cycles.use_adaptive_sampling = SAMPLES, True
    cycles.adaptive_threshold, cycles.adaptive_min_samples = 0.01, LEAST_SAMPLES
    cycles.use_denoising = False
    cycles.filter_width = SHARP
    cycles.max_bounces = 0
    cycles.transparent_max_bounces = cycles.min_transparent_bounces = 24  # nothing fades in noise
    return apart


def _camera_beside(camera: bpy.types.Object) -> bpy.types.Object:
    """Build a camera that is where another is, and has its lens, driven, but no blur."""
    data = bpy.data.cameras.new("Overlay Camera")
    data.clip_start, data.clip_end = 0.01, 100 * WIDTH
    for path in FOLLOWED:
        drive(data, path, -1, path, camera, path)
    eye = bpy.data.objects.new("Overlay Camera", data)
    eye.parent = camera
    eye.hide_select = True
    return eye


def _compose(scene: bpy.types.Scene, apart: bpy.types.Scene) -> None:
    """Lay one scene over another at the end of its compositing, whatever an artist does before."""
    tree, result = compat.compositing(scene)
    scene.render.compositor_device = "CPU"  # where there is no screen, there may be no GPU to use
    layers = [node for node in tree.nodes if node.type == "R_LAYERS"]
    if any(node.scene == apart for node in layers):
        return
    over = tree.nodes.new("CompositorNodeGroup")
    over.node_tree = laid_over()
    over.name = over.label = NODE
    shown = [link.from_socket for link in tree.links if link.to_socket == result]
    if shown:
        picture = shown[0]
    else:
        layer = tree.nodes.new("CompositorNodeRLayers")
        layer.scene = scene
        layer.location = (-600, 0)
        picture = layer.outputs["Image"]
    overlays = tree.nodes.new("CompositorNodeRLayers")
    overlays.scene = apart
    overlays.location = (-600, -400)
    over.location, over.width = (-250, 0), 180
    tree.links.new(picture, over.inputs["Image"])
    tree.links.new(overlays.outputs["Image"], over.inputs["Overlays"])
    tree.links.new(over.outputs[0], result)
