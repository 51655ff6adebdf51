"""What decides a loss, digested: it changes when that does, and only then."""

import collections
import copy
import dataclasses
import decimal
import enum
import functools
import itertools
import logging
import os
import pathlib
import random
import re
import subprocess
import sys
import threading
import time
import types
import weakref
from datetime import datetime

import numpy as np
import pytest
import torch
from torch import nn

import movinglands
from movinglands.fingerprint.fingerprint import Fingerprint


def digest(thing, network=False):
    fingerprint = Fingerprint()
    (fingerprint.add_network if network else fingerprint.add)("loss", thing)
    assert fingerprint.opaque == []
    return fingerprint.digest()


def opaque(thing):
    fingerprint = Fingerprint()
    fingerprint.add("loss", thing)
    return fingerprint.opaque


def defined(source, name="loss"):
    """What a user's source defines under a name."""
    space = {"__name__": "users", "torch": torch, "nn": nn, "F": nn.functional}
    exec(source, space)
    return space[name]


LOSS = """
import dataclasses, functools, logging

log = logging.getLogger("users")
WEIGHT = 0.5
SETTINGS = {"power": 2, "names": {"a", "b", "c"}}

def power(x):
    return x ** SETTINGS["power"]

def inner(x):
    return power(x) + WEIGHT

@dataclasses.dataclass
class Scale:
    by: float = 3.0

    def apply(self, x):
        return sum(map(lambda y: y * 7, x)) * self.by

class Wide(Scale):
    def apply(self, x):
        return super().apply(x) + 11

def made(table=torch.arange(4.0), criterion=nn.CrossEntropyLoss(label_smoothing=0.1)):
    scale = functools.partial(Wide, by=5.0)()

    def loss(module, batch, eps=1e-3, *, margin=0.25):
        if batch in {"one", "two", "three"}:
            log.warning("odd")
        return criterion(module(batch), table) + inner(eps) + scale.apply(margin)

    return loss

loss = made()
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("WEIGHT = 0.5", "WEIGHT = 0.6"),
        ('"power": 2', '"power": 3'),
        ("return x **", "return x *"),
        ("+ WEIGHT", "- WEIGHT"),
        ("y * 7", "y * 8"),
        ("+ 11", "+ 12"),
        ("by=5.0", "by=6.0"),
        ("arange(4.0)", "tensor([0.0, 1.0, 2.0, 4.0])"),
        ("smoothing=0.1", "smoothing=0.2"),
        ("smoothing=0.1", "smoothing=0.1, weight=torch.ones(2)"),
        ("eps=1e-3", "eps=1e-4"),
        ("margin=0.25", "margin=0.5"),
        ("sum(map", "max(map"),
        ("(Scale)", "(Scale, dict)"),
    ],
)
def test_whatever_a_loss_reaches_counts(old, new):
    assert old in LOSS
    assert digest(defined(LOSS)) != digest(defined(LOSS.replace(old, new)))


def test_source_executed_again_is_the_same_wherever_it_stands():
    moved = LOSS.replace("def inner", "\n\n# a comment\ndef inner").replace(
        'getLogger("users")', 'getLogger("others")'
    )
    assert digest(defined(LOSS)) == digest(defined(LOSS)) == digest(defined(moved))


def test_another_process_agrees(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(
        f"import torch\nfrom torch import nn\n{LOSS}\n"
        "from movinglands.fingerprint.fingerprint import Fingerprint\n"
        "fingerprint = Fingerprint()\nfingerprint.add('loss', loss)\nprint(fingerprint.digest())"
    )
    told = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == digest(defined(LOSS))


INSTALLED = """
import movinglands
from movinglands.fingerprint.things import describe
from movinglands.pieces.losses import classification

assert "site-packages" in movinglands.__file__
for thing in (*(getattr(movinglands, name) for name in movinglands.__all__), classification):
    name = next(part for _, part in describe(thing) if isinstance(part, str | tuple))
    print(name if isinstance(name, str) else ".".join(name[:2]))
"""

FORMER = """
measure.Measure directions.Plane snapshots.Recorder snapshots.Snapshots surface.Surface
errors.UserError surfaces.compute_sequence planes.plane_from_file planes.half_width
planes.hessian_plane planes.plane_from_file planes.plane_through directions.random_plane
planes.trajectory_plane directions.weights_of compute.classification
"""


def test_what_is_installed_counts_where_it_was_first(tmp_path):
    """A fingerprint that is kept in a file says so; this package's modules have moved since."""
    (tmp_path / "site-packages").mkdir()
    package = pathlib.Path(movinglands.__file__).parent
    (tmp_path / "site-packages" / "movinglands").symlink_to(package, target_is_directory=True)
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "site-packages")}
    command = [sys.executable, "-c", INSTALLED]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    found = [name.removeprefix("movinglands.") for name in told.stdout.split()]
    assert found == FORMER.split()


