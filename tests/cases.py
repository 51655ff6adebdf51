"""Networks of many kinds with their losses, and what those are by plain loops in float64.

The reference knows nothing of how the losses are computed: it copies the module, sets the weights
of the copy, runs it as anyone would, and takes the mean.
"""

import copy
import multiprocessing
import os
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing import forkserver
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils import _pytree as pytree

from movinglands.engine.evaluator import Evaluator
from movinglands.engine.plan import Plan
from movinglands.evaluation.measure import Measure
from movinglands.evaluation.objective import Objective
from movinglands.networks.convnet import convnet
from movinglands.pieces import compute
from movinglands.planes.plane import Plane
from movinglands.planes.random import random_plane
from movinglands.planes.weights import weights_of
from movinglands.snapshots.recorder import Recorder
from movinglands.surfaces import compute as surfaces
from movinglands.surfaces import job


@dataclass
class Case:
    """What is measured; ``draws`` where the loss takes numbers from torch's global generator."""

    module: nn.Module
    loss: Callable
    batches: list[Any]
    measure: Measure = field(default_factory=Measure)
    test: list[Any] = field(default_factory=list)
    draws: bool = False
    mapped: bool = True  # whether torch.func.vmap can take it

    def objective(self):
        return Objective(self.module, self.loss, self.batches, self.measure, self.test)

    def plane(self) -> Plane:
        return random_plane(weights_of(self.module), seed=5, one_dimensional="weights")

    def truth(self, points):
        """The values ``(n, k)`` of points of the plane, float64."""
        plane = self.plane()
        return np.array([self._values(plane, *point) for point in points])

    def _values(self, plane, alpha, beta):
        network = copy.deepcopy(self.module).double().train(self.measure.mode == "train")
        with torch.no_grad():
            for name, p in network.named_parameters():
                p += alpha * plane.u[name].double() + beta * plane.v[name].double()
        batches, test = (pytree.tree_map(doubled, given) for given in (self.batches, self.test))
        statistics = self.measure.statistics
        if statistics == "recomputed":
            recompute_statistics(network, self.loss, batches)
        for part in network.modules():
            if isinstance(part, _BatchNorm):
                part.train(statistics == "batch")
        values = self._mean(network, batches)
        return values + self._mean(network, test) if test else values

    def _mean(self, network, batches):
        sums, count = 0.0, 0
        for batch in batches:
            with torch.random.fork_rng():
                torch.manual_seed(self.measure.seed)
                values = self.loss(network, batch)
            values = values if isinstance(values, dict) else {"loss": values}
            size = len(pytree.tree_leaves(batch)[0])
            sums = sums + size * np.array([float(value.detach()) for value in values.values()])
            count += size
        return (sums / count).tolist()


def recompute_statistics(network, loss, batches):
    """BatchNorm's statistics over batches by their samples (Garipov et al. 2018, update_bn)."""
    norms = [part for part in network.modules() if isinstance(part, _BatchNorm)]
    seen = 0
    for part in norms:
        part.reset_running_stats()
        part.train()
    for batch in batches:
        count = len(pytree.tree_leaves(batch)[0])
        seen += count
        for part in norms:
            part.momentum = count / seen
        loss(network, batch)


def doubled(value):
    floating = isinstance(value, torch.Tensor) and value.is_floating_point()
    return value.double() if floating else value


def randomness():
    """The state of every global generator."""
    numpys = str(np.random.get_state())  # noqa: NPY002
    return torch.random.get_rng_state().tolist(), numpys, random.getstate()


def cross_entropy(module, batch):
    inputs, labels = batch
    return F.cross_entropy(module(inputs), labels)


def with_accuracy(module, batch):
    inputs, labels = batch
    answers = module(inputs)
    accuracy = (answers.argmax(1) == labels).float().mean()
    return {"loss": F.cross_entropy(answers, labels), "accuracy": accuracy}


