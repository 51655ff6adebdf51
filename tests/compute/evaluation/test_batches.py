"""Batches in any arrangement: what counts of them, how much, and that they stay as they are."""

import collections
import dataclasses
import itertools
import math
import types

import numpy as np
import pytest
import torch
from cases import built, cross_entropy, generator_of
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_sequence

from movinglands.errors import UserError
from movinglands.evaluation import batches as arranged
from movinglands.evaluation.measure import Measure
from movinglands.evaluation.objective import Objective
from movinglands.planes.weights import weights_of

CPU = torch.device("cpu")


def network():
    return built(lambda: nn.Linear(3, 2))


def samples(count=5, seed=1):
    generator = generator_of(seed)
    return (
        torch.randn(count, 3, generator=generator),
        torch.randint(2, (count,), generator=generator),
    )


def mean_of(*batches):
    """The loss of all samples, in float64."""
    inputs, labels = (torch.cat(tensors) for tensors in zip(*batches, strict=True))
    return F.cross_entropy(network().double()(inputs.double()), labels).item()


def measured(loss, batches, count=None, measure=None):
    module = network()
    objective = Objective(module, loss, batches, measure, count=count)
    return [objective.at(weights_of(module), index=n)[0].item() for n in range(3)]


def picture(batch):
    """All that a batch is, by value."""
    if isinstance(batch, torch.Tensor):
        return batch.tolist(), batch.requires_grad, batch._version
    if isinstance(batch, np.ndarray):
        return batch.tolist()
    if isinstance(batch, dict):
        return {key: picture(value) for key, value in batch.items()}
    if isinstance(batch, list | tuple):
        return [picture(value) for value in batch]
    return picture(vars(batch)) if hasattr(batch, "__dict__") else batch


@dataclasses.dataclass
class Plain:
    x: torch.Tensor
    y: torch.Tensor


@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    x: torch.Tensor
    y: torch.Tensor


class Closed:
    """Slots, and nobody may set an attribute."""

    __slots__ = ("x", "y")

    def __init__(self, x, y):
        object.__setattr__(self, "x", x)
        object.__setattr__(self, "y", y)

    def __setattr__(self, name, value):
        raise AttributeError(name)


class Own:
    """An object that hands out what it holds by methods."""

    def __init__(self, x, y):
        self._held = {"inputs": [x], "labels": (y,)}

    x = property(lambda self: self._held["inputs"][0])
    y = property(lambda self: self._held["labels"][0])


class Graph:
    """Nodes of several graphs, and which graph a node belongs to."""

    def __init__(self, x, y):
        self.nodes, self.graph = torch.cat([x, x]), torch.arange(len(x)).repeat(2)
        self.y = y

    @property
    def x(self):
        sums = torch.zeros(len(self.y), 3).index_add(0, self.graph, self.nodes)
        return sums / 2


Pair = collections.namedtuple("Pair", "x y")


def by_key(x, y):
    return {"x": x, "y": y}


ARRANGEMENTS = {
    "tuple": lambda x, y: (x, y),
    "list": lambda x, y: [x, y],
    "dict": by_key,
    "OrderedDict": lambda x, y: collections.OrderedDict(x=x, y=y),
    "defaultdict": lambda x, y: collections.defaultdict(list, x=x, y=y),
    "UserDict": lambda x, y: collections.UserDict(x=x, y=y),
    "UserList": lambda x, y: collections.UserList([x, y]),
    "mapping proxy": lambda x, y: types.MappingProxyType(by_key(x, y)),
    "namedtuple": Pair,
    "namespace": lambda x, y: types.SimpleNamespace(x=x, y=y),
    "dataclass": Plain,
    "frozen, with slots": Frozen,
    "closed": Closed,
    "object": Own,
    "with what is no sample": lambda x, y: {
        **by_key(x, y),
        **{"scale": torch.tensor(1.0), "names": ["a"], "none": None, "flag": True, "n": 2.0},
    },
    "nested": lambda x, y: {"x": [(x,)], "y": {"deep": y}},
}


