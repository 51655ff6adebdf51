"""Tiles on a Ray cluster: the values of one process, whatever dies meanwhile."""

import os
import shutil
import signal
import socket
import sys
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from movinglands.engine import tuning
from movinglands.engine.evaluator import Evaluator
from movinglands.engine.plan import Plan
from movinglands.errors import UserError
from movinglands.snapshots.snapshots import Snapshots
from movinglands.surfaces import evaluating
from movinglands.surfaces import journal as journals
from movinglands.surfaces.compute import Surface, compute_sequence
from movinglands.surfaces.job import SurfaceJob

ray = pytest.importorskip("ray")
cluster_utils = pytest.importorskip("ray.cluster_utils")

from sequence_files import assert_same_datasets  # noqa: E402

from movinglands.cluster import pool as cluster  # noqa: E402
from movinglands.cluster import worker  # noqa: E402
from movinglands.cluster.pool import AHEAD, Cluster  # noqa: E402

DRIVER = os.getpid()
PLAN = Plan("vmap", 16, tile=48)


@pytest.fixture(scope="module")
def nodes():
    """Two nodes of one core each, and a head of none."""
    settings = {"num_cpus": 0, "include_dashboard": False}
    # A node that is silent for a second is dead.
    settings["_system_config"] = {
        "health_check_initial_delay_ms": 0,
        "health_check_period_ms": 500,
        "health_check_timeout_ms": 500,
        "health_check_failure_threshold": 2,
    }
    made = cluster_utils.Cluster(True, head_node_args=settings)
    for _ in range(2):
        made.add_node(num_cpus=1)
    yield made
    made.shutdown()


def surface_of(loss=None, frames=3):
    """A network with BatchNorm, random states, and a loss that is pickled as in a script."""
    generator = torch.Generator().manual_seed(0)
    module = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 3))
    states = [
        {
            name: torch.rand(value.shape, generator=generator) + 0.5 if value.ndim else value
            for name, value in module.state_dict().items()
        }
        for _ in range(frames)
    ]
    batch = torch.randn(32, 4, generator=generator), torch.arange(32) % 3
    loss = loss or (lambda module, batch: F.cross_entropy(module(batch[0]), batch[1]))
    return Surface(module, Snapshots.of(states, range(frames)), loss, [batch], resolution=21)


def shot_of(folder, loss=None, frames=3):
    return SurfaceJob(surface_of(loss, frames), folder / "journal", torch.device("cpu"))


def tiles_of(shot):
    for t in shot.frames:
        yield from shot.kept.tiles(t, 0, np.arange(shot.points), PLAN.tile)


def at_work(folder, seconds=0.02):
    """A loss that takes its time, and notes in a folder who computes it."""
    driver = DRIVER

    def loss(module, batch):
        if os.getpid() != driver:
            (folder / f"{os.getpid()}.pid").touch()
            time.sleep(seconds)
        return F.cross_entropy(module(batch[0]), batch[1])

    return loss


def in_one_process(shot):
    evaluator = Evaluator(shot.objective, shot.plane, shot.journal, PLAN)
    found = {}
    for tile in tiles_of(shot):
        evaluator.place(*shot.centre(tile.frame))
        found[tile.file] = evaluator(shot.coordinates(tile.points), tile.points)
    return found


def assert_same(answers, shot):
    expected = in_one_process(shot)
    assert len(answers) == len(expected)
    for tile, values in answers:
        assert values.tobytes() == expected[tile.file].tobytes(), tile.file


def after(count, action, monkeypatch):
    """Do something once so many tiles are kept."""
    keep, kept = evaluating.keep, []

    def keeping(path, values):
        keep(path, values)
        kept.append(path)
        if len(kept) == count:
            action()

    monkeypatch.setattr(evaluating, "keep", keeping)