class Block(nn.Module):
    """A ResNet's: two convolutions, around which the input skips."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.path = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.skip = nn.Identity()
        if stride > 1:
            self.skip = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x):
        return F.relu(self.path(x) + self.skip(x), inplace=True)


def resnet():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(inplace=True),
        Block(4, 4, 1),
        Block(4, 8, 2),
        Block(8, 8, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 10),
    )


class Transformer(nn.Module):
    """Tokens to a class."""

    def __init__(self, dropout=0.0):
        super().__init__()
        self.words = nn.Embedding(20, 16)
        self.places = nn.Parameter(0.1 * torch.randn(6, 16))
        self.block = nn.TransformerEncoderLayer(16, 2, 32, dropout, batch_first=True)
        self.head = nn.Linear(16, 10)

    def forward(self, tokens):
        return self.head(self.block(self.words(tokens) + self.places).mean(1))


def critic():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(4, 8, 3, 2, 1),
        nn.GroupNorm(1, 8),
        nn.LeakyReLU(0.2),
        nn.Flatten(),
        nn.Linear(32, 1),
    )


def wgan(penalty):
    """The critic's loss of Gulrajani et al. 2017, eq. 3; the interpolation drawn, or given."""

    def loss(module, batch):
        real, fake = batch["real"], batch["fake"]
        share = batch["share"] if "share" in batch else torch.rand(len(real), 1, 1, 1)
        between = share * real + (1 - share) * fake
        norms = penalty(module, between).flatten(1).norm(dim=1)
        return module(fake).mean() - module(real).mean() + 10 * ((norms - 1) ** 2).mean()

    return loss


def by_autograd(module, between):
    between.requires_grad_()
    return torch.autograd.grad(module(between).sum(), between, create_graph=True)[0]


def by_func(module, between):
    return torch.func.grad(lambda x: module(x).sum())(between)


def generator_of(seed):
    return torch.Generator().manual_seed(seed)


