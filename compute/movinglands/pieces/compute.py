"""A recipe's whole computation: trained, then evaluated, resumable at every moment.

The journal beside the file holds the training's state and a snapshot for each frame; what the
surfaces need besides is in ``surfaces``.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..data import sets as datasets
from ..engine.device import choose_device, device_name
from ..errors import UserError
from ..evaluation.measure import Measure
from ..evaluation.objective import Objective
from ..files import file_lock, write_whole
from ..networks import convnet as networks
from ..planes.hessian import hessian_plane
from ..planes.pca import trajectory_plane
from ..planes.plane import Plane
from ..planes.random import random_plane
from ..planes.weights import weights_of
from ..progress import progress, say
from ..sequence import is_finished, open_sequence, update_recipe
from ..snapshots.snapshots import Snapshots
from ..surfaces.compute import compute_sequence
from ..surfaces.journal import Room, check_room, discard, journal_of
from ..surfaces.surface import Surface
from .recipe import Recipe, load_recipe, read_recipe
from .training import Snapshot, batch_of_step, snapshot_steps, train

NOTE = "recipe.toml"
"""The journal's copy of its recipe."""

CHUNK = 256
"""Images in a batch where the whole set counts."""


def compute(
    recipe: Recipe,
    path: str | Path,
    device: str = "auto",
    restart: bool = False,
    compiling: bool | None = None,
    ray: str | None = None,
) -> bool:
    """Compute a recipe's sequence, or go on with it.

    Parameters
    ----------
    recipe : Recipe
        What to compute.
    path : path
        The sequence file; its journal is ``<path>.journal``.
    restart : bool
        Begin anew, whatever is there. A sequence stays until there is something to replace it with;
        a restart that was interrupted goes on without another.
    device, compiling, ray
        As in ``compute_sequence``.

    Returns
    -------
    bool
        False where everything was there already.

    Raises
    ------
    UserError
        Where the file or its journal holds another recipe, another process is at it, a batch is
        larger than the data, there is no room for the result, or the training diverges.
    """
    path = Path(path)
    journal = journal_of(path)
    going_on = not restart and _is_journal_of(journal, recipe)
    if path.exists() and not going_on:
        if restart:
            open_sequence(path).close()  # what is no sequence is not ours to replace
        elif _is_complete(path, recipe):
            with file_lock(path):
                update_recipe(path, recipe.title, recipe.to_toml())
                discard(journal)  # of a run killed at its very end
            return False
    _check_room(recipe, path)
    where = choose_device(device, ray)
    data = datasets.load(recipe.data).to(where)
    _check_surface(recipe, len(data.images))
    path.parent.mkdir(parents=True, exist_ok=True)
    with file_lock(path):
        if restart:  # only now that nothing else is in the way
            discard(journal)
        _open_journal(journal, recipe)
        say(f"Computing {recipe.title} on {device_name(where)}.")

        network = recipe.network
        module = networks.convnet(
            data.images.shape[1], network.width, network.depth, data.classes, network.seed
        ).to(where)
        _train(recipe, module, data, journal)
        surface = _surface(recipe, module, data, journal)
        return compute_sequence(
            path, surface, recipe.title, recipe.to_toml(), device, compiling, ray, replace=True
        )


def _is_complete(path: Path, recipe: Recipe) -> bool:
    with open_sequence(path) as file:
        made = read_recipe(str(file.attrs.get("recipe", "")), str(path)).computed()
        for key, value in recipe.computed().items():
            if made[key] != value:
                raise UserError(
                    f"{path} was made with {key} = {made[key]!r}, now asked {value!r}: "
                    "give another file with -o, or --restart to replace it."
                )
        return is_finished(file)


def _is_journal_of(journal: Path, recipe: Recipe) -> bool:
    note = journal / NOTE
    return note.exists() and load_recipe(note).computed() == recipe.computed()


def _open_journal(journal: Path, recipe: Recipe) -> None:
    (journal / "snapshots").mkdir(parents=True, exist_ok=True)
    note = journal / NOTE
    if note.exists() and not _is_journal_of(journal, recipe):
        raise UserError(
            f"{journal} holds the beginning of another recipe: give another file with -o, "
            "or --restart to begin anew."
        )
    write_whole(note, recipe.to_toml().encode())


