"""What a network computes in: seen, told, and left as it is; torch's settings for it put back."""

import copy
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from cases import Made, built, cross_entropy, generator_of, plain_loop
from torch import nn
from torch.nn import functional as F

from movinglands.checks.network import check_network
from movinglands.engine.evaluator import Evaluator, grid
from movinglands.engine.plan import Plan
from movinglands.evaluation.measure import Measure
from movinglands.evaluation.objective import Objective
from movinglands.evaluation.precision import Precisions
from movinglands.planes.random import random_plane
from movinglands.planes.weights import weights_of

POINTS = grid(np.linspace(-1, 1, 3), np.linspace(-1, 1, 3))
PACKAGE = str(Path(__file__).parents[3] / "compute")
EPSILON = {dtype: torch.finfo(dtype).eps for dtype in (torch.float16, torch.bfloat16)}


def network():
    return built(lambda: nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2)))


def samples():
    generator = generator_of(1)
    return torch.randn(12, 3, generator=generator), torch.randint(2, (12,), generator=generator)


def under_autocast(module, batch):
    with torch.autocast("cpu", torch.bfloat16):
        return cross_entropy(module, batch)


def in_half(module, batch):
    return F.cross_entropy(module(batch[0].to(module[0].weight)).float(), batch[1])


class Mixed(nn.Module):
    """One layer in float64, one in bfloat16, the rest in float32."""

    def __init__(self, *dtypes):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(3, 3).to(dtype) for dtype in dtypes)

    def forward(self, x):
        for layer in self.layers:
            x = layer(x.to(layer.weight)).float()
        return x


def measured(module, loss, measure=None):
    objective = Objective(module, loss, [samples()], measure)
    check_network(objective, weights_of(module), objective.buffers())
    return objective


def surface(objective, plane, folder, plan):
    return Evaluator(objective, plane, folder, plan)(POINTS, np.arange(9))[:, 0]


WAYS = [Plan(), Plan("vmap", 4)]


@pytest.mark.parametrize("plan", WAYS, ids=["loop", "vmap"])
def test_float64_stays_float64(tmp_path, plan):
    module = network().double()

    def make():
        return Made(copy.deepcopy(module), loss, [samples()])

    def loss(module, batch):
        return cross_entropy(module, (batch[0].double(), batch[1]))

    plane = random_plane(weights_of(module), seed=5)
    objective = measured(module, loss)
    found = surface(objective, plane, tmp_path, plan)
    assert found.dtype == np.float64
    assert objective.precision == "float64"
    np.testing.assert_allclose(found, plain_loop(make, plane, POINTS), rtol=1e-13)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("plan", WAYS, ids=["loop", "vmap"])
def test_half_a_network_is_computed_as_half(tmp_path, dtype, plan):
    module = network().to(dtype)
    plane = random_plane(weights_of(module), seed=5)
    objective = measured(module, in_half)
    assert objective.precision == {torch.float16: "float16", torch.bfloat16: "bf16"}[dtype]
    rounded = []
    for alpha, beta in POINTS:
        there = copy.deepcopy(module)
        with torch.no_grad():
            for name, p in there.named_parameters():
                u, v = (axis[name].float() for axis in (plane.u, plane.v))
                p.copy_(plane.origin[name].float() + alpha * u + beta * v)
            rounded.append(in_half(there, samples()).item())
    found = surface(objective, plane, tmp_path, plan)
    np.testing.assert_allclose(found, rounded, rtol=4 * EPSILON[dtype])
    assert len(np.unique(found)) == 9


@pytest.mark.parametrize("plan", WAYS, ids=["loop", "vmap"])
def test_autocast_is_torchs(tmp_path, plan):
    module = network()
    plane = random_plane(weights_of(module), seed=5)
    asked = measured(module, cross_entropy, Measure(precision="bf16"))
    users = measured(module, under_autocast)
    assert asked.precision == users.precision == "bf16"
    found = [surface(objective, plane, tmp_path, plan) for objective in (asked, users)]
    with torch.no_grad():
        expected = under_autocast(module, samples()).item()
        exact = cross_entropy(module, samples()).item()
    for losses in found:
        np.testing.assert_allclose(losses[4], expected, rtol=2 * EPSILON[torch.bfloat16])
        assert losses[4] != pytest.approx(exact, rel=1e-7)


@pytest.mark.parametrize(
    ("module", "loss", "name"),
    [
        (network(), cross_entropy, "float32"),
        (network(), under_autocast, "bf16"),
        (network(), lambda m, b: cross_entropy(m, b).half(), "float16"),
        (network(), lambda m, b: cross_entropy(m, b).double(), "float32"),
        (built(Mixed, torch.float64), cross_entropy, "float32"),
        (built(Mixed, torch.float32, torch.bfloat16), cross_entropy, "bf16"),
        (built(Mixed, torch.float64, torch.float16), cross_entropy, "float16"),
        (network(), lambda m, b: (m(b[0]).argmax(1) != b[1]).sum(), "float32"),
    ],
)
def test_the_coarsest_counts(module, loss, name):
    assert measured(module, loss).precision == name


def test_what_is_computed_is_seen():
    x = torch.ones(4, 5)
    with Precisions() as nothing:
        x.view(5, 4)
    assert (nothing.coarsest, nothing.nbytes) == ("float32", 0)
    with Precisions() as seen:
        x.double() + 1
        torch.ones(3, dtype=torch.complex64).abs()
        x.long()
    assert seen.seen == {torch.float64, torch.float32}
    assert seen.nbytes == 2 * 160 + 24 + 12 + 160
    assert seen.coarsest == "float32"


SETTINGS = """
import itertools
import torch
from movinglands.evaluation.precision import exactly

def setting():
    return torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32

inside = {"float32": ("highest", False), "bf16": ("highest", False), "tf32": ("high", True)}
for found, error in itertools.product(("highest", "high", "medium"), (None, KeyboardInterrupt)):
    torch.set_float32_matmul_precision(found)
    before = setting()
    for asked, expected in inside.items():
        try:
            with exactly(asked):
                assert setting() == expected
                if error:
                    raise error
        except KeyboardInterrupt:
            pass
        assert setting() == before
"""


def test_torchs_settings_are_put_back():
    """In a process of its own: once newer names have been used, torch refuses these."""
    subprocess.run(
        [sys.executable, "-c", SETTINGS], env={**os.environ, "PYTHONPATH": PACKAGE}, check=True
    )
