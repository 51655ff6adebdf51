"""What a loss counts or keeps outside the network: refused as soon as it shows, or right."""

import functools

import h5py
import numpy as np
import pytest
import torch
from cases import cross_entropy, images, trained
from torch.nn import functional as F

from movinglands import Surface, UserError, compute_sequence

compute = functools.partial(compute_sequence, device="cpu", compiling=False)


@pytest.fixture(scope="module")
def training():
    return trained()


def test_a_count_that_shows_late(training, tmp_path):
    module, snapshots = training
    passes, path = [0], tmp_path / "a.h5"

    def loss(network, batch):
        passes[0] += 1
        return cross_entropy(network, batch) * (1 if passes[0] < 40 else 2)

    surface = Surface(module, snapshots, loss, [images(8)], resolution=7)
    with pytest.raises(UserError, match=r"loss of the same weights was .+ and is now .+ counts or"):
        compute(path, surface)
    assert not path.exists()
    assert not list((tmp_path / "a.h5.journal").rglob("*.npz"))


def test_what_the_loss_computed_of_other_weights(training, tmp_path):
    module, snapshots = training
    kept = {}

    def loss(network, batch):
        if "features" not in kept:
            kept["features"] = network[:3](batch[0]).detach()
        return F.cross_entropy(network[3:](kept["features"]), batch[1])

    with pytest.raises(UserError, match=r"loss: without effect on it are 4 of 10 weights"):
        compute(tmp_path / "a.h5", Surface(module, snapshots, loss, [images(8)], resolution=3))


def test_a_batch_that_counts_for_nothing(training, tmp_path):
    module, snapshots = training
    labelled, void = images(8), (images(8)[0], torch.full((8,), -1))

    def loss(network, batch):
        inputs, labels = batch
        known = labels >= 0
        value = F.cross_entropy(network(inputs), labels, ignore_index=-1)
        return {"loss": value, "weight": known.sum()}

    def alone(batches, name):
        surface = Surface(module, snapshots, loss, batches, resolution=3)
        compute(tmp_path / name, surface)
        with h5py.File(tmp_path / name) as file:
            group = file["surfaces/network"]
            return group["loss"][:], group["minimizer"][:, 2]

    for both, one in zip(alone([labelled, void], "a.h5"), alone([labelled], "b.h5"), strict=True):
        np.testing.assert_allclose(both, one, rtol=1e-6)


@pytest.mark.parametrize("where", ["middle", "test"])
def test_a_mean_over_tokens_anywhere(training, tmp_path, where):
    module, snapshots = training

    def loss(network, batch):
        return F.cross_entropy(network(batch[0]), batch[1], ignore_index=-1)

    whole, padded = images(8), (images(8, 1)[0], images(8, 1)[1].clone())
    padded[1][:5] = -1
    batches = [whole, padded, whole] if where == "middle" else [whole]
    test = [] if where == "middle" else [whole, padded]
    surface = Surface(module, snapshots, loss, batches, resolution=3, test=test)
    with pytest.raises(UserError, match="so it is no mean over samples"):
        compute(tmp_path / "a.h5", surface)


def test_a_network_that_refuses_to_be_copied(training, tmp_path):
    class Alone(type(training[0])):
        def __deepcopy__(self, memo):
            raise TypeError("there is only one of me")

    module = Alone(*training[0])
    surface = Surface(module, training[1], cross_entropy, [images(8)], resolution=3)
    with pytest.raises(UserError, match=r"module: Python cannot copy this Alone .there is"):
        compute(tmp_path / "a.h5", surface)
