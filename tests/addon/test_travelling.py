"""A .blend is whole: moved away, and opened where there is no add-on, it renders the same."""

import subprocess
import sys

import bpy
import numpy as np
import pytest

from addon.shot import parts as shots
from addon.shot import scripting as stage

RENDER = """
import sys, bpy
blend, folder, frames = sys.argv[1], sys.argv[2], sys.argv[3:]
bpy.ops.wm.open_mainfile(filepath=blend)
assert "addon" not in sys.modules and "h5py" not in sys.modules
scene = bpy.context.scene
for frame in map(int, frames):
    scene.frame_set(frame)
    scene.render.filepath = f"{folder}/{frame}.png"
    bpy.ops.render.render(write_still=True)
"""


def rendered(blend, folder, frames):
    """Render frames in a Blender of its own, far from the add-on; return their pixels."""
    command = [sys.executable, "-c", RENDER, str(blend), str(folder), *map(str, frames)]
    subprocess.run(command, check=True, cwd=folder, capture_output=True)
    pixels = []
    for frame in frames:
        image = bpy.data.images.load(str(folder / f"{frame}.png"))
        pixels.append(np.array(image.pixels[:]))
        bpy.data.images.remove(image)
    return pixels


@pytest.mark.parametrize("cache", [False, True], ids=["shape keys", "mesh cache"])
def test_moved_and_without_the_add_on(empty, tiny_file, tmp_path, cache):
    home, away = tmp_path / "home", tmp_path / "a" / "way"
    home.mkdir()
    blend = home / "shot.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(blend))
    stage.import_sequence(tiny_file, None, shots.Options(cache=cache))
    bpy.ops.wm.save_as_mainfile(filepath=str(blend))
    before = rendered(blend, home, (1, 3))
    away.parent.mkdir()
    home.rename(away)
    after = rendered(away / "shot.blend", away, (1, 3))
    np.testing.assert_array_equal(before, after)
    assert np.abs(before[0] - before[1]).max() > 0.2  # the land moves
    assert max(np.ptp(pixels) for pixels in before) > 0.3  # and is lit
