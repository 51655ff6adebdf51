"""The plane that two directions span in weight space."""

from __future__ import annotations

import io
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from ..errors import UserError
from ..files import write_whole
from .weights import Weights, check, dot, real_double, working_dtype

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
        d = {
            n: real_double(weights[n].to(w.device)) - real_double(w) for n, w in self.origin.items()
        }
        aa, ab, bb = self._gram
        ad, bd = dot(self.u, d), dot(self.v, d)
        determinant = aa * bb - ab * ab
        return (ad * bb - bd * ab) / determinant, (bd * aa - ad * ab) / determinant

    @cached_property
    def _gram(self) -> tuple[float, float, float]:
        aa, ab, bb = dot(self.u, self.u), dot(self.u, self.v), dot(self.v, self.v)
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


def _device(weights: Weights) -> torch.device:
    return next((w.device for w in weights.values()), torch.device("cpu"))
