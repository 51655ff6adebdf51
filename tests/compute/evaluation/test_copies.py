"""Copies of a user's network, and the network put back after anything was done to it."""

import array
import random
import threading
import types
from collections import Counter, OrderedDict, UserDict, UserList, defaultdict, deque

import numpy as np
import pytest
import torch
from cases import built, cross_entropy, generator_of
from torch import nn
from torch.nn.utils import prune, weight_norm

from movinglands.errors import UserError
from movinglands.evaluation.copies import copied, is_own, put_back

CPU = torch.device("cpu")


def network():
    return built(
        lambda: nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 2))
    )


def batch():
    return torch.randn(6, 3, generator=generator_of(1)), torch.arange(6) % 2


# Copies.


def test_a_copy_is_a_network_of_its_own():
    module = network()
    made = copied(module, CPU)
    for one, other in zip(made.parameters(), module.parameters(), strict=True):
        assert torch.equal(one, other)
        assert one.data_ptr() != other.data_ptr()
    assert torch.equal(made.eval()(batch()[0]), module.eval()(batch()[0]))


def test_what_cannot_be_copied_is_shared():
    module = network()
    module.lock, module[0].held = threading.Lock(), {"lock": threading.Lock(), "list": [1]}
    made = copied(module, CPU)
    assert made.lock is module.lock
    assert made[0].held["lock"] is module[0].held["lock"]
    assert made[0].weight is not module[0].weight
    assert torch.equal(made.eval()(batch()[0]), module.eval()(batch()[0]))


@pytest.mark.parametrize(
    "prepare", [weight_norm, lambda layer: prune.l1_unstructured(layer, "weight", 0.5)]
)
def test_after_a_step_computed_weights_are_no_leaves(prepare):
    module = network()
    prepare(module[0])
    cross_entropy(module, batch()).backward()
    assert not module[0].weight.is_leaf
    made = copied(module, CPU)
    assert torch.equal(made.eval()(batch()[0]), module.eval()(batch()[0]))


def test_a_skeleton_gets_room():
    with torch.device("meta"):
        module = network()
    assert not any(w.is_meta for w in copied(module, CPU).parameters())
    assert all(w.is_meta for w in module.parameters())


class Positions(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("places", torch.ones(3), persistent=False)


def lazy():
    return nn.Sequential(nn.Tanh(), nn.LazyLinear(2))


def offloaded():
    module = network()
    module[0].to("meta")._hf_hook = object()
    return module


def unsaved():
    with torch.device("meta"):
        return nn.Sequential(Positions())


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lazy, "module: 1 is lazy and has no weights yet: call the network on a batch once"),
        (offloaded, "module: 0 is offloaded, its weights are not in memory"),
        (unsaved, "module: 0.places is on the meta device and in no snapshot"),
    ],
)
def test_what_is_not_there_as_a_whole_is_refused(make, sentence):
    with pytest.raises(UserError, match=f"^{sentence}"):
        copied(make(), CPU)


# The network put back.


class Thing:
    def __init__(self):
        self.number, self.list = 0, [0]


class Slots:
    __slots__ = ("number",)

    def __init__(self):
        self.number = 0


def increased(holder):
    holder.number += 1


HELD = {
    "list": (lambda: [1, 2], lambda held: held.append(3), list),
    "dict": (lambda: {"a": 1}, lambda held: held.update(a=2, b=3), dict),
    "OrderedDict": (lambda: OrderedDict(a=1, b=2), lambda held: held.move_to_end("a"), list),
    "defaultdict": (lambda: defaultdict(int), lambda held: held["new"], dict),
    "Counter": (Counter, lambda held: held.update("abc"), dict),
    "set": (lambda: {1}, lambda held: held.add(2), set),
    "deque": (lambda: deque([1, 2], maxlen=2), lambda held: held.append(3), list),
    "tuple of lists": (lambda: ([1],), lambda held: held[0].append(2), lambda held: [*held[0]]),
    "UserDict": (lambda: UserDict(a=1), lambda held: held.update(a=2), dict),
    "UserList": (lambda: UserList([1]), lambda held: held.append(2), list),
    "object": (Thing, lambda held: held.list.append(1), lambda held: [*held.list]),
    "attribute": (Thing, increased, lambda held: held.number),
    "slots": (Slots, increased, lambda held: held.number),
    "namespace": (lambda: types.SimpleNamespace(number=0), increased, lambda held: held.number),
    "in one another": (
        lambda: {"a": [Thing()]},
        lambda held: held["a"][0].list.append(1),
        lambda held: [*held["a"][0].list],
    ),
    "array": (lambda: np.zeros(2), lambda held: held.__iadd__(1), np.ndarray.tolist),
    "tensor": (lambda: torch.zeros(2), lambda held: held.add_(1), torch.Tensor.tolist),
    "tensors": (
        lambda: [torch.zeros(2)],
        lambda held: held[0].add_(1),
        lambda held: held[0].tolist(),
    ),
    "torch's generator": (
        lambda: generator_of(1),
        lambda held: torch.rand(1, generator=held),
        lambda held: held.get_state().tolist(),
    ),
    "Python's generator": (lambda: random.Random(1), random.Random.random, random.Random.getstate),
    "NumPy's generator": (
        lambda: np.random.default_rng(1),
        lambda held: held.random(),
        lambda held: str(held.bit_generator.state),
    ),
    "NumPy's older generator": (
        lambda: np.random.RandomState(1),
        lambda held: held.rand(),
        lambda held: str(held.get_state()),
    ),
}


