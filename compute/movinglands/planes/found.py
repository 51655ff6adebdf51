"""Planes that are found in a training or its loss, or given, rather than drawn.

Those found come out of float64 and weights laid out as one vector, as two unit axes. How far to go
along them depends on the network: `half_width` tells it from points to be seen, and axes may be
asked for as long as the weights, so that 1 is a step as far as on a filter-normalised plane.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import repeat
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.sparse.linalg import ArpackError, ArpackNoConvergence, LinearOperator, eigsh
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from ..errors import UserError
from ..snapshots.checkpoints import read
from .plane import Attributes, Plane, Weights, check, flatten, unflatten


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
    noise = _precision(final) ** 2 * (base.dot(base).item() + spread) + count * tiny * spread
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
    return _plane(
        final,
        axes,
        length,
        {"directions": f"PCA of {count} snapshots", "explained_variance": _listed(shares)},
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


def plane_through(w0: Weights, w1: Weights, w2: Weights, length: str = "one") -> Plane:
    """Return the plane through three networks (Garipov et al. 2018, arXiv 1802.10026).

    The origin is w0; u points from it to w2, and v, at a right angle to u, to the side of w1. For
    a curve w0 and w2 are its ends and w1 its bend. A bend that training has not moved yet lies
    halfway between them, where there is no second axis: take the plane of the trained one.

    Parameters
    ----------
    w0, w1, w2 : dict of Tensor
        Of the same names and shapes.
    length : {"one", "weights"}
        Of the axes: 1, or that of w0.

    Returns
    -------
    Plane
        ``points`` in its ``attrs`` are the coordinates of the three.

    Raises
    ------
    UserError
        Where the three lie on one line.
    """
    check(w1, w0, "The plane's second point")
    check(w2, w0, "The plane's third point")
    base = flatten(w0)
    u, v = (flatten(w).to(base.device) - base for w in (w2, w1))
    noise = _precision(w0) * torch.stack([base, base + u, base + v]).norm().item()
    if u.norm() > noise:
        v -= v.dot(u) / u.dot(u) * u
    if not (u.norm() > noise and v.norm() > noise):  # so that NaN is refused too
        raise UserError(
            "The three points lie on one line, or are not finite: a plane takes three that do not."
        )
    plane = _plane(w0, torch.stack([u, v]), length, {"directions": "through three points"})
    places = ", ".join(f"({_listed(plane.project(w))})" for w in (w0, w1, w2))
    return replace(plane, attrs={**plane.attrs, "points": places})


def hessian_plane(
    loss_of_weights: Callable[[Weights], Tensor | Iterable[Tensor]],
    weights: Weights,
    seed: int = 0,
    k: int = 2,
    tolerance: float = 1e-5,
    length: str = "one",
    restarts: int = 100,
) -> Plane:
    """Return the plane of greatest curvature: the Hessian's two leading eigenvectors.

    Leading are those of the algebraically largest eigenvalues, along which the walls are
    steepest; directions of negative curvature come last, however strong. Lanczos iteration
    (ARPACK) on Hessian-vector products, which are taken at the weights' own precision.

    The entry of a vector that is largest in magnitude is positive.

    Parameters
    ----------
    loss_of_weights : callable
        From weights to a scalar, twice differentiable. Called once: what is random in it stays, and
        so does all that its derivatives need in memory. Or to scalars whose sum is the loss, as of
        a generator that yields one for each batch: called for every product, it has to give the
        same ones, and needs the memory of one.
    weights : dict of Tensor
        The plane's origin.
    seed : int
        Of the start vector.
    k : int
        Eigenvalues to find; the plane takes the first two.
    tolerance : float
        Relative, of the eigenvalues. Products in float32 allow about 1e-6.
    length : {"one", "weights"}
        Of the axes: 1, or that of the weights.
    restarts : int
        When to give up; one takes about 20 products.

    Returns
    -------
    Plane
        ``eigenvalues`` in its ``attrs``, the largest first.

    Raises
    ------
    UserError
        Where the eigenvectors do not converge, or the loss has no second derivative there.
    """
    x = flatten(weights).requires_grad_()
    if not 2 <= k < len(x):
        raise UserError(f"k = {k}: expected 2 eigenvalues or more, fewer than {len(x)} weights.")

    def gradients() -> Iterable[Tensor]:
        """Return the loss's gradient in a list, or its terms' to go through: one is held then."""
        loss = loss_of_weights(unflatten(x, weights))
        return [_gradient(loss, x)] if isinstance(loss, Tensor) else map(_gradient, loss, repeat(x))

    # Other attention kernels have no second derivative.
    with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
        kept = gradients()

    def product(vector: np.ndarray) -> np.ndarray:
        direction = torch.from_numpy(vector.ravel()).to(x)
        with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
            due = kept if isinstance(kept, list) else gradients()
            products = map(_derivative, due, repeat(x), repeat(direction))
            return sum(products, torch.zeros_like(x)).detach().cpu().numpy()

    start = torch.randn(len(x), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    first = product(start.numpy())
    if not (np.isfinite(first).all() and first.any()):
        raise UserError(
            "The loss has no finite second derivative at the weights, or zero only, so no Hessian "
            "to take a plane from."
        )
    try:
        values, vectors = eigsh(
            LinearOperator((len(x), len(x)), matvec=product, dtype=np.float64),
            k,
            which="LA",
            v0=start.numpy(),
            tol=tolerance,
            maxiter=restarts,
            rng=np.random.default_rng(seed),
        )
    except ArpackNoConvergence:
        raise UserError(
            f"The Hessian's eigenvectors did not converge to {tolerance:g} in {restarts} restarts: "
            "allow a larger tolerance or more restarts."
        ) from None
    except ArpackError as error:
        raise UserError(f"The Hessian's eigenvectors could not be found: {error}.") from None
    leading = torch.from_numpy(vectors[:, [-1, -2]].T.copy())
    leading *= leading.gather(1, leading.abs().argmax(1, keepdim=True)).sign()
    return _plane(
        weights,
        leading,
        length,
        {
            "directions": f"Hessian, largest eigenvalues, seed {seed}",
            "eigenvalues": _listed(values[::-1]),
            "seed": seed,
        },
    )


def _gradient(loss: Tensor, x: Tensor) -> Tensor:
    """Return a loss's gradient by the weights x, to be differentiated once more."""
    if not loss.requires_grad:
        return torch.zeros_like(x)
    return torch.autograd.grad(loss, x, create_graph=True, materialize_grads=True)[0]


