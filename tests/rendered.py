"""Shots that are changed and rendered, and what came of it."""

import bpy


def altered(path, change):
    """The shot as an artist saves it."""
    bpy.ops.wm.open_mainfile(filepath=str(path))
    change(bpy.context.scene)
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    return path


def frame_times(folder):
    """When the frames in a folder were made."""
    return {file.name: file.stat().st_mtime_ns for file in folder.glob("frames/*.png")}


def film_facts(film):
    clip = bpy.data.movieclips.load(str(film))
    try:
        return clip.frame_duration, tuple(clip.size), clip.fps
    finally:
        bpy.data.movieclips.remove(clip)
