"""How far to look on a plane."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ..errors import UserError


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
