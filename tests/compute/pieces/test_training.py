"""Which moments are kept, and that training goes on from each of them bit for bit."""

import itertools

import pytest
import torch

from movinglands.networks.convnet import convnet
from movinglands.pieces.schema import Training
from movinglands.pieces.training import batch_of_step, snapshot_steps, train


@pytest.mark.parametrize(
    ("steps", "snapshots", "spacing"),
    list(
        itertools.product([1, 2, 7, 400, 10_007], [2, 3, 60, 500], [0.1, 0.5, 1.0, 1.3, 4.0, 10.0])
    ),
)
def test_snapshots_go_from_the_first_step_to_the_last(steps, snapshots, spacing):
    kept = snapshot_steps(Training(steps=steps, snapshots=snapshots, spacing=spacing))
    assert (kept[0], kept[-1]) == (0, steps)
    assert all(before < after for before, after in itertools.pairwise(kept))
    assert len(kept) == min(snapshots, steps + 1)


def test_snapshots_are_spaced_by_a_power():
    kept = snapshot_steps(Training(steps=10_000, snapshots=5, spacing=2.0))
    assert kept == [0, 625, 2500, 5625, 10_000]


TRAINING = Training(steps=30, snapshots=5, batch=100, momentum=0.9, weight_decay=1e-3)


def run(digits, start=None):
    network = convnet(1, 2, 2, 10, seed=0)
    return list(train(network, digits, TRAINING, snapshot_steps(TRAINING), start))


@pytest.fixture(scope="module")
def snapshots(digits):
    return run(digits)


def test_a_snapshot_at_each_step(snapshots):
    assert [s.step for s in snapshots] == snapshot_steps(TRAINING)
    assert snapshots[-1].scalars["train_loss"] < snapshots[0].scalars["train_loss"]


@pytest.mark.parametrize("index", range(5))
def test_it_goes_on_from_any_snapshot_bit_for_bit(digits, snapshots, index):
    later = run(digits, snapshots[index])
    assert [s.step for s in later] == [s.step for s in snapshots[index + 1 :]]
    for found, expected in zip(later, snapshots[index + 1 :], strict=True):
        assert found.scalars == expected.scalars
        for name, value in expected.module.items():
            assert torch.equal(found.module[name], value), (found.step, name)


def test_snapshots_are_copies(snapshots):
    first, last = snapshots[0].module, snapshots[-1].module
    assert not torch.equal(first["0.weight"], last["0.weight"])
    initial = convnet(1, 2, 2, 10, seed=0).state_dict()
    assert all(torch.equal(first[name], value) for name, value in initial.items())


def test_one_step_is_sgd(digits):
    """The first update, by hand in float64: ``w - lr (gradient + decay w)``."""
    training = Training(steps=1, snapshots=2, batch=50, weight_decay=0.01, learning_rate=0.1)
    network = convnet(1, 2, 2, 10, seed=0)
    _, second = train(network, digits, training, [0, 1])
    twin = convnet(1, 2, 2, 10, seed=0).double().train()
    batch = batch_of_step(len(digits.images), 50, training.seed, 0)
    answers = twin(digits.images[batch].double())
    torch.nn.functional.cross_entropy(answers, digits.labels[batch]).backward()
    for name, p in twin.named_parameters():
        expected = p.detach() - 0.1 * (p.grad + 0.01 * p.detach())
        torch.testing.assert_close(second.module[name].double(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("count", "batch"), [(12, 3), (12, 12), (12, 1), (13, 5), (100, 7)])
@pytest.mark.parametrize("epoch", [0, 3])
def test_the_batches_of_an_epoch_partition_the_data(count, batch, epoch):
    length = count // batch
    steps = range(epoch * length, (epoch + 1) * length)
    drawn = torch.cat([batch_of_step(count, batch, 5, step) for step in steps]).tolist()
    assert len(set(drawn)) == len(drawn) == count - count % batch
    assert set(drawn) <= set(range(count))


def test_epochs_and_seeds_have_orders_of_their_own():
    orders = [batch_of_step(50, 50, seed, step).tolist() for seed in (0, 1) for step in (0, 1)]
    assert all(a != b for a, b in itertools.combinations(orders, 2))
    assert batch_of_step(50, 50, 0, 0).tolist() == orders[0]