def _check_room(recipe: Recipe, path: Path) -> None:
    surface = recipe.surface
    frames = len(snapshot_steps(recipe.training))
    missing = frames if surface.window == "travelling" else 1
    values = (1 + surface.accuracy) * (1 + surface.test)
    check_room(path, [Room(surface.resolution**2, frames, missing, values)])


def _check_surface(recipe: Recipe, images: int) -> None:
    """Refuse before the training what would be refused after it."""
    surface = recipe.surface
    for key, batch in (
        ("training.batch", recipe.training.batch),
        ("surface.batch", surface.batch),
        ("surface.minibatch", surface.minibatch),
    ):
        if batch > images:
            name = recipe.data.source or recipe.data.name
            raise UserError(f"{key} = {batch}: {name} has {images} training images: ask for less.")
    if surface.minibatch and surface.test:
        raise UserError(
            f"surface.minibatch = {surface.minibatch}: goes without surface.test, "
            "expected only one of the two."
        )
    if surface.tolerance and (surface.accuracy or surface.test):
        raise UserError(
            f"surface.tolerance = {surface.tolerance}: a refined surface has its loss only, "
            "expected neither surface.accuracy nor surface.test."
        )


def _snapshot_file(journal: Path, step: int) -> Path:
    return journal / "snapshots" / f"{step:09d}.pt"


def _save(path: Path, content: object) -> None:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_whole(path, buffer.getvalue())


def _train(recipe: Recipe, module: nn.Module, data: datasets.DataSet, journal: Path) -> None:
    steps = snapshot_steps(recipe.training)
    saved = journal / "training.pt"
    start = Snapshot(**torch.load(saved, weights_only=True)) if saved.exists() else None
    done = 0 if start is None else steps.index(start.step) + 1
    with progress("training", len(steps), done, "snapshot") as bar:
        for snapshot in train(module, data, recipe.training, steps, start):
            if not all(bool(w.isfinite().all()) for w in snapshot.module.values()):
                raise UserError(
                    f"The training diverged before step {snapshot.step}, and no plane goes "
                    "through infinite weights: lower training.learning_rate or training.steps."
                )
            # The snapshot first: whoever reads training.pt may rely on all before it.
            kept = {"module": snapshot.module, "scalars": snapshot.scalars}
            _save(_snapshot_file(journal, snapshot.step), kept)
            _save(saved, vars(snapshot))
            bar.update()


def classification(module: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    """Return the cross entropy of a batch of inputs and labels."""
    inputs, labels = batch
    return F.cross_entropy(module(inputs), labels)


def classification_with_accuracy(
    module: nn.Module, batch: tuple[Tensor, Tensor]
) -> dict[str, Tensor]:
    """Return the cross entropy and the accuracy, 0 to 1, of a batch."""
    inputs, labels = batch
    answers = module(inputs)
    accuracy = (answers.argmax(1) == labels).float().mean()
    return {"loss": F.cross_entropy(answers, labels), "accuracy": accuracy}


def _surface(recipe: Recipe, module: nn.Module, data: datasets.DataSet, journal: Path) -> Surface:
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
    if surface.directions == "trajectory":
        plane = trajectory_plane(weights, len(snapshots), length="weights")
    elif surface.directions == "hessian":
        buffers = objective.buffers(snapshots[last])

        def terms(w: dict[str, Tensor]) -> Iterator[Tensor]:
            """Yield the loss of one batch after the other, as all need not fit into memory."""
            for term in objective.terms(w, buffers):
                yield term()

        plane = hessian_plane(terms, weights(last), surface.seed, length="weights")
    else:
        plane = random_plane(
            weights(last), surface.seed, surface.normalisation, surface.one_dimensional
        )
    plane.save(kept)
    return plane


def _attributes(recipe: Recipe) -> dict[str, str | int | float]:
    network, training, data = recipe.network, recipe.training, recipe.data
    decay = f"decay {training.weight_decay:g}, " if training.weight_decay else ""
    return {
        "network": f"{network.name}, {network.depth} convolutions of {network.width}",
        "data": f"{data.source or data.name}, {data.size} x {data.size}",
        "optimizer": f"SGD {training.learning_rate:g}, momentum {training.momentum:g}, {decay}"
        f"batch {training.batch}",
    }