def read(batch):
    """Inputs and labels of any arrangement."""
    if hasattr(batch, "x"):
        return batch.x, batch.y
    if isinstance(batch, tuple | list | collections.UserList):
        return batch
    x, y = batch["x"], batch["y"]
    return (x[0][0], y["deep"]) if isinstance(x, list) else (x, y)


@pytest.mark.parametrize("name", ARRANGEMENTS)
def test_any_arrangement(name):
    arrange = ARRANGEMENTS[name]
    parts = samples(5), samples(3, 2)

    def loss(module, batch):
        return cross_entropy(module, read(batch))

    given = [arrange(*part) for part in parts]
    np.testing.assert_allclose(measured(loss, given), mean_of(*parts), rtol=1e-6)
    assert arranged.counts(given, None) == [5, 3]
    objective = Objective(network(), loss, given, Measure(minibatch=4))
    assert math.isfinite(objective.at(weights_of(network())))


@pytest.mark.parametrize("name", ARRANGEMENTS)
def test_other_tensors_in_an_arrangement_are_a_copy_of_it(name):
    given = ARRANGEMENTS[name](*samples())
    before = picture(given)
    doubled = arranged.mapped(given, lambda tensor: tensor * 2)
    assert type(doubled) is type(given)
    for one, other in zip(read(doubled), read(given), strict=True):
        assert torch.equal(one, other * 2)
    assert picture(given) == before
    assert arranged.mapped(given, lambda tensor: tensor) is given
    assert arranged.moved(given, CPU) is given
    tensors = arranged.tensors_of(given)
    assert arranged.tensors_of(arranged.with_tensors(given, tensors[::-1]))[0] is tensors[-1]


def test_what_is_there_twice_stays_one():
    x = torch.ones(3)
    one, other = arranged.mapped([x, {"again": x}], torch.clone)
    assert one is other["again"]
    assert one is not x
    circle = [x]
    circle.append(circle)
    assert arranged.tensors_of(circle) == [x]


def sequences(*lengths):
    generator = generator_of(0)
    pieces = [torch.randn(length, 3, generator=generator) for length in lengths]
    return pack_sequence(pieces, enforce_sorted=False), torch.arange(len(lengths)) % 2


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.cells, self.head = nn.GRU(3, 4), nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.cells(x)[1][0])


def test_packed_sequences_count_as_sequences():
    module, given = built(Recurrent), [sequences(3, 5, 2), sequences(4, 1)]
    assert arranged.counts(given, None) == [3, 2]
    found = Objective(module, cross_entropy, given).at(weights_of(module))
    with torch.no_grad():
        losses = [cross_entropy(module, batch).item() for batch in given]
    np.testing.assert_allclose(found, [(3 * losses[0] + 2 * losses[1]) / 5], rtol=1e-6)


UNTOLD = {
    "time first": (torch.zeros(9, 4, 3), torch.zeros(4).long(), "9, 4"),
    "weights of classes": (*samples(), torch.ones(2), "5, 2"),
    "images and their boxes": ([torch.zeros(3, 8, 8)] * 2, [{"boxes": torch.zeros(1, 4)}], "3, 1"),
    "graphs": (Graph(*samples()), "10, 5"),
    "numbers": (1.0, "label", "none"),
}


@pytest.mark.parametrize("name", UNTOLD)
def test_samples_that_cannot_be_told_are_asked_for(name):
    *batch, sizes = UNTOLD[name]

    def loss(module, batch):
        return module(torch.ones(1, 3)).sum()

    with pytest.raises(UserError, match=rf"^batches: how many samples .+ \({sizes}\): say it"):
        measured(loss, [batch, batch])
    assert len(measured(loss, [batch])) == 3  # of one, nobody needs to know
    assert len(measured(loss, [batch, batch], count=lambda batch: 4)) == 3


def test_graphs_counted_by_the_caller():
    parts = samples(5), samples(3, 2)
    given = [Graph(*part) for part in parts]
    found = measured(lambda m, b: cross_entropy(m, read(b)), given, lambda b: len(b.y))
    np.testing.assert_allclose(found, mean_of(*parts), rtol=1e-6)


