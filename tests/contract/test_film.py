"""The whole way in one command, and what it does with what is there."""

import importlib
import shutil
from pathlib import Path

import h5py
import pytest

pytest.importorskip("torch", reason="computing needs torch, which this environment is without")

from movinglands.cli import main

RECIPE = """
title = "TINY"
[network]
width = 2
depth = 2
[training]
steps = 4
snapshots = 3
[surface]
resolution = 9
[film]
fps = 3
seconds = 1.0
width = 64
height = 36
samples = 1
poster_width = 64
poster_samples = 1
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    (folder / "tiny.toml").write_text(RECIPE)
    assert main(["film", str(folder / "tiny.toml"), "-o", str(folder / "film")]) == 0
    return folder


@pytest.fixture
def copy(made, tmp_path):
    return Path(shutil.copytree(made, tmp_path / "copy"))


def film(folder, *words):
    return main(["film", str(folder / "tiny.toml"), "-o", str(folder / "film"), *words])


def times(folder):
    return {
        str(file.relative_to(folder)): file.stat().st_mtime_ns
        for file in (folder / "film").rglob("*")
        if file.is_file()
    }


def change_recipe(folder, old, new):
    recipe = folder / "tiny.toml"
    recipe.write_text(recipe.read_text().replace(old, new))


def test_one_command_makes_everything(made):
    names = {file.name for file in (made / "film").iterdir()}
    assert {"tiny.h5", "tiny.blend", "tiny.mp4", "poster.png", "frames"} <= names
    assert not [name for name in names if "journal" in name or "writing" in name]
    assert len(list((made / "film/frames").glob("*.png"))) == 3


def test_again_it_does_nothing(copy):
    before = times(copy)
    assert film(copy) == 0
    assert times(copy) == before


def test_another_picture_of_the_same_surfaces_computes_nothing(copy):
    with h5py.File(copy / "film/tiny.h5") as file:
        created = file.attrs["created"]
    before = times(copy)
    change_recipe(copy, "seconds = 1.0", "seconds = 2.0")
    assert film(copy) == 0
    with h5py.File(copy / "film/tiny.h5") as file:
        assert file.attrs["created"] == created
        assert "seconds = 2.0" in file.attrs["recipe"]
    assert len(list((copy / "film/frames").glob("*.png"))) == 6
    after = times(copy)
    assert all(after[name] != before[name] for name in ("film/tiny.mp4", "film/poster.png"))


def touch(blend):
    """Do what an artist's saving does: other bytes, and a shot that opens."""
    with open(blend, "ab") as file:
        file.write(b"\0")


@pytest.mark.parametrize("words", [(), ("--restart",)])
def test_an_artists_shot_is_never_replaced(copy, capfd, words):
    touch(copy / "film/tiny.blend")
    change_recipe(copy, "seconds = 1.0", "seconds = 2.0")
    before = times(copy)
    assert film(copy, *words) == 2
    assert "was changed by hand" in capfd.readouterr().err
    assert times(copy) == before


def test_frames_of_a_shot_that_was_worked_on_are_not_mixed(copy, capfd):
    touch(copy / "film/tiny.blend")
    before = times(copy)
    assert film(copy) == 2
    assert "frames of another version" in capfd.readouterr().err
    assert times(copy) == before


@pytest.mark.parametrize("moment", ["before the note", "after the note"])
def test_a_kill_while_a_shot_is_built_anew_leaves_a_shot_of_ours(copy, monkeypatch, moment):
    change_recipe(copy, "seconds = 1.0", "seconds = 2.0")
    module = importlib.import_module("movinglands.film")
    target = (module, "write_whole") if moment == "before the note" else (module.os, "replace")

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(*target, killed)
        assert film(copy) == 130
    assert film(copy) == 0
    assert len(list((copy / "film/frames").glob("*.png"))) == 6


def test_other_surfaces_are_refused_then_made_on_request(copy, capfd):
    change_recipe(copy, "resolution = 9", "resolution = 11")
    assert film(copy) == 2
    assert "surface.resolution = 9, now asked 11" in capfd.readouterr().err
    assert film(copy, "--restart") == 0
    with h5py.File(copy / "film/tiny.h5") as file:
        assert file["surfaces/network/loss"].shape == (3, 11, 11)


def test_pictures_missing_from_a_finished_film_are_made(copy):
    (copy / "film/frames/0002.png").unlink()
    (copy / "film/tiny.mp4").unlink()
    (copy / "film/poster.png").unlink()
    assert film(copy) == 0
    assert {"film/frames/0002.png", "film/tiny.mp4", "film/poster.png"} <= set(times(copy))


def test_a_still_is_judged(made, capfd):
    assert main(["judge", str(made / "film/poster.png")]) == 0
    assert "luma < 6, percent" in capfd.readouterr().out
    assert main(["judge", str(made / "nothing.png")]) == 2
    assert "nothing.png: no such file" in capfd.readouterr().err
