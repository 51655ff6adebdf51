"""From a recipe to a sequence file, also through kills."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from cases import Case, cross_entropy, processes, train_slowly, with_accuracy
from sequence_files import assert_same_datasets, datasets_of
from torch.nn import functional as F

import movinglands.pieces.compute as computing
from movinglands import memory
from movinglands.data import load as data
from movinglands.engine.evaluator import Evaluator
from movinglands.engine.plan import Plan
from movinglands.errors import UserError
from movinglands.evaluation.measure import Measure
from movinglands.locks import file_lock
from movinglands.networks import convnet as networks
from movinglands.networks.convnet import convnet
from movinglands.networks.mlp import Mlp
from movinglands.pieces import measured
from movinglands.pieces.compute import compute
from movinglands.pieces.recipe import read_recipe
from movinglands.pieces.training import batch_of_step, snapshot_steps, train
from movinglands.planes import hessian, pca
from movinglands.planes.random import random_plane
from movinglands.planes.weights import weights_of
from movinglands.sequence import DATASETS, describe, open_sequence
from movinglands.surfaces import frames, job
from movinglands.surfaces import journal as journals

PACKAGES = str(Path(computing.__file__).parents[2])


@pytest.fixture(scope="module")
def another():
    return processes()


def journal_of(path):
    return path.with_name(path.name + ".journal")


def changed(recipe, **changes):
    """A recipe with ``table__key=value`` changed."""
    changes = {key.replace("__", "."): value for key, value in changes.items()}
    return read_recipe(recipe.to_toml(), "changed", None, changes)


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


def test_a_run_killed_twice_ends_as_one_that_was_not(tiny, tmp_path, monkeypatch):
    recipe = changed(tiny, training__steps=90, training__snapshots=30, surface__resolution=31)
    whole, killed = tmp_path / "whole.h5", tmp_path / "killed.h5"

    def kept(pattern):
        return len(list(journal_of(killed).glob(pattern)))

    run_until(recipe, killed, lambda: kept("snapshots/*.pt") >= 5)
    assert 5 <= kept("snapshots/*.pt") < 30
    assert not kept("surfaces")
    run_until(recipe, killed, lambda: kept("surfaces/network/frames/*.npz") >= 2)
    assert kept("snapshots/*.pt") == 30
    assert 2 <= kept("surfaces/network/frames/*.npz") < 30
    assert not killed.exists()

    # The fastest way is found by measuring, and another way rounds differently.
    note = journal_of(killed) / "surfaces" / "network" / "plan.json"
    plan = Plan(**json.loads(note.read_text())["plan"])
    monkeypatch.setattr(Evaluator, "tune", lambda *_: plan)
    compute(recipe, whole, "cpu")
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


@pytest.fixture
def interrupt(monkeypatch):
    """Make the evaluation end with an exception at a frame."""

    def at(frame):
        original = frames.Frames.finish

        def finish(shot, t, *arguments):
            if t == frame:
                raise KeyboardInterrupt
            original(shot, t, *arguments)

        monkeypatch.setattr(frames.Frames, "finish", finish)

    yield at


@pytest.fixture
def one_plan(monkeypatch):
    """The same plan always, for the same bits."""
    monkeypatch.setattr(Evaluator, "tune", lambda *_: Plan("vmap", 4, tile=20))


def test_a_growing_file_can_be_read(tiny, sequence, tmp_path, monkeypatch, one_plan, interrupt):
    path, whole = tmp_path / "growing.h5", tmp_path / "whole.h5"
    compute(tiny, whole, "cpu")
    with monkeypatch.context() as patched:
        patched.setattr(job, "PUBLISH_EVERY", 0)
        finish = frames.Frames.finish
        interrupt(2)
        with pytest.raises(KeyboardInterrupt):
            compute(tiny, path, "cpu")
        monkeypatch.setattr(frames.Frames, "finish", finish)
    summary = describe(path)["surfaces"]["network"]
    assert summary["frames"] == 3
    complete = summary["complete"]
    assert complete in (1, 2)
    with open_sequence(path) as file, open_sequence(whole) as other:
        growing, surface = file["surfaces/network"], other["surfaces/network"]
        assert growing["evaluated"][:complete].all()
        assert not growing["evaluated"][complete:].any()
        assert np.all(np.isnan(growing["loss"][complete:]))
        np.testing.assert_array_equal(growing["loss"][:complete], surface["loss"][:complete])
        np.testing.assert_array_equal(growing["minimizer"][:], surface["minimizer"][:])
        assert read_recipe(file.attrs["recipe"], "") == tiny
    assert compute(tiny, path, "cpu")
    assert_same_datasets(path, whole)


def test_a_journal_of_another_recipe_is_refused(tiny, sequence, tmp_path, monkeypatch, interrupt):
    path = tmp_path / "a.h5"
    interrupt(1)
    with pytest.raises(KeyboardInterrupt):
        compute(tiny, path, "cpu")
    monkeypatch.undo()
    with pytest.raises(UserError, match=r"a\.h5\.journal holds the beginning of another recipe"):
        compute(changed(tiny, network__seed=5), path, "cpu")
    assert compute(tiny, path, "cpu")
    with open_sequence(path) as file, open_sequence(sequence) as other:
        found, expected = (f["surfaces/network/loss"][:] for f in (file, other))
        np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.fixture
def trained_anew(monkeypatch):
    """The steps of the snapshots that are made from now on."""
    steps, save = [], computing._save

    def saving(path, content):
        if path.parent.name == "snapshots":
            steps.append(int(path.stem))
        save(path, content)

    monkeypatch.setattr(computing, "_save", saving)
    return steps


@pytest.mark.parametrize("restart", [False, True])
def test_a_restart_begins_anew_where_the_same_was_begun(
    tiny, tmp_path, monkeypatch, interrupt, trained_anew, restart
):
    path, finish, finished = tmp_path / "a.h5", frames.Frames.finish, []
    interrupt(1)
    with pytest.raises(KeyboardInterrupt):
        compute(tiny, path, "cpu")
    assert len(list(journal_of(path).glob("surfaces/network/frames/*.npz"))) == 1
    trained_anew.clear()
    monkeypatch.setattr(
        frames.Frames, "finish", lambda shot, t, *a: finished.append(t) or finish(shot, t, *a)
    )
    assert compute(tiny, str(path), "cpu", restart=restart)
    assert trained_anew == ([0, 3, 6] if restart else [])
    assert finished == ([0, 1, 2] if restart else [1, 2])


def test_a_restart_of_what_is_complete_begins_anew(tiny, own, monkeypatch, trained_anew):
    finish, finished = frames.Frames.finish, []
    monkeypatch.setattr(
        frames.Frames, "finish", lambda shot, t, *a: finished.append(t) or finish(shot, t, *a)
    )
    assert compute(tiny, own, "cpu", restart=True)
    assert (trained_anew, finished) == ([0, 3, 6], [0, 1, 2])


def test_what_another_has_begun_is_not_removed(tiny, own):
    """The file is complete, and somebody is about to replace it."""
    begun = journal_of(own) / "recipe.toml"
    begun.parent.mkdir()
    begun.write_text(changed(tiny, surface__seed=5).to_toml())
    with ThreadPoolExecutor() as pool, file_lock(own):
        refused = pool.submit(compute, tiny, own, "cpu").exception()
    assert "own.h5: another process is computing it" in str(refused)
    assert begun.exists()


def test_a_restart_that_was_interrupted_goes_on(tiny, own, sequence, monkeypatch, interrupt):
    other = changed(tiny, surface__seed=5)
    interrupt(1)
    with pytest.raises(KeyboardInterrupt):
        compute(other, own, "cpu", restart=True)
    assert_same_datasets(own, sequence)
    assert len(list(journal_of(own).glob("snapshots/*.pt"))) == 3
    monkeypatch.undo()
    monkeypatch.setattr(computing, "_save", lambda *_: 1 / 0)  # nothing is trained again
    assert compute(other, own, "cpu")
    monkeypatch.undo()
    assert not compute(other, own, "cpu")


def test_a_journal_left_at_the_very_end_goes(tiny, own):
    (journal_of(own) / "surfaces" / "network" / "frames").mkdir(parents=True)
    assert not compute(tiny, own, "cpu")
    assert not journal_of(own).exists()


def test_killed_while_the_journal_goes(tiny, tmp_path, monkeypatch):
    """Some snapshots are gone: what is left must not be taken for a training to go on with."""
    path = tmp_path / "a.h5"

    def killed(folder):
        next((folder / "snapshots").iterdir()).unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(journals.shutil, "rmtree", lambda folder, **_: folder.exists() and 1 / 0)
        patched.setattr(frames.Frames, "finish", finishing(killed, patched))
        with pytest.raises(KeyboardInterrupt):
            compute(tiny, path, "cpu")
    assert describe(path)["surfaces"]["network"]["complete"] == 3
    assert not compute(tiny, path, "cpu")
    assert describe(path)["surfaces"]["network"]["complete"] == 3
    assert not journal_of(path).exists()


def finishing(killed, patched):
    """Keep frames without removing their tiles; after the last one, let removing be a kill."""
    original, count = frames.Frames.finish, iter(range(10))

    def finish(shot, t, *arguments):
        patched.setattr(journals.shutil, "rmtree", lambda *_, **__: None)
        original(shot, t, *arguments)
        if next(count) == 2:
            patched.setattr(journals.shutil, "rmtree", killed)

    return finish


def test_one_process_at_a_time(tiny, tmp_path, another):
    path = tmp_path / "a.h5"
    started = another.Event()
    process = another.Process(target=train_slowly, args=(tiny, path, started))
    process.start()
    try:
        assert started.wait(120)
        with pytest.raises(UserError, match=r"a\.h5: another process is computing it"):
            compute(tiny, path, "cpu")
    finally:
        process.kill()
        process.join()
    assert compute(tiny, path, "cpu")
    assert [p.name for p in tmp_path.iterdir()] == ["a.h5"]


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
        patched.setattr(journals.shutil, "disk_usage", lambda folder: free)
        with pytest.raises(UserError, match=r"a\.h5: 3 frames of 49 points take 0\.0 GB of disk"):
            compute(tiny, path, "cpu")
        free.free = 2 * 49 * 4 * 3 * 2 - 1  # the metrics take as much
        with pytest.raises(UserError, match="of disk"):
            compute(changed(tiny, surface__accuracy=True), path, "cpu")
    with monkeypatch.context() as patched:
        patched.setattr(memory.os, "sysconf", lambda name: 10)
        with pytest.raises(UserError, match=r"3 frames of 49 points take 0\.0 GB of memory"):
            compute(tiny, path, "cpu")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"training__batch": 1439}, "training.batch = 1439: digits has 1438 training images"),
        ({"surface__batch": 1439}, "surface.batch = 1439: digits has 1438 training images"),
        ({"surface__minibatch": 1439}, "surface.minibatch = 1439: digits has 1438 training"),
        ({"surface__minibatch": 2, "surface__test": True}, "minibatch = 2: goes without surface.t"),
        ({"surface__tolerance": 0.1, "surface__accuracy": True}, "tolerance = 0.1: a refined"),
        ({"surface__tolerance": 0.1, "surface__test": True}, "tolerance = 0.1: a refined surface"),
    ],
)
def test_what_cannot_be_is_told_before_the_training(tiny, tmp_path, changes, sentence):
    with pytest.raises(UserError, match=sentence):
        compute(changed(tiny, **changes), tmp_path / "a.h5", "cpu")
    assert not list(tmp_path.iterdir())


def computed(recipe, path):
    """The datasets and attributes of a recipe's only surface."""
    compute(recipe, path, "cpu", compiling=False)
    prefix = "surfaces/network/"
    found = {name.removeprefix(prefix): values for name, values in datasets_of(path).items()}
    with open_sequence(path) as file:
        return found, dict(file["surfaces/network"].attrs)