@pytest.mark.parametrize(
    "number", [int, float, torch.tensor, np.int64, np.float32, lambda n: torch.tensor([float(n)])]
)
def test_a_count_may_be_any_number(number):
    parts = samples(5), samples(3, 2)
    found = measured(cross_entropy, parts, lambda batch: number(len(batch[1])))
    np.testing.assert_allclose(found, mean_of(*parts), rtol=1e-6)


def test_a_count_of_nothing_leaves_a_batch_out():
    parts = samples(5), (torch.zeros(0, 3), torch.zeros(0).long())
    found = measured(cross_entropy, parts, lambda batch: len(batch[1]))
    np.testing.assert_allclose(found, mean_of(parts[0]), rtol=1e-6)


@pytest.mark.parametrize(
    ("count", "sentence"),
    [
        (lambda batch: None, "count: None for batch 1, expected a number of samples."),
        (lambda batch: -2, "count: -2 for batch 1"),
        (lambda batch: 5 if len(batch[1]) == 5 else math.nan, "count: nan for batch 2"),
        (lambda batch: math.inf, "count: inf for batch 1"),
        (lambda batch: torch.ones(2), r"count: tensor\(\[1., 1.\]\) for batch 1"),
        (lambda batch: 0, "count: no batch has a sample"),
        (lambda batch: batch["y"], r"count: it fails on batch 1 \(TypeError: "),
    ],
)
def test_a_count_that_is_none(count, sentence):
    with pytest.raises(UserError, match=f"^{sentence}"):
        measured(cross_entropy, [samples(5), samples(3, 2)], count)


def weighing(weight):
    def loss(module, batch):
        return {"loss": cross_entropy(module, batch), "weight": weight(batch)}

    return loss


@pytest.mark.parametrize("kind", [int, float, torch.tensor])
def test_a_weight_counts_instead_of_samples(kind):
    one, other = samples(5), samples(3, 2)
    found = measured(weighing(lambda batch: kind(9 - len(batch[1]))), [one, other])
    expected = (4 * mean_of(one) + 6 * mean_of(other)) / 10
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_what_weighs_nothing_is_left_out_whatever_its_loss():
    void = samples(3)[0], torch.full((3,), -100)
    loss = weighing(lambda batch: (batch[1] >= 0).sum())
    np.testing.assert_allclose(measured(loss, [samples(), void]), mean_of(samples()), rtol=1e-6)


@pytest.mark.parametrize(
    ("weight", "said"), [(-1.0, "-1"), (math.nan, "nan"), (math.inf, "inf"), (0.0, "0")]
)
def test_weights_that_are_none(weight, said):
    with pytest.raises(UserError, match=f"^The loss function returned {said} as weight: expected"):
        measured(weighing(lambda batch: weight), [samples(5), samples(3, 2)])


# Losses that write to their batch.


def clamps(module, batch):
    x, y = batch["x"], batch["y"]
    return F.cross_entropy(module(x.clamp_(-1, 1).mul_(0.5)), y)


def past_versions(module, batch):
    batch["x"].data.mul_(0.5)
    return F.cross_entropy(module(batch["x"]), batch["y"])


def relabels(module, batch):
    return F.cross_entropy(module(batch["x"]), batch["y"].bitwise_xor_(torch.tensor(1)))


def to_arrays(module, batch):
    batch["array"] *= 0.5
    return F.cross_entropy(module(batch["x"] * batch["array"].sum()), batch["y"])


def pops(module, batch):
    return F.cross_entropy(module(batch["x"]), batch.pop("y"))


def appends(module, batch):
    batch["list"].append(None)
    return F.cross_entropy(module(batch["x"]), batch["y"]) / len(batch["list"])


def counts_in_it(module, batch):
    batch["object"].seen += 1
    return F.cross_entropy(module(batch["x"]), batch["y"]) / batch["object"].seen


def asks_for_gradients(module, batch):
    x = batch["x"].requires_grad_()
    (gradient,) = torch.autograd.grad(module(x).square().sum(), x, create_graph=True)
    return gradient.square().mean()


