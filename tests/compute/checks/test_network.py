"""What is evaluated is the user's network, however it is made, or it is refused in one sentence."""

import functools
import random
import types
import weakref
from collections import Counter, deque

import numpy as np
import pytest
import torch
from cases import Made, built, cross_entropy, generator_of, plain_loop, randomness
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, prune, weight_norm

from movinglands.checks.mean import check_mean
from movinglands.checks.network import check_network
from movinglands.engine.evaluator import Evaluator, grid
from movinglands.engine.plan import Plan
from movinglands.errors import UserError
from movinglands.evaluation.measure import Measure
from movinglands.evaluation.objective import Objective
from movinglands.planes.random import random_plane
from movinglands.planes.weights import weights_of

POINTS = grid(np.linspace(-1, 1, 3), np.linspace(-1, 1, 3))


def samples(count=12, seed=1):
    generator = generator_of(seed)
    return (
        torch.randn(count, 3, generator=generator),
        torch.randint(2, (count,), generator=generator),
    )


def small():
    return built(lambda: nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2)))


def made(module, loss=cross_entropy):
    return Made(module, loss, [samples()])


def checked(user, measure=None, count=None):
    """An objective that was held against the user's network, and what there is to say."""
    objective = Objective(user.module, user.loss, user.batches, measure, count=count)
    weights, buffers = weights_of(user.module), objective.buffers()
    said = check_network(objective, weights, buffers)
    check_mean(objective, weights, buffers)
    return objective, said


def surface(objective, plane, folder, mapped=True):
    """Its losses on a grid, by each way there is."""
    ways = [Plan(), Plan("vmap", 4)] if mapped else [Plan()]
    if objective.own:
        ways = [Plan("own")]
    return [Evaluator(objective, plane, folder, way)(POINTS, np.arange(9))[:, 0] for way in ways]


def picture(module):
    """All of a network that evaluating it could change."""
    plain = [
        {n: v for n, v in vars(part).items() if isinstance(v, int | float | str | None)}
        for part in module.modules()
    ]
    tensors = {n: t.tolist() for n, t in module.state_dict(keep_vars=True).items()}
    gradients = [None if p.grad is None else p.grad.tolist() for p in module.parameters()]
    return [set(vars(part)) for part in module.modules()], plain, tensors, gradients


# Networks of which no copy will do.


def wrapped(module):
    inner = module.forward
    module.forward = lambda x: 1.5 * inner(x)
    return module


def closure_around_forward():
    return made(wrapped(small()))


def closure_around_a_network_with_batch_norm():
    make = functools.partial(nn.Sequential, nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Linear(8, 2))
    return made(wrapped(built(make)))


def weak_reference_deep_inside():
    module = nn.Sequential(small(), nn.ReLU())
    layer = weakref.ref(module[0][2])
    layer().forward = lambda x: F.linear(x, layer().weight).sin()
    return made(module)


def pruned_and_wrapped():
    module = small()
    prune.l1_unstructured(module[0], "weight", 0.5)
    return made(wrapped(module))


class Unregistered(nn.Module):
    """Layers in a plain list, whose weights are registered."""

    def __init__(self):
        super().__init__()
        self.layers = [nn.Linear(3, 2)]
        self.weight, self.bias = self.layers[0].weight, self.layers[0].bias

    def forward(self, x):
        return self.layers[0](x)


def layers_outside_the_tree():
    return made(built(Unregistered))


class Catch:
    def __init__(self, layer):
        layer.register_forward_hook(self.keep)

    def keep(self, layer, given, answer):
        self.feature = answer


def hook_of_an_object():
    module = small()
    caught = Catch(module[1])

    def loss(network, batch):
        return cross_entropy(network, batch) + caught.feature.square().mean()

    return made(module, loss)


def hook_that_writes_to_the_network():
    module = small()
    module[1].register_forward_hook(lambda *given: setattr(module, "feature", given[2]))
    return made(module, lambda m, b: cross_entropy(m, b) + m.feature.square().mean())


def hook_that_counts_in_the_network():
    module = small()
    module.calls = 0

    def halve(layer, given, answer):
        module.calls += 1
        return answer / (1 + module.calls)

    module[1].register_forward_hook(halve)
    return made(module)


