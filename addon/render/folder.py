"""A folder of frames, and the record in it of what they show, so that no two versions are mixed.

The record, ``shot.json``, holds the ``signature`` of the shot that was rendered. Film and poster
are made of a little more, the range of frames for one: where only that is another, they alone are
made again.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import bpy

from ..blender.parts import MARK
from ..files import remove, replace
from .claims import unfinished
from .job import RenderError, RenderJob
from .signature import signature

RECORD = "shot.json"
"""In a folder of frames: what they were rendered from, and how."""

NAMED = 2
"""How many of the things that differ are named."""


def open_folder(job: RenderJob, restart: bool, asked: list[int]) -> None:
    """Make the folder of frames ready to render into.

    Parameters
    ----------
    job : RenderJob
        What is to be rendered.
    restart : bool
        Frames of another version go; of this version, those that are asked for. Film and poster go
        with them.
    asked : list of int
        The frames that are to be rendered.

    Raises
    ------
    RenderError
        Where the folder holds other frames than the job's, and ``restart`` is not set; or
        pictures in their places that are no frames of ours; or nothing can be written there.
    """
    known, wanted = record_of(job.folder), _record(job)
    if known is None and len(job.missing(list(job.frames))) < len(job.frames):
        raise RenderError(f"{job.folder} holds pictures of something else: give a folder with -o.")
    differs = known is not None and _difference(known, job)
    if differs and not restart:
        raise RenderError(
            f"{job.folder} holds {differs}: render into another folder with -o, or with --restart "
            "to render them again."
        )
    try:
        for path in _outdated(job, known, bool(differs), restart, asked):
            remove(path)
        if known != wanted:
            _write(job.folder, wanted)
    except OSError as error:
        raise RenderError(
            f"{job.folder} cannot be written to ({error.strerror}): give a folder with -o."
        ) from None


def fits(job: RenderJob) -> bool:
    """Return whether the frames in the folder of a job are of its shot, rendered as it is to be."""
    known = record_of(job.folder)
    return known is not None and not _difference(known, job)


def shows_another(folder: Path, scene: bpy.types.Scene) -> bool:
    """Return whether a folder's frames are of another version of a shot than a scene is now."""
    known = record_of(folder)
    return known is not None and known.get("shot") != signature(scene)


def record_of(folder: Path) -> dict[str, Any] | None:
    """Return what a folder's frames were rendered from and how, where that is known."""
    try:
        return dict(json.loads((folder / RECORD).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _record(job: RenderJob) -> dict[str, Any]:
    scene = job.scene
    poster = scene.get(MARK)
    return {
        "blend": job.digest,
        **job.how,
        "film": f"{scene.frame_start} to {scene.frame_end} by {scene.frame_step}",
        "poster": repr(poster.to_dict()) if poster else "",
        "shot": job.shot,
    }


def _write(folder: Path, record: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / RECORD
    unfinished(path).write_text(json.dumps(record))
    replace(unfinished(path), path)


def _outdated(
    job: RenderJob, known: dict[str, Any] | None, differs: bool, restart: bool, asked: list[int]
) -> list[Path]:
    """Return the files that are of another version, or are to be made again."""
    old = []
    if known is None or differs or (restart and len(asked) == len(job.frames)):
        old = [job.film, job.poster, *_frames_in(job)]
    elif restart:
        old = [job.film, *(job.frames[frame] for frame in asked)]
    else:
        wanted = _record(job)
        for key, path in (("film", job.film), ("poster", job.poster)):
            if known.get(key, wanted[key]) != wanted[key]:
                old.append(path)
    return [path for path in old if path]


def _difference(known: dict[str, Any], job: RenderJob) -> str:
    """Say how a folder's frames differ from those that are wanted; "" where they do not."""
    name = job.blend.name
    if "shot" not in known and known.get("blend") != job.digest:
        return (
            f"frames of another version of {name}, or of the same saved again: an earlier Moving "
            "Lands has rendered them, and could not tell"
        )
    if known.get("shot", job.shot) != job.shot:
        return f"frames of another version of {name} ({_changed(known['shot'], job.shot)})"
    others = [key for key in job.how if known.get(key, job.how[key]) != job.how[key]]
    if others:
        how = ", ".join(f"{key} {known[key]}" for key in others)
        return f"frames of {name} made otherwise ({how})"
    return ""


def _changed(known: dict[str, str], shot: dict[str, str]) -> str:
    """Name what has changed from one signature to another."""
    names = [name for name in shot if shot[name] != known.get(name)]
    names += [name for name in known if name not in shot]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"changed since: {', '.join(names[:NAMED])}{more}"


def _frames_in(job: RenderJob) -> list[Path]:
    """Return the frames that are there, also those of a longer version of the shot."""
    if not job.folder.exists():
        return []
    number, file = next(iter(job.frames.items()))
    before, _, after = file.name.rpartition(f"{number:04d}")
    pattern = rf"{re.escape(before)}-?\d+{re.escape(after)}"
    return [path for path in job.folder.iterdir() if re.fullmatch(pattern, path.name)]