def the_second_only(module, batch):
    if batch["x"][0, 0] < 0:
        batch["x"].mul_(0.5)
    return F.cross_entropy(module(batch["x"]), batch["y"])


WRITING = (
    *(clamps, past_versions, relabels, to_arrays, pops, appends, counts_in_it),
    *(asks_for_gradients, the_second_only),
)


def full(first):
    x, y = samples()
    x[0, 0] = first
    kept = types.SimpleNamespace(seen=0, x=x)
    return {"x": x, "y": y, "array": np.ones(2), "list": [x], "object": kept}


@pytest.mark.parametrize("loss", WRITING)
def test_no_batch_is_written_to(loss):
    given = [full(1.0), full(-1.0), full(1.0)]
    before = picture(given)
    found = measured(loss, given, count=lambda batch: 5)
    assert picture(given) == before
    once = [float(loss(network(), full(first)).detach()) for first in (1.0, -1.0, 1.0)]
    np.testing.assert_allclose(found, np.mean(once), rtol=1e-6)


def test_nested_tensors_are_refused():
    nested = torch.nested.nested_tensor([torch.ones(2, 3), torch.ones(1, 3)])
    with pytest.raises(UserError, match=r"^batches: a nested tensor, expected a list"):
        measured(cross_entropy, [(nested, torch.zeros(2))])


# Samples out of batches.


def test_samples_of_a_batch():
    x, y = samples(6)
    batch = {"x": x, "y": y.numpy(), "table": torch.ones(4), "scale": torch.tensor(2.0)}
    chosen = arranged.sample(batch, 6, torch.tensor([4, 1]))
    assert torch.equal(chosen["x"], x[[4, 1]])
    assert chosen["y"].tolist() == y[[4, 1]].tolist()
    assert chosen["table"] is batch["table"]
    assert chosen["scale"] is batch["scale"]
    assert torch.equal(arranged.piece(batch, 6, 2, 5)["x"], x[2:5])


@pytest.mark.parametrize(
    ("make", "what"),
    [(lambda: sequences(3, 5), "PackedSequence"), (lambda: torch.eye(2).to_sparse(), "sparse")],
)
def test_samples_that_cannot_be_drawn(make, what):
    with pytest.raises(UserError, match=f"^minibatch: no samples can be drawn from a {what}"):
        arranged.sample([make()], 2, torch.tensor([0]))


def test_batches_joined():
    one, other = {"x": torch.ones(2, 3), "n": torch.tensor(1.0)}, {"x": torch.zeros(1, 3)}
    other["n"] = one["n"].clone()
    together = arranged.joined([one, other], [2, 1])
    assert together["x"].tolist() == [[1.0] * 3] * 2 + [[0.0] * 3]
    assert together["n"] == 1
    for wrong, sentence in (
        ({"x": torch.zeros(1, 4), "n": one["n"]}, "samples of unlike shape"),
        ({"x": torch.zeros(1, 3), "n": torch.tensor(2.0)}, "what is no sample differs"),
    ):
        with pytest.raises(ValueError, match=sentence):
            arranged.joined([one, wrong], [2, 1])


# Loaders.


def test_batches_are_read_once():
    assert arranged.gathered(iter(range(3))) == [0, 1, 2]
    assert arranged.gathered((1, 2)) == [1, 2]


@pytest.mark.parametrize("given", [torch.ones(2), {"x": 1}, "batches", nn.Linear(1, 1)])
def test_what_is_no_list_of_batches(given):
    name = type(given).__name__
    with pytest.raises(UserError, match=rf"^batches: a {name}, .+ in a list: \[batch\]"):
        arranged.gathered(given)


def test_a_loader_that_does_not_end(monkeypatch):
    monkeypatch.setattr(arranged, "MOST_BATCHES", 20)
    with pytest.raises(UserError, match=r"does not seem to end, after 21 batches of"):
        arranged.gathered(itertools.repeat(samples()))
    monkeypatch.setattr(arranged, "available", lambda: 3 * 2 * 100)
    with pytest.raises(UserError, match=r"does not seem to end, after 4 batches of"):
        arranged.gathered(itertools.repeat(samples()))
