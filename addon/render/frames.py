"""Rendering a shot: frames that can be left and taken up, the poster, the film.

Every frame is rendered beside its place and moved there whole. Several machines can render into
one folder: each claims what it makes. What belongs to which version of a .blend is written down in
the folder, so frames of two versions of a shot, or of two qualities, are never mixed.

Frames are rendered as Blender's own animation rendering does, one at a time: the same pixels, in
the same files, at the same pace. (Setting the current frame first would evaluate the scene once
more, for nobody: up to a tenth of the time of small frames.)
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import bpy

from ..blender import compat
from ..blender.parts import MARK
from ..progress import quiet, uninterrupted
from . import devices, encode, quality
from .claims import Claims, unfinished

NOTE = "shot.json"
"""In a folder of frames: what they were rendered from, and how."""

COPY = ".rendering"
"""At the end of a copy's name that is rendered while the artist goes on with the original."""


class RenderError(RuntimeError):
    """Something that keeps a shot from being rendered, said in one sentence."""


@dataclass(frozen=True)
class Take:
    """A shot that is opened to be rendered.

    Attributes
    ----------
    scene : Scene
        Set to what was asked for.
    device : str
        What it is rendered on, for a person.
    frames : dict of int to Path
        All frames of the shot, and the files that they become.
    film, poster : Path or None
        Where there is to be one.
    format : str
        One of ``encode.FORMATS``.
    version : dict
        What tells frames of this take from others.
    """

    scene: bpy.types.Scene
    device: str
    frames: dict[int, Path]
    film: Path | None
    poster: Path | None
    format: str
    version: dict[str, str]

    @property
    def folder(self) -> Path:
        """Of the frames."""
        return next(iter(self.frames.values())).parent

    def missing(self, asked: list[int]) -> list[int]:
        """Return those of the frames that are not there yet."""
        return [frame for frame in asked if not self.frames[frame].exists()]


def prepare(
    blend: Path,
    folder: Path | None = None,
    device: str = "auto",
    named_quality: str | None = None,
    format: str | None = None,
) -> Take:
    """Open a shot and set its scene to what is asked for; nothing is written yet.

    Parameters
    ----------
    blend : Path
        The shot.
    folder : Path, optional
        For film and poster, and the folder ``frames`` in it. By default frames go where the scene
        says, film and poster beside a folder called ``frames``, else among them.
    device : str
        As in ``devices.choose``.
    named_quality : str, optional
        One of ``quality.QUALITIES``; by default as the scene is.
    format : str, optional
        As in ``encode.set_pictures``.

    Raises
    ------
    ValueError
        Where the file is no shot, or the device or the format is not to be had here.
    """
    scene = _open(blend)
    render = scene.render
    if named_quality:
        quality.apply(scene, named_quality)
    format = encode.set_pictures(scene, format)
    chosen = devices.choose(scene, device)
    if folder:
        render.filepath = str(folder.resolve() / "frames") + os.sep
    pictures = render.image_settings
    whole = range(scene.frame_start, scene.frame_end + 1, scene.frame_step)
    frames = {frame: Path(render.frame_path(frame=frame)).resolve() for frame in whole}
    among = frames[whole[0]].parent
    home = among.parent if among.name == "frames" else among
    name = blend.stem.removesuffix(COPY)
    has_poster = "poster_frame" in scene.get(MARK, {})
    worth_it = not named_quality or quality.QUALITIES[named_quality].poster
    return Take(
        scene=scene,
        device=chosen,
        frames=frames,
        film=home / f"{name}.{format}" if format in encode.CODECS else None,
        poster=home / "poster.png" if has_poster and worth_it else None,
        format=format,
        version={
            "blend": digest(blend),
            "Blender": ".".join(map(str, bpy.app.version[:2])),
            "quality": named_quality or "as it is",
            "pictures": f"{pictures.file_format} {pictures.color_depth}",
        },
    )


def _open(blend: Path) -> bpy.types.Scene:
    try:
        with quiet():
            bpy.ops.wm.open_mainfile(filepath=str(blend.resolve()), load_ui=False)
    except RuntimeError:
        raise ValueError(f"{blend}: not a .blend file that this Blender can open.") from None
    scene = bpy.context.scene
    if scene.camera is None:
        raise ValueError(f"{blend}: its scene has no camera to render from.")
    return scene


