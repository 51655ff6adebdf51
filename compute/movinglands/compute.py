"""The whole computation: a recipe in, a sequence file out, resumable at every moment.

Beside the file lies its journal, a folder of small files, each written whole: the state of the
training, a snapshot for each frame, the losses of each frame. What is there is not done again;
when the sequence is complete the journal goes.
"""

from __future__ import annotations

import io
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from tqdm import tqdm

from . import data as datasets
from . import networks
from .directions import Weights, random_plane, weights_of
from .errors import UserError
from .evaluate import LossOfWeights, evaluate, grid, loss_of_weights
from .files import write_whole
from .recipe import Recipe, load_recipe, read_recipe
from .sequence import (
    Frame,
    SurfaceData,
    complete_frames,
    open_sequence,
    update_recipe,
    write_sequence,
)
from .training import Snapshot, batch_of_step, snapshot_steps, train

NOTE = "recipe.toml"
"""In a journal: what it is the journal of."""

PUBLISH_EVERY = 30.0
"""Seconds between two renewals of a growing file."""


def compute(recipe: Recipe, path: Path, device: str = "auto", restart: bool = False) -> bool:
    """Compute a recipe's sequence, or go on with it.

    Parameters
    ----------
    recipe : Recipe
        What to compute.
    path : Path
        The sequence file; its journal is ``<path>.journal``.
    device : str
        A torch device, or "auto": CUDA, else MPS, else the CPU.
    restart : bool
        Begin anew over a sequence that is there. It is replaced when there is something to replace
        it with; a restart that was interrupted goes on.

    Returns
    -------
    bool
        False where everything was there already.

    Raises
    ------
    UserError
        Where the file or its journal holds another recipe, a batch is larger than the data, there
        is no room for the result, or the training diverges.
    """
    journal = path.with_name(path.name + ".journal")
    going_on = _is_journal_of(journal, recipe)
    if path.exists() and not going_on:
        if restart:
            open_sequence(path).close()  # what is no sequence is not ours to replace
        elif _is_complete(path, recipe):
            update_recipe(path, recipe.title, recipe.to_toml())
            shutil.rmtree(journal, ignore_errors=True)  # of a run killed at its very end
            return False
    path.parent.mkdir(parents=True, exist_ok=True)
    _check_room(recipe, path.parent)
    where = choose_device(device)
    data = datasets.load(recipe.data).to(where)
    _check_batches(recipe, len(data.images))
    if restart and not going_on:  # only now that nothing else is in the way
        shutil.rmtree(journal, ignore_errors=True)
    _open_journal(journal, recipe)
    print(f"Computing {recipe.title} on {_name_of(where)}.")

    module = networks.convnet(
        data.images.shape[1],
        recipe.network.width,
        recipe.network.depth,
        data.classes,
        recipe.network.seed,
    ).to(where)
    _train(recipe, module, data, journal)
    _evaluate(recipe, _Shot(recipe, module, data, journal), path)
    (journal / NOTE).unlink()  # first: half a journal must not look like one to go on with
    shutil.rmtree(journal)
    return True


def choose_device(name: str) -> torch.device:
    """Return the torch device of a name; "auto" is CUDA, else MPS, else the CPU."""
    if name == "auto":
        name = "cpu"
        if torch.cuda.is_available():
            name = "cuda"
        elif torch.backends.mps.is_available():
            name = "mps"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError):
        raise UserError(f"--device {name}: torch finds no such device here.") from None
    return device


