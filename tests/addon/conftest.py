import dataclasses
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import bpy
import numpy as np
import pytest
from funnel import FRAMES, funnel

from addon.sequence.reader import open_sequence
from addon.shot import scripting as stage
from movinglands.sequence import write_sequence

ROOT = Path(__file__).resolve().parents[2]


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
    with open_sequence(funnel_file) as opened:
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


@pytest.fixture(scope="session")
def tiny_blend(tiny_file, tmp_path_factory, command_line):
    """That as a .blend; it is not to be changed."""
    path = tmp_path_factory.mktemp("shot") / "tiny.blend"
    command_line("build", tiny_file, "-o", path)
    return path


@pytest.fixture
def tiny_shot(tiny_blend, tmp_path):
    """The same in a folder of its own."""
    return Path(shutil.copy(tiny_blend, tmp_path))


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
