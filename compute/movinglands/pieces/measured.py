"""What a recipe measures around its training."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

from torch import Tensor, nn

from ..data.load import LoadedData
from ..evaluation.measure import Measure
from ..evaluation.objective import Objective
from ..planes.directions import Course, directions_of
from ..planes.plane import Plane
from ..planes.weights import weights_of
from ..snapshots.snapshots import Snapshots
from ..surfaces.surface import Surface
from .losses import classification, classification_with_accuracy
from .schema import Recipe
from .training import batch_of_step

CHUNK = 256
"""Images in a batch where the whole set counts."""


def surface_of(recipe: Recipe, module: nn.Module, data: LoadedData, journal: Path) -> Surface:
    """Return the surface that a recipe asks for, its plane kept in the journal."""
    wanted = recipe.surface
    measure = Measure(
        mode=wanted.mode,
        batch_norm=None if wanted.batch_norm == "mode" else wanted.batch_norm,
        minibatch=wanted.minibatch or None,
        noise=wanted.noise,
        seed=wanted.batch_seed,
        precision=wanted.precision,
    )
    surface = Surface(
        module=module,
        snapshots=Snapshots.in_folder(journal / "snapshots"),
        loss=classification_with_accuracy if wanted.accuracy else classification,
        batches=_batches(recipe, data.images, data.labels),
        resolution=wanted.resolution,
        range=wanted.range,
        window=wanted.window,
        measure=measure,
        test=_chunks(data.test_images, data.test_labels) if wanted.test else (),
        tolerance=wanted.tolerance or None,
        scale=recipe.look.scale,
        attrs=_attributes(recipe),
    )
    kept = journal / "plane.pt"  # as not all are found to the last bit
    if not kept.exists():
        directions_of(wanted.directions).plane(_course(recipe, surface)).save(kept)
    return replace(surface, plane=Plane.load(kept))


def _batches(recipe: Recipe, images: Tensor, labels: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Return what the loss is measured on: one fixed batch, or all there is."""
    surface = recipe.surface
    if surface.batch == 0 or surface.minibatch:
        return _chunks(images, labels)
    batch = batch_of_step(len(images), surface.batch, surface.batch_seed, 0).to(images.device)
    return [(images[batch], labels[batch])]


def _chunks(images: Tensor, labels: Tensor) -> list[tuple[Tensor, Tensor]]:
    return list(zip(images.split(CHUNK), labels.split(CHUNK), strict=True))


def _course(recipe: Recipe, surface: Surface) -> Course:
    """Return the training that a surface's plane is laid through."""
    snapshots, wanted = surface.snapshots, recipe.surface
    names = weights_of(surface.module)
    device = next(iter(names.values())).device

    def weights(t: int) -> dict[str, Tensor]:
        state = snapshots[t]
        return {name: state[name].to(device) for name in names}

    @cache
    def at_the_end() -> tuple[Objective, dict[str, Tensor]]:
        objective = Objective(surface.module, surface.loss, surface.batches, surface.measure)
        return objective, objective.buffers(snapshots[len(snapshots) - 1])

    def terms(w: dict[str, Tensor]) -> Iterator[Tensor]:
        """Yield the loss of one batch after the other, as all need not fit into memory."""
        objective, buffers = at_the_end()
        for term in objective.terms(w, buffers):
            yield term()

    return Course(
        weights,
        len(snapshots),
        terms,
        wanted.seed,
        wanted.normalisation,
        wanted.one_dimensional,
    )


def _attributes(recipe: Recipe) -> dict[str, str | int | float]:
    training, data = recipe.training, recipe.data
    decay = f"decay {training.weight_decay:g}, " if training.weight_decay else ""
    return {
        "network": recipe.network.described(),
        "data": f"{data.source or data.name}, {data.size} x {data.size}",
        "optimizer": f"SGD {training.learning_rate:g}, momentum {training.momentum:g}, {decay}"
        f"batch {training.batch}",
    }