def case_of(recipe, digits, network, batches, loss=cross_entropy, test=()):
    surface = recipe.surface
    statistics = None if surface.batch_norm == "mode" else surface.batch_norm
    case = Case(network.float(), loss, batches, Measure(surface.mode, statistics), list(test))
    final = list(networks_of(recipe, digits))[-1].float()
    plane = random_plane(weights_of(final), surface.seed)
    case.plane = lambda: dataclasses.replace(plane, origin=weights_of(network))
    return case


CORNERS = [(-1.0, -1.0), (1.0, -1.0)]


def first_row(found, name="loss"):
    return found[name][:, 0, [0, -1]]


@pytest.fixture
def small_chunks(monkeypatch):
    """More than one chunk of few images."""
    monkeypatch.setattr(measured, "CHUNK", 32)


@pytest.mark.parametrize(
    ("mode", "batch_norm"),
    [("train", "stored"), ("train", "recomputed"), ("eval", "batch"), ("eval", "recomputed")],
)
def test_batch_norm(tiny, tmp_path, one_plan, small_chunks, mode, batch_norm):
    recipe = changed(
        tiny,
        surface__mode=mode,
        surface__batch_norm=batch_norm,
        surface__batch=0,
        data__limit=80,
        surface__resolution=2,
    )
    few = data.load(recipe.data)
    found, attrs = computed(recipe, tmp_path / "a.h5")
    assert (attrs["mode"], attrs["batch_norm"], attrs["batch"]) == (mode, batch_norm, 80)
    batches = list(zip(few.images.split(32), few.labels.split(32), strict=True))
    for t, network in enumerate(networks_of(recipe, few)):
        truth = case_of(recipe, few, network, batches).truth(CORNERS)
        np.testing.assert_allclose(first_row(found)[t], truth[:, 0], rtol=1e-5)


