"""Make ``looks.blend`` anew: ``python -m addon.assets.make_looks SEQUENCE.h5``, with bpy 4.5.

It holds all looks, as materials to drag on a land and as node groups to mix, with pictures of
the sequence's land for previews. Blender 5.2 opens what 4.5 wrote; the other way things get lost.
"""

from __future__ import annotations

import os
import sys
import tempfile
from math import radians
from pathlib import Path

import bpy
import numpy as np
from mathutils import Euler, Vector

from ..blender import compat
from ..look import LOOKS, Look, library
from ..look.grading import grade_world, set_view
from ..look.lights import light_rig
from ..look.shading import look_material
from ..sequence.selection import Selection
from ..shot import scripting as stage
from ..shot.parts import Options, lands_of
from ..units import WIDTH

CATALOGUE = "6f0a4b6e-2a53-4b0c-9d53-3f1b7c0f5a91"
"""Of ``blender_assets.cats.txt``."""

SIZES = {"materials": 256, "node_groups": 128}


def main(path: str) -> None:
    """Make the file beside this one, of previews of a sequence."""
    if compat.BLENDER_5:
        raise SystemExit("looks.blend is made in Blender 4.5, which is the oldest that opens it.")
    with tempfile.TemporaryDirectory() as folder:
        pictures = [_picture(path, look, Path(folder)) for look in LOOKS.values()]
        bpy.ops.wm.read_factory_settings(use_empty=True)
        made: set[bpy.types.ID] = set()
        for look, picture in zip(LOOKS.values(), pictures, strict=True):
            material = look_material(look)
            group = material.node_tree.nodes[look.label].node_tree
            for asset, kind in ((material, "materials"), (group, "node_groups")):
                _mark(asset, look, picture, SIZES[kind])
                made.add(asset)
        written = Path(folder) / library.FILE.name
        bpy.data.libraries.write(str(written), made, fake_user=True, compress=True)
        partial = library.FILE.with_suffix(".partial")
        partial.write_bytes(written.read_bytes())
        os.replace(partial, library.FILE)


def _mark(asset: bpy.types.ID, look: Look, picture: np.ndarray, size: int) -> None:
    """Make something an asset, with a picture ``(height, width, 4)`` of it."""
    asset.asset_mark()
    data = asset.asset_data
    data.description = look.asset
    data.catalog_id = CATALOGUE
    data.author = "Moving Lands"
    data.license = "GPL-3.0-or-later"
    for tag in ("loss landscape", *look.tags):
        data.tags.new(tag)
    preview = asset.preview_ensure()
    step = len(picture) // size
    small = picture.reshape(size, step, size, step, 4).mean(axis=(1, 3))
    preview.image_size = (size, size)
    preview.image_pixels_float.foreach_set(small.astype(np.float32).ravel())


def _picture(path: str, look: Look, folder: Path) -> np.ndarray:
    """Render the sequence's last land in a look, from a little below and from a little above."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    options = Options(Selection(first=-1, last=-1), whole=False)
    land = lands_of(stage.import_sequence(path, options=options))[0]
    land.data.materials.clear()
    land.data.materials.append(look_material(look))
    azimuth, elevation = look.preview
    for thing in light_rig(look, land["relief"], azimuth).values():
        scene.collection.objects.link(thing)
    scene.world = grade_world(look.grade)
    set_view(scene, look.grade)
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(camera)
    middle = Vector((0.0, 0.0, 0.65 * land["relief"]))
    way = Vector((0.0, -1.0, 0.0))
    way.rotate(Euler((radians(-elevation), 0.0, radians(azimuth))))
    camera.location = middle + WIDTH * way
    camera.rotation_euler = (-way).to_track_quat("-Z", "Y").to_euler()
    scene.camera = camera
    scene.render.engine = "CYCLES"
    scene.render.resolution_x = scene.render.resolution_y = SIZES["materials"]
    scene.cycles.samples, scene.cycles.use_denoising = 64, True
    scene.render.filepath = str(folder / f"{look.label}.png")
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(scene.render.filepath)
    pixels = np.empty(len(image.pixels), np.float32)
    image.pixels.foreach_get(pixels)
    return pixels.reshape(*image.size, 4)


if __name__ == "__main__":
    main(sys.argv[1])
