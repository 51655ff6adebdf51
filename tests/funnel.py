"""A land for the add-on's tests that behaves as real ones do."""

import numpy as np

from movinglands.sequence import Frame, SurfaceData

FRAMES, SIZE = 6, 33


def funnel(frames: int = FRAMES, size: int = SIZE, complete: int | None = None) -> SurfaceData:
    """A plateau with folds that sinks into a funnel, as real ones do; odd, so it has a middle."""
    axis = np.linspace(-1.2, 1.2, size)
    b, a = np.meshgrid(axis, axis, indexing="ij")
    folds = 2.4 + 0.4 * np.sin(5 * a + 2 * b) * (a**2 + b**2) + a**2
    depths = np.geomspace(1.0, 0.02, frames)
    losses = [
        (folds * (1 - (1 - d) * np.exp(-4 * (a**2 + b**2)))).astype(np.float32) for d in depths
    ]
    middle = size // 2
    lowest = [float(loss[middle, middle]) for loss in losses]
    return SurfaceData(
        alpha=axis,
        beta=axis,
        step=np.arange(frames) * 50,
        origin=np.zeros((frames, 2)),
        minimizer=np.column_stack([np.zeros(frames), np.zeros(frames), lowest]),
        frame=lambda t: Frame(losses[t]) if t < (complete or frames) else None,
        attrs={"network": "a funnel", "data": "none", "batch": 8, "mode": "train"},
    )
