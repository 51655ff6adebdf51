"""A network of one's own, from its snapshots to the sequence file, also through kills."""

import copy
import dataclasses
import functools
import random
import shutil
import signal
import threading
import time
import tracemalloc
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import torch
from cases import (
    Case,
    built,
    by_func,
    compute_in_small_tiles,
    compute_slowly,
    critic,
    cross_entropy,
    forged,
    images,
    in_small_tiles,
    many_frames,
    processes,
    randomness,
    trained,
    unequal,
    wgan,
    with_accuracy,
)
from sequence_files import assert_same_datasets, datasets_of
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from movinglands import (
    Measure,
    Recorder,
    Snapshots,
    Surface,
    UserError,
    compute_sequence,
    locks,
    memory,
    random_plane,
    weights_of,
)
from movinglands.engine.device import choose_device
from movinglands.engine.evaluator import Evaluator
from movinglands.engine.plan import Plan
from movinglands.networks.convnet import convnet
from movinglands.sequence import describe, open_sequence
from movinglands.surfaces import evaluating, job
from movinglands.surfaces import journal as journals

compute = functools.partial(compute_sequence, device="cpu", compiling=False)


def journal_of(path):
    return path.with_name(path.name + ".journal")


@pytest.fixture(scope="module")
def training():
    return trained()


@pytest.fixture
def surface(training):
    return Surface(*training, with_accuracy, [images(16)], resolution=(3, 5))


@pytest.fixture
def small_tiles(monkeypatch):
    monkeypatch.setattr(Evaluator, "tune", in_small_tiles)


@pytest.fixture(scope="module")
def whole(training, tmp_path_factory):
    """The sequence of ``surface``."""
    path = tmp_path_factory.mktemp("whole") / "whole.h5"
    assert compute(path, Surface(*training, with_accuracy, [images(16)], resolution=(3, 5)))
    return path


def truth_of(surface, t, at, group):
    """The loss at a point of frame t's window, by a plain loop in float64."""
    state = surface.snapshots[t if surface.window == "travelling" else -1]
    module = built(convnet, 1, 3, 2, 10, 3)
    module.load_state_dict(state)
    case = Case(module, surface.loss, surface.batches, surface.measure, surface.test)
    plane = surface.plane or random_plane(weights_of_state(surface, -1), seed=0)
    centre = weights_of_state(surface, t) if surface.window == "travelling" else plane.origin
    with torch.no_grad():
        for name, p in module.named_parameters():
            p.copy_(centre[name])
    case.plane = lambda: dataclasses.replace(plane, origin=weights_of(module))
    return case.truth([(group["alpha"][at[1]], group["beta"][at[0]])])[0]


def weights_of_state(surface, t):
    state = surface.snapshots[t]
    return {name: state[name] for name, _ in surface.module.named_parameters()}


