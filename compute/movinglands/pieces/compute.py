"""A recipe's whole computation: trained, then evaluated, resumable at every moment.

The journal beside the file holds the training's state and a snapshot for each frame; what the
surfaces need besides is in ``surfaces``.
"""

from __future__ import annotations

import io
from pathlib import Path

import torch
from torch import nn

from ..data.load import LoadedData, load
from ..engine.device import choose_device, device_name
from ..errors import UserError
from ..files import write_whole
from ..locks import file_lock
from ..planes.directions import directions_of
from ..progress import progress, say
from ..sequence import is_finished, open_sequence, update_recipe
from ..surfaces.compute import compute_sequence
from ..surfaces.journal import Room, check_room, discard, journal_of
from .measured import surface_of
from .recipe import load_recipe, read_recipe
from .schema import Recipe
from .training import Checkpoint, snapshot_steps, train

RECIPE = "recipe.toml"
"""The journal's copy of its recipe."""


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
    data = load(recipe.data).to(where)
    _check_surface(recipe, len(data.images))
    path.parent.mkdir(parents=True, exist_ok=True)
    with file_lock(path):
        if restart:  # only now that nothing else is in the way
            discard(journal)
        _open_journal(journal, recipe)
        say(f"Computing {recipe.title} on {device_name(where)}.")

        channels = data.images.shape[1]
        module = recipe.network.build(channels, recipe.data.size, data.classes).to(where)
        _train(recipe, module, data, journal)
        surface = surface_of(recipe, module, data, journal)
        return compute_sequence(
            path, surface, recipe.title, recipe.to_toml(), device, compiling, ray, replace=True
        )


def _is_complete(path: Path, recipe: Recipe) -> bool:
    with open_sequence(path) as file:
        made = read_recipe(str(file.attrs.get("recipe", "")), str(path)).computed()
        for key, value in recipe.computed().items():
            if (before := made.get(key)) != value:
                raise UserError(
                    f"{path} was made with {key} = {before!r}, now asked {value!r}: "
                    "give another file with -o, or --restart to replace it."
                )
        return is_finished(file)


def _is_journal_of(journal: Path, recipe: Recipe) -> bool:
    note = journal / RECIPE
    return note.exists() and load_recipe(note).computed() == recipe.computed()


def _open_journal(journal: Path, recipe: Recipe) -> None:
    (journal / "snapshots").mkdir(parents=True, exist_ok=True)
    note = journal / RECIPE
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
    try:
        directions_of(surface.directions)
    except ValueError as error:
        raise UserError(f"surface.directions.{error}") from None
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


def _train(recipe: Recipe, module: nn.Module, data: LoadedData, journal: Path) -> None:
    steps = snapshot_steps(recipe.training)
    saved = journal / "training.pt"
    start = Checkpoint(**torch.load(saved, weights_only=True)) if saved.exists() else None
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
