"""From a recipe to a sequence file, also through kills."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from torch.nn import functional as F

import movinglands.compute as computing
from movinglands.compute import compute
from movinglands.directions import random_plane
from movinglands.errors import UserError
from movinglands.networks import convnet
from movinglands.recipe import read_recipe
from movinglands.sequence import DATASETS, describe, open_sequence
from movinglands.training import batch_of_step, snapshot_steps, train

PACKAGES = str(Path(computing.__file__).parents[1])


def journal_of(path):
    return path.with_name(path.name + ".journal")


def changed(recipe, **changes):
    """A recipe with ``table__key=value`` changed."""
    changes = {key.replace("__", "."): value for key, value in changes.items()}
    return read_recipe(recipe.to_toml(), "changed", None, changes)


def datasets_of(path):
    found = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: found.update({name: item[()]}) if hasattr(item, "dtype") else None
        )
    return found


def assert_same_datasets(path, other):
    found, expected = datasets_of(path), datasets_of(other)
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert found[name].tobytes() == values.tobytes(), name


def networks_of(recipe, digits):
    """The network of each frame, trained here once more, float64."""
    network, training = recipe.network, recipe.training
    trained = convnet(1, network.width, network.depth, 10, network.seed)
    for snapshot in train(trained, digits, training, snapshot_steps(training)):
        twin = convnet(1, network.width, network.depth, 10, 0)
        twin.load_state_dict(snapshot.module)
        yield twin.double()


def losses_of(recipe, digits):
    surface = recipe.surface
    batch = batch_of_step(len(digits.images), surface.batch, surface.batch_seed, 0)
    for network in networks_of(recipe, digits):
        network.train(surface.mode == "train")
        with torch.no_grad():
            answers = network(digits.images[batch].double())
        yield float(F.cross_entropy(answers, digits.labels[batch]))


def test_every_dataset_is_as_declared(sequence, tiny):
    sizes = {"frames": 3, "rows": 7, "cols": 7}
    with open_sequence(sequence) as file:
        surface = file["surfaces/network"]
        for name, declared in DATASETS.items():
            assert surface[name].shape == tuple(sizes.get(d, d) for d in declared.shape), name
            assert surface[name].dtype == np.dtype(declared.dtype), name
        assert surface["loss"].chunks == (1, 7, 7)
        assert surface["step"][:].tolist() == [0, 3, 6]
        assert np.all(surface["evaluated"][:] == 1)
        assert np.all(np.isfinite(surface["loss"][:]))
        np.testing.assert_allclose(surface["alpha"][:], np.linspace(-1, 1, 7))
        assert set(surface["scalars"]) == {
            "learning_rate",
            "train_loss",
            "test_loss",
            "test_accuracy",
        }
        assert read_recipe(file.attrs["recipe"], "") == tiny
        assert surface.attrs["parameters"] == sum(
            p.numel() for p in convnet(1, 2, 2, 10, 0).parameters()
        )
    assert not journal_of(sequence).exists()


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("window", ["travelling", "fixed"])
def test_the_minimizer_and_the_windows(tiny, digits, tmp_path, mode, window):
    recipe = changed(tiny, surface__mode=mode, surface__window=window)
    path = tmp_path / "a.h5"
    compute(recipe, path, "cpu")
    with open_sequence(path) as file:
        surface = file["surfaces/network"]
        minimizer, origin, loss = (surface[name][:] for name in ("minimizer", "origin", "loss"))
    expected = list(losses_of(recipe, digits))
    np.testing.assert_allclose(minimizer[:, 2], expected, rtol=1e-5)

    networks = [dict(network.named_parameters()) for network in networks_of(recipe, digits)]
    plane = random_plane(
        {n: p.detach().float() for n, p in networks[-1].items()}, recipe.surface.seed
    )
    places = [plane.project(network) for network in networks]
    np.testing.assert_allclose(minimizer[:, :2], places, atol=1e-6)
    assert np.all(minimizer[-1, :2] == 0)
    assert np.any(minimizer[0, :2] != 0)
    middle = loss[:, 3, 3]
    if window == "travelling":
        np.testing.assert_array_equal(origin, minimizer[:, :2])
        np.testing.assert_allclose(middle, expected, rtol=1e-5)
    else:
        assert not origin.any()
        np.testing.assert_allclose(middle[-1], expected[-1], rtol=1e-5)


def test_the_coarsest_grid_has_the_corners_only(tiny, sequence, tmp_path):
    path = tmp_path / "a.h5"
    compute(changed(tiny, surface__resolution=2), path, "cpu")
    with open_sequence(path) as coarse, open_sequence(sequence) as fine:
        assert coarse["surfaces/network/alpha"][:].tolist() == [-1, 1]
        corners = fine["surfaces/network/loss"][:][:, ::6, ::6]
        np.testing.assert_allclose(coarse["surfaces/network/loss"][:], corners, rtol=1e-6)


def run_until(recipe, path, reached):
    """Run ``lands compute`` and kill it, without a warning, as soon as ``reached()``."""
    recipe_file = path.with_name("long.toml")
    recipe_file.write_text(recipe.to_toml())
    command = [sys.executable, "-m", "movinglands.cli", "compute", recipe_file, "-o", path]
    paths = os.pathsep.join([PACKAGES, os.environ.get("PYTHONPATH", "")])
    running = subprocess.Popen(
        [*map(str, command), "--device", "cpu"],
        env=os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until = time.monotonic() + 60
        while not reached():
            assert running.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < until
            time.sleep(0.002)
    finally:
        running.kill()
        assert running.wait() in (-signal.SIGKILL, 1, 0)


def test_a_run_killed_twice_ends_as_one_that_was_not(tiny, tmp_path):
    recipe = changed(tiny, training__steps=90, training__snapshots=30, surface__resolution=15)
    whole, killed = tmp_path / "whole.h5", tmp_path / "killed.h5"
    compute(recipe, whole, "cpu")

    def kept(folder, suffix):
        return len(list(journal_of(killed).glob(f"{folder}/*{suffix}")))

    run_until(recipe, killed, lambda: kept("snapshots", ".pt") >= 5)
    assert 5 <= kept("snapshots", ".pt") < 30
    assert not kept("frames", ".npy")
    run_until(recipe, killed, lambda: kept("frames", ".npy") >= 2)
    assert kept("snapshots", ".pt") == 30
    assert 2 <= kept("frames", ".npy") < 30
    assert not killed.exists()

    assert compute(recipe, killed, "cpu")
    assert_same_datasets(killed, whole)
    assert not journal_of(killed).exists()


def test_run_again_it_does_nothing(tiny, sequence):
    before = sequence.stat()
    assert not compute(tiny, sequence, "cpu")
    assert not compute(tiny, sequence, "cpu")
    after = sequence.stat()
    assert (after.st_mtime_ns, after.st_ino) == (before.st_mtime_ns, before.st_ino)


@pytest.fixture
def own(sequence, tmp_path):
    """A copy of the sequence, to do things to."""
    path = tmp_path / "own.h5"
    path.write_bytes(sequence.read_bytes())
    return path


def test_other_pictures_of_the_same_surfaces(tiny, sequence, own):
    assert not compute(changed(tiny, title="NEW", look__relief=2.0), own, "cpu")
    assert_same_datasets(own, sequence)
    with open_sequence(own) as file:
        assert file.attrs["title"] == "NEW"
        assert read_recipe(file.attrs["recipe"], "").look.relief == 2.0


def test_another_recipe_is_refused_and_restart_replaces(tiny, own):
    other = changed(tiny, surface__seed=5)
    before = own.read_bytes(), own.stat().st_mtime_ns
    with pytest.raises(UserError, match=r"own\.h5 was made with surface\.seed = 0, now asked 5"):
        compute(other, own, "cpu")
    assert (own.read_bytes(), own.stat().st_mtime_ns) == before
    assert not journal_of(own).exists()
    assert compute(other, own, "cpu", restart=True)
    assert not compute(other, own, "cpu")


def test_restart_throws_nothing_away_that_it_cannot_replace(tiny, own):
    before = own.read_bytes()
    with pytest.raises(UserError, match=r"surface\.batch = 5000: digits has 1438 training images"):
        compute(changed(tiny, surface__batch=5000), own, "cpu", restart=True)
    with pytest.raises(UserError, match="no such device"):
        compute(tiny, own, "abacus", restart=True)
    assert own.read_bytes() == before


class Interrupted(Exception):
    pass


@pytest.fixture
def interrupt(monkeypatch):
    """Make the evaluation end with an exception at a frame."""

    def at(frame):
        original = computing._Shot.evaluate

        def evaluate(shot, t):
            if t == frame:
                raise Interrupted
            return original(shot, t)

        monkeypatch.setattr(computing._Shot, "evaluate", evaluate)

    yield at


def test_a_growing_file_can_be_read(tiny, sequence, tmp_path, monkeypatch, interrupt):
    path = tmp_path / "growing.h5"
    monkeypatch.setattr(computing, "PUBLISH_EVERY", 0)
    interrupt(2)
    with pytest.raises(Interrupted):
        compute(tiny, path, "cpu")
    summary = describe(path)["surfaces"]["network"]
    assert (summary["frames"], summary["complete"]) == (3, 2)
    with open_sequence(path) as file, open_sequence(sequence) as whole:
        growing, surface = file["surfaces/network"], whole["surfaces/network"]
        assert growing["evaluated"][:].any(axis=(1, 2)).tolist() == [True, True, False]
        assert np.all(np.isnan(growing["loss"][2]))
        np.testing.assert_array_equal(growing["loss"][:2], surface["loss"][:2])
        np.testing.assert_array_equal(growing["minimizer"][:], surface["minimizer"][:])
    monkeypatch.undo()
    assert compute(tiny, path, "cpu")
    assert_same_datasets(path, sequence)


def test_a_journal_of_another_recipe_is_refused(tiny, sequence, tmp_path, monkeypatch, interrupt):
    path = tmp_path / "a.h5"
    interrupt(1)
    with pytest.raises(Interrupted):
        compute(tiny, path, "cpu")
    monkeypatch.undo()
    with pytest.raises(UserError, match=r"a\.h5\.journal holds the beginning of another recipe"):
        compute(changed(tiny, network__seed=5), path, "cpu")
    assert compute(tiny, path, "cpu")
    assert_same_datasets(path, sequence)


def test_a_journal_left_at_the_very_end_goes(tiny, own):
    (journal_of(own) / "frames").mkdir(parents=True)
    assert not compute(tiny, own, "cpu")
    assert not journal_of(own).exists()


def test_training_that_diverges_is_told(tiny, tmp_path):
    recipe = changed(
        tiny, training__learning_rate=1e6, training__steps=100, training__weight_decay=1
    )
    with pytest.raises(UserError, match="diverged before step 50"):
        compute(recipe, tmp_path / "a.h5", "cpu")


def test_no_room_is_told_before_anything_is_done(tiny, tmp_path, monkeypatch):
    path = tmp_path / "a.h5"
    with monkeypatch.context() as patched:
        free = type("Usage", (), {"free": 100})
        patched.setattr(computing.shutil, "disk_usage", lambda folder: free)
        with pytest.raises(UserError, match=r"surface\.resolution = 7 takes 0\.0 GB of disk"):
            compute(tiny, path, "cpu")
    with monkeypatch.context() as patched:
        patched.setattr(computing.os, "sysconf", lambda name: 10)
        with pytest.raises(UserError, match=r"surface\.resolution = 7 takes 0\.0 GB of memory"):
            compute(tiny, path, "cpu")
    assert not list(tmp_path.iterdir())
