"""Training that can be stopped anywhere and goes on bit for bit.

The batch of every step is a function of the seed and the step alone, so the weights, the
optimizer's state and the step are all there is to remember.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..data.load import LoadedData
from .schema import Training


@dataclass(frozen=True)
class Checkpoint:
    """A network at one moment of its training, and all that is needed to train on from it."""

    step: int
    module: dict[str, Tensor]
    optimizer: dict[str, Any]
    scalars: dict[str, float]


def snapshot_steps(training: Training) -> list[int]:
    """Return the optimizer steps that are filmed: from 0 to ``steps``, strictly increasing.

    ``step_k = steps * (k / (n - 1)) ** spacing``, rounded, and moved up where two would meet.
    Fewer than asked where the training has fewer steps.
    """
    count = min(training.snapshots, training.steps + 1)
    steps: list[int] = []
    for k in range(count):
        wanted = round(training.steps * (k / (count - 1)) ** training.spacing)
        after_last = steps[-1] + 1 if steps else 0
        latest = training.steps - (count - 1 - k)
        steps.append(min(max(wanted, after_last), latest))
    return steps


def train(
    module: nn.Module,
    data: LoadedData,
    training: Training,
    steps: Sequence[int],
    start: Checkpoint | None = None,
) -> Iterator[Checkpoint]:
    """Train a classifier with SGD, yielding a snapshot at each of the given steps.

    Parameters
    ----------
    module : nn.Module
        Trained in place.
    data : LoadedData
        On the module's device.
    training : Training
        Learning rate, momentum, weight decay, batch size and seed.
    steps : sequence of int
        Increasing; a snapshot at step s is the network after s updates.
    start : Checkpoint, optional
        Where to go on from: only later snapshots are yielded.

    Yields
    ------
    Checkpoint
        Its tensors are copies.
    """
    optimizer = torch.optim.SGD(
        module.parameters(),
        lr=training.learning_rate,
        momentum=training.momentum,
        weight_decay=training.weight_decay,
    )
    done, wanted = -1, set(steps)
    if start is not None:
        module.load_state_dict(start.module)
        optimizer.load_state_dict(start.optimizer)
        done = start.step
    for step in range(max(done, 0), steps[-1] + 1):
        if step in wanted and step > done:
            yield Checkpoint(
                step=step,
                module=copy.deepcopy(module.state_dict()),
                optimizer=copy.deepcopy(optimizer.state_dict()),
                scalars=_scalars(module, data, optimizer),
            )
        if step == steps[-1]:
            return
        module.train()
        batch = batch_of_step(len(data.images), training.batch, training.seed, step)
        batch = batch.to(data.images.device)
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(module(data.images[batch]), data.labels[batch]).backward()
        optimizer.step()


def batch_of_step(count: int, batch: int, seed: int, step: int) -> Tensor:
    """Return the indices of a step's batch.

    Each epoch is a permutation of its own, cut into whole batches: its last ``count % batch``
    samples are skipped.
    """
    epoch, index = divmod(step, count // batch)
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    return torch.randperm(count, generator=generator)[index * batch : (index + 1) * batch]


def _scalars(
    module: nn.Module, data: LoadedData, optimizer: torch.optim.Optimizer
) -> dict[str, float]:
    """Measure the network in eval mode on all the data."""
    module.eval()
    train_loss, _ = _measure(module, data.images, data.labels)
    test_loss, accuracy = _measure(module, data.test_images, data.test_labels)
    return {
        "learning_rate": optimizer.param_groups[0]["lr"],
        "train_loss": train_loss,
        "test_loss": test_loss,
        "test_accuracy": accuracy,
    }


@torch.no_grad()
def _measure(
    module: nn.Module, images: Tensor, labels: Tensor, at_once: int = 4096
) -> tuple[float, float]:
    """Return the mean cross entropy and the accuracy, a part at a time: memory stays small."""
    loss, right = torch.zeros((), device=images.device), torch.zeros((), device=images.device)
    for part, truth in zip(images.split(at_once), labels.split(at_once), strict=True):
        answers = module(part)
        loss += F.cross_entropy(answers, truth, reduction="sum")
        right += (answers.argmax(1) == truth).sum()
    return float(loss / len(labels)), float(right / len(labels))
