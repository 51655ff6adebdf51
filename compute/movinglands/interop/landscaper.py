"""Surfaces of landscaper."""

from __future__ import annotations

from .arrays import Arrays, take
from .surface import ImportedSurface, Kind, Ranges


def read(arrays: Arrays, _: Ranges) -> ImportedSurface:
    """Read an .npz of landscaper: one axis of coordinates for each direction, loss indexed alike.

    The network is at the middle index, also where an even number of points has no middle.
    """
    alpha, beta = take(arrays, "coordinates", 2, "steps")
    loss = take(arrays, "loss", len(alpha), len(beta)).T
    middle = len(alpha) // 2
    return ImportedSurface(alpha, beta, loss, network=(float(alpha[middle]), float(beta[middle])))


KIND = Kind("npz", ("loss", "coordinates"), "landscaper", read)