def test_accuracy_and_test(tiny, tmp_path, one_plan, small_chunks):
    recipe = changed(
        tiny,
        surface__accuracy=True,
        surface__test=True,
        surface__batch=0,
        data__limit=80,
        surface__resolution=2,
    )
    few = data.load(recipe.data)
    found, _ = computed(recipe, tmp_path / "a.h5")
    batches, test = (
        list(zip(images.split(32), labels.split(32), strict=True))
        for images, labels in ((few.images, few.labels), (few.test_images, few.test_labels))
    )
    names = ("loss", *(f"metrics/{name}" for name in ("accuracy", "test_loss", "test_accuracy")))
    for t, network in enumerate(networks_of(recipe, few)):
        truth = case_of(recipe, few, network, batches, with_accuracy, test).truth(CORNERS)
        for name, expected in zip(names, truth.T, strict=True):
            np.testing.assert_allclose(first_row(found, name)[t], expected, rtol=1e-5, atol=1e-7)


def test_a_minibatch_at_every_point(tiny, tmp_path, one_plan):
    furred = changed(tiny, surface__minibatch=4, surface__batch_norm="stored")
    found, attrs = computed(furred, tmp_path / "a.h5")
    assert attrs["minibatch"] == "4 of 1438 drawn at every point"
    again, _ = computed(furred, tmp_path / "b.h5")
    np.testing.assert_allclose(found["loss"], again["loss"], rtol=1e-6)
    other, _ = computed(changed(furred, surface__batch_seed=1), tmp_path / "c.h5")
    assert np.abs(found["loss"] / other["loss"] - 1).mean() > 0.01
    smooth, _ = computed(
        changed(furred, surface__minibatch=0, surface__batch=100), tmp_path / "d.h5"
    )
    rough = [np.abs(np.diff(one["loss"][0], 2)).mean() for one in (found, smooth)]
    assert rough[0] > 3 * rough[1]


