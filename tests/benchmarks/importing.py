"""A large sequence on its way into Blender, and how fast the land then moves.

Beside it the same sequence as importers of mesh sequences bring it in, one mesh a frame, each
shown in its time; here with bulk arrays, which they rarely use. Each is a process of its own.
Files are read from the page cache. Last a whole shot, of GENTLY's size, as an artist plays it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
from funnel import funnel

from addon.sequence import heights
from addon.sequence.memory import cache_size
from addon.sequence.reader import open_sequence
from addon.sequence.surface import Surface
from movinglands.sequence import Frame, SurfaceData, write_sequence

from .memory import _resident
from .report import Row

if TYPE_CHECKING:
    import bpy

RESOLUTION, SNAPSHOTS = 548, 300
SHOT_RESOLUTION, SHOT_SNAPSHOTS = 161, 48
"""Of the whole shot: those of GENTLY."""

LAST_FRAME = 1000
"""Of the film: most of its frames lie between two snapshots."""

CHANGES, PASSES = 100, 5
"""Frames of a pass, and passes; the fastest counts, for what else runs here can only slow one."""


def bench() -> Iterator[Row]:
    """Measure the three ways."""
    with tempfile.TemporaryDirectory() as folder:
        sequence = Path(folder, "large.h5")
        _write(sequence)
        unpacked = 4 * SNAPSHOTS * RESOLUTION**2
        packed = f"gzip to {sequence.stat().st_size / unpacked:.0%}"
        keys, meshes, cache = (_measured(way, sequence) for way in ("keys", "meshes", "cache"))
    size = f"{SNAPSHOTS} x {RESOLUTION**2} points"
    beside = "one mesh a frame {:.4g}"
    theirs, peak, change = (beside.format(meshes[key]) for key in ("seconds", "peak", "change"))
    yield Row("import.seconds", keys["seconds"], f"{size}, {packed}, fit included", theirs)
    yield Row("import.peak_over_raw", keys["peak"], "shape keys; raw is 12 bytes a point", peak)
    yield Row("frame_change.ms", keys["change"], "shape keys", change)
    yield Row(
        "cache.frame_change.ms",
        cache["change"],
        f"mesh cache; import {cache['seconds']:.4g} s, peak over raw {cache['peak']:.4g}",
        change,
    )
    yield _whole_shot()


def _whole_shot() -> Row:
    with tempfile.TemporaryDirectory() as folder:
        sequence = Path(folder, "shot.h5")
        recipe = Path(__file__).parents[2].joinpath("scenes/gently.toml").read_text()
        surface = funnel(frames=SHOT_SNAPSHOTS, size=SHOT_RESOLUTION)
        write_sequence(sequence, "SHOT", recipe, {"network": surface})
        shot = _measured("shot", sequence)
    return Row(
        "shot.frame_change.ms",
        shot["change"],
        f"a whole shot of {SHOT_RESOLUTION**2} points, with its overlays",
        f"without overlays {shot['bare']:.4g}",
    )


def _write(path: Path) -> None:
    """Write a plateau with folds that sinks into a funnel, with what float32 leaves of a loss."""
    axis = np.linspace(-1.2, 1.2, RESOLUTION)
    b, a = np.meshgrid(axis, axis, indexing="ij")
    folds = 2.4 + 0.4 * np.sin(5 * a + 2 * b) * (a**2 + b**2) + a**2
    well = np.exp(-4 * (a**2 + b**2))
    depths = np.geomspace(1.0, 0.02, SNAPSHOTS)
    random = np.random.default_rng(0)

    def frame(t: int) -> Frame:
        rounding = 1 + 1e-6 * random.standard_normal(folds.shape)
        return Frame((folds * (1 - (1 - depths[t]) * well) * rounding).astype(np.float32))

    still = np.zeros((SNAPSHOTS, 2))
    minimizer = np.column_stack([still, 2.4 * depths])
    surface = SurfaceData(axis, axis, np.arange(SNAPSHOTS), still, minimizer, frame)
    write_sequence(path, "LARGE", "", {"network": surface})


def _measured(way: str, sequence: Path) -> dict[str, float]:
    command = [sys.executable, "-m", __name__, way, str(sequence)]
    done = subprocess.run(command, check=True, text=True, capture_output=True)
    return json.loads(done.stdout.splitlines()[-1])


def _measure(way: str, path: Path) -> dict[str, float]:
    """Import a sequence in one of the ways, then go through some frames of the film."""
    import bpy

    bpy.ops.wm.read_factory_settings(use_empty=True)
    if way == "shot":
        return _played(path)
    with open(path, "rb") as file:
        while file.read(1 << 20):  # into the page cache
            pass
    before, start = _resident("VmRSS"), time.perf_counter()
    with open_sequence(path) as sequence:
        (surface,) = sequence.surfaces.values()
        scale = heights.fit(surface.losses(), "log", relief=2.4)
        if way == "meshes":
            made = _one_mesh_a_frame(surface, scale)
        else:
            made = [_ours(surface, scale, path.with_suffix(".pc2") if way == "cache" else None)]
    seconds = time.perf_counter() - start
    peak = (_resident("VmHWM") - before) / (cache_size(surface) / 2**30)

    scene = bpy.context.scene
    for thing in made:
        scene.collection.objects.link(thing)
    change = min(_pass(scene) for _ in range(PASSES))
    return {"seconds": seconds, "peak": peak, "change": 1e3 * change}


def _played(path: Path) -> dict[str, float]:
    """Import a whole shot, and go through some frames with overlays and without, in turns."""
    import bpy

    from addon.blender.parts import parts_of
    from addon.overlays.build import OVERLAYS
    from addon.shot.build import import_sequence

    shot = import_sequence(path)
    scene = next(s for s in bpy.data.scenes if shot.name in s.collection.children)
    kinds = {kind for overlay in OVERLAYS.values() for kind in overlay.kinds}
    parts = parts_of(shot)
    shown = [parts[p] for p in parts if p.kind in kinds and not parts[p].hide_viewport]
    taken: dict[bool, list[float]] = {False: [], True: []}
    for hidden in (False, True) * PASSES:
        for thing in shown:
            thing.hide_viewport = hidden
        taken[hidden].append(_pass(scene))
    return {"change": 1e3 * min(taken[False]), "bare": 1e3 * min(taken[True])}


def _pass(scene: bpy.types.Scene) -> float:
    """Go through some frames; return the median of the seconds that one takes."""
    scene.frame_set(1)
    changes = []
    for frame in range(2, 2 + CHANGES):
        start = time.perf_counter()
        scene.frame_set(frame)
        changes.append(time.perf_counter() - start)
    return median(changes)


def _ours(surface: Surface, scale: heights.HeightScale, cache: Path | None) -> bpy.types.Object:
    from addon.land.mesh import building
    from addon.steps import drained

    return drained(building(surface, scale, 1, LAST_FRAME, cache))


def _one_mesh_a_frame(surface: Surface, scale: heights.HeightScale) -> list[bpy.types.Object]:
    import bpy

    from addon.land.mesh import grid_positions

    points = grid_positions(surface)
    rows, cols = len(surface.beta), len(surface.alpha)
    corner = (np.arange(rows - 1)[:, None] * cols + np.arange(cols - 1)).reshape(-1, 1)
    quads = (corner + np.array([0, 1, cols + 1, cols])).astype(np.int32).ravel()
    starts = np.arange(0, quads.size, 4, dtype=np.int32)
    uv = (points[quads, :2] / np.ptp(points[:, 0]) + 0.5).ravel()
    shown = np.linspace(1, LAST_FRAME, SNAPSHOTS + 1).round()
    made = []
    for index in range(SNAPSHOTS):
        points[:, 2] = scale(surface.loss(index)).ravel()
        mesh = bpy.data.meshes.new("frame")
        mesh.vertices.add(len(points))
        mesh.loops.add(quads.size)
        mesh.polygons.add(starts.size)
        mesh.vertices.foreach_set("co", points.ravel())
        mesh.loops.foreach_set("vertex_index", quads)
        mesh.polygons.foreach_set("loop_start", starts)
        mesh.uv_layers.new(name="UVMap", do_init=False).uv.foreach_set("vector", uv)
        mesh.shade_smooth()
        mesh.update(calc_edges=True)
        thing = bpy.data.objects.new("frame", mesh)
        for hidden, frame in ((True, 0), (False, shown[index]), (True, shown[index + 1])):
            thing.hide_viewport = thing.hide_render = hidden
            thing.keyframe_insert("hide_viewport", frame=frame)
            thing.keyframe_insert("hide_render", frame=frame)
        made.append(thing)
    return made


if __name__ == "__main__":
    print(json.dumps(_measure(sys.argv[1], Path(sys.argv[2]))))
