"""The gates of a shot: its camera on the evaluated scene, and whether its labels can be read.

A label is legible where its strokes stand out from what is right beside them. One small frame is
rendered to see that, as large as the smallest film.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import bpy
import numpy as np
from numpy.typing import NDArray

from ..camera.measuring import measured_cameras
from ..nodes.color import decode
from ..overlays import materials
from ..overlays.compositing import scenes_of
from ..overlays.layout import CAPITAL, SMALL
from ..progress import quiet
from ..render.opening import open_blend
from ..shot.parts import MARK, in_scene, made_with, parts
from .gates import Gate, judge_still, luma, read_still

SMALLEST = 640
"""Longer side of the film in which labels must be legible, pixels."""

CELL = 12
"""Pixels of a square within which strokes and their ground are compared."""

NEAR = 2
"""Pixels around a stroke that are its ground: about as much as it is wide."""


def open_shot(blend: Path) -> bpy.types.Scene:
    """Open a shot and return its scene.

    Raises
    ------
    ValueError
        Where the file is none.
    """
    scene = open_blend(blend)
    there = parts(scene)
    if "Land" not in there or "Camera" not in there:
        raise ValueError(f"{blend}: no shot with a land and a camera in its scene.")
    return scene


def look_of(scene: bpy.types.Scene) -> str:
    """Return the look that a scene's shot was made in."""
    return made_with(in_scene(scene)[0])[0].name


def judge_shot(scene: bpy.types.Scene, look: str) -> list[Gate]:
    """Measure a shot that is open: every camera's move and composition, a still, the labels.

    The still is that of the poster's frame, ``SMALLEST`` pixels wide.
    """
    film = scene.render
    scale = SMALLEST / max(film.resolution_x, film.resolution_y)
    size = round(scale * film.resolution_x), round(scale * film.resolution_y)
    there, above = parts(scene), scenes_of(scene)[:1]
    gates = [
        Gate(f"{name}: {figure.replace('_', ' ')}", value, low, high)
        for name, motion in measured_cameras(scene, there).items()
        for figure, value, low, high in motion.bounds()
    ]
    frame = scene.get(MARK, {}).get("poster_frame", (scene.frame_start + scene.frame_end) // 2)
    with TemporaryDirectory() as folder:
        still = _small(scene, frame, Path(folder, "still"), size)
        with _lines_hidden():
            labels = [_small(each, frame, Path(folder, "labels"), size) for each in above]
    gates += judge_still(still, look)
    if labels:
        longer = max(film.resolution_x, film.resolution_y)
        capitals = CAPITAL * SMALL * longer
        gates += [
            Gate("height of small capitals, pixels", capitals, 8, np.inf),
            Gate("contrast of labels", contrast(still, labels[0]), 4.5, 21),
        ]
    return gates


@contextmanager
def _lines_hidden() -> Iterator[None]:
    """Leave only text of the labels: thin lines have a casing, and need not be read."""
    lines = [m for m in bpy.data.materials if m.get(materials.KIND) == materials.LINE]
    lamps = [node for m in lines for node in m.node_tree.nodes if node.type == "EMISSION"]
    before = [node.inputs["Strength"].default_value for node in lamps]
    try:
        for node in lamps:
            node.inputs["Strength"].default_value = 0.0
        yield
    finally:
        for node, strength in zip(lamps, before, strict=True):
            node.inputs["Strength"].default_value = strength


def contrast(picture: NDArray, labels: NDArray) -> float:
    """Return the 5th percentile of the contrast of strokes with the ground next to them.

    Parameters
    ----------
    picture : ndarray
        ``(height, width, 3)``, as displayed, 0 to 255.
    labels : ndarray
        The same size: the labels alone, on black.
    """
    strokes, shown = luma(labels), _luminance(picture)
    ground = _widened(strokes > 60, NEAR)
    found = []
    for row in range(0, strokes.shape[0] - CELL + 1, CELL // 2):
        for col in range(0, strokes.shape[1] - CELL + 1, CELL // 2):
            cell = np.s_[row : row + CELL, col : col + CELL]
            drawn, light = strokes[cell], shown[cell]
            on, beside = drawn > 0.8 * drawn.max(), (drawn < 0.1 * drawn.max()) & ground[cell]
            if drawn.max() > 60 and on.sum() >= 4 and beside.sum() >= CELL:
                levels = sorted((np.median(light[on]), np.median(light[beside])))
                found.append((levels[1] + 0.05) / (levels[0] + 0.05))
    return float(np.percentile(found, 5)) if found else np.nan


def _widened(marked: NDArray[np.bool_], pixels: int) -> NDArray[np.bool_]:
    """Return what is marked, and what is so near to it."""
    rows, cols = marked.shape
    padded = np.pad(marked, pixels)
    shifts = np.ndindex(2 * pixels + 1, 2 * pixels + 1)
    return np.logical_or.reduce([padded[y : y + rows, x : x + cols] for y, x in shifts])


def _luminance(picture: NDArray) -> NDArray[np.float64]:
    """Return the relative luminance of sRGB pixels ``(..., 3)``, 0 to 1."""
    return luma(decode(picture / 255))


def _small(
    scene: bpy.types.Scene, frame: int, path: Path, size: tuple[int, int]
) -> NDArray[np.float64]:
    """Render a frame of a scene, small, and leave the scene as it was."""
    render = scene.render
    kept = ("resolution_x", "resolution_y", "filepath", "resolution_percentage")
    before = {key: getattr(render, key) for key in kept}
    frames, samples = (scene.frame_start, scene.frame_end), scene.cycles.samples
    try:
        render.resolution_x, render.resolution_y = size
        render.resolution_percentage = 100
        scene.frame_start = scene.frame_end = frame
        scene.cycles.samples = min(samples, 32)
        render.filepath = f"{path}####"
        render.image_settings.color_mode = "RGB"
        with quiet():
            bpy.ops.render.render(animation=True, scene=scene.name)
        return read_still(path.with_name(f"{path.name}{frame:04d}.png"))
    finally:
        for key, value in before.items():
            setattr(render, key, value)
        (scene.frame_start, scene.frame_end), scene.cycles.samples = frames, samples