def test_a_ray_started_here_goes_on_with_what_one_process_began(tmp_path, monkeypatch):
    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr(tuning, "LARGEST_TILE", 100)
    path, other = tmp_path / "ray.h5", tmp_path / "one.h5"
    with monkeypatch.context() as patched:
        after(3, interrupt, patched)
        with pytest.raises(KeyboardInterrupt):
            compute_sequence(path, surface_of(), device="cpu")
    shutil.copytree(journals.journal_of(path), journals.journal_of(other))
    environment, terminated = dict(os.environ), signal.getsignal(signal.SIGTERM)

    assert compute_sequence(path, surface_of(), device="cpu", ray="local")
    assert not ray.is_initialized()
    assert (dict(os.environ), signal.getsignal(signal.SIGTERM)) == (environment, terminated)
    assert compute_sequence(other, surface_of(), device="cpu")
    assert_same_datasets(path, other)


def test_tiles_are_asked_for_as_workers_become_free(nodes, tmp_path):
    shot, pulled, answers = shot_of(tmp_path), [], []

    def stream():
        for tile in tiles_of(shot):
            pulled.append(tile)
            yield tile

    with Cluster(nodes.address, shot, PLAN) as workers:
        assert workers.workers == 2
        for answer in workers.evaluate(stream()):
            answers.append(answer)
            assert len(pulled) - len(answers) <= 2 * AHEAD + 1
        assert_same(answers, shot)
        assert list(workers.evaluate([])) == []
        # A cluster serves as many streams as one likes: a refined frame has one a round.
        assert_same(list(workers.evaluate(tiles_of(shot))), shot)


def test_workers_that_are_killed(nodes, tmp_path):
    shot, answers, killed = shot_of(tmp_path, at_work(tmp_path)), [], set()
    with Cluster(nodes.address, shot, PLAN) as workers:
        for answer in workers.evaluate(tiles_of(shot)):
            answers.append(answer)
            if len(answers) == 5:  # all there are by then: one of them has tiles
                killed = {int(file.stem) for file in tmp_path.glob("*.pid")}
                for pid in killed:
                    os.kill(pid, signal.SIGKILL)
    assert {int(file.stem) for file in tmp_path.glob("*.pid")} > killed
    assert_same(answers, shot)


@pytest.mark.slow
def test_nodes_that_go_and_come(nodes, tmp_path):
    shot, answers = shot_of(tmp_path, at_work(tmp_path)), []
    first, second = nodes.worker_nodes
    with Cluster(nodes.address, shot, PLAN) as workers:
        for answer in workers.evaluate(tiles_of(shot)):
            answers.append(answer)
            if len(answers) == 5:
                nodes.remove_node(first, allow_graceful=False)
            if len(answers) == 15:
                nodes.remove_node(second, allow_graceful=False)
                nodes.add_node(num_cpus=1)
    assert_same(answers, shot)


def test_what_the_loss_raises_is_raised(nodes, tmp_path):
    driver = DRIVER

    ready = tmp_path / "ready"

    def loss(module, batch):
        if os.getpid() != driver and ready.exists():
            raise ValueError("labels are odd")
        return F.cross_entropy(module(batch[0]), batch[1])

    shot = shot_of(tmp_path, loss)

    def tiles():
        ready.touch()
        yield from tiles_of(shot)

    with (
        pytest.raises(ValueError, match="labels are odd") as caught,
        Cluster(nodes.address, shot, PLAN, workers=1) as workers,
    ):
        while not any(worker.ready for worker in workers._members):
            list(workers._answers())
        list(workers.evaluate(tiles()))
    assert type(caught.value) is ValueError
    assert str(caught.value) == "labels are odd"
    assert "in loss" in caught.value.__notes__[0]
    assert not ray.is_initialized()


def test_points_that_end_every_worker(nodes, tmp_path, monkeypatch):
    driver, poison = DRIVER, tmp_path / "poison"

    def loss(module, batch):
        if os.getpid() != driver and poison.exists():
            os.kill(os.getpid(), signal.SIGKILL)
        return F.cross_entropy(module(batch[0]), batch[1])

    monkeypatch.setattr(cluster, "ATTEMPTS", 2)
    shot = shot_of(tmp_path, loss)
    with (
        Cluster(nodes.address, shot, PLAN, workers=1) as workers,
        pytest.raises(UserError, match=r"--ray: (no worker starts|the same points have ended 2)"),
    ):
        for _ in workers.evaluate(tiles_of(shot)):
            poison.touch()


