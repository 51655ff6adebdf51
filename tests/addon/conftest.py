import dataclasses
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import bpy
import numpy as np
import pytest

from addon import sequence, stage
from movinglands.sequence import Frame, SurfaceData, write_sequence

ROOT = Path(__file__).resolve().parents[2]
FRAMES, SIZE = 6, 33


def funnel() -> SurfaceData:
    """A plateau with folds that sinks into a funnel, as real ones do; odd, so it has a middle."""
    axis = np.linspace(-1.2, 1.2, SIZE)
    b, a = np.meshgrid(axis, axis, indexing="ij")
    folds = 2.4 + 0.4 * np.sin(5 * a + 2 * b) * (a**2 + b**2) + a**2
    depths = np.geomspace(1.0, 0.02, FRAMES)
    frames = [
        (folds * (1 - (1 - d) * np.exp(-4 * (a**2 + b**2)))).astype(np.float32) for d in depths
    ]
    middle = SIZE // 2
    losses = [float(frame[middle, middle]) for frame in frames]
    return SurfaceData(
        alpha=axis,
        beta=axis,
        step=np.arange(FRAMES) * 50,
        origin=np.zeros((FRAMES, 2)),
        minimizer=np.column_stack([np.zeros(FRAMES), np.zeros(FRAMES), losses]),
        frame=lambda t: Frame(frames[t]),
        attrs={"network": "a funnel", "data": "none", "batch": 8, "mode": "train"},
    )


@pytest.fixture(scope="session")
def funnel_file(tmp_path_factory):
    """A sequence with the recipe of GENTLY."""
    path = tmp_path_factory.mktemp("sequence") / "funnel.h5"
    recipe = (ROOT / "scenes/gently.toml").read_text()
    write_sequence(path, "FUNNEL", recipe, {"network": funnel()})
    return path


@pytest.fixture(scope="session")
def tiny_file(tmp_path_factory):
    """The same, filmed in four frames of 64 x 36 pixels."""
    path = tmp_path_factory.mktemp("tiny") / "tiny.h5"
    film = "[film]\nfps = 4\nseconds = 1.0\nwidth = 64\nheight = 36\nsamples = 1\n"
    film += "poster_width = 96\nposter_samples = 1\n"
    write_sequence(path, "TINY", film, {"network": funnel()})
    return path


@pytest.fixture(scope="module")
def shot(funnel_file):
    """The funnel's shot, built in an empty scene; tests that share it do not change it."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    with sequence.open_sequence(funnel_file) as opened:
        settings = stage.Settings.of_recipe(opened.recipe)
        collection = stage.build(opened, dataclasses.replace(settings, seconds=5.0))
        surface = opened.surfaces["network"]
        losses = np.stack([surface.loss(t) for t in range(FRAMES)])
    scene = bpy.context.scene
    return SimpleNamespace(
        scene=scene,
        collection=collection,
        settings=settings,
        surface=surface,
        losses=losses,
        frames=np.linspace(1, scene.frame_end, FRAMES),
        recipe=tomllib.loads((ROOT / "scenes/gently.toml").read_text()),
    )


@pytest.fixture
def empty():
    """A fresh Blender."""
    bpy.ops.wm.read_factory_settings(use_empty=True)


@pytest.fixture(scope="session")
def command_line():
    """Run ``python -m addon`` in a process of its own."""

    def run(*words, expect=0, **options):
        done = subprocess.run(
            [sys.executable, "-m", "addon", *map(str, words)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            **options,
        )
        assert done.returncode == expect, done.stdout + done.stderr
        return done

    return run
