"""File formats of frames, and the film that is encoded from them.

    mp4     frames: PNG of 8 bits; film: H.264, which plays everywhere
    mov     frames: PNG of 16 bits; film: ProRes 422 HQ of 10 bits, for editing and grading
    exr     frames: OpenEXR, scene-linear half floats, for compositing; no film

Where the scene already writes the file type that is asked for, its other settings for it stay.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import bpy

from ..blender import compat
from ..files import remove, replace
from ..progress import uninterrupted
from .claims import unfinished

FORMATS = ("mp4", "mov", "exr")

CODECS = {"mp4": ("MPEG4", "H264", "8"), "mov": ("QUICKTIME", "PRORES", "10")}
"""Container, codec and bits of the films."""


class EncodeError(ValueError):
    """A film that this Blender cannot encode, said in one sentence."""


def set_pictures(scene: bpy.types.Scene, format: str | None = None) -> str:
    """Set what a scene's frames are written as; return the format.

    Parameters
    ----------
    scene : Scene
        To render.
    format : str, optional
        One of ``FORMATS``; by default "exr" where the scene's own pictures are that, else "mp4".

    Raises
    ------
    EncodeError
        Where this Blender cannot encode the format's film.
    """
    pictures = scene.render.image_settings
    exr = pictures.file_format.startswith("OPEN_EXR")
    format = format or ("exr" if exr else "mp4")
    if format == "exr":
        if not exr:
            compat.write_as_exr(pictures)
        return format
    codec = CODECS[format][1]
    if codec not in scene.render.ffmpeg.bl_rna.properties["codec"].enum_items:
        raise EncodeError(f"format {format}: this Blender cannot encode {codec}.")
    if pictures.file_format != "PNG":
        compat.write_as_png(pictures)
    if format == "mov":
        pictures.color_depth = "16"
    return format


def encode(
    scene: bpy.types.Scene,
    frames: list[Path],
    path: Path,
    format: str,
    progress: Callable[[], None] = lambda: None,
) -> None:
    """Encode frames as a film with the frame rate of their scene, with Blender's own encoder.

    The frames are display-referred, so no view transform is applied to them. A film's width and
    height must be even: the last row or column of an odd size is left out.

    Parameters
    ----------
    scene : Scene
        Whose frames they are.
    frames : list of Path
        PNG files in one folder.
    path : Path
        The film; it appears only when it is complete.
    format : str
        "mp4" or "mov".
    progress : callable
        Called after each frame.
    """
    film = bpy.data.scenes.new("Encode")
    partial = unfinished(path)

    def wrote(*_: object) -> None:
        progress()

    bpy.app.handlers.render_write.append(wrote)
    try:
        _lay_out(film, frames)
        film.render.fps, film.render.fps_base = scene.render.fps, scene.render.fps_base
        _set_film(film, format)
        film.render.filepath = str(partial.resolve())
        film.render.use_file_extension = False
        with uninterrupted():
            bpy.ops.render.render(animation=True, scene=film.name)
        if not partial.exists():
            raise EncodeError(f"{path}: Blender wrote no film.")
        replace(partial, path)
    except RuntimeError as error:  # the encoder's own words
        raise EncodeError(f"{path}: {str(error).removeprefix('Error: ').strip()}.") from None
    finally:
        bpy.app.handlers.render_write.remove(wrote)
        bpy.data.scenes.remove(film)
        remove(partial)


def _lay_out(film: bpy.types.Scene, frames: list[Path]) -> None:
    """Put frames one after the other on a scene's timeline, unscaled."""
    first = bpy.data.images.load(str(frames[0]))
    width, height = first.size
    bpy.data.images.remove(first)
    strips = film.sequence_editor_create().strips
    strip = strips.new_image(
        "Frames", str(frames[0]), channel=1, frame_start=1, fit_method="ORIGINAL"
    )
    for frame in frames[1:]:
        strip.elements.append(frame.name)
    if width % 2 or height % 2:  # the middle lies between pixels: nothing is to be interpolated
        strip.transform.filter = "NEAREST"
    film.frame_start, film.frame_end = 1, len(frames)
    film.render.resolution_x, film.render.resolution_y = width - width % 2, height - height % 2
    film.render.resolution_percentage = 100


def _set_film(film: bpy.types.Scene, format: str) -> None:
    film.view_settings.view_transform = "Standard"
    film.view_settings.look = "None"
    pictures, coding = film.render.image_settings, film.render.ffmpeg
    compat.write_as_video(pictures)
    coding.format, coding.codec, pictures.color_depth = CODECS[format]
    coding.constant_rate_factor = "HIGH"
    coding.ffmpeg_prores_profile = "422_HQ"
    coding.gopsize = round(film.render.fps / film.render.fps_base)
