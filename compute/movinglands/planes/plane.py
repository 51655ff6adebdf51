"""Directions in weight space, and the plane two of them span.

Weights and directions are dictionaries of tensors by parameter name, as ``named_parameters``
gives them. Random directions follow Li et al. 2018 (arXiv 1712.09913): Gaussian, x drawn before
y, not orthogonalised, then normalised against the weights. A complex parameter counts as its real
and imaginary parts.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor, nn

from ..errors import UserError
from ..files import write_whole

Weights = dict[str, Tensor]

Attributes = dict[str, str | int | float]


@dataclass(frozen=True, eq=False)
class Plane:
    """The plane ``origin + alpha u + beta v``; u and v need be neither unit nor orthogonal.

    Attributes
    ----------
    origin, u, v : dict of Tensor
        Of the same names and shapes.
    attrs : dict
        How the plane was made, for the sequence file: ``directions``, ``normalisation`` and what
        else there is to know.

    Raises
    ------
    UserError
        Where names or shapes differ, or a parameter is not of floating point.
    """

    origin: Weights
    u: Weights
    v: Weights
    attrs: Attributes = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, w in self.origin.items():
            if not (w.is_floating_point() or w.is_complex()):
                raise UserError(
                    f"The plane's origin: {name} is {w.dtype}, expected floating-point weights."
                )
        check(self.u, self.origin, "The plane's direction u")
        check(self.v, self.origin, "The plane's direction v")

    def at(self, alpha: float, beta: float) -> Weights:
        """Return the weights at a point of the plane, formed from the origin afresh."""
        precise = torch.float32 if _device(self.origin).type == "mps" else torch.float64
        place = torch.tensor([alpha, beta], dtype=precise, device=_device(self.origin))
        return point_of(self.origin, self.u, self.v, *place)

    def project(self, weights: Weights) -> tuple[float, float]:
        """Return the plane coordinates of weights: least squares of their way from the origin.

        The axes are neither unit nor orthogonal, so the coordinates are not ``<d, u> / |u|``.
        Computed in float64, by the normal equations: LAPACK's solvers and BLAS's dot products
        round differently from one run to the next.

        Raises
        ------
        UserError
            Where the axes are linearly dependent.
        """
        check(weights, self.origin, "The point to project")
        d = {n: _double(weights[n].to(w.device)) - _double(w) for n, w in self.origin.items()}
        aa, ab, bb = self._gram
        ad, bd = _dot(self.u, d), _dot(self.v, d)
        determinant = aa * bb - ab * ab
        return (ad * bb - bd * ab) / determinant, (bd * aa - ad * ab) / determinant

    @cached_property
    def _gram(self) -> tuple[float, float, float]:
        aa, ab, bb = _dot(self.u, self.u), _dot(self.u, self.v), _dot(self.v, self.v)
        if not aa * bb - ab * ab > 1e-12 * aa * bb:  # so that NaN is refused too
            raise UserError(
                "The plane's directions u and v are linearly dependent: "
                "two that point different ways are needed to tell coordinates."
            )
        return aa, ab, bb

    def to(
        self, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> Plane:
        """Return the plane on another device, or of another (real) precision."""

        def moved(weights: Weights) -> Weights:
            return {
                name: w.to(device, dtype.to_complex() if dtype and w.is_complex() else dtype)
                for name, w in weights.items()
            }

        return replace(self, origin=moved(self.origin), u=moved(self.u), v=moved(self.v))

    def save(self, path: Path) -> None:
        """Write the plane to a file, whole."""
        buffer = io.BytesIO()
        torch.save({name: getattr(self, name) for name in ("origin", "u", "v", "attrs")}, buffer)
        write_whole(path, buffer.getvalue())

    @staticmethod
    def load(path: Path) -> Plane:
        """Read a plane that was saved, onto the CPU."""
        return Plane(**torch.load(path, map_location="cpu", weights_only=True))


def point_of(origin: Weights, u: Weights, v: Weights, alpha: Tensor, beta: Tensor) -> Weights:
    """Return ``origin + alpha u + beta v``, in each weight's own precision.

    Half-precision weights are moved in float32 and rounded once, as an optimizer would move them:
    coordinates are never rounded to the weights' precision.

    Parameters
    ----------
    origin, u, v : dict of Tensor
        Of the same names and shapes.
    alpha, beta : Tensor
        Scalars of floating point.
    """

    def moved(name: str, w: Tensor) -> Tensor:
        precise = working_dtype(w)
        a, b = (scalar.to(precise.to_real()) for scalar in (alpha, beta))
        return (w.to(precise) + a * u[name].to(precise) + b * v[name].to(precise)).to(w.dtype)

    return {name: moved(name, w) for name, w in origin.items()}


def working_dtype(w: Tensor) -> torch.dtype:
    """Return what weights are moved in: their own precision, float32 at least."""
    return torch.promote_types(w.dtype, torch.float32)


def _device(weights: Weights) -> torch.device:
    return next((w.device for w in weights.values()), torch.device("cpu"))


def weights_of(module: nn.Module) -> Weights:
    """Return a copy of what a plane can move: the parameters of floating point, no buffers.

    Tied parameters are one, under their first name.
    """
    return {
        name: p.detach().clone()
        for name, p in module.named_parameters()
        if p.is_floating_point() or p.is_complex()
    }


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


def check(weights: Weights, origin: Weights, what: str) -> None:
    """Refuse weights that are not of the origin's names and shapes; ``what`` opens the sentence."""
    for name in [*origin, *weights]:
        if name not in weights:
            raise UserError(f"{what}: {name} is missing.")
        if name not in origin:
            raise UserError(f"{what}: the network has no parameter {name}.")
        found, expected = tuple(weights[name].shape), tuple(origin[name].shape)
        if found != expected:
            raise UserError(f"{what}: {name} is of shape {found}, expected {expected}.")


def flatten(weights: Weights) -> Tensor:
    """Return all weights in one vector of float64, on their device where it has such numbers."""
    return torch.cat([_double(w).flatten() for w in weights.values()])


def unflatten(vector: Tensor, like: Weights) -> Weights:
    """Return a vector of `flatten` as weights of the shapes, precision and device of others."""
    sizes = [w.numel() * (2 if w.is_complex() else 1) for w in like.values()]
    shaped = {}
    for (name, w), part in zip(like.items(), vector.split(sizes), strict=True):
        if w.is_complex():
            part = torch.complex(*part.view(-1, 2).unbind(1))
        shaped[name] = part.view(w.shape).to(w)
    return shaped


def _double(w: Tensor) -> Tensor:
    """Return a tensor's real numbers in float64, which Apple's GPUs do not have."""
    w = w.detach()
    if w.device.type == "mps":
        w = w.cpu()
    return (torch.view_as_real(w) if w.is_complex() else w).double()


def _dot(a: Weights, b: Weights) -> float:
    """Return the scalar product of all weights, waiting for the device once."""
    return torch.stack([(_double(a[n]) * _double(b[n])).sum() for n in a]).sum().item()
