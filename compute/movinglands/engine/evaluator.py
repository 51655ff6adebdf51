"""The loss at points of a plane, as fast as this machine can: the plan is found by ``tuning``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..evaluation.objective import Objective
from ..planes.plane import Plane
from ..planes.weights import Weights, working_dtype
from .launcher import Launcher
from .plan import Plan
from .tuning import tuned


class Evaluator:
    """An objective on a plane: give it points, it gives values.

    Parameters
    ----------
    objective : Objective
        What is measured.
    plane : Plane
        Its directions; its origin is where the window is until ``place`` moves it.
    packages : Path
        A folder for what is compiled; found there again, it is not compiled again.
    plan : Plan, optional
        How; by default the plain way, until ``tune`` finds a better one.
    """

    def __init__(
        self, objective: Objective, plane: Plane, packages: Path, plan: Plan | None = None
    ) -> None:
        self.objective, self.packages = objective, packages
        plane = plane.to(objective.device)
        weights = objective.weights()  # whose precision counts, whatever the plane's
        origin = {name: w.to(weights[name].dtype).clone() for name, w in plane.origin.items()}
        u, v = (
            {name: d.to(working_dtype(origin[name])) for name, d in axis.items()}
            for axis in (plane.u, plane.v)
        )
        buffers = {name: b.clone() for name, b in objective.buffers().items()}
        self.state: list[Weights] = [origin, u, v, buffers]
        self._launcher: Launcher | None = None
        self.use(plan or Plan())

    def place(self, weights: Weights, buffers: dict[str, Tensor]) -> None:
        """Move the window's centre to weights, with the buffers that belong to them."""
        for mine, given in ((self.state[0], weights), (self.state[3], buffers)):
            for name, tensor in mine.items():  # in place: a captured graph reads from there
                tensor.copy_(given[name])
        if self._launcher:
            self._launcher.follow(self.state)

    def __call__(self, points: NDArray[np.float64], index: NDArray[np.int64]) -> NDArray:
        """Evaluate points of the plane.

        Parameters
        ----------
        points : ndarray
            ``(n, 2)``: alpha and beta of each, from the window's centre.
        index : ndarray
            ``(n,)``: the number of each in the grid, from which its randomness comes.

        Returns
        -------
        ndarray
            ``(n, k)``, float32 (float64 for a float64 network): the objective's values.
        """
        assert self._launcher is not None
        return self._launcher(points, index)

    def tune(self, points: int, compiling: bool | None = None) -> Plan:
        """Find the fastest plan by measuring, and use it from now on.

        Parameters
        ----------
        points : int
            How many are to be evaluated in all: compiling a short job does not pay.
        compiling : bool, optional
            Whether to compile; by default where it pays and a compiler is there.
        """
        self.use(tuned(self.objective, self.launcher, points, compiling))
        return self.plan

    def launcher(self, plan: Plan) -> Launcher:
        """Return what evaluates by a plan, for the time being beside what this one uses."""
        return Launcher(self.objective, self.state, self.packages, plan)

    def use(self, plan: Plan) -> None:
        """Evaluate by this plan from now on."""
        self.close()
        self.plan = plan
        self._launcher = self.launcher(plan)

    def close(self) -> None:
        """End the workers."""
        if self._launcher:
            self._launcher.close()


def grid(alpha: NDArray[np.float64], beta: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the points ``(rows * cols, 2)`` of a grid, beta (rows) varying slowest."""
    b, a = np.meshgrid(beta, alpha, indexing="ij")
    return np.stack([a.ravel(), b.ravel()], axis=1)