def loss_of_another_name():
    module = small()
    return made(module, lambda _, batch: cross_entropy(module, batch))


def teacher_that_shares_layers():
    module = small()
    teacher = nn.Sequential(module[0], nn.ReLU())

    def loss(network, batch):
        return cross_entropy(network, batch) + teacher(batch[0]).mean()

    return made(module, loss)


def weight_decay_of_gathered_weights():
    module = small()
    gathered = list(module.parameters())

    def loss(network, batch):
        return cross_entropy(network, batch) + 4e-6 * sum(p.square().sum() for p in gathered)

    return made(module, loss)


def small_loss_of_gathered_weights():
    user = weight_decay_of_gathered_weights()
    return user._replace(loss=lambda *given: 1e-6 * user.loss(*given))


def weight_decay_of_an_optimizer():
    module = small()
    optimizer = torch.optim.SGD(module.parameters(), 0.1, weight_decay=1e-3)

    def loss(network, batch):
        (group,) = optimizer.param_groups
        decay = group["weight_decay"] * sum(p.square().sum() for p in group["params"])
        return cross_entropy(network, batch) + decay

    return made(module, loss)


class Merging(nn.Linear):
    """An adapter that is merged into the weight outside training."""

    merged = False

    def __init__(self):
        super().__init__(3, 2)
        self.low, self.high = (nn.Parameter(torch.randn(s)) for s in ((1, 3), (2, 1)))

    def train(self, mode=True):
        if mode == self.merged:
            self.weight.data += (-1 if mode else 1) * (self.high @ self.low).detach()
            self.merged = not mode
        return super().train(mode)

    def forward(self, x):
        return super().forward(x) + (0 if self.merged else x @ (self.high @ self.low).T)


class Fusing(nn.Module):
    """Two branches that become one layer, made anew, outside training."""

    def __init__(self):
        super().__init__()
        self.one, self.other = nn.Linear(3, 2), nn.Linear(3, 2)

    def train(self, mode=True):
        super().train(mode)
        vars(self)["_modules"].pop("fused", None)
        if not mode:
            self.fused = nn.Linear(3, 2).to(self.one.weight)
            with torch.no_grad():
                self.fused.weight.copy_(self.one.weight + self.other.weight)
                self.fused.bias.copy_(self.one.bias + self.other.bias)
        return self

    def forward(self, x):
        return self.fused(x) if not self.training else self.one(x) + self.other(x)


class FusingForGood(nn.Linear):
    """Adds its second bias to the first outside training, and takes it away."""

    fused = False

    def __init__(self):
        super().__init__(3, 2)
        self.second = nn.Parameter(torch.randn(2))

    def train(self, mode=True):
        if not mode and not self.fused:
            self.bias.data += self.second.detach()
            self.fused = True
            del self.second
        return super().train(mode)

    def forward(self, x):
        return super().forward(x) + (0 if self.fused else self.second)


class Cached(nn.Linear):
    """Keeps a normalised weight for the next forward."""

    @functools.cached_property
    def normalised(self):
        return self.weight / self.weight.norm()

    def forward(self, x):
        return F.linear(x, self.normalised, self.bias)


class Counting(nn.Linear):
    """Divides by how often it was called, counted in some way."""

    def __init__(self, counter, count):
        super().__init__(3, 2)
        self.counter, self.count = counter, count

    def forward(self, x):
        return super().forward(x) / self.count(self.counter)


class Slot:
    __slots__ = ("calls",)

    def __init__(self):
        self.calls = 0


class Nested:
    def __init__(self):
        self.inside = {"here": [Slot()]}


def of_attribute(holder):
    holder.calls += 1
    return holder.calls


def of_list(counter):
    counter[0] += 1
    return counter[0]


def of_mapping(counter):
    counter["calls"] = counter.get("calls", 0) + 1
    return counter["calls"]


def of_length(counter):
    counter.append(1)
    return len(counter)


def drawn(draw):
    class Noisy(nn.Linear):
        def __init__(self, generator):
            super().__init__(3, 2)
            self.generator = generator

        def forward(self, x):
            return super().forward(x + draw(self.generator))

    return Noisy


