"""The gates of a film: how much its light changes and flickers, and the gates of its stills.

Blender decodes the film. A cut is a frame at which nearly all of the picture changes; changes from
frame to frame are measured between cuts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import bpy
import numpy as np
from numpy.typing import NDArray

from ..progress import quiet
from .gates import Gate, judge_still, luma, read_still

SAMPLED = 6
"""How many frames are judged as stills, evenly spread over the film."""

SHEET = (3, 4)
"""Rows and columns of the contact sheet."""

CUT, TILES = 12.0, 9
"""A cut is where the luma of square tiles, ``TILES`` in a column, changes by more than ``CUT`` of
255 on average. By single pixels every move of fine spikes would be a cut.
"""

BLOCK = 4
"""Width in pixels of the blocks whose flicker is measured: noise of single pixels is grain."""

FLICKER = 0.4
"""Upper bound of the flicker, in percent of 255: at 0.57 shadows visibly crawl."""

FILMS = (".mp4", ".mov", ".mkv", ".webm", ".avi")
"""Suffixes of files that are judged as films."""

Picture = NDArray[np.float64]


def facts(film: Path) -> tuple[int, int, int]:
    """Return how many frames a film has, and their width and height.

    Raises
    ------
    ValueError
        Where Blender cannot read the file as a film.
    """
    try:
        clip = bpy.data.movieclips.load(str(film))
    except RuntimeError:
        raise ValueError(f"{film}: not a film.") from None
    try:
        found = clip.frame_duration, *clip.size
    finally:
        bpy.data.movieclips.remove(clip)
    if min(found) < 1:
        raise ValueError(f"{film}: not a film.")
    return found


def decoded(film: Path) -> Iterator[Picture]:
    """Yield the frames of a film as displayed, ``(height, width, 3)`` each, 0 to 255."""
    count, width, height = facts(film)
    scene = bpy.data.scenes.new("Decode")
    try:
        strips = scene.sequence_editor_create().strips
        strips.new_movie("Film", str(film), channel=1, frame_start=1, fit_method="ORIGINAL")
        render = scene.render
        render.resolution_x, render.resolution_y = width, height
        render.resolution_percentage = 100
        scene.view_settings.view_transform = "Standard"
        render.image_settings.file_format = "BMP"
        with TemporaryDirectory() as folder:
            for frame in range(1, count + 1):
                scene.frame_start = scene.frame_end = frame
                render.filepath = f"{folder}/####"
                with quiet():
                    bpy.ops.render.render(animation=True, scene=scene.name)
                picture = Path(folder, f"{frame:04d}.bmp")
                yield read_still(picture)
                picture.unlink()
    finally:
        bpy.data.scenes.remove(scene)


def judge_film(
    frames: Iterable[Picture], look: str, progress: Callable[[], None] = lambda: None
) -> tuple[list[Gate], list[Picture]]:
    """Measure a film, frame by frame.

    Parameters
    ----------
    frames : iterable of ndarray
        ``(height, width, 3)`` each, as displayed, 0 to 255.
    look : str
        As for ``judge_still``.
    progress : callable
        Called after each frame.

    Returns
    -------
    list of Gate
        Of the stills among them, each gate's worst.
    list of ndarray
        Frames for a contact sheet.
    """
    kept, light, calm = _Kept(), [], _Flicker()
    cuts = []
    before = None
    for number, picture in enumerate(frames):
        shown = luma(picture)
        tiles = _blocks(shown, max(shown.shape[0] // TILES, 1))
        is_cut = before is not None and np.abs(tiles - before).mean() > CUT
        if is_cut:
            cuts.append(number)
        calm.add(shown, is_cut)
        light.append(shown.mean())
        kept.add(picture)
        before = tiles
        progress()
    change = 100 * np.abs(np.diff(light)) / 255
    change[[number - 1 for number in cuts]] = 0.0
    at = int(change.argmax()) + 2 if len(change) else 1
    stills = [judge_still(picture, look) for picture in _spread(kept.pictures, SAMPLED)]
    worst = [max(same, key=lambda gate: gate.excess) for same in zip(*stills, strict=True)]
    gates = [
        Gate("frames", len(light), 1, np.inf),
        Gate("cuts", len(cuts), 0, np.inf),
        Gate(f"luma change a frame, percent (at {at})", change.max(initial=0.0), 0, 0.5),
        Gate("flicker, percent", calm.mean(), 0, FLICKER),
        *worst,
    ]
    rows, cols = SHEET
    return gates, _spread(kept.pictures, rows * cols)


class _Kept:
    """Pictures evenly spread over a film whose length is not known in advance."""

    def __init__(self) -> None:
        self.pictures: list[Picture] = []
        self.every, self.seen = 1, 0

    def add(self, picture: Picture) -> None:
        if self.seen % self.every == 0:
            self.pictures.append(picture.astype(np.uint8))
        self.seen += 1
        if len(self.pictures) > 48:
            self.pictures = self.pictures[::2]
            self.every *= 2


class _Flicker:
    """How much blocks of the subject flicker: changes of luma that the next frame takes back."""

    def __init__(self) -> None:
        self.last: list[Picture] = []
        self.found: list[float] = []

    def add(self, shown: Picture, is_cut: bool) -> None:
        self.last = [] if is_cut else self.last[-2:]
        self.last.append(_blocks(shown, BLOCK))
        if len(self.last) == 3:
            before, now, after = self.last
            subject = now > 12
            if subject.any():
                self.found.append(np.abs(before - 2 * now + after)[subject].mean() / 4)

    def mean(self) -> float:
        return 100 * float(np.mean(self.found)) / 255 if self.found else 0.0


def _blocks(shown: Picture, size: int) -> Picture:
    """Return the means of square blocks of a luma ``(height, width)``."""
    rows, cols = (n // size for n in shown.shape)
    blocks = shown[: rows * size, : cols * size].reshape(rows, size, cols, size)
    return blocks.mean(axis=(1, 3))


def _spread(pictures: list[Picture], count: int) -> list[Picture]:
    at = np.linspace(0, len(pictures) - 1, min(count, len(pictures))).round().astype(int)
    return [pictures[index].astype(np.float64) for index in at]


def write_sheet(pictures: list[Picture], path: Path) -> None:
    """Write pictures as one, in rows, at half their size where that is more than 4K."""
    rows, cols = SHEET
    height, width, _ = pictures[0].shape
    thin = max(1, round(cols * width / 2560))
    sheet = np.zeros((rows * len(range(0, height, thin)), cols * len(range(0, width, thin)), 3))
    for index, picture in enumerate(pictures):
        small = picture[::thin, ::thin]
        row, col = divmod(index, cols)
        high, wide = small.shape[:2]
        sheet[row * high : (row + 1) * high, col * wide : (col + 1) * wide] = small
    write_picture(sheet, path)


def write_picture(picture: Picture, path: Path) -> None:
    """Write a picture ``(height, width, 3)``, 0 to 255, as PNG."""
    height, width, _ = picture.shape
    image = bpy.data.images.new("Picture", width, height)
    try:
        pixels = np.ones((height, width, 4), np.float32)
        pixels[..., :3] = picture[::-1] / 255
        image.pixels.foreach_set(pixels.ravel())
        image.filepath_raw, image.file_format = str(path), "PNG"
        image.save()
    finally:
        bpy.data.images.remove(image)