def test_noise(tiny, tmp_path, monkeypatch, one_plan):
    """Dropout through a recipe: our own networks have none, so one is put in."""
    plain = networks.convnet

    def noisy(*arguments):
        return torch.nn.Sequential(plain(*arguments), torch.nn.Dropout(0.07))

    monkeypatch.setattr(networks, "convnet", noisy)
    fixed, _ = computed(tiny, tmp_path / "a.h5")
    own, attrs = computed(changed(tiny, surface__noise="point"), tmp_path / "b.h5")
    assert attrs["noise"] == "point, seed 0"
    rough = [np.abs(np.diff(one["loss"][0], 2)).mean() for one in (own, fixed)]
    assert rough[0] > 3 * rough[1]


def test_the_plane_of_the_trajectory(tiny, digits, tmp_path, one_plan):
    recipe = changed(tiny, surface__directions="trajectory", surface__window="fixed")
    found, attrs = computed(recipe, tmp_path / "a.h5")
    assert attrs["directions"] == "PCA of 3 snapshots"
    weights = [weights_of(network) for network in networks_of(recipe, digits)]
    rows = torch.stack([torch.cat([p.flatten() for p in w.values()]) for w in weights]).numpy()
    # Three snapshots lie in a plane, so that distances in it are those of the weights.
    places = found["minimizer"][:, :2] * np.linalg.norm(rows[-1])
    for one, other in ((0, 1), (0, 2), (1, 2)):
        distance = np.linalg.norm(rows[one] - rows[other])
        np.testing.assert_allclose(np.linalg.norm(places[one] - places[other]), distance, rtol=1e-4)
    assert not found["minimizer"][-1, :2].any()