def built(make, *arguments):
    """A network of some weights, whose BatchNorm statistics are those of some data."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = make(*arguments)
        for part in network.modules():
            if isinstance(part, _BatchNorm):
                part.running_mean.uniform_(-0.5, 0.5)
                part.running_var.uniform_(0.5, 2.0)
                nn.init.uniform_(part.weight, 0.5, 1.5)
                nn.init.uniform_(part.bias, -0.3, 0.3)
    return network


def images(count, seed=0):
    generator = generator_of(seed)
    return (
        torch.randn(count, 1, 8, 8, generator=generator),
        torch.randint(0, 10, (count,), generator=generator),
    )


def sentences(count):
    generator = generator_of(1)
    shapes = ((20, (count, 6)), (10, (count,)))
    return tuple(torch.randint(0, high, shape, generator=generator) for high, shape in shapes)


def forged(count, share=True):
    generator = generator_of(2)
    shapes = {"real": (count, 1, 8, 8), "fake": (count, 1, 8, 8), "share": (count, 1, 1, 1)}
    batch = {name: torch.rand(shape, generator=generator) for name, shape in shapes.items()}
    if not share:
        del batch["share"]
    return batch


def unequal(batch, *sizes):
    """A batch in pieces."""
    return list(zip(*(tensor.split(sizes) for tensor in batch), strict=True))


def cases():
    plain = built(convnet, 1, 4, 3, 10, 3)
    residual, transformer, judge = built(resnet), built(Transformer), built(critic)
    train, evaluate = Measure("train"), Measure("eval")
    whole, held_out = unequal(images(30), 16, 9, 5), unequal(images(11, 9), 8, 3)
    return {
        "convnet train": Case(plain, cross_entropy, [images(16)], train),
        "convnet eval": Case(plain, with_accuracy, [images(16)], evaluate),
        "resnet train": Case(residual, cross_entropy, [images(16)], train),
        "resnet eval": Case(residual, cross_entropy, [images(16)], evaluate),
        "transformer train": Case(transformer, cross_entropy, [sentences(12)], train),
        "transformer eval": Case(transformer, cross_entropy, [sentences(12)], evaluate),
        "critic, autograd": Case(judge, wgan(by_autograd), [forged(8)], mapped=False),
        "critic, func": Case(judge, wgan(by_func), [forged(8)]),
        "critic, autograd, drawn": Case(
            judge, wgan(by_autograd), [forged(8, False)], Measure(seed=4), draws=True, mapped=False
        ),
        "critic, func, drawn": Case(
            judge, wgan(by_func), [forged(8, False)], Measure(seed=4), draws=True
        ),
        "whole set train": Case(plain, with_accuracy, whole, train, held_out),
        "whole set eval": Case(plain, with_accuracy, whole, evaluate, held_out),
        "eval, of the batch": Case(plain, cross_entropy, whole, Measure("eval", "batch")),
        "train, as stored": Case(plain, cross_entropy, whole, Measure("train", "stored")),
        "recomputed": Case(residual, with_accuracy, whole, Measure("eval", "recomputed"), held_out),
        "recomputed train": Case(plain, cross_entropy, whole, Measure("train", "recomputed")),
        "float64": Case(
            copy.deepcopy(plain).double(), cross_entropy, [pytree.tree_map(doubled, images(16))]
        ),
    }


def trained(frames=3, network=None):
    """A network and the snapshots of its training, with a scalar beside each."""
    network = network or built(convnet, 1, 3, 2, 10, 3)
    recorder = Recorder()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05)
    for step in range(frames):
        recorder.record(network.train(), step, **{"train/rate": 0.05})
        optimizer.zero_grad()
        cross_entropy(network, images(16, step)).backward()
        optimizer.step()
    return network, recorder.snapshots


def in_small_tiles(evaluator, points, compiling=None):
    """Instead of a plan that was measured: one that is the same each time, and many tiles."""
    plan = Plan("vmap", 8, tile=16)
    evaluator.use(plan)
    return plan


def many_frames():
    return surfaces.Surface(*trained(12), with_accuracy, [images(8)], resolution=21)


def compute_in_small_tiles(path, started):
    """What is killed, in a process of its own."""
    evaluate = Evaluator.__call__

    def slowly(*arguments):
        time.sleep(0.01)
        return evaluate(*arguments)

    torch.set_num_threads(1)
    Evaluator.tune, Evaluator.__call__ = in_small_tiles, slowly
    job.PUBLISH_EVERY = 0
    shot = many_frames()
    started.set()
    surfaces.compute_sequence(path, shot, device="cpu")


def compute_slowly(path, started):
    """What holds the file against others until it is killed."""

    def loss(module, batch):
        started.set()
        time.sleep(600)

    module, snapshots = trained(2)
    surfaces.compute_sequence(path, surfaces.Surface(module, snapshots, loss, [images(8)]))


def train_slowly(recipe, path, started):
    """What holds a recipe's file against others until it is killed."""

    def train(*_):
        started.set()
        time.sleep(600)

    compute.train = train
    compute.compute(recipe, path, "cpu")


def processes():
    """Return what starts processes at once, from one where all this is imported."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["cases"])
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        forkserver.ensure_running()
    return context


class Made(NamedTuple):
    """What a user brings, and what each batch counts for."""

    module: nn.Module
    loss: Callable
    batches: list[Any]
    counts: tuple[float, ...] = (1,)


def plain_loop(make, plane, points, mode="train"):
    """The loss at points of a plane: weights set in a network that is made anew, one pass a batch.

    In float64, of nothing but what ``make`` gives.
    """
    losses = []
    for alpha, beta in points:
        total = 0.0
        for number, count in enumerate(make().counts):
            made = make()
            module = made.module.train().double()
            with torch.no_grad():
                for name, p in module.named_parameters():
                    there = plane.origin[name].to(p) + alpha * plane.u[name].to(p)
                    p.copy_(there + beta * plane.v[name].to(p))
            module.train(mode == "train")
            value = made.loss(module, pytree.tree_map(doubled, made.batches[number]))
            total += float(value["loss"] if isinstance(value, dict) else value) * count
        losses.append(total / sum(make().counts))
    return np.array(losses)
