"""The plan: found by turns, held against one point at a time, kept where it was measured."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from cases import Case, built, cross_entropy, images, trained

from movinglands import Surface, compute_sequence
from movinglands.engine import launcher, tuning
from movinglands.engine.evaluator import Evaluator
from movinglands.engine.plan import Plan
from movinglands.networks.convnet import convnet
from movinglands.sequence import open_sequence


@pytest.fixture
def evaluator(tmp_path):
    case = Case(built(convnet, 1, 2, 1, 10, 3), cross_entropy, [images(4)])
    made = Evaluator(case.objective(), case.plane(), tmp_path)
    yield made
    made.close()


def paced(monkeypatch, seconds, falsely=()):
    """Have launches take so long a point by their size, on a clock of its own; some err."""
    called, now = launcher.Launcher.__call__, [0.0]
    monkeypatch.setattr(tuning, "time", SimpleNamespace(perf_counter=lambda: now[0]))

    def slowly(made, points, index):
        launch = made.plan.launch
        now[0] += seconds(launch) * len(points)
        values = called(made, points, index)
        return values * (1.5 if launch in falsely and len(points) > launch else 1)

    monkeypatch.setattr(launcher.Launcher, "__call__", slowly)


def test_the_fastest_is_chosen_though_others_look_so_at_first(evaluator, monkeypatch):
    monkeypatch.setattr(tuning, "TURN_SECONDS", 0.01)
    calls = []

    def seconds(launch):
        if launch != 32:
            return {8: 1e-3}.get(launch, 1e-2)
        calls.append(launch)
        return 8e-4 if len(calls) < 4 else 4e-3  # a moment's luck

    paced(monkeypatch, seconds)
    assert evaluator.tune(10**6, compiling=False).launch == 8


def test_what_errs_only_among_several_launches_is_dropped(evaluator, monkeypatch):
    paced(monkeypatch, lambda launch: 1e-3 / launch, falsely=(128,))
    monkeypatch.setattr(tuning, "LONGEST_LAUNCH", 0.5)
    plan = evaluator.tune(10**6, compiling=False)
    assert plan.launch == 32
    assert "128 at once: it gives other values" in plan.note


def test_a_launch_is_no_larger_than_the_work(evaluator):
    assert evaluator.tune(9, compiling=False).launch <= 16


def test_launches_fit_the_memory(evaluator, monkeypatch):
    needed = evaluator.objective.precisions.nbytes
    assert needed > 4 * 4 * 64  # at least a layer's output of the batch
    monkeypatch.setattr(tuning, "available", lambda: 4 * 40 * needed)
    assert evaluator.tune(10**5, compiling=False).launch <= 32


def test_a_plan_of_another_machine_is_found_anew(tmp_path, monkeypatch):
    surface = Surface(*trained(3), cross_entropy, [images(8)], resolution=5)
    tuned = []

    def tune(evaluator, points, compiling=None):
        plan = Plan("vmap", 4, tile=8 + 4 * len(tuned))
        tuned.append(plan)
        evaluator.use(plan)
        return plan

    monkeypatch.setattr(Evaluator, "tune", tune)
    path, journal = tmp_path / "a.h5", tmp_path / "a.h5.journal" / "surfaces" / "network"

    def interrupted(evaluator, points, index, called=Evaluator.__call__):
        if len(list(journal.rglob("*.npy"))) == 2:
            raise KeyboardInterrupt
        return called(evaluator, points, index)

    for machine in ("this one", "another"):
        with monkeypatch.context() as patched:
            patched.setattr(Evaluator, "__call__", interrupted)
            with pytest.raises(KeyboardInterrupt):
                compute_sequence(path, surface, device="cpu")
        assert json.loads((journal / "plan.json").read_text())["where"]
        if machine == "this one":
            with monkeypatch.context() as patched:
                patched.setattr(Evaluator, "__call__", interrupted)
                with pytest.raises(KeyboardInterrupt):
                    compute_sequence(path, surface, device="cpu")
            assert len(tuned) == 1
        monkeypatch.setattr(tuning, "machine", str)
    assert compute_sequence(path, surface, device="cpu")
    assert len(tuned) == 2
    compute_sequence(tmp_path / "whole.h5", surface, device="cpu")
    with open_sequence(path) as one, open_sequence(tmp_path / "whole.h5") as other:
        losses = [file["surfaces/network/loss"][:] for file in (one, other)]
    np.testing.assert_allclose(*losses, rtol=1e-6)