def test_what_cannot_be_sent(nodes, tmp_path):
    lock = threading.Lock()

    def loss(module, batch):
        with lock:
            return F.cross_entropy(module(batch[0]), batch[1])

    with (
        pytest.raises(UserError, match=r"the loss cannot be sent to other processes: .*lock"),
        Cluster(nodes.address, shot_of(tmp_path, loss), PLAN),
    ):
        pass


def test_what_workers_cannot_import(nodes, tmp_path, monkeypatch):
    (tmp_path / "only_here.py").write_text("def loss(module, batch): return module(batch[0]).sum()")
    monkeypatch.syspath_prepend(tmp_path)
    import only_here

    shot = shot_of(tmp_path, only_here.loss)
    with (
        pytest.raises(UserError, match=r"cannot import only_here, .* install it on every node"),
        Cluster(nodes.address, shot, PLAN, workers=1) as workers,
    ):
        list(workers.evaluate(tiles_of(shot)))


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("127.0.0.1:{port}", "there is no Ray"),
        ("ray://127.0.0.1:{port}", "there is no Ray"),
        ("somewhere", "expected local, auto, HOST:PORT or ray://HOST:PORT"),
    ],
)
def test_an_address_of_nothing(address, sentence, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = address.format(port=free.getsockname()[1])
    start = time.monotonic()
    with pytest.raises(UserError, match=f"^--ray {address}: {sentence}"):
        Cluster(address, shot_of(tmp_path)).__enter__()
    assert time.monotonic() - start < 5


def test_an_address_of_something_else(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                connection.recv(100)

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(UserError, match="what answers is no Ray"):
            Cluster(f"127.0.0.1:{server.getsockname()[1]}", shot_of(tmp_path)).__enter__()
        thread.join()


def test_a_device_the_cluster_has_not(nodes, tmp_path):
    with pytest.raises(UserError, match=r"--device cuda: .* 0 GPUs"):
        Cluster(nodes.address, shot_of(tmp_path), device="cuda").__enter__()
    assert not ray.is_initialized()


def test_the_driver_may_lack_what_is_asked_of_the_cluster(nodes, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match=r"--device cuda: the Ray cluster has 0 GPUs"):
        compute_sequence(tmp_path / "a.h5", surface_of(), device="cuda", ray=nodes.address)


def test_a_worker_ends_with_its_node(monkeypatch):
    """Which may show as a pipe that breaks while weights are fetched: no fault of the loss."""

    def broken(*_):
        raise BrokenPipeError("Broken pipe")

    def ended(code):
        raise SystemExit(code)

    monkeypatch.setattr(worker.ray, "get", broken)
    monkeypatch.setattr(worker.os, "_exit", ended)
    at_work = worker.Worker("cpu")
    at_work._evaluator = SimpleNamespace(place=None)
    with pytest.raises(SystemExit):
        at_work.evaluate(0, [None], np.zeros((1, 2)), np.zeros(1, np.int64))


def test_without_ray(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    for name in ("session", "packing", "worker", "pool"):
        monkeypatch.delitem(sys.modules, f"movinglands.cluster.{name}")
    with pytest.raises(UserError, match=r"pip install 'movinglands\[ray\]'"):
        import movinglands.cluster.pool  # noqa: F401


@pytest.mark.slow
def test_a_cluster_that_is_gone_leaves_what_is_done(nodes, tmp_path, monkeypatch):
    def remove():
        monkeypatch.setattr(cluster, "PATIENCE", 2.0)
        for node in list(nodes.worker_nodes):
            nodes.remove_node(node, allow_graceful=False)

    path, other = tmp_path / "ray.h5", tmp_path / "one.h5"
    surface = surface_of(at_work(tmp_path, 0.05), frames=8)
    after(2, remove, monkeypatch)
    with pytest.raises(UserError, match="no CPU core to give for 2 seconds; what is done is kept"):
        compute_sequence(path, surface, device="cpu", ray=nodes.address)
    journal = journals.journal_of(path)
    assert len(list(journal.rglob("frames/*.npz"))) >= 2
    # One process goes on by the plan that was found on the cluster.
    shutil.copytree(journal, journals.journal_of(other))
    shutil.rmtree(journals.journal_of(other) / "surfaces" / "network" / "frames")
    for file in (path, other):
        assert compute_sequence(file, surface, device="cpu")
    assert_same_datasets(path, other)