def _name_of(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{torch.get_num_threads()} CPU threads" if device.type == "cpu" else device.type


def _is_complete(path: Path, recipe: Recipe) -> bool:
    with open_sequence(path) as file:
        made = read_recipe(str(file.attrs.get("recipe", "")), str(path)).computed()
        for key, value in recipe.computed().items():
            if made[key] != value:
                raise UserError(
                    f"{path} was made with {key} = {made[key]!r}, now asked {value!r}: "
                    "give another file with -o, or --restart to replace it."
                )
        return all(complete_frames(group).all() for group in file["surfaces"].values())


def _is_journal_of(journal: Path, recipe: Recipe) -> bool:
    note = journal / NOTE
    return note.exists() and load_recipe(note).computed() == recipe.computed()


def _open_journal(journal: Path, recipe: Recipe) -> None:
    for folder in ("snapshots", "frames"):
        (journal / folder).mkdir(parents=True, exist_ok=True)
    note = journal / NOTE
    if note.exists() and not _is_journal_of(journal, recipe):
        raise UserError(
            f"{journal} holds the beginning of another recipe: give another file with -o, "
            "or --restart to begin anew."
        )
    write_whole(note, recipe.to_toml().encode())


def _check_batches(recipe: Recipe, images: int) -> None:
    for key, batch in (
        ("training.batch", recipe.training.batch),
        ("surface.batch", recipe.surface.batch),
    ):
        if batch > images:
            name = recipe.data.source or recipe.data.name
            raise UserError(f"{key} = {batch}: {name} has {images} training images: ask for less.")


def _check_room(recipe: Recipe, folder: Path) -> None:
    points = recipe.surface.resolution**2
    needed = 2 * 4 * points * len(snapshot_steps(recipe.training))
    free = shutil.disk_usage(folder).free
    asked = f"surface.resolution = {recipe.surface.resolution}"
    if needed > free:
        raise UserError(f"{asked} takes {_gb(needed)} of disk, {_gb(free)} are free: ask for less.")
    if not hasattr(os, "sysconf"):  # Windows does not tell
        return
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if 40 * points > memory:  # a frame's coordinates and losses
        raise UserError(f"{asked} takes {_gb(40 * points)} of memory, there are {_gb(memory)}.")


def _gb(amount: float) -> str:
    return f"{amount / 1e9:.1f} GB"


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
    with _progress("training", len(steps), done, "snapshot") as progress:
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
            progress.update()


def _progress(label: str, total: int, done: int, unit: str) -> tqdm:
    return tqdm(desc=f"{label:>9}", total=total, initial=done, unit=f" {unit}", mininterval=0.5)


class _Shot:
    """The plane of a sequence, frame by frame, from the snapshots in the journal."""

    def __init__(
        self, recipe: Recipe, module: nn.Module, data: datasets.DataSet, journal: Path
    ) -> None:
        self.recipe, self.module, self.journal = recipe, module, journal
        self.steps = snapshot_steps(recipe.training)
        surface = recipe.surface
        self.travelling = surface.window == "travelling"
        batch = batch_of_step(len(data.images), surface.batch, surface.batch_seed, 0)
        batch = batch.to(data.images.device)
        self.images, self.labels = data.images[batch], data.labels[batch]
        self.coordinates = np.linspace(-surface.range, surface.range, surface.resolution)
        self.final, _ = self.network(len(self.steps) - 1)
        self.plane = random_plane(
            self.final, surface.seed, surface.normalisation, surface.one_dimensional
        )

    def network(self, t: int) -> tuple[Weights, LossOfWeights]:
        """Return the weights of frame t, and the loss as a function of weights around them."""
        saved = torch.load(_snapshot_file(self.journal, self.steps[t]), weights_only=True)
        self.module.load_state_dict(saved["module"])
        weights = weights_of(self.module)
        mode = self.recipe.surface.mode
        loss = loss_of_weights(self.module, F.cross_entropy, self.images, self.labels, mode)
        return weights, loss

    def evaluate(self, t: int) -> Iterator[torch.Tensor]:
        """Evaluate frame t, a launch at a time, row after row.

        A fixed window shows the final network, its stored BatchNorm statistics too, and so the
        same land in every frame: only the minimizer moves.
        """
        if not self.travelling and (known := self.losses(0)) is not None:
            yield torch.from_numpy(known).flatten()
            return
        weights, of_weights = self.network(t if self.travelling else len(self.steps) - 1)
        axis = torch.from_numpy(self.coordinates).float().to(self.images.device)
        yield from evaluate(of_weights, weights, self.plane.u, self.plane.v, grid(axis, axis))

    def describe(self) -> SurfaceData:
        """Gather all that is known before any frame is evaluated."""
        count = len(self.steps)
        origin, minimizer = np.zeros((count, 2)), np.zeros((count, 3))
        scalars: dict[str, np.ndarray] = {}
        for t in range(count):
            weights, of_weights = self.network(t)
            minimizer[t, :2] = self.plane.project(weights)
            with torch.no_grad():
                minimizer[t, 2] = of_weights(weights).item()
            if self.travelling:
                origin[t] = minimizer[t, :2]
            saved = torch.load(_snapshot_file(self.journal, self.steps[t]), weights_only=True)
            for name, value in saved["scalars"].items():
                scalars.setdefault(name, np.zeros(count))[t] = value
        return SurfaceData(
            alpha=self.coordinates,
            beta=self.coordinates,
            step=np.array(self.steps),
            origin=origin,
            minimizer=minimizer,
            frame=self.frame,
            scalars=scalars,
            attrs=_attributes(self.recipe, sum(w.numel() for w in self.final.values())),
        )

    def file(self, t: int) -> Path:
        """Return where the journal keeps the losses of frame t."""
        return self.journal / "frames" / f"{t:06d}.npy"

    def frame(self, t: int) -> Frame | None:
        """Return frame t, or None while it is missing."""
        return None if (losses := self.losses(t)) is None else Frame(losses)

    def losses(self, t: int) -> np.ndarray | None:
        """Return the losses of frame t, or None while they are missing."""
        return np.load(self.file(t)) if self.file(t).exists() else None


def _attributes(recipe: Recipe, parameters: int) -> dict[str, object]:
    network, training, surface = recipe.network, recipe.training, recipe.surface
    decay = f"decay {training.weight_decay:g}, " if training.weight_decay else ""
    return {
        "network": f"{network.name}, {network.depth} convolutions of {network.width}",
        "parameters": parameters,
        "data": f"{recipe.data.name}, {recipe.data.size} x {recipe.data.size}",
        "optimizer": f"SGD {training.learning_rate:g}, momentum {training.momentum:g}, {decay}"
        f"batch {training.batch}",
        "batch": surface.batch,
        "mode": surface.mode,
        "directions": f"random, seed {surface.seed}",
        "normalisation": f"{surface.normalisation}, of the final weights; "
        f"one-dimensional: {surface.one_dimensional}",
        "window": surface.window,
    }


def _evaluate(recipe: Recipe, shot: _Shot, path: Path) -> None:
    surface = shot.describe()

    def publish() -> None:
        write_sequence(path, recipe.title, recipe.to_toml(), {"network": surface})

    missing = [t for t in range(len(shot.steps)) if not shot.file(t).exists()]
    size = recipe.surface.resolution
    total = len(shot.steps) * size**2
    done = total - len(missing) * size**2
    published = time.monotonic()
    with _progress("surfaces", total, done, "point") as progress:
        for t in missing:
            losses = []
            for launched in shot.evaluate(t):
                losses.append(launched)
                progress.update(len(launched))
            buffer = io.BytesIO()
            np.save(buffer, torch.cat(losses).reshape(size, size).cpu().numpy())
            write_whole(shot.file(t), buffer.getvalue())
            if time.monotonic() - published > PUBLISH_EVERY:
                publish()
                published = time.monotonic()
    publish()
