"""Numbers that were computed before are never passed off as those of what is asked now."""

import copy
import functools
import itertools

import h5py
import numpy as np
import pytest
import torch
from cases import cross_entropy, images, trained
from torch import nn
from torch.nn import functional as F

from movinglands import Snapshots, Surface, UserError, compute_sequence

compute = functools.partial(compute_sequence, device="cpu", compiling=False)
STRENGTH = 0.1


class Penalised:
    """A loss with a setting, a method and a criterion of its own."""

    def __init__(self, strength, smoothing=0.0):
        self.strength = strength
        self.criterion = nn.CrossEntropyLoss(label_smoothing=smoothing)

    def __call__(self, module, batch):
        inputs, labels = batch
        return self.criterion(module(inputs), labels) + self.strength

    def method(self, module, batch):
        return self(module, batch)


def by_global(module, batch):
    return cross_entropy(module, batch) + STRENGTH


def by_argument(module, batch, strength):
    return cross_entropy(module, batch) + strength


def by_closure(value):
    return lambda module, batch: cross_entropy(module, batch) + value.sum()


def activated(training, activation):
    """The same weights under another activation."""
    module, snapshots = training
    changed = copy.deepcopy(module)
    changed[2] = activation
    return changed, snapshots


def earlier(training):
    """The same training, but for one number in the middle."""
    module, snapshots = training
    states = [{k: w.clone() for k, w in snapshots[t].items()} for t in range(len(snapshots))]
    states[1]["0.bias"][0] += 1
    return module, Snapshots.of(states, snapshots.steps)


LOSSES = {
    "a partial's argument": [functools.partial(by_argument, strength=s) for s in (0.1, 0.2)],
    "an object's attribute": [Penalised(0.1), Penalised(0.2)],
    "an object's criterion": [Penalised(0.1), Penalised(0.1, smoothing=0.1)],
    "a bound method's object": [Penalised(0.1).method, Penalised(0.2).method],
    "a tensor in a closure": [
        by_closure(torch.tensor([0.1, 0])),
        by_closure(torch.tensor([0, 0.2])),
    ],
    "code": [cross_entropy, lambda module, batch: F.cross_entropy(module(batch[0]), batch[1]) * 2],
}


@pytest.fixture(scope="module")
def training():
    return trained()


def surface_of(training, loss=cross_entropy, batches=None):
    return Surface(*training, loss, batches or [images(8)], resolution=3)


def assert_told_apart(path, one, other):
    assert compute(path, one)
    assert not compute(path, one)
    before = path.read_bytes()
    with pytest.raises(UserError, match="was computed from other weights, data or settings"):
        compute(path, other)
    assert path.read_bytes() == before
    assert compute(path, other, restart=True)


@pytest.mark.parametrize("change", LOSSES)
def test_another_loss(training, tmp_path, change):
    losses = (surface_of(training, loss) for loss in LOSSES[change])
    assert_told_apart(tmp_path / "a.h5", *losses)


def test_a_global_of_the_loss(training, tmp_path, monkeypatch):
    assert compute(tmp_path / "a.h5", surface_of(training, by_global))
    assert not compute(tmp_path / "a.h5", surface_of(training, by_global))
    monkeypatch.setitem(globals(), "STRENGTH", 0.2)
    with pytest.raises(UserError, match="was computed from other"):
        compute(tmp_path / "a.h5", surface_of(training, by_global))


@pytest.mark.parametrize("change", [earlier, lambda t: activated(t, nn.Tanh())])
def test_another_training_or_network(training, tmp_path, change):
    assert_told_apart(tmp_path / "a.h5", surface_of(training), surface_of(change(training)))


def test_another_batch_inside_an_object(training, tmp_path):
    class Held:
        def __init__(self, inputs, labels):
            self.inputs, self.labels = inputs, labels

    def loss(module, batch):
        return F.cross_entropy(module(batch.inputs), batch.labels)

    inputs, labels = images(8)
    one = surface_of(training, loss, [Held(inputs, labels)])
    other = surface_of(training, loss, [Held(inputs * 2, labels)])
    assert_told_apart(tmp_path / "a.h5", one, other)


def test_the_networks_own_weights_are_not_the_snapshots(training, tmp_path):
    module, snapshots = training
    moved = copy.deepcopy(module)
    with torch.no_grad():
        moved[0].weight += 1
    assert compute(tmp_path / "a.h5", surface_of(training))
    assert not compute(tmp_path / "a.h5", surface_of((moved, snapshots)))


def test_what_cannot_be_seen_through_is_named(training, tmp_path):
    numbers = itertools.count()
    consumed = (number for number in (1, 2))

    def loss(module, batch):
        return (
            cross_entropy(module, batch) + 0 * len(str(type(consumed))) + 0 * numbers.__sizeof__()
        )

    path = tmp_path / "a.h5"
    assert compute(path, surface_of(training, loss))
    sentence = r"a\.h5: whether it is of this very computation cannot be told.*consumed.*restart"
    with pytest.raises(UserError, match=sentence):
        compute(path, surface_of(training, loss))
    assert compute(path, surface_of(training, loss), restart=True)


@pytest.mark.parametrize("where", [0, 1, 3])
@pytest.mark.parametrize("window", ["travelling", "fixed"])
def test_a_diverged_snapshot_is_a_frame_that_is_missing(tmp_path, where, window):
    module, snapshots = trained(4)
    states = [{k: w.clone() for k, w in snapshots[t].items()} for t in range(4)]
    states[where]["0.weight"][0, 0] = float("nan")
    path = tmp_path / "a.h5"
    surface = Surface(
        module, Snapshots.of(states, [0, 10, 20, 30]), cross_entropy, [images(8)],
        resolution=3, window=window,
    )  # fmt: skip
    assert compute(path, surface)
    assert not compute(path, surface)
    others = [t for t in range(4) if t != where]
    with h5py.File(path) as file:
        group = file["surfaces/network"]
        assert group["step"][:].tolist() == [0, 10, 20, 30]
        assert group.attrs["diverged"].tolist() == [10 * where]
        assert not group["evaluated"][where].any()
        assert group["evaluated"][others].all()
        assert np.isfinite(group["loss"][others]).all()
        assert np.isfinite(group["origin"][:]).all()
        assert np.isfinite(group["minimizer"][:, :2]).all()
        assert np.isnan(group["minimizer"][where, 2])
        assert np.isfinite(group["minimizer"][others, 2]).all()
        if window == "travelling":
            centre = group["loss"][others, 1, 1]
            np.testing.assert_allclose(centre, group["minimizer"][others, 2], rtol=1e-5)


def test_a_training_that_diverged_throughout(tmp_path):
    module, snapshots = trained(2)
    states = [{k: w.float() * float("nan") for k, w in snapshots[t].items()} for t in range(2)]
    with pytest.raises(UserError, match="weights of all of them are infinite or not a number"):
        compute(
            tmp_path / "a.h5",
            Surface(module, Snapshots.of(states, [0, 1]), cross_entropy, [images(8)]),
        )