def test_ten_lines(tmp_path):
    inputs, targets = torch.randn(64, 3), torch.randn(64, 1)
    model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))
    optimizer, recorder = torch.optim.Adam(model.parameters()), Recorder(every=5)
    for step in range(11):
        recorder.record(model, step)
        optimizer.zero_grad()
        nn.functional.mse_loss(model(inputs), targets).backward()
        optimizer.step()

    def loss(module, batch):
        return nn.functional.mse_loss(module(batch[0]), batch[1])

    surface = Surface(model, recorder.snapshots, loss, [(inputs, targets)], resolution=9)
    assert compute_sequence(tmp_path / "own.h5", surface)

    with open_sequence(tmp_path / "own.h5") as file:
        group = file["surfaces/network"]
        assert group["step"][:].tolist() == [0, 5, 10]
        assert group["loss"].shape == (3, 9, 9)
        assert group.attrs["parameters"] == 41
        assert group.attrs["network"] == "Sequential"
        assert group.attrs["batch"] == 64
        np.testing.assert_allclose(group["loss"][:, 4, 4], group["minimizer"][:, 2], rtol=1e-5)
        model.load_state_dict(recorder.snapshots[1])
        expected = loss(model.double(), (inputs.double(), targets.double()))
        np.testing.assert_allclose(group["minimizer"][1, 2], expected.item(), rtol=1e-5)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["own.h5"]


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("window", ["travelling", "fixed"])
def test_every_frame_is_the_loss(surface, tmp_path, window, mode):
    given = dataclasses.replace(
        surface,
        window=window,
        range=0.7,
        batches=unequal(images(16), 9, 7),
        test=[images(5, 8)],
        measure=Measure(mode),
    )
    compute(tmp_path / "a.h5", given)
    with open_sequence(tmp_path / "a.h5") as file:
        group = file["surfaces/network"]
        np.testing.assert_allclose(group["alpha"][:], np.linspace(-0.7, 0.7, 5))
        np.testing.assert_allclose(group["beta"][:], np.linspace(-0.7, 0.7, 3))
        assert set(group["metrics"]) == {"accuracy", "test_loss", "test_accuracy"}
        for t in range(3):
            for at in ((0, 0), (1, 2), (2, 1)):
                truth = truth_of(given, t, at, group)
                names = ("loss", *(f"metrics/{name}" for name in ("accuracy", "test_loss")))
                found = [group[name][(t, *at)] for name in names]
                np.testing.assert_allclose(found, truth[:3], rtol=1e-5)
        origin, minimizer = group["origin"][:], group["minimizer"][:]
        if window == "travelling":
            np.testing.assert_array_equal(origin, minimizer[:, :2])
            np.testing.assert_allclose(group["loss"][:, 1, 2], minimizer[:, 2], rtol=1e-5)
        else:
            assert not origin.any()
            np.testing.assert_array_equal(group["loss"][0], group["loss"][2])
        assert group["scalars/train_rate"][:].tolist() == [0.05] * 3
        assert group.attrs["window"] == window


def test_two_surfaces_in_one_file(tmp_path):
    """A generator's and a critic's, with losses of their own."""
    judge = built(critic)
    recorder = Recorder()
    for step in range(2):
        recorder.record(judge, step)
    module, snapshots = trained(2)
    path = tmp_path / "both.h5"
    both = {
        "skip": Surface(module, snapshots, cross_entropy, [images(8)], resolution=3),
        "critic": Surface(judge, recorder.snapshots, wgan(by_func), [forged(4)], resolution=(2, 4)),
    }
    assert compute(path, both, title="BOTH", recipe='title = "BOTH"')
    assert not compute(path, both)
    summary = describe(path)
    assert summary["title"] == "BOTH"
    shapes = {n: (s["rows"], s["cols"], s["complete"]) for n, s in summary["surfaces"].items()}
    assert shapes == {"skip": (3, 3, 2), "critic": (2, 4, 2)}
    for name, one in both.items():
        compute(tmp_path / f"{name}.h5", one)
        with open_sequence(path) as file, open_sequence(tmp_path / f"{name}.h5") as alone:
            found, expected = (
                f["surfaces"][n]["loss"][:] for f, n in ((file, name), (alone, "network"))
            )
            np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("tile", [4, 8, 400])
def test_tiling_changes_nothing(surface, whole, tmp_path, monkeypatch, tile):
    def tune(evaluator, points, compiling=None):
        return Plan("vmap", 4, tile=tile)

    monkeypatch.setattr(Evaluator, "tune", tune)
    compute(tmp_path / "a.h5", surface)
    for name, values in datasets_of(whole).items():
        np.testing.assert_allclose(datasets_of(tmp_path / "a.h5")[name], values, rtol=1e-6)


def test_run_again_it_does_nothing(surface, whole):
    before = whole.stat()
    assert not compute(whole, surface)
    after = whole.stat()
    assert (after.st_mtime_ns, after.st_ino) == (before.st_mtime_ns, before.st_ino)
    assert [path.name for path in whole.parent.iterdir()] == ["whole.h5"]


@pytest.fixture
def own(whole, tmp_path):
    """A copy, to do things to."""
    path = tmp_path / "own.h5"
    path.write_bytes(whole.read_bytes())
    return path


def half(weight):
    def loss(module, batch):
        return {name: weight * value for name, value in with_accuracy(module, batch).items()}

    return loss


def one_and_a_half(module, batch):
    return {name: 1.5 * value for name, value in with_accuracy(module, batch).items()}


def two_and_a_half(module, batch):
    return {name: 2.5 * value for name, value in with_accuracy(module, batch).items()}


