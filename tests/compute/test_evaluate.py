"""The loss over a plane, against plain loops in float64."""

import copy

import pytest
import torch
from torch.nn import functional as F

from movinglands.directions import random_plane
from movinglands.evaluate import evaluate, grid, loss_of_weights
from movinglands.networks import convnet

ALPHA = torch.linspace(-1.2, 1.2, 5, dtype=torch.float64)
BETA = torch.linspace(-0.9, 0.7, 4, dtype=torch.float64)


@pytest.fixture(scope="module")
def network(digits):
    """A convnet whose running statistics are those of some data."""
    network = convnet(1, 4, 3, 10, seed=3)
    network.train()
    with torch.no_grad():
        for part in digits.images[:320].split(64):
            network(part)
    return network


def weights_of(network):
    return {name: p.detach().clone() for name, p in network.named_parameters()}


def losses(network, batch, mode, launch=128):
    weights = weights_of(network)
    plane = random_plane(weights, seed=5)
    u, v = plane.u, plane.v
    of_weights = loss_of_weights(network, F.cross_entropy, *batch, mode)
    parts = list(evaluate(of_weights, weights, u, v, grid(ALPHA, BETA), launch))
    assert all(part.dtype == torch.float32 for part in parts)
    return torch.cat(parts).reshape(len(BETA), len(ALPHA))


def reference(network, batch, mode):
    """Set the weights of a float64 copy, run it, take the loss; a point at a time."""
    weights = weights_of(network)
    plane = random_plane(weights, seed=5)
    u, v = plane.u, plane.v
    images, labels = batch
    found = torch.empty(len(BETA), len(ALPHA), dtype=torch.float64)
    for row, beta in enumerate(BETA):
        for col, alpha in enumerate(ALPHA):
            displaced = copy.deepcopy(network).double().train(mode == "train")
            with torch.no_grad():
                for name, p in displaced.named_parameters():
                    p += alpha * u[name].double() + beta * v[name].double()
                found[row, col] = F.cross_entropy(displaced(images.double()), labels)
    return found


@pytest.fixture(scope="module")
def batch(digits):
    return digits.images[:32], digits.labels[:32]


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_it_is_the_loss(network, batch, mode):
    found = losses(network, batch, mode).double()
    torch.testing.assert_close(found, reference(network, batch, mode), rtol=1e-5, atol=0)


def test_the_modes_differ(network, batch):
    assert (losses(network, batch, "train") - losses(network, batch, "eval")).abs().max() > 0.01


@pytest.mark.parametrize("launch", [1, 7, 20])
@pytest.mark.parametrize("mode", ["train", "eval"])
def test_the_launch_size_changes_nothing(network, batch, mode, launch):
    torch.testing.assert_close(
        losses(network, batch, mode, launch), losses(network, batch, mode), rtol=1e-6, atol=0
    )


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("training", [True, False])
def test_nothing_of_the_users_is_touched(network, batch, mode, training):
    network = copy.deepcopy(network).train(training)
    state = {name: value.clone() for name, value in network.state_dict().items()}
    random = torch.random.get_rng_state()
    losses(network, batch, mode)
    assert torch.equal(torch.random.get_rng_state(), random)
    assert all(part.training is training for part in network.modules())
    assert all(p.requires_grad and p.grad is None for p in network.parameters())
    assert all(part.track_running_stats for part in network.modules() if hasattr(part, "momentum"))
    for name, value in network.state_dict().items():
        assert torch.equal(value, state[name]), name


def test_rows_are_beta_and_columns_alpha():
    def of_weights(weights):
        return 10 * weights["a"] + weights["b"]

    zero, one = torch.tensor(0.0), torch.tensor(1.0)
    points = grid(ALPHA, BETA)
    origin, u, v = {"a": zero, "b": zero}, {"a": one, "b": zero}, {"a": zero, "b": one}
    found = torch.cat(list(evaluate(of_weights, origin, u, v, points, launch=3)))
    expected = 10 * ALPHA[None, :] + BETA[:, None]
    torch.testing.assert_close(found.reshape(4, 5), expected.float())


def test_building_a_network_leaves_the_global_generator():
    random = torch.random.get_rng_state()
    first, second = convnet(1, 2, 2, 10, seed=4), convnet(1, 2, 2, 10, seed=4)
    assert torch.equal(torch.random.get_rng_state(), random)
    pairs = zip(first.parameters(), second.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