def test_the_plane_of_the_hessian(tiny, tmp_path, one_plan, small_chunks):
    recipe = changed(
        tiny,
        surface__directions="hessian",
        surface__mode="eval",
        surface__batch=0,
        data__limit=80,
    )
    few = data.load(recipe.data)
    found, attrs = computed(recipe, tmp_path / "a.h5")
    assert attrs["directions"].startswith("Hessian, largest eigenvalues")
    network = list(networks_of(recipe, few))[-1].eval()
    parameters = dict(network.named_parameters())

    def loss(flat):
        split = flat.split([p.numel() for p in parameters.values()])
        given = {n: w.view_as(p) for w, (n, p) in zip(split, parameters.items(), strict=True)}
        answers = torch.func.functional_call(network, given, few.images.double())
        return F.cross_entropy(answers, few.labels)

    flat = torch.cat([p.detach().flatten() for p in parameters.values()])
    values, vectors = torch.linalg.eigh(torch.autograd.functional.hessian(loss, flat))
    told = [float(value) for value in attrs["eigenvalues"].split(", ")]
    np.testing.assert_allclose(told, values[[-1, -2]], rtol=1e-3)
    along = (vectors[:, [-1]] * flat.norm() * torch.linspace(-1, 1, 7)).T
    expected = [float(loss(flat + step)) for step in along]
    middle = found["loss"][-1, 3]  # beta is 0: along the first of them, whichever way it points
    np.testing.assert_allclose(
        min(middle, middle[::-1], key=lambda row: abs(row[0] - expected[0])), expected, rtol=1e-3
    )


def test_the_hessian_is_taken_batch_by_batch(tiny, tmp_path, monkeypatch, small_chunks):
    seen = []

    def noted(loss, weights, *arguments, **settings):
        seen.extend(term.item() for term in loss(weights))
        return random_plane(weights, 0)

    monkeypatch.setattr(hessian, "hessian_plane", noted)
    recipe = changed(tiny, surface__directions="hessian", surface__batch=0, data__limit=80)
    found, _ = computed(recipe, tmp_path / "a.h5")
    assert len(seen) > 1
    assert sum(seen) == pytest.approx(found["minimizer"][-1, 2], rel=1e-5)


def test_directions_in_a_file(tiny, tmp_path):
    plain, _ = computed(tiny, tmp_path / "plain.h5")
    axes = tmp_path / "axes.pt"
    network = tiny.network.build(1, tiny.data.size, 10)
    plane = random_plane(weights_of(network), 0, "none")
    torch.save({"u": plane.u, "v": plane.v}, axes)
    recipe = changed(tiny, surface__directions={"name": "file", "path": str(axes)})
    found, attrs = computed(recipe, tmp_path / "a.h5")
    assert attrs["directions"] == "given, axes.pt"
    assert not np.array_equal(found["loss"], plain["loss"])
    assert found["minimizer"][-1, 2] == plain["minimizer"][-1, 2]


def test_a_file_of_directions_is_asked_for_before_the_training(tiny, tmp_path):
    recipe = changed(tiny, surface__directions="file")
    with pytest.raises(UserError, match=r"^surface\.directions\.path: expected the path of a file"):
        compute(recipe, tmp_path / "a.h5", "cpu")
    assert not (tmp_path / "a.h5.journal").exists()


def test_another_network(tiny, tmp_path):
    recipe = dataclasses.replace(tiny, network=Mlp(width=4, depth=1))
    found, attrs = computed(recipe, tmp_path / "a.h5")
    assert (attrs["network"], attrs["parameters"]) == (
        "mlp, 1 hidden of 4",
        64 * 4 + 4 + 4 * 10 + 10,
    )
    assert np.isfinite(found["loss"]).all()


def test_a_plane_is_kept(tiny, tmp_path, monkeypatch, one_plan, interrupt):
    """Not all are found to the last bit: what goes on must not find another."""
    recipe = changed(tiny, surface__directions="trajectory")
    interrupt(1)
    with pytest.raises(KeyboardInterrupt):
        compute(recipe, tmp_path / "a.h5", "cpu")
    monkeypatch.undo()
    monkeypatch.setattr(pca, "trajectory_plane", lambda *_, **__: 1 / 0)
    assert compute(recipe, tmp_path / "a.h5", "cpu")