@pytest.mark.parametrize("name", HELD)
def test_what_a_layer_holds_is_put_back(name):
    make, change, seen = HELD[name]
    module = network()
    module[0].held = held = make()
    before = seen(held)
    with put_back(module) as kept:
        for _ in range(2):  # as often as it is asked for
            change(held)
            assert seen(held) != before
            kept.put_back()
            assert seen(held) == before
        change(held)
    assert module[0].held is held
    assert seen(held) == before


def reassigned(module):
    module[0].held, module[1].new = "another", 1
    del module[3].number


def trained(module):
    cross_entropy(module.train(), batch()).backward()
    torch.optim.SGD(module.parameters(), 1.0).step()


def ungraded(module):
    module.zero_grad()
    module[0].weight.grad = torch.ones(4, 3)


def modes(module):
    module.eval()
    module[2].train()


def parts(module):
    module[1] = nn.Identity()
    module[0].bias = None
    module[3].register_buffer("more", torch.ones(1))
    del module[2]


def hooks(module):
    module[0].register_forward_hook(lambda *_: None)
    module.register_full_backward_pre_hook(lambda *_: None)


def frozen_weights(module):
    module[0].weight = nn.Parameter(torch.zeros(4, 3), requires_grad=False)


def forwards(module):
    module[0].forward = lambda x: x


@pytest.mark.parametrize(
    "change",
    [reassigned, trained, ungraded, modes, parts, hooks, frozen_weights, forwards],
)
@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt])
def test_the_network_is_put_back_whatever_happens(change, error):
    module = network()
    module[0].held, module[3].number = "something", 5
    cross_entropy(module, batch()).backward()

    def picture():
        tensors = {n: (id(t), t.tolist()) for n, t in module.state_dict(keep_vars=True).items()}
        gradients = [(id(p.grad), str(p.grad)) for p in module.parameters()]
        held = [
            {n: dict(v) if isinstance(v, dict) else v for n, v in vars(part).items()}
            for part in module.modules()
        ]
        return tensors, gradients, str(held), list(map(id, module.modules()))

    before = picture()
    raised = None
    try:
        with put_back(module):
            change(module)
            assert picture() != before
            if error:
                raise error
    except (ValueError, KeyboardInterrupt) as caught:
        raised = type(caught)
    assert raised == error
    assert picture() == before


def test_what_is_lent_within_is_kept_once():
    module = network()
    weight = next(module.parameters())
    weight.grad, before = torch.ones_like(weight), weight.tolist()
    with put_back(module) as outer:
        with put_back(module) as inner, torch.no_grad():
            assert inner is outer
            weight.add_(1)
        assert weight.tolist() == before
        assert weight.grad is None
    assert weight.grad is not None


def test_inference_tensors_and_expanded_ones_are_left_alone():
    module = network()
    with torch.inference_mode():
        module[0].kept = torch.ones(2)
    module[1].wide = torch.ones(1).expand(5)
    with put_back(module):
        module[0].kept = None
    assert module[0].kept.tolist() == [1, 1]
    assert module[1].wide.tolist() == [1] * 5


def test_scripted_parts_too():
    module = nn.Sequential(torch.jit.script(network()), nn.Linear(2, 2))
    weight = next(module.parameters())
    before = weight.tolist()
    with put_back(module), torch.no_grad():
        module.eval()
        weight.add_(1)
    assert module[0].training
    assert weight.tolist() == before


def test_whose_class_it_is():
    assert is_own(Thing)
    assert not any(map(is_own, (nn.Linear, np.ndarray, array.array, threading.Thread, dict)))
