"""A loss as a pure function: its values, its randomness, and what it leaves alone."""

import copy

import numpy as np
import pytest
import torch
from cases import (
    Case,
    Transformer,
    built,
    cases,
    cross_entropy,
    images,
    randomness,
    resnet,
    sentences,
    unequal,
    with_accuracy,
)
from torch import nn
from torch.nn import functional as F

from movinglands.errors import UserError
from movinglands.evaluation.measure import Measure
from movinglands.evaluation.objective import Objective
from movinglands.evaluation.randomness import hashed
from movinglands.networks.convnet import convnet
from movinglands.planes.weights import weights_of

CASES = cases()
POINTS = np.array([[0, 0], [0.7, -0.3], [-1, 0.9]])


def at(objective, plane, point, index=0):
    dtype = next(iter(plane.u.values())).dtype.to_real()
    return objective.at(plane.at(*torch.tensor(point, dtype=dtype)), index=index).numpy()


@pytest.mark.parametrize("name", CASES)
def test_it_is_the_loss(name):
    case = CASES[name]
    objective, plane = case.objective(), case.plane()
    found = [at(objective, plane, point, index) for index, point in enumerate(POINTS)]
    np.testing.assert_allclose(found, case.truth(POINTS), rtol=1e-5)


def test_each_batch_is_asked_once_before_anything_is_measured():
    network = built(convnet, 1, 4, 3, 10, 3)
    asked = []

    def loss(module, batch):
        asked.append(len(batch[1]))
        return cross_entropy(module, batch)

    Objective(network, loss, unequal(images(9), 4, 3, 2))
    assert asked == [4, 3, 2]


def test_the_whole_set_is_as_one_batch():
    network = built(convnet, 1, 4, 3, 10, 3)
    batch, weights = images(30), weights_of(network)
    whole = Objective(network, cross_entropy, [batch], Measure("eval")).at(weights)
    for sizes in ((16, 9, 5), (1,) * 30, (29, 1)):
        pieces = Objective(network, cross_entropy, unequal(batch, *sizes), Measure("eval"))
        torch.testing.assert_close(pieces.at(weights).float(), whole, rtol=1e-6, atol=0)


def test_held_out_batches_go_by_what_the_others_recompute():
    network = built(resnet)
    shown, held_out = [images(30)], [images(11, 9)]
    measure = Measure("eval", "recomputed")
    both = Objective(network, cross_entropy, shown, measure, held_out).at(weights_of(network))
    alone = Objective(network, cross_entropy, held_out, measure).at(weights_of(network))
    assert both[1] != pytest.approx(float(alone[0]), rel=1e-3)


def test_values_by_name():
    case = CASES["whole set eval"]
    assert case.objective().names == ("loss", "accuracy", "test_loss", "test_accuracy")
    assert CASES["convnet train"].objective().names == ("loss",)


def test_a_metric_may_stand_before_the_loss():
    def loss(module, batch):
        return {"zero": torch.zeros(()), "loss": cross_entropy(module, batch)}

    network = built(convnet, 1, 2, 1, 10, 3)
    objective = Objective(network, loss, [images(4)])
    assert objective.names == ("loss", "zero")
    assert objective.at(weights_of(network))[1] == 0


def test_the_loss_can_be_differentiated():
    case = CASES["whole set train"]
    objective, weights = case.objective(), weights_of(case.module)
    taken = {name: w.requires_grad_() for name, w in weights.items()}
    found = torch.autograd.grad(objective.loss(taken), list(taken.values()))
    network = copy.deepcopy(case.module).double().train()
    count = sum(len(labels) for _, labels in case.batches)
    losses = (
        len(labels) / count * F.cross_entropy(network(inputs.double()), labels)
        for inputs, labels in case.batches
    )
    sum(losses).backward()
    for gradient, p in zip(found, network.parameters(), strict=True):
        torch.testing.assert_close(gradient.double(), p.grad, rtol=1e-4, atol=1e-6)


def the_batch(measure, count=12, points=range(400)):
    """Which samples each point sees: a loss that is their numbers."""

    def loss(module, batch):
        (numbers,) = batch
        return {"loss": module(numbers[:1, None]).sum()} | {
            str(k): number for k, number in enumerate(numbers)
        }

    numbers = torch.arange(count).float()
    network = nn.Linear(1, 1)
    objective = Objective(network, loss, [(numbers[:5],), (numbers[5:],)], measure)
    weights = weights_of(network)
    return np.array([objective.at(weights, index=n)[1:].numpy() for n in points])