def _derivative(gradient: Tensor, x: Tensor, direction: Tensor) -> Tensor:
    """Return the derivative of a gradient along a direction: the Hessian times it."""
    if not gradient.requires_grad:
        return torch.zeros_like(x)
    return torch.autograd.grad(gradient, x, direction, retain_graph=True, materialize_grads=True)[0]


def given_plane(path: Path, origin: Weights) -> Plane:
    """Return the plane through an origin along the directions in a file.

    Parameters
    ----------
    path : Path
        A dictionary of ``u`` and ``v``, each tensors by parameter name, of ``torch.save``; or a
        ``.safetensors`` file of tensors named ``u.<parameter>`` and ``v.<parameter>``.
    origin : dict of Tensor
        The directions take its device and precision.

    Raises
    ------
    UserError
        Where the file is missing, is something else, or does not fit the origin.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file of directions.")
    axes = {}
    for part in ("u", "v"):
        flat = path.suffix == ".safetensors"
        found, _ = read(path, None if flat else part, f"{part}." if flat else "")
        check(found, origin, f"{path}: direction {part}")
        axes[part] = {name: found[name].to(w) for name, w in origin.items()}
    attrs: Attributes = {"directions": f"given, {path.name}", "normalisation": "as given"}
    return Plane(origin, **axes, attrs=attrs)


def half_width(points: ArrayLike, centre: ArrayLike = (0.0, 0.0), margin: float = 0.2) -> float:
    """Return half the width of a square window that shows all points.

    Parameters
    ----------
    points : array_like
        ``(n, 2)``, plane coordinates, as of every snapshot.
    centre : array_like
        ``(2,)``, of the window.
    margin : float
        To leave beyond the farthest point, as a share of its distance.

    Raises
    ------
    UserError
        Where all points are at the centre, or one is not finite.
    """
    distance = float(np.abs(np.asarray(points, float) - np.asarray(centre, float)).max())
    if not 0 < distance < np.inf:
        raise UserError("The points to show are all at the window's centre or not finite.")
    return (1 + margin) * distance


def _plane(origin: Weights, axes: Tensor, length: str, attrs: Attributes) -> Plane:
    """Return the plane of two axes ``(2, weights)``, brought to their length."""
    lengths = {"one": 1.0, "weights": flatten(origin).norm().item()}
    if length not in lengths:
        raise UserError(f"length = {length!r}: expected one of {', '.join(lengths)}.")
    axes = axes * (lengths[length] / axes.norm(dim=1, keepdim=True))
    settings = {"one": "unit length", "weights": "length of the origin's weights"}
    u, v = (unflatten(axis, origin) for axis in axes)
    return Plane(origin, u, v, {**attrs, "normalisation": settings[length]})


def _precision(weights: Weights) -> float:
    """Return the relative rounding error of the coarsest weights."""
    return max(torch.finfo(w.dtype).eps for w in weights.values())


def _listed(numbers: ArrayLike) -> str:
    return ", ".join(f"{number:.6g}" for number in np.asarray(numbers))