@pytest.mark.parametrize(
    "change",
    [
        {"range": 2.0},
        {"resolution": (3, 6)},
        {"window": "fixed"},
        {"measure": Measure("eval")},
        {"measure": Measure(seed=1)},
        {"batches": [images(16, 1)]},
        {"test": [images(4)]},
        {"loss": cross_entropy},
        {"snapshots": trained(4)[1]},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_computation_is_refused(surface, own, small_tiles, change):
    before = own.read_bytes(), own.stat().st_mtime_ns
    other = dataclasses.replace(surface, **change)
    with pytest.raises(UserError, match=r"own\.h5 was computed from other weights, data or"):
        compute(own, other)
    assert (own.read_bytes(), own.stat().st_mtime_ns) == before
    assert [path.name for path in own.parent.iterdir()] == ["own.h5"]
    assert compute(own, other, restart=True)
    assert not compute(own, other)


def test_other_weights_in_the_same_plane_are_refused(training, tmp_path, small_tiles):
    module, snapshots = training
    plane = random_plane(weights_of(module), 0)
    given = Surface(module, snapshots, cross_entropy, [images(8)], plane, resolution=2)
    compute(tmp_path / "a.h5", given)
    others = [snapshots[0], snapshots[1], snapshots[0]]
    other = dataclasses.replace(given, snapshots=Snapshots.of(others, snapshots.steps))
    with pytest.raises(UserError, match="computed from other weights"):
        compute(tmp_path / "a.h5", other)


@pytest.mark.parametrize(
    ("loss", "other"),
    [(one_and_a_half, two_and_a_half), (half(0.5), half(0.25))],
    ids=["in its text", "in its making"],
)
def test_another_number_in_the_loss_is_seen(surface, tmp_path, small_tiles, loss, other):
    path = tmp_path / "a.h5"
    assert compute(path, dataclasses.replace(surface, loss=loss))
    assert not compute(path, dataclasses.replace(surface, loss=loss))
    with pytest.raises(UserError, match="computed from other"):
        compute(path, dataclasses.replace(surface, loss=other))


def test_what_is_no_sequence_is_not_replaced(surface, tmp_path):
    path = tmp_path / "thesis.h5"
    path.write_text("years of work")
    for restart in (False, True):
        with pytest.raises(UserError, match="not an HDF5 file"):
            compute(path, surface, restart=restart)
    assert path.read_text() == "years of work"
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["data"] = 1
    with pytest.raises(UserError, match="expected format moving-lands"):
        compute(tmp_path / "other.h5", surface, restart=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other.h5", "thesis.h5"]


@pytest.fixture
def interrupt(monkeypatch):
    """Make the evaluation end with an exception at its nth tile."""

    def at(tile, error=KeyboardInterrupt):
        original, count = evaluating.keep, iter(range(1000))

        def keep(path, values):
            if next(count) == tile:
                raise error
            original(path, values)

        monkeypatch.setattr(evaluating, "keep", keep)

    return at


def test_interrupted_it_leaves_what_can_be_read(surface, tmp_path, monkeypatch, interrupt):
    monkeypatch.setattr(Evaluator, "tune", in_small_tiles)
    given = dataclasses.replace(surface, resolution=7)
    compute(tmp_path / "whole.h5", given)
    path = tmp_path / "a.h5"
    monkeypatch.setattr(job, "PUBLISH_EVERY", 0)
    before = randomness(), torch.get_num_threads(), threading.active_count()
    with monkeypatch.context() as patched:
        interrupt(6)  # four tiles a frame
        with pytest.raises(KeyboardInterrupt):
            compute(path, given)
        patched.undo()
    assert (randomness(), torch.get_num_threads(), threading.active_count()) == before
    summary = describe(path)["surfaces"]["network"]
    assert (summary["frames"], summary["complete"]) == (3, 1)
    with open_sequence(path) as file, open_sequence(tmp_path / "whole.h5") as other:
        growing, complete = file["surfaces/network"], other["surfaces/network"]
        np.testing.assert_array_equal(growing["loss"][0], complete["loss"][0])
        assert np.isnan(growing["loss"][1:]).all()
        assert not growing["evaluated"][1:].any()
        np.testing.assert_array_equal(growing["minimizer"][:], complete["minimizer"][:])
    names = {p.name for p in tmp_path.iterdir()}
    assert names == {"whole.h5", "a.h5", "a.h5.journal"}

    with pytest.raises(UserError, match=r"a\.h5\.journal holds the beginning of another"):
        compute(path, dataclasses.replace(given, range=3.0))
    monkeypatch.undo()
    evaluated = []
    original = Evaluator.__call__
    monkeypatch.setattr(
        Evaluator, "__call__", lambda *a: evaluated.append(len(a[1])) or original(*a)
    )
    assert compute(path, given)
    assert sum(evaluated) == 3 * 49 - 49 - 2 * 16  # what was kept is not done again
    assert_same_datasets(path, tmp_path / "whole.h5")
    assert {p.name for p in tmp_path.iterdir()} == {"whole.h5", "a.h5"}


def test_another_file_in_the_place_of_a_growing_one_stays(surface, own, interrupt, tmp_path):
    interrupt(1)
    growing = tmp_path / "growing.h5"
    with pytest.raises(KeyboardInterrupt):
        compute(growing, dataclasses.replace(surface, range=2.0))
    shutil.copy(own, growing)
    with pytest.raises(UserError, match="computed from other weights, data or settings"):
        compute(growing, dataclasses.replace(surface, range=2.0))
    assert_same_datasets(growing, own)


def test_a_restart_that_was_interrupted_goes_on(surface, own, whole, interrupt, monkeypatch):
    other = dataclasses.replace(surface, range=2.0)
    interrupt(1)
    with pytest.raises(KeyboardInterrupt):
        compute(own, other, restart=True)
    monkeypatch.undo()
    assert_same_datasets(own, whole)  # until there is something to replace it with
    with pytest.raises(UserError, match="or restart to replace it"):
        compute(own, other)
    assert compute(own, other, replace=True)
    with open_sequence(own) as file:
        assert file["surfaces/network/alpha"][-1] == 2


@pytest.mark.parametrize("restart", [False, True])
def test_a_restart_begins_anew_where_the_same_was_begun(
    surface, tmp_path, interrupt, monkeypatch, restart
):
    path, kept, keep = tmp_path / "a.h5", [], evaluating.keep
    interrupt(2)  # a tile is a frame
    with pytest.raises(KeyboardInterrupt):
        compute(path, surface)
    monkeypatch.undo()
    monkeypatch.setattr(evaluating, "keep", lambda *tile: kept.append(tile) or keep(*tile))
    assert compute(path, surface, restart=restart)
    assert len(kept) == (3 if restart else 1)


@pytest.mark.parametrize("gone", [0, 1, 2, 3])
def test_killed_while_the_journal_goes(surface, own, whole, small_tiles, monkeypatch, gone):
    """Some of it left, whatever: the sequence stays, and the rest goes the next time."""
    journal = journal_of(own)
    (journal / "surfaces" / "network" / "frames").mkdir(parents=True)
    for name in ("frames/000000.npz", "frames/000001.npz", "plan.json")[gone:]:
        (journal / "surfaces" / "network" / name).write_text("left")
    assert not compute(own, surface)
    assert_same_datasets(own, whole)
    assert not journal.exists()


def test_the_notes_of_a_journal_go_first(surface, tmp_path, monkeypatch):
    path = tmp_path / "a.h5"
    left = []

    def killed(folder, *arguments, **settings):
        left.extend(entry.name for entry in journal_of(path).iterdir())
        raise KeyboardInterrupt

    compute_frames = job.SurfaceJob.evaluate

    def evaluate(shot, *arguments):
        compute_frames(shot, *arguments)
        (journal_of(path) / "recipe.toml").write_text("of the whole computation")
        monkeypatch.setattr(journals.shutil, "rmtree", killed)

    monkeypatch.setattr(job.SurfaceJob, "evaluate", evaluate)
    with pytest.raises(KeyboardInterrupt):
        compute(path, surface)
    assert left == ["surfaces"]
    monkeypatch.undo()
    assert not compute(path, surface)


@pytest.fixture(scope="module")
def another():
    return processes()


def test_one_process_at_a_time(surface, tmp_path, another):
    path = tmp_path / "a.h5"
    started = another.Event()
    process = another.Process(target=compute_slowly, args=(path, started))
    process.start()
    try:
        assert started.wait(120)
        with pytest.raises(UserError, match=r"a\.h5: another process is computing it"):
            compute(path, surface)
        compute(tmp_path / "b.h5", surface)  # another file is free
    finally:
        process.kill()
        process.join()
    assert compute(path, surface)  # whoever dies lets go
    assert {p.name for p in tmp_path.iterdir()} == {"a.h5", "b.h5"}


def hold(path):
    with locks.file_lock(path):
        pass


def hold_often(path, times):
    """Hold a file again and again, and fail where another holds it at the same time."""
    mark = path.with_name("held")
    while times:
        try:
            with locks.file_lock(path):
                mark.touch(exist_ok=False)
                mark.unlink()
                times -= 1
        except UserError:
            continue


def test_held_twice_it_is_held_to_the_end(tmp_path, another):
    path, lock = tmp_path / "a.h5", tmp_path / ".a.h5.lock"
    with locks.file_lock(path):
        held = lock.stat().st_ino
        with locks.file_lock(path):
            pass
        assert lock.stat().st_ino == held
        process = another.Process(target=hold, args=(path,))
        process.start()
        process.join()
        assert process.exitcode == 1
    assert not lock.exists()


def test_what_lies_about_of_a_lock_is_no_hindrance(tmp_path):
    (tmp_path / ".a.h5.lock").touch()
    with locks.file_lock(tmp_path / "a.h5"):
        pass


def test_an_open_file_is_not_removed_on_windows(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "os", SimpleNamespace(name="nt"))
    with locks.file_lock(tmp_path / "a.h5"):
        pass
    assert (tmp_path / ".a.h5.lock").exists()  # which filelock removes there, after letting go


def test_never_two_at_once(tmp_path, another):
    """Each removes its lock at the end, while others have opened it and are about to take it."""
    path = tmp_path / "a.h5"
    workers = [another.Process(target=hold_often, args=(path, 300)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]


def test_killed_ten_times_it_ends_as_if_never(tmp_path, another, small_tiles):
    path, expected = tmp_path / "killed.h5", tmp_path / "whole.h5"
    chance = random.Random(0)
    seen = [0]
    for _ in range(10):
        started = another.Event()
        process = another.Process(target=compute_in_small_tiles, args=(path, started))
        process.start()
        assert started.wait(120)
        reached = seen[-1] + chance.randrange(12)
        while kept(path) < reached and process.is_alive():
            time.sleep(0.001)
        time.sleep(chance.uniform(0, 0.05))
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL, "it ended before it could be killed"
        if path.exists():
            describe(path)  # complete in itself, at any moment
        seen.append(kept(path))
    assert seen[-1] > 28  # a frame at least
    assert len(set(seen)) >= 5  # at different points of its way
    assert compute(path, many_frames())
    assert compute(expected, many_frames())
    assert_same_datasets(path, expected)
    assert {p.name for p in tmp_path.iterdir()} == {"killed.h5", "whole.h5"}


def kept(path):
    """How many tiles are kept, alone or in frames of 28."""
    journal = journal_of(path) / "surfaces" / "network"
    tiles = len(list(journal.glob("tiles/*/*.npy")))
    return tiles + 28 * len(list(journal.glob("frames/*.npz")))


def test_loaders_that_shuffle(training, tmp_path, interrupt, monkeypatch):
    loader = DataLoader(TensorDataset(*images(20)), batch_size=8, shuffle=True)
    given = Surface(*training, cross_entropy, loader, resolution=3, test=loader)
    before = randomness()
    interrupt(0)
    with pytest.raises(KeyboardInterrupt):
        compute(tmp_path / "a.h5", given)
    monkeypatch.undo()
    assert randomness() == before
    with torch.random.fork_rng():
        torch.manual_seed(1)  # as it might be in another process
        assert compute(tmp_path / "a.h5", given)
        assert not compute(tmp_path / "a.h5", given)
    with open_sequence(tmp_path / "a.h5") as file:
        assert file["surfaces/network"].attrs["batch"] == 20


def test_nothing_of_the_users_is_touched(training, tmp_path, small_tiles):
    module, snapshots = training
    module.train()
    module[1].eval()
    module[0].weight.requires_grad_(False)
    modes = [part.training for part in module.modules()]
    state = {name: value.clone() for name, value in module.state_dict().items()}
    kept = [{name: value.clone() for name, value in snapshots[t].items()} for t in range(3)]
    before = randomness(), torch.get_num_threads(), torch.is_grad_enabled()
    plane = random_plane(weights_of(module), 3)
    axes = {name: w.clone() for name, w in plane.u.items()}
    for measure in (Measure(), Measure("eval", "recomputed"), Measure(minibatch=4, noise="point")):
        given = Surface(
            module, snapshots, cross_entropy, [images(8)], plane, resolution=2, measure=measure
        )
        compute(tmp_path / f"{measure.statistics}{measure.noise}.h5", given)
    assert (randomness(), torch.get_num_threads(), torch.is_grad_enabled()) == before
    assert [part.training for part in module.modules()] == modes
    assert not module[0].weight.requires_grad
    module[0].weight.requires_grad_(True)
    for name, value in module.state_dict().items():
        assert torch.equal(value, state[name]), name
    for t in range(3):
        assert all(torch.equal(value, kept[t][n]) for n, value in snapshots[t].items())
    assert all(torch.equal(w, axes[name]) for name, w in plane.u.items())


def test_wrapped_modules_are_seen_through(training, tmp_path, small_tiles, whole):
    module, snapshots = training
    for wrapped in (nn.DataParallel(module), torch.compile(module)):
        path = tmp_path / f"{type(wrapped).__name__}.h5"
        compute(path, Surface(wrapped, snapshots, with_accuracy, [images(16)], resolution=(3, 5)))
        found = datasets_of(path)["surfaces/network/loss"]
        expected = datasets_of(whole)["surfaces/network/loss"]
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_complex_weights_move(tmp_path):
    class Gain(nn.Module):
        def __init__(self):
            super().__init__()
            self.gain = nn.Parameter(torch.ones(2, 2, dtype=torch.complex64))

        def forward(self, x):
            return (self.gain * x).abs().sum()

    module = Gain()
    recorder = Recorder()
    recorder.keep(module, 0)
    given = Surface(
        module, recorder.snapshots, lambda m, b: m(b[0]), [(torch.ones(2, 2),)], resolution=3
    )
    compute(tmp_path / "a.h5", given)
    loss = datasets_of(tmp_path / "a.h5")["surfaces/network/loss"][0]
    plane = random_plane(weights_of(module), 0)
    corner = (plane.origin["gain"] - plane.u["gain"] - plane.v["gain"]).abs().sum()
    np.testing.assert_allclose(loss[[0, 1], [0, 1]], [corner, 4], rtol=1e-5)


def test_randomness_is_each_vertexs_own_and_stays(training, tmp_path):
    """Fur that would boil: the same noise at a vertex in every frame."""
    module, snapshots = training
    standing = Snapshots.of([snapshots[0]] * 2, [0, 1])
    for measure in (Measure("eval", minibatch=2), Measure("eval", minibatch=2, seed=1)):
        given = Surface(
            module, standing, cross_entropy, [images(16)], resolution=5, measure=measure
        )
        compute(tmp_path / f"{measure.seed}.h5", given)
    module.load_state_dict(snapshots[0])
    with torch.no_grad():
        true = float(cross_entropy(copy.deepcopy(module).eval(), images(16)))
    minimizers = [
        datasets_of(tmp_path / f"{s}.h5")["surfaces/network/minimizer"][:, 2] for s in (0, 1)
    ]
    np.testing.assert_allclose(minimizers, true, rtol=1e-5)  # of all 16, not of a point's two
    one, other = (datasets_of(tmp_path / f"{s}.h5")["surfaces/network/loss"] for s in (0, 1))
    np.testing.assert_array_equal(one[0], one[1])
    assert len(np.unique(one[0])) == 25
    assert (one != other).all()
    with open_sequence(tmp_path / "1.h5") as file:
        attrs = file["surfaces/network"].attrs
        assert attrs["minibatch"] == "2 of 16 drawn at every point"
        assert attrs["noise"] == "fixed, seed 1"


def test_bf16_says_how_wrong_it_is(training, tmp_path, whole):
    given = Surface(
        *training,
        with_accuracy,
        [images(16)],
        resolution=(3, 5),
        measure=Measure(precision="bf16"),
    )
    compute(tmp_path / "a.h5", given)
    found, exact = (
        datasets_of(path)["surfaces/network/loss"] for path in (tmp_path / "a.h5", whole)
    )
    error = np.abs(found / exact - 1).max()
    with open_sequence(tmp_path / "a.h5") as file, open_sequence(whole) as other:
        told = file["surfaces/network"].attrs["precision_error"]
        assert file["surfaces/network"].attrs["precision"] == "bf16"
        assert other["surfaces/network"].attrs["precision"] == "float32"
        assert "precision_error" not in other["surfaces/network"].attrs
    assert 0 < told < 0.1
    assert error < 3 * told  # it is of other points


def test_what_is_recorded(training, tmp_path):
    given = Surface(
        *training,
        with_accuracy,
        [images(16)],
        resolution=2,
        measure=Measure("eval", "recomputed"),
        attrs={"network": "mine", "data": "some", "learning rate": 0.05},
    )
    compute(tmp_path / "a.h5", given)
    with open_sequence(tmp_path / "a.h5") as file:
        attrs = dict(file["surfaces/network"].attrs)
    expected = {
        "network": "mine",
        "data": "some",
        "learning rate": 0.05,
        "mode": "eval",
        "batch_norm": "recomputed",
        "window": "travelling",
        "batch": 16,
        "precision": "float32",
        "directions": "random Gaussian, seed 0",
    }
    assert {key: attrs[key] for key in expected} == expected
    assert "filter" in attrs["normalisation"]


def test_one_frame_at_a_time_is_in_memory(training, tmp_path, monkeypatch):
    module, snapshots = training
    monkeypatch.setattr(job, "PUBLISH_EVERY", 0)
    monkeypatch.setattr(Evaluator, "tune", lambda *_: Plan("vmap", 256, tile=1024))

    def small(module, batch):
        return module[0].bias.sum()

    def peak(frames):
        many = Snapshots.of([snapshots[0]] * frames, range(frames))
        given = Surface(module, many, small, [images(1)], resolution=120)
        tracemalloc.start()
        compute(tmp_path / f"{frames}.h5", given)
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    peak(2)  # what is only loaded once
    few, many = peak(3), peak(15)
    assert few > 120 * 120 * 4
    assert many - few < 3 * 120 * 120 * 4  # of twelve frames more


def test_no_room_is_told_before_anything_is_done(surface, tmp_path, monkeypatch):
    path = tmp_path / "a.h5"
    with monkeypatch.context() as patched:
        free = type("Usage", (), {"free": 100})
        patched.setattr(journals.shutil, "disk_usage", lambda folder: free)
        with pytest.raises(UserError, match=r"a\.h5: 3 frames of 15 points take 0\.0 GB of disk"):
            compute(path, surface)
    with monkeypatch.context() as patched:
        patched.setattr(memory.os, "sysconf", lambda name: 10)
        with pytest.raises(UserError, match=r"3 frames of 15 points take 0\.0 GB of memory"):
            compute(path, surface)
    assert not list(tmp_path.iterdir())


def test_room_is_needed_for_all_surfaces_together(surface, tmp_path, monkeypatch):
    needed = 2 * 6 * 15 * 4 * len(("loss", "accuracy"))
    free = type("Usage", (), {"free": needed - 1})
    monkeypatch.setattr(journals.shutil, "disk_usage", lambda folder: free)
    given = {"one": surface, "two": surface}
    with pytest.raises(UserError, match="3 frames of 15 points and 3 frames of 15 points take"):
        compute(tmp_path / "a.h5", given)
    free.free = needed
    assert compute(tmp_path / "a.h5", given)


@pytest.mark.parametrize(("window", "copies"), [("travelling", 6), ("fixed", 4)])
def test_a_fixed_window_takes_room_for_all_its_copies(
    surface, tmp_path, monkeypatch, window, copies
):
    """What is kept while it is computed, and all frames of the file."""
    needed = copies * 15 * 4 * len(("loss", "accuracy"))
    free = type("Usage", (), {"free": needed - 1})
    monkeypatch.setattr(journals.shutil, "disk_usage", lambda folder: free)
    given = dataclasses.replace(surface, window=window)
    with pytest.raises(UserError, match="3 frames of 15 points take"):
        compute(tmp_path / "a.h5", given)
    free.free = needed
    assert compute(tmp_path / "a.h5", given)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"window": "moving"}, "window: expected travelling or fixed, got 'moving'"),
        ({"scale": "ln"}, "scale: expected log or linear or symlog, got 'ln'"),
        ({"resolution": 1}, "resolution = 1: expected 2 points a side at least"),
        ({"resolution": (5, 1)}, "expected 2 points a side at least"),
        ({"resolution": 5.5}, "resolution = 5.5: expected 2 points .* as a whole number"),
        ({"resolution": (5,)}, "resolution = .* or as .rows, columns."),
        ({"range": 0}, "range = 0: expected half the window's width, above 0"),
        ({"range": float("nan")}, "range = nan: expected"),
        ({"attrs": {"data": None}}, "attrs: data is a NoneType, expected text or a number"),
    ],
)
def test_what_a_surface_cannot_be(surface, change, sentence):
    with pytest.raises(UserError, match=sentence):
        dataclasses.replace(surface, **change)


