"""What a loss returns, as one tensor: the loss, its metrics, and what the batch counts for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ..errors import UserError


class Answers:
    """Reads what a loss returns; the first answer settles the names.

    Attributes
    ----------
    metrics : tuple of str, or None
        Names of what is returned beside the loss; None before the first answer.
    weighted : bool
        Whether the loss says what a batch counts for.
    """

    def __init__(self) -> None:
        self.metrics: tuple[str, ...] | None = None
        self.weighted = False

    def read(self, values: Any) -> Tensor:
        """Return loss, metrics and weight, where there is one, as ``(k,)``.

        Raises
        ------
        UserError
            Where something is no scalar, or other names are returned than before.
        """
        named = dict(values) if isinstance(values, Mapping) else {"loss": values}
        for name, value in named.items():
            named[name] = _scalar(name, value)
        returned = ", ".join(named) or "nothing"
        if "loss" not in named:
            raise UserError(f'The loss function returned {returned}: expected a "loss".')
        loss, weight = named.pop("loss"), named.pop("weight", None)
        if self.metrics is None:
            self.metrics, self.weighted = tuple(named), weight is not None
        if named.keys() != {*self.metrics} or (weight is not None) != self.weighted:
            expected = ", ".join(["loss", *self.metrics, *["weight"] * self.weighted])
            raise UserError(f"The loss function returned {returned}, and before, {expected}.")
        loss = loss if loss.dtype == torch.float64 else loss.float()
        rest = [*(named[name] for name in self.metrics), *([] if weight is None else [weight])]
        return torch.stack([loss, *(value.to(loss) for value in rest)])


def mean_of(values: Sequence[Tensor], shares: Sequence[float]) -> Tensor:
    """Return the mean of batches' values by their shares; one without a share may be NaN."""
    return torch.stack([v * share for v, share in zip(values, shares, strict=True) if share]).sum(0)


def mean_of_weighted(values: Sequence[Tensor]) -> Tensor:
    """Return the mean of batches' values ``(..., k)``, whose last is their weight, which is summed.

    One without a weight may be NaN.
    """
    together = torch.stack(list(values))
    weights = together[..., -1:]
    seen = torch.where(weights > 0, together[..., :-1] * weights, 0)
    return torch.cat([seen.sum(0) / weights.sum(0), weights.sum(0)], -1)


def _scalar(name: Any, value: Any) -> Tensor:
    if not isinstance(name, str) or "/" in name or not name.strip("."):
        raise UserError(f"The loss function returned {name!r}: expected names without /.")
    if name == "weight" and isinstance(value, int | float):
        return torch.tensor(float(value))
    if isinstance(value, Tensor) and not value.ndim and not value.is_complex():
        return value
    found = type(value).__name__
    if isinstance(value, Tensor):
        found = f"{value.dtype} tensor of shape {tuple(value.shape)}"
    raise UserError(f"The loss function returned a {found} as {name}: expected a scalar tensor.")