HELPERS = "def focal(x):\n    return x * {}\n\ndef unused(x):\n    return {}\n"


@pytest.mark.parametrize(
    "source",
    [
        "import helpers_of_mine as h\ndef loss(m, b): return h.focal(b)",
        "import helpers_of_mine as h\ndef loss(m, b): return getattr(h, 'focal')(b)",
        "from helpers_of_mine import focal\ndef loss(m, b): return focal(b)",
        "def loss(m, b):\n    from helpers_of_mine import focal\n    return focal(b)",
        "import helpers_of_mine\nloss = [helpers_of_mine]",
    ],
)
def test_a_module_of_ones_own_counts_as_far_as_it_is_named(source, monkeypatch):
    def with_helpers(*values):
        module = types.ModuleType("helpers_of_mine")
        exec(HELPERS.format(*values), vars(module))
        monkeypatch.setitem(sys.modules, "helpers_of_mine", module)
        return digest(defined(source))

    assert with_helpers(2, 1) != with_helpers(3, 1)
    if "h.focal" in source:
        assert with_helpers(2, 1) == with_helpers(2, 5)


def test_what_a_function_has_yet_to_import_is_told():
    source = "def loss(m, b):\n    import not_there_yet\n    return not_there_yet.focal(b)"
    assert opaque(defined(source)) == ["loss: global not_there_yet is not imported yet"]


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Slotted:
    __slots__ = ("value", "weight")

    def __init__(self, value):
        self.value = value


@dataclasses.dataclass
class Batch:
    x: torch.Tensor
    y: object = None


class Listed(list):
    pass


class Shy:
    """Runs nobody's code unasked."""

    def __init__(self, value=1):
        self.__dict__["value"] = value

    def __getattr__(self, name):
        raise AssertionError

    def __eq__(self, other):
        raise AssertionError

    def __hash__(self):
        raise AssertionError

    def __repr__(self):
        raise AssertionError

    def __reduce__(self):
        raise AssertionError

    @property
    def cost(self):
        raise AssertionError

    def __call__(self, module, batch):
        return self.value


def listed(*items, note=None):
    made = Listed(items)
    made.note = note
    return made


def advanced(steps):
    iterator = iter([1, 2, 3])
    for _ in range(steps):
        next(iterator)
    return iterator


def quantised(scale):
    return torch.quantize_per_tensor(torch.zeros(2), scale, 0, torch.qint8)


def sparse(index, value):
    return torch.sparse_coo_tensor([[index]], [value], (3,))


def nested(value):
    return torch.nested.nested_tensor([torch.ones(1), torch.full((2,), value)])


def exported(value):
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.by = value

        def forward(self, x):
            return x * self.by

    return torch.jit.script(Scaled())


Pair = collections.namedtuple("Pair", "a b")
CHANNELS = torch.arange(8.0).reshape(2, 4)

