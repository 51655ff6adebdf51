"""What refining saves, and what it costs: GENTLY's frames against their full grids.

Three frames, an early one, one in the middle and the last; the figures are those of the worst.
Each grid is measured whole first, and refining then asks it for its points, which have the same
values whoever asks for them.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from movinglands.data.load import load
from movinglands.engine.evaluator import Evaluator
from movinglands.engine.refine import refine
from movinglands.pieces import compute
from movinglands.pieces.measured import surface_of
from movinglands.pieces.recipe import find_recipe, load_recipe
from movinglands.surfaces.job import SurfaceJob

from .report import Row

RESOLUTION = 548
TOLERANCE = 0.005
FRAMES = (2, 24, 47)


def bench() -> Iterator[Row]:
    """Measure and refine the frames."""
    savings, errors, seconds = {}, {}, 0.0
    with tempfile.TemporaryDirectory() as folder:
        shot = gently(Path(folder), RESOLUTION)
        evaluator = Evaluator(shot.objective, shot.plane, Path(folder))
        evaluator.place(*shot.centre(FRAMES[-1]))
        evaluator.tune(len(FRAMES) * shot.points, compiling=True)
        index = np.arange(shot.points)
        for t in FRAMES:
            evaluator.place(*shot.centre(t))
            exact = evaluator(shot.coordinates(index), index)[:, 0]
            start = time.perf_counter()
            refined = refine(exact.__getitem__, RESOLUTION, RESOLUTION, tolerance=TOLERANCE)
            seconds += time.perf_counter() - start
            savings[t] = shot.points / np.count_nonzero(refined.evaluated == 1)
            heights = np.log(exact.astype(float)).reshape(refined.loss.shape)
            wrong = np.abs(np.log(refined.loss.astype(float)) - heights)
            errors[t] = wrong.max() / np.ptp(heights)
        evaluator.close()
    ours = ", ".join(f"frame {t}: {savings[t]:.3g}" for t in FRAMES)
    beside = f"times fewer points than {RESOLUTION} x {RESOLUTION}, the worst of {len(FRAMES)}"
    yield Row("refine.saving", min(savings.values()), ours, beside)
    ours = ", ".join(f"frame {t}: {errors[t]:.2g}" for t in FRAMES)
    beside = f"of the height range; asked for {TOLERANCE}"
    yield Row("refine.max_error", max(errors.values()), ours, beside)
    yield Row("refine.seconds", seconds / len(FRAMES), "for a frame, besides measuring")


def gently(folder: Path, resolution: int) -> SurfaceJob:
    """Train GENTLY from its recipe; return what its frames are evaluated with."""
    recipe = load_recipe(find_recipe("gently"), changes={"surface.resolution": resolution})
    data = load(recipe.data)
    module = recipe.network.build(1, recipe.data.size, data.classes)
    (folder / "snapshots").mkdir()
    compute._train(recipe, module, data, folder)
    surface = surface_of(recipe, module, data, folder)
    return SurfaceJob(surface, folder, torch.device("cpu"))
