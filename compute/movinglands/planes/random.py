"""Random directions, normalised against the weights they move.

As Li et al. 2018 (arXiv 1712.09913) draw them: Gaussian, x drawn before y, not orthogonalised.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ..errors import UserError
from .directions import Course, Directions
from .plane import Plane
from .weights import Weights


@dataclass(frozen=True)
class RandomDirections(Directions):
    """Random directions, normalised to the final weights."""

    def plane(self, course: Course) -> Plane:
        return random_plane(course.final, course.seed, course.normalisation, course.one_dimensional)


def random_plane(
    weights: Weights, seed: int, how: str = "filter", one_dimensional: str = "ignore"
) -> Plane:
    """Return the plane of two normalised random directions; the same seed gives the same plane.

    Raises
    ------
    UserError
        Where a setting is none of `normalise`, or nothing is left to move.
    """
    for key, value, choices in (
        ("normalisation", how, ("filter", "layer", "none")),
        ("one_dimensional", one_dimensional, ("ignore", "weights")),
    ):
        if value not in choices:
            raise UserError(f"{key} = {value!r}: expected one of {', '.join(choices)}.")
    if not any(w.ndim > 1 or how == "none" for w in weights.values()):
        raise UserError(
            "The network has no parameter of two dimensions or more for random directions to move: "
            "normalisation = 'none' moves the others too."
        )
    generator = torch.Generator().manual_seed(seed)
    drawn = [gaussian(weights, generator) for _ in range(2)]
    u, v = (normalise(d, weights, how, one_dimensional) for d in drawn)
    settings = f"{how}, of the final weights; one-dimensional: {one_dimensional}"
    return Plane(
        weights,
        u,
        v,
        {
            "directions": f"random Gaussian, seed {seed}",
            "normalisation": settings if how != "none" else "none",
            "seed": seed,
        },
    )


def gaussian(weights: Weights, generator: torch.Generator) -> Weights:
    """Draw a standard normal direction of the weights' shapes, on the CPU for reproducibility."""
    return {
        name: torch.randn(
            w.shape,
            generator=generator,
            dtype=torch.complex64 if w.is_complex() else torch.float32,
        ).to(w)
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
        Dimension 0 of a transposed convolution is its input channel, of an embedding a word; the
        formula is the same.
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
        w = weights[name].detach()
        if d.ndim <= 1:
            scaled[name] = torch.zeros_like(d) if one_dimensional == "ignore" else w.clone()
            continue
        over = tuple(range(1, d.ndim)) if how == "filter" else tuple(range(d.ndim))
        precise = torch.promote_types(d.dtype, torch.float32)  # 1e-10 is nothing in half precision
        norms = [torch.linalg.vector_norm(t, dim=over, keepdim=True, dtype=precise) for t in (w, d)]
        scaled[name] = (d * (norms[0] / (norms[1] + 1e-10))).to(d.dtype)
    return scaled