DIFFERENT = {
    "numbers": lambda: (1, True, 1.0, 1 + 0j, "1", b"1", [1], (1,), {1}, frozenset({1}), None, 2),
    "zeros": lambda: (0.0, -0.0, 0, float("nan")),
    "nesting": lambda: ([1, [2]], [[1], 2], [1, 2], [[1, 2]], [], [[]]),
    "text": lambda: (["ab", "c"], ["a", "bc"], ["abc"]),
    "dicts": lambda: ({"a": 1}, {"a": 2}, {1: "a"}, {"a": 1, "b": 1}, collections.OrderedDict(a=1)),
    "tensors": lambda: (
        torch.zeros(2),
        torch.zeros(2, dtype=torch.float64),
        torch.zeros(1, 2),
        torch.zeros(2, dtype=torch.int32),
        torch.zeros(2, dtype=torch.bfloat16),
        torch.zeros(1, dtype=torch.complex64),
        torch.tensor([0.0, -0.0]),
        torch.tensor(0.0),
        torch.zeros(2, device="meta"),
        torch.zeros(3, device="meta"),
        np.zeros(2, np.float32),
    ),
    "views": lambda: (CHANNELS, CHANNELS.T, CHANNELS[:, ::2], CHANNELS.reshape(4, 2)),
    "sparse": lambda: (sparse(0, 1.0), sparse(1, 1.0), sparse(0, 2.0), sparse(0, 1.0).to_dense()),
    "compressed": lambda: (torch.eye(2).to_sparse_csr(), (2 * torch.eye(2)).to_sparse_csr()),
    "quantised": lambda: (quantised(0.1), quantised(0.2)),
    "nested tensors": lambda: (nested(1.0), nested(2.0)),
    "conjugates": lambda: (torch.tensor([1 + 2j]), torch.tensor([1 + 2j]).conj()),
    "arrays": lambda: (
        np.array([1, 2]),
        np.array([1, 3]),
        np.array([1, 2], np.int32),
        np.array([1, "a"], object),
        np.array([1, "b"], object),
        np.array([(1, 2.0)], [("a", "i4"), ("b", "f4")]),
        np.array([(1, 3.0)], [("a", "i4"), ("b", "f4")]),
        np.int64(1),
        np.float64(1),
    ),
    "generators": lambda: tuple(
        made(seed)
        for seed in (1, 2)
        for made in (
            random.Random,
            np.random.default_rng,
            np.random.RandomState,
            lambda seed: torch.Generator().manual_seed(seed),
        )
    ),
    "small things": lambda: (
        *(Colour.RED, Colour.BLUE, slice(1), slice(2), range(3), range(4)),
        *(torch.float32, torch.float16, torch.device("cpu"), torch.strided, torch.sparse_coo),
        *(pathlib.Path("a"), pathlib.Path("b"), re.compile("a"), re.compile("a", re.I)),
        *(datetime(2020, 1, 1), datetime(2020, 1, 2), decimal.Decimal("1"), decimal.Decimal("1.0")),
        *(list[int], int | str, ..., object(), np.mean, np.add, torch.mean, torch.relu, abs),
    ),
    "records": lambda: (Pair(1, 2), Pair(1, 3), Slotted(1), Slotted(2), types.SimpleNamespace(a=1)),
    "batches": lambda: (
        *(Batch(torch.ones(2)), Batch(torch.tensor([1.0, 2.0]))),
        *(collections.UserDict(x=torch.ones(2)), collections.UserDict(x=torch.zeros(2))),
    ),
    "subclasses": lambda: (
        listed(1),
        listed(2),
        listed(1, note=1),
        [1],
        collections.defaultdict(int),
    ),
    "references": lambda: tuple(weakref.ref(thing) for thing in (Slotted, Shy)),
    "proxies": lambda: (types.MappingProxyType({1: 2}), types.MappingProxyType({1: 3})),
    "iterators": lambda: (
        advanced(0),
        advanced(1),
        iter([1, 2, 4]),
        itertools.count(1),
        {1: 2}.keys(),
    ),
    "callables": lambda: (
        *(Shy(1), Shy(2), Shy(1).__call__, Shy(2).__call__, Shy),
        *(functools.partial(max, 1), functools.partial(max, 2), functools.lru_cache(lambda: 1)),
        *(functools.lru_cache(lambda: 2), functools.partialmethod(max, 1), property(len)),
        *(staticmethod(len), classmethod(len), [].append, [1].append),
    ),
    "scripts": lambda: (
        *(exported(2.0), exported(3.0)),
        *(torch.jit.trace(torch.add, (torch.ones(1), torch.ones(1))),),
        *(torch.fx.symbolic_trace(nn.Sequential(kind())) for kind in (nn.ReLU, nn.Tanh)),
        *(torch.compile(lambda x: x + 1), torch.compile(lambda x: x + 2)),
        *(torch.compile(nn.ReLU()), torch.compile(nn.Tanh())),
    ),
    "criteria": lambda: (
        *(nn.CrossEntropyLoss(), nn.CrossEntropyLoss(label_smoothing=0.1)),
        *(nn.CrossEntropyLoss(weight=torch.ones(2)), nn.CrossEntropyLoss(weight=torch.zeros(2))),
    ),
}


@pytest.mark.parametrize("kind", DIFFERENT)
@pytest.mark.filterwarnings("ignore")  # torch calls what it has beta, or deprecated
def test_different_things_have_different_digests(kind):
    digests = [digest(thing) for thing in DIFFERENT[kind]()]
    assert len(set(digests)) == len(digests)
    assert digests == [digest(thing) for thing in DIFFERENT[kind]()]


def test_equal_things_have_the_same_digest():
    ring = [1]
    ring.append(ring)
    shared = torch.ones(3)
    things = [*(DIFFERENT[kind]() for kind in ("batches", "tensors", "arrays")), ring, Slotted(1)]
    assert digest(things) == digest(copy.deepcopy(things))
    assert digest([shared, shared]) == digest([shared, shared.clone().requires_grad_()])
    assert digest(CHANNELS.T) == digest(CHANNELS.T.contiguous())
    assert digest(set("abcdefgh")) == digest(set("hgfedcba"))
    assert digest(logging.getLogger("a")) == digest(logging.getLogger("b"))


def test_cycles_are_told_apart():
    def pair(value, other=None):
        first, second = types.SimpleNamespace(value=value), types.SimpleNamespace()
        first.next, second.next = second, other or first
        return first

    one = pair(1)
    assert digest([one, pair(2)]) != digest([one, pair(2, one)])


