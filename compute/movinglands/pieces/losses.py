"""The losses of our own pieces."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


def classification(module: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    """Return the cross entropy of a batch of inputs and labels."""
    inputs, labels = batch
    return F.cross_entropy(module(inputs), labels)


def classification_with_accuracy(
    module: nn.Module, batch: tuple[Tensor, Tensor]
) -> dict[str, Tensor]:
    """Return the cross entropy and the accuracy, 0 to 1, of a batch."""
    inputs, labels = batch
    answers = module(inputs)
    accuracy = (answers.argmax(1) == labels).float().mean()
    return {"loss": F.cross_entropy(answers, labels), "accuracy": accuracy}
