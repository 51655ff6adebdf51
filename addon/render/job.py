"""What is to be rendered: a shot that is opened and set, its frames, its film, its poster."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import bpy

from ..blender import devices
from ..blender.parts import MARK
from ..overlays.compositing import scenes_of
from . import encode, quality
from .copies import COPY
from .opening import open_blend
from .signature import content, signature


class RenderError(RuntimeError):
    """Something that keeps a shot from being rendered, said in one sentence."""


@dataclass(frozen=True)
class RenderJob:
    """A shot that is opened to be rendered.

    Attributes
    ----------
    blend : Path
        The shot, as it is called.
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
    shot : dict of str to str
        The shot's ``signature``, as it was saved.
    digest : str
        SHA-256 of the .blend, whatever it shows.
    how : dict of str to str
        What else tells its frames from others: Blender's version, quality, kind of picture.
    remarks : tuple of str
        What a person should know about it, one sentence each.
    """

    blend: Path
    scene: bpy.types.Scene
    device: str
    frames: dict[int, Path]
    film: Path | None
    poster: Path | None
    format: str
    shot: dict[str, str]
    digest: str
    how: dict[str, str]
    remarks: tuple[str, ...]

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
) -> RenderJob:
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
    digest = content(blend)  # before it is opened: an artist may save it meanwhile
    scene = open_blend(blend)
    if scene.camera is None:
        raise ValueError(f"{blend}: its scene has no camera to render from.")
    shot = signature(scene)  # before it is set to what is asked for
    if named_quality:
        quality.apply(scene, named_quality)
    remark = quality.make_up_for_denoiser(scene)
    format = encode.set_pictures(scene, format)
    chosen = devices.choose(scene, device)
    for overlays in scenes_of(scene):
        overlays.cycles.device = scene.cycles.device
    frames = _frames(scene, folder)
    among = next(iter(frames.values())).parent
    home = among.parent if among.name == "frames" else among
    film = home / f"{blend.stem.removesuffix(COPY)}.{format}"
    return RenderJob(
        blend=blend,
        scene=scene,
        device=chosen,
        frames=frames,
        film=film if format in encode.CODECS else None,
        poster=home / "poster.png" if _has_poster(scene, named_quality) else None,
        format=format,
        shot=shot,
        digest=digest,
        how=_how(scene, named_quality),
        remarks=(remark,) if remark else (),
    )


def _how(scene: bpy.types.Scene, named_quality: str | None) -> dict[str, str]:
    """Return what besides the shot tells frames from others."""
    pictures = scene.render.image_settings
    return {
        "Blender": ".".join(map(str, bpy.app.version[:2])),
        "quality": named_quality or "as it is",
        "pictures": f"{pictures.file_format} {pictures.color_depth}",
        "denoiser": _denoiser(scene),
    }


def _denoiser(scene: bpy.types.Scene) -> str:
    """Return what denoises a scene here; a machine may have another than the next."""
    if scene.render.engine != "CYCLES" or not scene.cycles.use_denoising:
        return "none"
    return scene.cycles.denoiser or "OPENIMAGEDENOISE"  # which stands in for one that is not here


def _has_poster(scene: bpy.types.Scene, named_quality: str | None) -> bool:
    is_worth_it = not named_quality or quality.QUALITIES[named_quality].poster
    return is_worth_it and "poster_frame" in scene.get(MARK, {})


def _frames(scene: bpy.types.Scene, folder: Path | None) -> dict[int, Path]:
    """Return all frames of a scene and their files, in a folder where one is asked for."""
    render = scene.render
    if folder:
        render.filepath = str(folder.resolve() / "frames") + os.sep
    whole = range(scene.frame_start, scene.frame_end + 1, scene.frame_step)
    return {frame: Path(render.frame_path(frame=frame)).resolve() for frame in whole}
