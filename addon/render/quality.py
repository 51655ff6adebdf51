"""Four named qualities to render a shot in, and what replaces a missing denoiser.

A quality sets only the settings that it names; its resolution is a percentage of the shot's. The
command line applies it to the scene in memory and saves nothing; the panel's menu can be undone.
"""

from __future__ import annotations

from dataclasses import dataclass

import bpy


@dataclass(frozen=True)
class Quality:
    """What a quality sets.

    Attributes
    ----------
    percentage : int
        Of the shot's resolution.
    samples : int
        Paths for each pixel.
    denoising : str
        Quality of the denoiser: FAST, BALANCED or HIGH.
    motion_blur : bool
        Whether motion is blurred.
    poster : bool
        Whether the poster is rendered, too.
    """

    percentage: int
    samples: int
    denoising: str
    motion_blur: bool
    poster: bool


UNDENOISED = 16
"""How many times the samples are taken without a denoiser: they leave a quarter of the noise."""

MOST = 512
"""Samples that are never exceeded because of this."""

QUALITIES = {
    "draft": Quality(25, 4, "FAST", motion_blur=False, poster=False),
    "preview": Quality(50, 16, "BALANCED", motion_blur=False, poster=False),
    "standard": Quality(100, 128, "HIGH", motion_blur=True, poster=True),
    "final": Quality(100, 512, "HIGH", motion_blur=True, poster=True),
}


def apply(scene: bpy.types.Scene, name: str) -> None:
    """Set a scene to a quality, whichever engine it renders with."""
    quality, render = QUALITIES[name], scene.render
    render.resolution_percentage = quality.percentage
    render.use_motion_blur = quality.motion_blur
    owner, path = samples_of(scene)
    setattr(owner, path, quality.samples)
    if render.engine == "CYCLES":
        scene.cycles.use_denoising = True
        scene.cycles.denoising_quality = quality.denoising


def has_denoiser(scene: bpy.types.Scene) -> bool:
    """Return whether this Blender was built with a denoiser that it can use here."""
    import _cycles  # as Cycles' own settings ask; there is none in a Blender without Cycles

    return _cycles.with_openimagedenoise or bool(scene.cycles.denoiser)


def make_up_for_denoiser(scene: bpy.types.Scene) -> str:
    """Take more samples where a scene is to be denoised, and this Blender cannot.

    Returns
    -------
    str
        What was done and why, in one sentence; "" where nothing was.
    """
    cycles = scene.cycles
    if scene.render.engine != "CYCLES" or not cycles.use_denoising or has_denoiser(scene):
        return ""
    before, cycles.use_denoising = cycles.samples, False
    cycles.samples = max(before, min(UNDENOISED * before, MOST))
    return (
        f"This Blender has no denoiser: {cycles.samples} samples are taken instead of {before}, "
        "so that the pictures are less grainy."
    )


def samples_of(scene: bpy.types.Scene) -> tuple[bpy.types.bpy_struct, str]:
    """Return the settings of the scene's engine, and the name of its number of samples in them."""
    if scene.render.engine == "CYCLES":
        return scene.cycles, "samples"
    return scene.eevee, "taa_render_samples"
