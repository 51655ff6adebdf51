"""What a recipe measures around its training."""

from __future__ import annotations

from collections.abc import Iterator
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
    snapshots = Snapshots.in_folder(journal / "snapshots")
    loss = classification_with_accuracy if wanted.accuracy else classification
    batches = _batches(recipe, data.images, data.labels)
    return Surface(
        module=module,
        snapshots=snapshots,
        loss=loss,
        batches=batches,
        plane=_plane(recipe, module, snapshots, Objective(module, loss, batches, measure), journal),
        resolution=wanted.resolution,
        range=wanted.range,
        window=wanted.window,
        measure=measure,
        test=_chunks(data.test_images, data.test_labels) if wanted.test else (),
        tolerance=wanted.tolerance or None,
        scale=recipe.look.scale,
        attrs=_attributes(recipe),
    )


def _batches(recipe: Recipe, images: Tensor, labels: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Return what the loss is measured on: one fixed batch, or all there is."""
    surface = recipe.surface
    if surface.batch == 0 or surface.minibatch:
        return _chunks(images, labels)
    batch = batch_of_step(len(images), surface.batch, surface.batch_seed, 0).to(images.device)
    return [(images[batch], labels[batch])]


def _chunks(images: Tensor, labels: Tensor) -> list[tuple[Tensor, Tensor]]:
    return list(zip(images.split(CHUNK), labels.split(CHUNK), strict=True))


def _plane(
    recipe: Recipe, module: nn.Module, snapshots: Snapshots, objective: Objective, journal: Path
) -> Plane:
    """Return the recipe's plane; the journal keeps it, as not all are found to the last bit."""
    kept, surface = journal / "plane.pt", recipe.surface
    if kept.exists():
        return Plane.load(kept)
    names = weights_of(module)
    device = next(iter(names.values())).device

    def weights(t: int) -> dict[str, Tensor]:
        state = snapshots[t]
        return {name: state[name].to(device) for name in names}

    last = len(snapshots) - 1
    buffers = objective.buffers(snapshots[last])

    def terms(w: dict[str, Tensor]) -> Iterator[Tensor]:
        """Yield the loss of one batch after the other, as all need not fit into memory."""
        for term in objective.terms(w, buffers):
            yield term()

    course = Course(
        weights,
        len(snapshots),
        terms,
        surface.seed,
        surface.normalisation,
        surface.one_dimensional,
    )
    plane = directions_of(surface.directions).plane(course)
    plane.save(kept)
    return plane


def _attributes(recipe: Recipe) -> dict[str, str | int | float]:
    training, data = recipe.training, recipe.data
    decay = f"decay {training.weight_decay:g}, " if training.weight_decay else ""
    return {
        "network": recipe.network.described(),
        "data": f"{data.source or data.name}, {data.size} x {data.size}",
        "optimizer": f"SGD {training.learning_rate:g}, momentum {training.momentum:g}, {decay}"
        f"batch {training.batch}",
    }
