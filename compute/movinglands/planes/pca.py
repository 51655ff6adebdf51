"""The plane in which a training moves most."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import UserError
from .axes import listed, plane_of_axes, rounding
from .directions import Course, Directions
from .plane import Plane
from .weights import Weights, check, flatten


@dataclass(frozen=True)
class TrajectoryDirections(Directions):
    """The two principal components of a training, as long as the final weights."""

    def plane(self, course: Course) -> Plane:
        return trajectory_plane(course.weights, course.count, length="weights")


def trajectory_plane(
    snapshot: Callable[[int], Weights], count: int, length: str = "one", memory: int = 2**30
) -> Plane:
    """Return the plane in which a training moves most: the PCA of its trajectory.

    The rows ``w_t - w_final`` are mean-centred and their two leading principal components are the
    axes (Li et al. 2018, arXiv 1712.09913, section 7); the origin is the final weights. Found
    from the Gram matrix of the rows, so that few snapshots are in memory at a time. Two runs agree
    up to rounding: what goes on after an interruption keeps the plane (`Plane.save`).

    The snapshot farthest from the final one along an axis lies on its positive side.

    Parameters
    ----------
    snapshot : callable
        From 0 ... count - 1 to the weights then; the last are the final ones. Asked for each
        twice, and more often where ``memory`` does not hold all.
    count : int
    length : {"one", "weights"}
        Of the axes: 1, or that of the final weights.
    memory : int
        Bytes to keep snapshots in, 8 for each weight.

    Returns
    -------
    Plane
        ``explained_variance`` in its ``attrs`` is each axis's share of the variance.

    Raises
    ------
    UserError
        Where the snapshots lie on one line, as two always do, or are not finite.
    """
    final = snapshot(count - 1)
    base = flatten(final)

    def row(t: int) -> Tensor:
        weights = snapshot(t)
        check(weights, final, f"Snapshot {t}")
        return flatten(weights).to(base.device) - base

    block = min(count, max(1, memory // (8 * len(base))))
    gram = _gram(row, count, base.new_empty(block, len(base)))
    if not (finite := gram.diagonal().isfinite()).all():
        raise UserError(
            f"Snapshot {int(finite.int().argmin())} has weights that are not finite: "
            "no plane goes through them."
        )
    mean = gram.mean(0)
    variances, vectors = torch.linalg.eigh(gram - mean - mean[:, None] + mean.mean())
    # What rounding alone adds to a trajectory along a line: of the weights, and of the sums here.
    spread, tiny = gram.trace().item(), torch.finfo(torch.float64).eps
    noise = rounding(final) ** 2 * (base.dot(base).item() + spread) + count * tiny * spread
    if count < 3 or variances[-2] <= noise:
        raise UserError(
            f"The trajectory's {count} snapshots lie on one line: its plane takes three that do "
            "not."
        )
    leading = vectors[:, [-1, -2]].T
    along = leading @ gram
    leading *= along.gather(1, along.abs().argmax(1, keepdim=True)).sign()
    axes = torch.zeros(2, len(base), dtype=torch.float64, device=base.device)
    for t in range(count):
        axes.addr_(leading[:, t].to(base.device), row(t))
    shares = (variances[[-1, -2]] / variances.sum()).tolist()
    return plane_of_axes(
        final,
        axes,
        length,
        {"directions": f"PCA of {count} snapshots", "explained_variance": listed(shares)},
    )


def _gram(row: Callable[[int], Tensor], count: int, held: Tensor) -> Tensor:
    """Return the scalar products of all rows, on the CPU; ``held`` is room for some of them."""
    gram = torch.zeros(count, count, dtype=torch.float64)
    for start in range(0, count, len(held)):
        stop = min(start + len(held), count)
        rows = held[: stop - start]
        for t in range(start, stop):
            rows[t - start] = row(t)
        gram[start:stop, start:stop] = rows @ rows.T
        for t in range(stop, count):
            gram[start:stop, t] = gram[t, start:stop] = rows @ row(t)
    return gram