@pytest.mark.parametrize("minibatch", [1, 5, 12])
def test_a_minibatch_at_every_point(minibatch):
    seen = the_batch(Measure(minibatch=minibatch))
    assert seen.shape == (400, minibatch)
    assert all(len(set(batch)) == minibatch for batch in seen.tolist())
    assert set(seen.ravel()) == set(range(12))
    if minibatch < 12:
        assert len({tuple(sorted(batch)) for batch in seen.tolist()}) > 10
        # Of 400 draws of a sample with probability p, 6 standard deviations to either side.
        p = minibatch / 12
        counts = np.bincount(seen.ravel().astype(int), minlength=12)
        assert np.all(np.abs(counts - 400 * p) < 6 * np.sqrt(400 * p * (1 - p)))


def test_a_minibatch_is_the_points_alone_and_the_seeds():
    measure = Measure(minibatch=5, seed=7)
    forwards, backwards = the_batch(measure), the_batch(measure, points=range(399, -1, -1))
    np.testing.assert_array_equal(forwards, backwards[::-1])
    assert np.any(the_batch(Measure(minibatch=5, seed=8)) != forwards)


def test_a_minibatchs_loss():
    network, batch = built(convnet, 1, 4, 3, 10, 3), images(12)
    seen = the_batch(Measure(minibatch=5), points=range(6)).astype(int)
    objective = Objective(
        network, cross_entropy, unequal(batch, 5, 7), Measure("eval", minibatch=5)
    )
    for index, samples in enumerate(seen):
        chosen = tuple(tensor[torch.tensor(samples)] for tensor in batch)
        case = Case(network, cross_entropy, [chosen], Measure("eval"))
        found = objective.at(weights_of(network), index=index)
        np.testing.assert_allclose(found, case.truth([(0, 0)])[0], rtol=1e-5)


def noise_of(dropout, shape, measure, index=0):
    """What a dropout layer multiplies with, seen from outside: ones go in, each entry comes out."""

    def loss(module, batch):
        factors = module(batch[0]).flatten()
        return {"loss": factors.sum()} | {str(k): factor for k, factor in enumerate(factors)}

    network = nn.Sequential(nn.Linear(1, 1), dropout)
    network[0] = nn.Identity()
    objective = Objective(network, loss, [(torch.ones(shape),)], measure)
    return objective.at({}, index=index)[1:].reshape(shape)


@pytest.mark.parametrize("p", [0.0, 0.07, 0.5, 1.0])
def test_dropout_drops_its_share(p):
    factors = noise_of(nn.Dropout(p), (40, 50), Measure())
    kept = factors != 0
    assert abs(kept.float().mean() - (1 - p)) <= 6 * (p * (1 - p) / 2000) ** 0.5
    assert torch.all(factors[kept] == torch.tensor(1.0) / (1 - p))


@pytest.mark.parametrize(
    ("dropout", "shape"),
    [
        (nn.Dropout1d(0.5), (9, 20, 4)),
        (nn.Dropout2d(0.5), (9, 20, 2, 3)),
        (nn.Dropout3d(0.5), (9, 20, 2, 2, 2)),
    ],
)
def test_channels_are_dropped_whole(dropout, shape):
    factors = noise_of(dropout, shape, Measure()).flatten(2)
    assert torch.all(factors == factors[..., :1])
    assert 40 < int((factors[..., 0] != 0).sum()) < 140


def test_the_noise_of_points():
    fixed = [noise_of(nn.Dropout(0.5), (8, 9), Measure(seed=3), index) for index in range(4)]
    assert all(torch.equal(noise, fixed[0]) for noise in fixed)
    own = [noise_of(nn.Dropout(0.5), (8, 9), Measure(noise="point"), index) for index in range(9)]
    again = [noise_of(nn.Dropout(0.5), (8, 9), Measure(noise="point"), index) for index in range(9)]
    assert all(torch.equal(one, other) for one, other in zip(own, again, strict=True))
    kept = torch.stack(own).ne(0).flatten(1).float()
    assert abs(kept.mean() - 0.5) < 6 * 0.5 / (9 * 72) ** 0.5
    correlation = torch.corrcoef(kept)[~torch.eye(9, dtype=torch.bool)]
    assert correlation.abs().max() < 6 / 72**0.5
    assert not torch.equal(noise_of(nn.Dropout(0.5), (8, 9), Measure(seed=4)), fixed[0])