def test_what_is_refused_is_a_wrong_value(surface):
    with pytest.raises(ValueError, match="window: expected") as refused:
        dataclasses.replace(surface, window="moving")
    assert refused.type is UserError


def test_numbers_may_be_those_of_numpy(surface):
    given = dataclasses.replace(
        surface,
        resolution=np.int64(5),
        attrs={"runs": np.int32(3), "rate": np.float32(0.5), "data": np.str_("some")},
    )
    assert given.shape == (5, 5)
    assert given.attrs == {"runs": 3, "rate": 0.5, "data": "some"}
    assert {type(value) for value in given.attrs.values()} == {int, float, str}
    assert dataclasses.replace(surface, resolution=[np.int64(3), 4]).shape == (3, 4)


def test_no_name_of_a_surface_is_special(surface, tmp_path):
    path = tmp_path / "a.h5"
    journal = journal_of(path)
    (journal / "snapshots").mkdir(parents=True)
    (journal / "snapshots" / "000000000.pt").touch()
    (journal / "plane.pt").touch()
    left = []

    def noted(shot, *arguments):
        left.append(sorted(f.name for f in journal.iterdir()))

    names = ("snapshots", "plane.pt", "surfaces.json", "surfaces")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(job.SurfaceJob, "evaluate", noted)
        compute(str(path), {name: surface for name in names})
    assert left[0] == ["plane.pt", "snapshots", "surfaces.json"]
    path.unlink()
    assert compute(path, {name: surface for name in names})
    with open_sequence(path) as file:
        assert sorted(file["surfaces"]) == sorted(names)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (lambda s: {}, "expected equally many snapshots of each, got none"),
        (lambda s: {"a/b": s}, "surfaces: 'a/b' cannot be a name"),
        (lambda s: {"": s}, "surfaces: '' cannot be a name"),
        (
            lambda s: {"a": s, "b": dataclasses.replace(s, snapshots=s.snapshots.thinned(2))},
            "equally many snapshots of each, got 3 of a, 2 of b",
        ),
        (
            lambda s: dataclasses.replace(s, module=built(convnet, 1, 4, 2, 10, 3)),
            "Snapshot of step 0: '0.weight' is",
        ),
        (
            lambda s: dataclasses.replace(s, loss=lambda module, batch: 1.0),
            "The loss function returned a float as loss: expected a scalar tensor",
        ),
        (lambda s: dataclasses.replace(s, batches=[]), "batches: expected at least one"),
        (
            lambda s: dataclasses.replace(s, plane=random_plane(weights_of(nn.Linear(2, 2)), 0)),
            "The point to project: ",
        ),
        (
            lambda s: dataclasses.replace(s, tolerance=0.01),
            "tolerance: a refined surface has its loss only",
        ),
    ],
)
def test_what_cannot_be_computed(surface, tmp_path, given, sentence):
    with pytest.raises(UserError, match=sentence):
        compute(tmp_path / "a.h5", given(surface))
    assert not (tmp_path / "a.h5").exists()
    assert not (tmp_path / ".a.h5.lock").exists()


def test_a_device_there_is_not(surface, tmp_path):
    with pytest.raises(UserError, match="no such device"):
        compute_sequence(tmp_path / "a.h5", surface, device="abacus")


def test_whoever_lets_others_evaluate_needs_no_cuda(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    here = choose_device("auto")
    assert choose_device("cuda:7", "head:6379") == here
    for name, ray in (("cuda:7", None), ("cuda:7", ""), ("cuda:7", "local"), ("abacus", "auto")):
        with pytest.raises(UserError, match="no such device"):
            choose_device(name, ray)
