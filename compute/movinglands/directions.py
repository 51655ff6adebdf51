"""Directions in weight space, and the plane they span.

Weights and directions are dictionaries of tensors by parameter name, as ``named_parameters``
gives them. Random directions follow Li et al. 2018 (arXiv 1712.09913): Gaussian, x drawn before
y, not orthogonalised, then normalised against the weights.
"""

from __future__ import annotations

import torch
from torch import Tensor

Weights = dict[str, Tensor]


def gaussian(weights: Weights, generator: torch.Generator) -> Weights:
    """Draw a standard normal direction of the weights' shapes, on the CPU for reproducibility."""
    return {
        name: torch.randn(w.shape, generator=generator, dtype=torch.float32).to(w)
        for name, w in weights.items()
    }


def normalise(
    direction: Weights, weights: Weights, how: str = "filter", one_dimensional: str = "ignore"
) -> Weights:
    """Scale a direction to the weights it will move.

    Parameters
    ----------
    direction, weights : dict of Tensor
        Of the same names and shapes.
    how : {"filter", "layer", "none"}
        "filter": every filter f (index on dimension 0) becomes ``d_f |w_f| / (|d_f| + 1e-10)``
        (Li et al. 2018, section 4); "layer": the same with whole tensors; "none": as it is.
    one_dimensional : {"ignore", "weights"}
        Biases and norm layers' parameters: no movement ("ignore bias and norm"), or ``d = w``.
        With ``how="none"`` they move like the rest.

    Returns
    -------
    dict of Tensor
    """
    if how == "none":
        return dict(direction)
    scaled = {}
    for name, d in direction.items():
        w = weights[name]
        if d.ndim <= 1:
            scaled[name] = torch.zeros_like(d) if one_dimensional == "ignore" else w.clone()
            continue
        over = tuple(range(1, d.ndim)) if how == "filter" else tuple(range(d.ndim))
        norms = [torch.linalg.vector_norm(t, dim=over, keepdim=True) for t in (w, d)]
        scaled[name] = d * (norms[0] / (norms[1] + 1e-10))
    return scaled


def random_plane(
    weights: Weights, seed: int, how: str = "filter", one_dimensional: str = "ignore"
) -> tuple[Weights, Weights]:
    """Return two normalised random directions; the same seed gives the same plane."""
    generator = torch.Generator().manual_seed(seed)
    drawn = [gaussian(weights, generator) for _ in range(2)]
    u, v = (normalise(d, weights, how, one_dimensional) for d in drawn)
    return u, v


def project(point: Weights, origin: Weights, u: Weights, v: Weights) -> tuple[float, float]:
    """Return the plane coordinates of a point: least squares of ``point - origin`` on u and v.

    The axes are neither unit nor orthogonal, so the coordinates are not ``<d, u> / |u|``.
    Computed in float64, by the normal equations: LAPACK's solvers and BLAS's dot products round
    differently from one run to the next.
    """
    a, b, d = (
        torch.cat([part[name].detach().cpu().double().flatten() for name in origin])
        for part in (u, v, {name: point[name] - origin[name] for name in origin})
    )
    aa, ab, bb, ad, bd = (float((x * y).sum()) for x, y in ((a, a), (a, b), (b, b), (a, d), (b, d)))
    determinant = aa * bb - ab * ab
    return (ad * bb - bd * ab) / determinant, (bd * aa - ad * ab) / determinant