def test_a_networks_loss_with_dropout():
    """Against a float64 network with the same factors put in by hand."""

    class Given(nn.Module):
        def __init__(self, factors):
            super().__init__()
            self.factors = factors

        def forward(self, x):
            return x * self.factors

    generator = torch.Generator().manual_seed(0)
    batch = torch.randn(12, 5, generator=generator), torch.arange(12) % 3
    network = built(
        lambda: nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Dropout(0.3), nn.Linear(8, 3))
    )
    factors = noise_of(nn.Dropout(0.3), (12, 8), Measure(seed=6)).double()
    given = copy.deepcopy(network)
    given[2] = Given(factors)
    case = Case(given, cross_entropy, [batch])
    objective = Objective(network, cross_entropy, [batch], Measure(seed=6))
    found = [at(objective, case.plane(), point, index=9) for point in POINTS]
    np.testing.assert_allclose(found, case.truth(POINTS), rtol=1e-5)
    assert Objective(network, cross_entropy, [batch], Measure("eval")).at(weights_of(network)) != (
        pytest.approx(found[0], rel=1e-3)
    )


class Always(nn.Dropout):
    """One of the user's own, that has its own ways."""

    def forward(self, x):
        return x * 2


class Activated(nn.BatchNorm2d):
    """BatchNorm and activation in one layer, as some libraries have it."""

    def forward(self, x):
        return F.relu(super().forward(x))


def test_layers_with_a_forward_of_their_own_keep_it():
    network = nn.Sequential(
        nn.Conv2d(1, 4, 3), Activated(4), Always(0.5), nn.Flatten(), nn.Linear(144, 10)
    )
    for measure in (Measure("train"), Measure("eval"), Measure("eval", "batch")):
        case = Case(network, cross_entropy, [images(8)], measure)
        found = at(case.objective(), case.plane(), POINTS[1])
        np.testing.assert_allclose(found, case.truth(POINTS[1:2])[0], rtol=1e-5)
    with pytest.raises(UserError, match="batch_norm: 1 is a Activated with a forward of its own"):
        Case(network, cross_entropy, [images(8)], Measure("eval", "recomputed")).objective()


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize(
    "norm",
    [
        nn.InstanceNorm2d(4, affine=True, track_running_stats=True),
        nn.BatchNorm2d(4, affine=False),
        nn.BatchNorm2d(4, track_running_stats=False),
        nn.BatchNorm2d(4, momentum=None),
        nn.GroupNorm(2, 4),
        nn.LayerNorm((4, 6, 6)),
        nn.LocalResponseNorm(2),
    ],
)
def test_norm_layers(norm, mode):
    network = nn.Sequential(nn.Conv2d(1, 4, 3), norm, nn.ReLU(), nn.Flatten(), nn.Linear(144, 10))
    case = Case(network, cross_entropy, [images(8)], Measure(mode))
    found = at(case.objective(), case.plane(), POINTS[1])
    np.testing.assert_allclose(found, case.truth(POINTS[1:2])[0], rtol=1e-5)


def test_what_writes_to_its_buffers_forgets_it():
    network = nn.Sequential(
        nn.utils.parametrizations.spectral_norm(nn.Linear(5, 8)), nn.ReLU(), nn.Linear(8, 3)
    )
    batch = torch.randn(12, 5), torch.arange(12) % 3
    case = Case(network, cross_entropy, [batch], Measure("train"))
    objective, plane = case.objective(), case.plane()
    first = at(objective, plane, POINTS[0])
    for point in POINTS:
        at(objective, plane, point)
    assert at(objective, plane, POINTS[0]) == first
    np.testing.assert_allclose(first, case.truth(POINTS[:1])[0], rtol=1e-5)


def test_buffers_are_those_of_the_snapshot():
    network = built(convnet, 1, 2, 2, 10, 3)
    other = copy.deepcopy(network)
    other[1].running_mean += 5
    objective = Objective(network, cross_entropy, [images(8)], Measure("eval"))
    weights = weights_of(network)
    found = objective.at(weights, objective.buffers(other.state_dict()))
    expected = Case(other, cross_entropy, [images(8)], Measure("eval")).truth([(0, 0)])
    np.testing.assert_allclose(found, expected[0], rtol=1e-5)
    assert abs(objective.at(weights) - found) > 1e-4


