"""The plane through three networks."""

from __future__ import annotations

from dataclasses import replace

import torch

from ..errors import UserError
from .axes import listed, plane_of_axes, rounding
from .plane import Plane
from .weights import Weights, check, flatten


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
    noise = rounding(w0) * torch.stack([base, base + u, base + v]).norm().item()
    if u.norm() > noise:
        v -= v.dot(u) / u.dot(u) * u
    if not (u.norm() > noise and v.norm() > noise):  # so that NaN is refused too
        raise UserError(
            "The three points lie on one line, or are not finite: a plane takes three that do not."
        )
    plane = plane_of_axes(w0, torch.stack([u, v]), length, {"directions": "through three points"})
    places = ", ".join(f"({listed(plane.project(w))})" for w in (w0, w1, w2))
    return replace(plane, attrs={**plane.attrs, "points": places})