def digest(blend: Path) -> str:
    """Return what tells one version of a .blend from another."""
    with open(blend, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# The folder


def version_of(folder: Path) -> dict[str, str] | None:
    """Return what a folder's frames were rendered from and how, where that is known."""
    try:
        return dict(json.loads((folder / NOTE).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def open_folder(take: Take, blend: Path, restart: bool, asked: list[int]) -> None:
    """Make the folder of a take ready for it.

    Parameters
    ----------
    take : Take
        What is to be rendered.
    blend : Path
        The shot, as it is called.
    restart : bool
        Frames of another version go; of this version, those that are asked for. Film and poster go
        with them.
    asked : list of int
        The frames that are to be rendered.

    Raises
    ------
    RenderError
        Where the folder holds other frames than the take's, and ``restart`` is not set; or
        pictures in their places that are no frames of ours.
    """
    known = version_of(take.folder)
    if known is None and len(take.missing(list(take.frames))) < len(take.frames):
        raise RenderError(f"{take.folder} holds pictures of something else: give a folder with -o.")
    differs = known is not None and _difference(known, take.version, blend)
    if differs and not restart:
        raise RenderError(
            f"{take.folder} holds {differs}: render into another folder with -o, or with --restart "
            "to render them again."
        )
    old = []
    if known is None or differs or (restart and len(asked) == len(take.frames)):
        old = [take.film, take.poster, *_frames_in(take)]
    elif restart:
        old = [take.film, *(take.frames[frame] for frame in asked)]
    for path in filter(None, old):
        path.unlink(missing_ok=True)
    if known is None or differs:
        take.folder.mkdir(parents=True, exist_ok=True)
        note = take.folder / NOTE
        unfinished(note).write_text(json.dumps(take.version))
        os.replace(unfinished(note), note)


def _difference(known: dict[str, str], wanted: dict[str, str], blend: Path) -> str:
    """Say how a folder's frames differ from those that are wanted; "" where they do not."""
    others = [key for key in wanted if known.get(key, wanted[key]) != wanted[key]]
    if "blend" in others:
        return f"frames of another version of {blend.name}"
    if others:
        how = ", ".join(f"{key} {known[key]}" for key in others)
        return f"frames of {blend.name} made otherwise ({how})"
    return ""


def _frames_in(take: Take) -> list[Path]:
    """Return the frames that are there, also those of a longer version of the shot."""
    if not take.folder.exists():
        return []
    number, file = next(iter(take.frames.items()))
    before, _, after = file.name.rpartition(f"{number:04d}")
    pattern = rf"{re.escape(before)}-?\d+{re.escape(after)}"
    return [path for path in take.folder.iterdir() if re.fullmatch(pattern, path.name)]


# Pictures


def render_frames(
    take: Take, asked: list[int], claims: Claims, count: Callable[[int], None]
) -> int:
    """Render frames until all are there; return how many this process rendered.

    ``count`` is told how many are there, whoever rendered them.
    """
    numbers, made = {take.frames[frame]: frame for frame in asked}, 0
    for path in claims.share(list(numbers), count):
        render_frame(take.scene, numbers[path], path)
        made += 1
    return made


def render_frame(scene: bpy.types.Scene, frame: int, path: Path) -> None:
    """Render a frame to a picture, which appears whole or not at all."""
    render = scene.render
    before = scene.frame_start, scene.frame_end, render.filepath
    scene.frame_start = scene.frame_end = frame
    render.filepath = str(unfinished(path).with_suffix(""))
    partial = Path(render.frame_path(frame=frame))
    partial.unlink(missing_ok=True)
    try:
        with uninterrupted():
            bpy.ops.render.render(animation=True, scene=scene.name)
            if not partial.exists():
                raise RenderError(f"{path}: Blender wrote no picture.")
            os.replace(partial, path)
    finally:
        scene.frame_start, scene.frame_end, render.filepath = before
        partial.unlink(missing_ok=True)


def render_poster(take: Take, claims: Claims) -> None:
    """Render the shot's poster, if it is not there: its best moment, larger and finer."""
    scene = take.scene
    render, wanted = scene.render, scene[MARK].to_dict()
    pictures, (engine, samples) = render.image_settings, quality.samples_of(scene)
    for path in claims.share([take.poster]):
        if pictures.file_format != "PNG":
            compat.write_as_png(pictures)
        before = render.resolution_x, render.resolution_y, getattr(engine, samples)
        render.resolution_y = round(wanted["poster_width"] * before[1] / before[0])
        render.resolution_x = wanted["poster_width"]
        setattr(engine, samples, wanted["poster_samples"])
        try:
            render_frame(scene, wanted["poster_frame"], path)
        finally:
            render.resolution_x, render.resolution_y = before[:2]
            setattr(engine, samples, before[2])


def encode_film(take: Take, claims: Claims, progress: Callable[[], None]) -> None:
    """Encode the film, if it is not there."""
    for path in claims.share([take.film]):
        frames = list(take.frames.values())
        encode.encode(take.scene, frames, path, take.format, progress)


# How long it takes


def estimate(scene: bpy.types.Scene) -> float:
    """Estimate the seconds that one of a scene's frames takes, from small ones in its middle.

    A frame's time is what it takes whatever its size, and so much a pixel: two sizes tell both.
    The first frame loads what later ones find loaded, and does not count.
    """
    render, full = scene.render, scene.render.resolution_percentage
    percentages = [max(1, full // 8), max(1, full // 8), max(2, full // 3)]
    middle = (scene.frame_start + scene.frame_end) // 2
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        try:
            for number, render.resolution_percentage in enumerate(percentages):
                frame = min(middle + number, scene.frame_end)
                start = time.perf_counter()
                render_frame(scene, frame, Path(folder, f"{number}.png"))
                seconds.append(time.perf_counter() - start)
        finally:
            render.resolution_percentage = full
    small, large = (percentage**2 for percentage in percentages[1:])
    each = max(0.0, (seconds[2] - seconds[1]) / (large - small))
    return max(0.0, seconds[1] - each * small) + each * full**2