def drawing(module, batch):
    """A loss of nothing but torch's generator."""
    return module(batch[0]).sum() * 0 + torch.rand(())


def test_other_randomness_is_the_points_too():
    network, batches = nn.Linear(2, 1), [(torch.ones(3, 2),), (torch.ones(1, 2),)]
    weights = weights_of(network)
    fixed = Objective(network, drawing, batches, Measure(seed=5))
    assert len({float(fixed.at(weights, index=n)) for n in range(5)}) == 1
    assert fixed.at(weights) == pytest.approx(float(fixed.loss(weights)), rel=1e-6)
    own = Objective(network, drawing, batches, Measure(noise="point"))
    values = [float(own.at(weights, index=n)) for n in range(50)]
    assert len(set(values)) == 50
    assert values == [float(own.at(weights, index=n)) for n in range(50)]
    assert 0.2 < np.mean(values) < 0.8


def test_attentions_dropout_too():
    network = built(Transformer, 0.2)
    weights = weights_of(network)
    fixed = Objective(network, cross_entropy, [sentences(6)], Measure("train"))
    values = {float(fixed.at(weights, index=n)) for n in range(3)}
    assert len(values) == 1
    quiet = Objective(network, cross_entropy, [sentences(6)], Measure("eval"))
    assert float(quiet.at(weights)) not in values


@pytest.mark.parametrize("noise", ["fixed", "point"])
@pytest.mark.parametrize("statistics", ["batch", "stored", "recomputed"])
def test_nothing_of_the_users_is_touched(noise, statistics):
    network = nn.Sequential(built(convnet, 1, 3, 2, 10, 3), nn.Dropout(0.2)).train()
    network[0][1].eval()  # modes as they may be after freezing a part
    network[0][0].weight.requires_grad_(False)
    called = []
    network.register_forward_hook(lambda *_: called.append(1))
    modes = [part.training for part in network.modules()]
    settings = [dict(vars(part)) for part in network.modules()]
    state = copy.deepcopy(network.state_dict())
    batch = images(8)
    given = tuple(tensor.clone() for tensor in batch)
    before = randomness(), torch.is_grad_enabled()

    def loss(module, batch):
        return {"loss": cross_entropy(module, batch), "drawn": torch.rand(())}

    objective = Objective(network, loss, [batch], Measure("train", statistics, noise=noise))
    for index in range(3):
        objective.at(weights_of(network), index=index)
    objective.loss({n: w.requires_grad_() for n, w in weights_of(network).items()}).backward()
    assert (randomness(), torch.is_grad_enabled()) == before
    assert [part.training for part in network.modules()] == modes
    assert [vars(part).keys() for part in network.modules()] == [s.keys() for s in settings]
    assert len(network._forward_hooks) == 1
    assert [p.requires_grad for p in network.parameters()] == [False] + [True] * 9
    assert all(p.grad is None for p in network.parameters())
    for name, value in network.state_dict().items():
        assert torch.equal(value, state[name]), name
    assert all(torch.equal(one, other) for one, other in zip(batch, given, strict=True))


def test_a_loss_that_is_a_module_keeps_its_mode():
    class Distance(nn.Module):
        def __init__(self):
            super().__init__()
            self.noise = nn.Dropout(0.5)
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, module, batch):
            return cross_entropy(module, batch) * self.scale

    loss = Distance().train()
    network = built(convnet, 1, 2, 1, 10, 3)
    Objective(network, loss, [images(4)], Measure("eval")).at(weights_of(network))
    assert loss.training
    assert loss.noise.training
    assert "forward" not in vars(loss.noise)
    assert "key" not in loss.noise._buffers