def test_what_cannot_be_seen_through_is_told(tmp_path):
    log = (tmp_path / "log").open("w")
    threads = [threading.Lock(), threading.current_thread()]

    def loss(module, batch, numbers=(i for i in "ab")):
        print(batch, file=log, flush=bool(threads))
        return numbers

    with log:
        assert opaque(loss) == [
            "loss: closure variable log is an open file (_io.TextIOWrapper)",
            "loss: a default argument, item 0 is a generator in progress (builtins.generator)",
        ]
        assert opaque(log) == ["loss is an open file (_io.TextIOWrapper)"]
    assert opaque({"a": loss})[0].startswith("loss: item 'a', closure variable log is an open")


NETWORK = """
class Network(nn.Module):
    def __init__(self, activation=nn.ReLU, temperature=1.0, scale=1.0):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), activation())
        self.normed = nn.utils.parametrizations.weight_norm(nn.Linear(3, 2))
        self.spectral = nn.utils.spectral_norm(nn.Linear(2, 2))
        self.tied = [self.body[0]]
        self.temperature = temperature
        self.register_buffer("scale", torch.tensor(scale), persistent=False)

    def forward(self, x):
        return self.spectral(self.normed(self.body(x))) / self.temperature
"""
Network = defined(NETWORK, "Network")


def hooked(hook):
    network = Network()
    network.body.register_forward_hook(hook)
    return network


class Trainer:
    __module__ = "lightning.pytorch.trainer.trainer"

    def __init__(self):
        self.opened = (i for i in ())


class LightningModule(nn.Linear):
    _trainer = None


def test_the_trainer_of_a_network_does_not_count():
    network = LightningModule(2, 2)
    before = digest(network, network=True)
    network._trainer = trainer = Trainer()
    assert digest(network, network=True) == before
    assert digest(lambda: trainer)  # and is nothing that cannot be seen through


@pytest.mark.filterwarnings("ignore")
def test_a_network_counts_without_its_state():
    here = digest(Network(), network=True)
    other = Network()
    other(torch.ones(2, 3)).sum().backward()
    other.eval().requires_grad_(False)
    again = defined("\n\n" + NETWORK, "Network")()
    assert here == digest(other, network=True) == digest(again, network=True)
    assert digest(copy.deepcopy(Network()), network=True) == here


@pytest.mark.filterwarnings("ignore")
def test_whatever_else_a_network_has_counts():
    networks = [
        Network(),
        Network(nn.Tanh),
        Network(temperature=2.0),
        Network(scale=2.0),
        defined(NETWORK.replace("/ self.t", "* self.t"), "Network")(),
        hooked(lambda module, args, out: out * 2),
        hooked(lambda module, args, out: out * 3),
    ]
    assert len({digest(network, network=True) for network in networks}) == len(networks)


def test_a_hook_counts_wherever_it_was_registered_first():
    first, *_, last = (hooked(print) for _ in range(3))
    last.hook = first.hook = last.forward
    assert digest(first, network=True) != digest(Network(), network=True)
    assert digest(hooked(print), network=True) == digest(hooked(print), network=True)


def test_a_network_that_a_loss_reaches_counts_with_its_weights():
    teacher = nn.Linear(2, 2)
    before = digest(lambda m, b: teacher(b))
    with torch.no_grad():
        teacher.weight[0, 0] += 1
    assert digest(lambda m, b: teacher(b)) != before


def test_nothing_changes():
    torch.manual_seed(0)
    tensor, shy = torch.ones(3, requires_grad=True), Shy()
    network = nn.Sequential(nn.Linear(2, 2), nn.Dropout())
    states = torch.get_rng_state(), tensor._version, sorted(vars(Shy))
    digest([tensor, shy, network])
    digest(network, network=True)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (tensor._version, sorted(vars(Shy))) == states[1:]
    assert tensor.grad is None and tensor.requires_grad and network.training


def test_names_and_order_count():
    def of(*pairs):
        fingerprint = Fingerprint()
        for name, thing in pairs:
            fingerprint.add(name, thing)
        return fingerprint.digest()

    cases = [(("a", 1), ("b", 2)), (("b", 2), ("a", 1)), (("a", 2), ("b", 1)), (("a", 1),)]
    assert len({of(*case) for case in cases}) == len(cases)


def test_depth_and_width_are_no_matter():
    deep = functools.reduce(lambda inside, _: [inside], range(5_000), 0)
    assert digest(deep) != digest([deep])
    assert digest(list(range(50_000)))
    assert digest(nn.Sequential(*[nn.Linear(1, 1) for _ in range(300)]))


def test_large_tensors_are_hashed_fast():
    tensor = torch.ones(25_000_000)
    digest(0)
    start = time.process_time()
    digest(tensor)
    assert time.process_time() - start < 1.0