def counters():
    kinds = {
        "list": (lambda: [0], of_list),
        "dict": (dict, of_mapping),
        "Counter": (Counter, of_mapping),
        "deque": (deque, of_length),
        "array": (lambda: np.zeros(1), of_list),
        "tensor": (lambda: torch.zeros(1), of_list),
        "object with slots": (Slot, of_attribute),
        "namespace": (lambda: types.SimpleNamespace(calls=0), of_attribute),
        "object in a list": (Nested, lambda c: of_attribute(c.inside["here"][0])),
    }
    return {
        f"counter in a {name}": lambda kind=kind, count=count: made(
            built(lambda: Counting(kind(), count))
        )
        for name, (kind, count) in kinds.items()
    }


def generators():
    kinds = {
        "torch": (lambda g: torch.randn((), generator=g), lambda: generator_of(5)),
        "NumPy": (lambda g: g.standard_normal(), lambda: np.random.default_rng(5)),
        "Python": (lambda g: g.gauss(0, 1), lambda: random.Random(5)),
    }
    return {
        f"{name}'s generator of its own": lambda draw=draw, make=make: made(
            built(lambda: drawn(draw)(make()))
        )
        for name, (draw, make) in kinds.items()
    }


ITSELF = {
    **{
        make.__name__.replace("_", " "): make
        for make in (
            *(closure_around_forward, closure_around_a_network_with_batch_norm),
            *(weak_reference_deep_inside, pruned_and_wrapped, layers_outside_the_tree),
            *(hook_of_an_object, hook_that_writes_to_the_network, hook_that_counts_in_the_network),
            *(loss_of_another_name, teacher_that_shares_layers),
            *(weight_decay_of_gathered_weights, small_loss_of_gathered_weights),
            weight_decay_of_an_optimizer,
        )
    },
    "cached weight": lambda: made(built(lambda: Cached(3, 2))),
    **counters(),
    **generators(),
}
OUTSIDE_TRAINING = {
    "merging": lambda: made(built(Merging)),
    "fusing": lambda: made(built(Fusing)),
    "fusing for good": lambda: made(built(FusingForGood)),
}


@pytest.mark.parametrize(
    ("make", "mode"),
    [
        *(pytest.param(make, "train", id=name) for name, make in ITSELF.items()),
        *(pytest.param(make, "eval", id=name) for name, make in OUTSIDE_TRAINING.items()),
    ],
)
def test_where_no_copy_will_do_the_network_is_evaluated_itself(make, mode, tmp_path):
    user = make()
    plane = random_plane(weights_of(user.module), seed=5)
    before = picture(user.module), randomness()
    objective, _ = checked(user, Measure(mode))
    assert objective.own.why.startswith("a copy of it ")
    (found,) = surface(objective, plane, tmp_path)
    assert (picture(user.module), randomness()) == before
    np.testing.assert_allclose(found, plain_loop(make, plane, POINTS, mode), rtol=1e-6)


# Networks of which a copy does.


class Warming(nn.Linear):
    """Another network from its tenth pass on."""

    passes = 0

    def forward(self, x):
        self.passes += 1
        return super().forward(x) * (1 if self.passes < 10 else 0.1)