@pytest.mark.parametrize(
    ("returned", "sentence"),
    [
        (lambda loss: loss.item(), "returned a float as loss: expected a scalar tensor"),
        (lambda loss: None, "returned a NoneType as loss: expected a scalar tensor"),
        (lambda loss: loss[None], r"returned a torch.float32 tensor of shape \(1,\) as loss"),
        (
            lambda loss: loss.expand(3, 2),
            r"returned a torch.float32 tensor of shape \(3, 2\) as loss",
        ),
        (lambda loss: (loss, loss), "returned a tuple as loss: expected a scalar tensor"),
        (lambda loss: loss + 1j, "returned a torch.complex64 tensor of shape"),
        (lambda loss: {}, 'returned nothing: expected a "loss"'),
        (lambda loss: {"nll": loss}, 'returned nll: expected a "loss"'),
        (lambda loss: {"loss": loss, "accuracy": 0.5}, "returned a float as accuracy: expected"),
        (lambda loss: {"loss": loss, "acc/top1": loss}, "returned 'acc/top1': expected names"),
        (lambda loss: {"loss": loss, 1: loss}, "returned 1: expected names without"),
    ],
)
def test_a_loss_function_that_returns_something_else(returned, sentence):
    network = built(convnet, 1, 2, 1, 10, 3)
    with pytest.raises(UserError, match=f"^The loss function {sentence}") as caught:
        Objective(network, lambda m, b: returned(cross_entropy(m, b)), [images(4)])
    assert "\n" not in str(caught.value)


def test_a_loss_function_that_changes_its_mind():
    def loss(module, batch):
        found = with_accuracy(module, batch)
        return found if len(batch[0]) == 4 else {"loss": found["loss"]}

    network = built(convnet, 1, 2, 1, 10, 3)
    with pytest.raises(UserError, match="returned loss, and before, loss, accuracy"):
        Objective(network, loss, unequal(images(7), 4, 3))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"mode": "test"}, "mode: expected one of train, eval, got 'test'"),
        ({"batch_norm": "frozen"}, "batch_norm: expected one of None, batch, stored, recomputed"),
        ({"noise": "none"}, "noise: expected one of fixed, point, got 'none'"),
        ({"precision": "half"}, "precision: expected one of float32, tf32, bf16, got 'half'"),
    ],
)
def test_a_measure_there_is_not(settings, sentence):
    with pytest.raises(UserError, match=sentence):
        Measure(**settings)


@pytest.mark.parametrize(
    ("batches", "measure", "test", "sentence"),
    [
        ([], Measure(), [], "batches: expected at least one"),
        ([(1.0, "a")] * 2, Measure(), [], "how many samples a batch holds cannot be told from"),
        ([images(4)], Measure(minibatch=5), [], "minibatch = 5: expected 1 to 4"),
        ([images(4)], Measure(minibatch=-1), [], "minibatch = -1: expected 1 to 4"),
        ([images(4)], Measure(minibatch=2), [images(4)], "goes without held-out batches"),
        ([images(4)], Measure(minibatch=2), [images(5)], "goes without held-out batches"),
    ],
)
def test_batches_that_will_not_do(batches, measure, test, sentence):
    network = built(convnet, 1, 2, 1, 10, 3)
    with pytest.raises(UserError, match=sentence):
        Objective(network, lambda m, b: cross_entropy(m, images(4)), batches, measure, test)


def splitmix64(x):
    """The finalizer of Steele et al. 2014 on Python's whole numbers."""
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB % 2**64
    return x ^ (x >> 31)


def test_the_hash_is_splitmix64():
    assert splitmix64(0x9E3779B97F4A7C15) == 0xE220A8397B1DCDAF  # its published first output
    numbers = [0, 1, 2, 12345, 2**40, 2**62]
    found = hashed(torch.tensor(numbers)).tolist()
    step = 0x9E3779B97F4A7C15
    start = splitmix64((splitmix64(step) + 1) * step % 2**64)  # of seed 0, use 0
    expected = [splitmix64((n * step + start) % 2**64) for n in numbers]
    assert [n % 2**64 for n in found] == expected
    others = [hashed(torch.tensor(0), seed, use).item() for seed in range(9) for use in range(9)]
    assert len(set(others)) == 81


def test_seeds_are_replicates():
    """No seed's numbers are another's, counted from elsewhere."""
    seen = [
        set(hashed(torch.arange(2000), seed, use).tolist()) for seed in range(6) for use in (0, 3)
    ]
    assert len(set.union(*seen)) == sum(map(len, seen))


def test_building_a_network_leaves_the_global_generator():
    before = randomness()
    first, second = convnet(1, 2, 2, 10, seed=4), convnet(1, 2, 2, 10, seed=4)
    assert randomness() == before
    pairs = zip(first.parameters(), second.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
