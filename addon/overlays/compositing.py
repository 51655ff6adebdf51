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
from ..blender.parts import MARK, OVERLAYS_OF, Part, Parts
from ..nodes.graph import Graph
from ..units import WIDTH
from .layout import drive
from .materials import COMPOSITED
from .shadow import laid_over

SAMPLES = 24
"""Enough for smooth edges: there is no other noise."""

LEAST_SAMPLES = 8
"""Where nothing is, which is most of the picture."""

SHARP = 1.2
"""Width of the pixel filter."""

NODE = "Overlays"
"""Name of the compositor's node, and of the collection."""

OWN = "Own Compositing (was off)"
"""Name of the switch before nodes that an artist had switched off."""

FOLLOWED = ("lens", "shift_x", "shift_y", "sensor_width")
"""What the overlays' camera has from the shot's; not its aperture."""


def lay_over(
    scene: bpy.types.Scene, camera: bpy.types.Object, things: Iterable[bpy.types.Object]
) -> bpy.types.Object:
    """Let overlays be rendered by a scene of their own, and laid over the picture of another.

    They lie in a collection that both scenes are to have, so that what is deleted from one is in
    neither.

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
    above = _scene_before(scene, camera) or _new_scene(scene)
    above.camera = eye = above.camera or _camera_beside(camera)
    overlays = bpy.data.collections.new(NODE)
    above.collection.children.link(overlays)
    for thing in (*things, eye):
        overlays.objects.link(thing)
    scene[COMPOSITED] = 1.0
    _compose(scene, above)
    return eye


def share(parts: Parts) -> None:
    """Let an earlier version's scene of overlays have what the shot's has, and nothing else.

    There, objects were linked to both scenes, so that what was deleted from one stayed in the film.
    """
    eye = parts.get(Part("Overlay Camera"))
    above = next((s for s in bpy.data.scenes if OVERLAYS_OF in s and s.camera == eye), None)
    linked = [t for t in above.collection.objects if MARK in t] if eye and above else []
    if not linked:
        return
    overlays = bpy.data.collections.new(NODE)
    above.collection.children.link(overlays)
    for thing in linked:
        above.collection.objects.unlink(thing)
        homes = [c for c in thing.users_collection if isinstance(c.get(MARK), str)]
        for home in homes:
            home.objects.unlink(thing)
            if overlays.name not in home.children:
                home.children.link(overlays)
        if homes or thing.users_scene:
            overlays.objects.link(thing)


def scenes_of(scene: bpy.types.Scene) -> list[bpy.types.Scene]:
    """Return the scenes that render a scene's overlays."""
    return [other for other in bpy.data.scenes if other.get(OVERLAYS_OF) == scene]


def node_of(scene: bpy.types.Scene) -> bpy.types.Node | None:
    """Return the node that lays a scene's overlays over its picture; mute it for clean plates."""
    tree = compat.compositor(scene)
    return tree.nodes.get(NODE) if tree else None


def _scene_before(scene: bpy.types.Scene, camera: bpy.types.Object) -> bpy.types.Scene | None:
    """Return the scene of overlays that stand before a camera: that of the same shot, if any."""
    return next((s for s in scenes_of(scene) if s.camera and s.camera.parent == camera), None)


def _new_scene(scene: bpy.types.Scene) -> bpy.types.Scene:
    above = bpy.data.scenes.new("Overlays")
    above[OVERLAYS_OF] = scene
    render, cycles = above.render, above.cycles
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
    return above


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


def _compose(scene: bpy.types.Scene, above: bpy.types.Scene) -> None:
    """Lay one scene over another at the end of its compositing, whatever an artist does before."""
    acted = compat.is_composited(scene)
    tree, ends = compat.compositing(scene)
    if any(node.type == "R_LAYERS" and node.scene == above for node in tree.nodes):
        return
    picture = next((link.from_socket for link in tree.links if link.to_socket == ends), None)
    if not acted:
        scene.render.compositor_device = "CPU"  # where there is no screen, there may be no GPU
        picture = _switched_off(scene, tree, picture)
    graph = Graph(tree)
    overlays = _rendered(graph, above, -400)
    picture = picture or _rendered(graph, scene, 0)
    over = graph.group(laid_over(), Image=picture, Overlays=overlays)
    over.name = over.label = NODE
    over.location, over.width = (-250, 0), 180
    graph.feed(ends, over.outputs[0])


def _rendered(graph: Graph, scene: bpy.types.Scene, y: float) -> bpy.types.NodeSocket:
    """Add the picture that a scene renders."""
    settings = {"scene": scene, "location": (-600, y)}
    return graph.add("CompositorNodeRLayers", settings).outputs["Image"]


def _is_plain(picture: bpy.types.NodeSocket, scene: bpy.types.Scene) -> bool:
    """Tell whether a picture is the one that a scene renders, without any compositing."""
    layers = picture.node
    return layers.type == "R_LAYERS" and layers.scene == scene and picture.name == "Image"


def _switched_off(
    scene: bpy.types.Scene, tree: bpy.types.NodeTree, picture: bpy.types.NodeSocket | None
) -> bpy.types.NodeSocket | None:
    """Keep an artist's nodes out of the picture that did not act before, ready to be switched on.

    Without them, the scene's own picture is returned; a switch has theirs at hand.
    """
    for node in tree.nodes:
        if node.type in ("OUTPUT_FILE", "VIEWER"):
            node.mute = True
    if picture is None or _is_plain(picture, scene):
        return picture
    graph = Graph(tree)
    switch = graph.add("CompositorNodeSwitch", {"name": OWN, "label": OWN, "location": (-420, 0)})
    off, on = (socket for socket in switch.inputs if socket.type == "RGBA")
    graph.feed(off, _rendered(graph, scene, 0))
    graph.feed(on, picture)
    return switch.outputs[0]
