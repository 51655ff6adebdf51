"""The plane of greatest curvature."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import repeat

import numpy as np
import torch
from scipy.sparse.linalg import ArpackError, ArpackNoConvergence, LinearOperator, eigsh
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from ..errors import UserError
from .axes import listed, plane_of_axes
from .directions import Course, Directions
from .plane import Plane
from .weights import Weights, flatten, unflatten


@dataclass(frozen=True)
class HessianDirections(Directions):
    """The leading eigenvectors of the final Hessian, as long as the final weights."""

    def plane(self, course: Course) -> Plane:
        return hessian_plane(course.terms, course.final, course.seed, length="weights")


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

    values, vectors = _eigenvectors(product, len(x), k, seed, tolerance, restarts)
    leading = torch.from_numpy(vectors[:, [-1, -2]].T.copy())
    leading *= leading.gather(1, leading.abs().argmax(1, keepdim=True)).sign()
    return plane_of_axes(
        weights,
        leading,
        length,
        {
            "directions": f"Hessian, largest eigenvalues, seed {seed}",
            "eigenvalues": listed(values[::-1]),
            "seed": seed,
        },
    )


def _eigenvectors(
    product: Callable[[np.ndarray], np.ndarray],
    size: int,
    k: int,
    seed: int,
    tolerance: float,
    restarts: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the k largest eigenvalues, and their vectors ``(size, k)``, the largest last."""
    generator = torch.Generator().manual_seed(seed)
    start = torch.randn(size, generator=generator, dtype=torch.float64).numpy()
    first = product(start)
    if not (np.isfinite(first).all() and first.any()):
        raise UserError(
            "The loss has no finite second derivative at the weights, or zero only, so no Hessian "
            "to take a plane from."
        )
    try:
        return eigsh(
            LinearOperator((size, size), matvec=product, dtype=np.float64),
            k,
            which="LA",
            v0=start,
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