class Partly(nn.Module):
    """One of its two BatchNorm layers stays as it is."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)
        )

    def train(self, mode=True):
        super().train(mode)
        self.layers[1].eval()
        return self

    def forward(self, x):
        return self.layers(x)


class Tracking(nn.Linear):
    """Its running mean is a buffer, written to past all counting of versions."""

    def __init__(self):
        super().__init__(3, 2)
        self.register_buffer("mean", torch.ones(2))
        self.register_buffer("var", torch.ones(2))

    def forward(self, x):
        x = F.batch_norm(super().forward(x), self.mean, self.var, training=True)
        return x * self.mean


def hook_of_a_closure():
    module, caught = small(), {}
    module[1].register_forward_hook(lambda layer, given, answer: caught.update(feature=answer))
    return made(module, lambda m, b: cross_entropy(m, b) + caught["feature"].square().mean())


def partial_of_its_own_layer():
    module = small()
    module[0].forward = functools.partial(
        lambda layer, x: F.linear(x, layer.weight).sin(), module[0]
    )
    return made(module)


def old_weight_norm_after_a_step():
    module = small()
    weight_norm(module[0])
    cross_entropy(module, samples()).backward()
    return made(module)


def changed(change):
    def make():
        module = small()
        change(module)
        return made(module)

    return make


def tied(module):
    module[2] = nn.Linear(8, 8)
    module[2].bias = module[0].bias


COPIED = {
    "hook of a closure": hook_of_a_closure,
    "partial of its own layer": partial_of_its_own_layer,
    "warming up": lambda: made(built(lambda: Warming(3, 2))),
    "BatchNorm partly frozen": lambda: made(built(Partly)),
    "tracking": lambda: made(built(Tracking)),
    "old weight norm": old_weight_norm_after_a_step,
    "new weight norm": changed(lambda m: parametrizations.weight_norm(m[0])),
    "pruned": changed(lambda m: prune.l1_unstructured(m[0], "weight", 0.5)),
    "tied": changed(tied),
    "frozen": changed(lambda m: m[0].requires_grad_(False)),
    "in eval mode": changed(lambda m: m.eval()),
    "SyncBatchNorm": lambda: made(
        built(lambda: nn.Sequential(nn.Linear(3, 4), nn.SyncBatchNorm(4), nn.Linear(4, 2)))
    ),
}


@pytest.mark.parametrize("name", COPIED)
def test_of_most_networks_a_copy_does(name, tmp_path):
    make = COPIED[name]
    user = make()
    plane = random_plane(weights_of(user.module), seed=5)
    before = picture(user.module), randomness()
    objective, _ = checked(user)
    assert objective.own is None
    found = surface(objective, plane, tmp_path, name != "tracking")
    assert (picture(user.module), randomness()) == before
    expected = plain_loop(make, plane, POINTS)
    for losses in found:
        np.testing.assert_allclose(losses, expected, rtol=1e-6)


# What has no one value.


def counted_by_the_loss():
    calls = [0]

    def loss(network, batch):
        calls[0] += 1
        return cross_entropy(network, batch) * calls[0]

    return made(small(), loss)


def features_that_are_never_let_go():
    module, features = small(), []
    module[1].register_forward_hook(lambda layer, given, answer: features.append(answer))

    def loss(network, batch):
        return cross_entropy(network, batch) + sum(f.abs().mean() for f in features)

    return made(module, loss)


def drawn_by_the_loss():
    generator = np.random.default_rng(0)

    def loss(network, batch):
        return cross_entropy(network, batch) * (1 + generator.random())

    return made(small(), loss)


def counted_where_no_copy_runs():
    user = counted_by_the_loss()

    def loss(network, batch):
        assert network is user.module
        return user.loss(network, batch)

    return user._replace(loss=loss)


@pytest.mark.parametrize(
    "make",
    [
        counted_by_the_loss,
        features_that_are_never_let_go,
        drawn_by_the_loss,
        counted_where_no_copy_runs,
    ],
)
def test_what_has_two_values_for_the_same_weights_is_refused(make):
    with pytest.raises(
        UserError, match=r"^The loss is .+ and then .+ for the same weights"
    ) as said:
        checked(make())
    assert "\n" not in str(said.value)


def test_weights_without_effect_are_told():
    module = small()
    module.idle = nn.Linear(2, 2)
    module.forward = types.MethodType(lambda self, x: self[2](self[1](self[0](x))), module)
    assert checked(made(module))[1] == {"unused": "2 of 6 weights: idle.weight, idle.bias"}
    assert checked(made(small()))[1] == {}


def test_what_was_computed_of_other_weights_is_refused():
    module = built(lambda: Cached(3, 2))
    module(samples()[0])
    module.normalised = module.normalised.detach()
    with pytest.raises(UserError, match=r"weight has no effect.+keeps normalised"):
        checked(made(module))


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
@pytest.mark.parametrize("when", [1, 2, 4, 9, 20])
@pytest.mark.parametrize("make", [small, lambda: wrapped(small())], ids=["copy", "itself"])
def test_whatever_happens_the_network_is_put_back(make, when, error, tmp_path):
    module, calls = make(), [0]
    cross_entropy(module, samples()).backward()

    def loss(network, batch):
        calls[0] += 1
        if calls[0] == when:
            raise error
        return cross_entropy(network, batch)

    before = picture(module), randomness()
    try:
        objective, _ = checked(made(module, loss))
        surface(objective, random_plane(weights_of(module), seed=5), tmp_path)
    except (error, UserError):
        pass
    assert (picture(module), randomness()) == before


# What batches count for.


def words():
    return built(lambda: nn.Sequential(nn.Embedding(7, 5), nn.Tanh(), nn.Linear(5, 7)))


def sentences(count, padding, seed):
    generator = generator_of(seed)
    tokens, following = (torch.randint(7, (count, 6), generator=generator) for _ in range(2))
    following[0, 6 - padding :] = -100
    return tokens, following


def of_tokens(network, batch):
    return F.cross_entropy(network(batch[0]).transpose(1, 2), batch[1])


def of_classes(network, batch):
    weight = torch.tensor([0.2, 3.0]).to(batch[0])
    return F.cross_entropy(network(batch[0]), batch[1], weight=weight)


NO_MEANS = {
    "tokens": Made(words(), of_tokens, [sentences(4, 3, 1), sentences(3, 0, 2)]),
    "weights of classes": Made(small(), of_classes, [samples(), samples(7, 2)]),
    "sum": Made(
        small(),
        lambda m, b: F.cross_entropy(m(b[0]), b[1], reduction="sum"),
        [samples(), samples(12, 2)],
    ),
    "root": Made(
        small(), lambda m, b: (m(b[0])[:, 0]).square().mean().sqrt(), [samples(), samples(7, 2)]
    ),
    "sum, BatchNorm": Made(
        built(lambda: nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 2))),
        lambda m, b: F.cross_entropy(m(b[0]), b[1], reduction="sum"),
        [samples(), samples(7, 2)],
    ),
    "sum, wrapped": Made(
        wrapped(small()),
        lambda m, b: F.cross_entropy(m(b[0]), b[1], reduction="sum"),
        [samples(), samples(7, 2)],
    ),
}


@pytest.mark.parametrize("name", NO_MEANS)
def test_what_is_no_mean_over_samples_is_refused(name):
    with pytest.raises(UserError, match=r"^batches: the loss of .+ so it is no mean over samples"):
        checked(NO_MEANS[name])


def test_the_sentences_advice_works(tmp_path):
    user = NO_MEANS["tokens"]

    def loss(network, batch):
        return {"loss": of_tokens(network, batch), "weight": (batch[1] >= 0).sum()}

    def make():
        return Made(words(), loss, user.batches, (21, 18))

    plane = random_plane(weights_of(user.module), seed=5)
    expected = plain_loop(make, plane, POINTS)
    objective, _ = checked(make())
    assert objective.weighing == "weighted by what the loss returned as weight"
    for losses in surface(objective, plane, tmp_path):
        np.testing.assert_allclose(losses, expected, rtol=1e-6)
    objective, _ = checked(user, count=lambda batch: int((batch[1] >= 0).sum()))
    for losses in surface(objective, plane, tmp_path):
        np.testing.assert_allclose(losses, expected, rtol=1e-6)


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("wrap", [wrapped, nn.Sequential], ids=["itself", "copy"])
def test_batch_norm_and_dropout_do_not_hide_a_mean(wrap, mode, tmp_path):
    def make():
        layers = nn.Linear, nn.BatchNorm1d, nn.Dropout, nn.Linear
        sizes = (3, 8), (8,), (0.0,), (8, 2)
        parts = (layer(*size) for layer, size in zip(layers, sizes, strict=True))
        module = wrap(built(lambda: nn.Sequential(*parts)))
        return Made(module, cross_entropy, [samples(), samples(7, 2)], (12, 7))

    user = make()
    plane = random_plane(weights_of(user.module), seed=5)
    objective, _ = checked(user, Measure(mode))
    expected = plain_loop(make, plane, POINTS, mode)
    for losses in surface(objective, plane, tmp_path):
        np.testing.assert_allclose(losses, expected, rtol=1e-6)
