"""Loss surfaces of any network along its training: from snapshots to a sequence file, resumable.

Beside the file lies its journal, a folder of small files, each written whole: the plan, tiles of
points, finished frames. What is there is not done again; when the sequence is complete the journal
goes. Only this process writes, wherever the points are evaluated, and a reader of the file never
waits and never meets half of it.
"""

from __future__ import annotations

import dataclasses
import io
import json
import operator
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

from . import randomness
from .batches import Batch, Count, gathered, mapped
from .check import check_mean, check_network
from .copies import copied
from .directions import Plane, random_plane, weights_of
from .errors import UserError
from .evaluate import Evaluator, Plan
from .files import write_whole
from .fingerprint import Fingerprint
from .measure import Measure
from .objective import Loss, Objective
from .progress import progress
from .refine import refine
from .sequence import Frame, SurfaceData, finished_frames, open_sequence, write_sequence
from .snapshots import Snapshots, State, unwrapped
from .tuning import place_of

if TYPE_CHECKING:
    from .cluster import Cluster

NOTE = "surfaces.json"
"""In a journal: what its tiles and frames are of."""

FOLDER = "surfaces"
"""In a journal: a folder for each surface, so that none is called as something else in it."""

PUBLISH_EVERY = 30.0
"""Seconds between two renewals of a growing file, at least."""

WINDOWS = ("travelling", "fixed")

STARTED_HERE = ("", "local")
"""What asks for a Ray on this machine, in the place of an address."""


@dataclass(frozen=True, eq=False)
class Surface:
    """A network, its training, and what to measure around it.

    Attributes
    ----------
    module : nn.Module
        The network; it is copied, and left as it is.
    snapshots : Snapshots
        Its states along the training: a frame each.
    loss : callable
        From a module and a batch to a scalar, or to scalars by name, one of them ``"loss"``;
        ``"weight"`` is what the batch counts for, the others are metrics.
    batches : iterable of batches
        The loss is the exact mean over all of them, each weighted by its samples or its weight.
        For one fixed batch, a list of one.
    plane : Plane, optional
        By default two random directions, filter-normalised to the last snapshot, seed 0.
    resolution : int or (int, int)
        Points a side, or rows (beta) and columns (alpha).
    range : float
        Half the window's width, in units of the directions.
    window : {"travelling", "fixed"}
        Centred on the current weights, or on the plane's origin with the last snapshot's buffers.
    measure : Measure
        Modes, BatchNorm, randomness, precision.
    test : iterable of batches
        Held-out ones, whose loss and metrics are kept beside the surface.
    tolerance : float, optional
        Measure only where interpolation is wrong by more than this part of the height range.
    scale : {"log", "linear", "symlog"}
        Of the heights that ``tolerance`` is meant in.
    count : callable, optional
        From a batch to how many samples it holds, where its tensors do not say so by their first
        dimensions. A loss that is a mean over something else returns a ``"weight"`` instead.
    attrs : dict
        More to record with the surface: ``network``, ``data``, ``optimizer`` ...

    Raises
    ------
    UserError
        For a window there is not, a resolution that is none or below 2, a range of nothing, or an
        attribute that is neither text nor a number.
    """

    module: nn.Module
    snapshots: Snapshots
    loss: Loss
    batches: Iterable[Batch]
    plane: Plane | None = None
    resolution: int | tuple[int, int] = 161
    range: float = 1.0
    window: str = "travelling"
    measure: Measure = field(default_factory=Measure)
    test: Iterable[Batch] = ()
    tolerance: float | None = None
    scale: str = "log"
    count: Count | None = None
    attrs: dict[str, str | int | float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.window not in WINDOWS:
            expected = " or ".join(WINDOWS)
            raise UserError(f"window: expected {expected}, got {self.window!r}.")
        try:
            fits = min(self.shape) >= 2
        except (TypeError, ValueError):  # a fraction, three numbers
            fits = False
        if not fits:
            raise UserError(
                f"resolution = {self.resolution}: expected 2 points a side at least, as a whole "
                "number or as (rows, columns)."
            )
        if not 0 < self.range < np.inf:
            raise UserError(f"range = {self.range}: expected half the window's width, above 0.")
        plain = {n: v.item() if isinstance(v, np.generic) else v for n, v in self.attrs.items()}
        object.__setattr__(self, "attrs", plain)
        for name, value in plain.items():
            if not isinstance(value, str | int | float):
                found = type(value).__name__
                raise UserError(f"attrs: {name} is a {found}, expected text or a number.")

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the grid."""
        size = self.resolution
        rows, cols = size if isinstance(size, tuple | list) else (size, size)
        return operator.index(rows), operator.index(cols)


class Tile(NamedTuple):
    """Points of a frame that are evaluated together and kept in one file."""

    frame: int
    file: Path
    points: NDArray[np.int64]


Evaluate = Callable[[Iterable[Tile]], Iterator[tuple[Tile, NDArray]]]
"""Evaluates tiles, in any order: here, or on a cluster."""


def compute_sequence(
    path: str | Path,
    surfaces: Surface | dict[str, Surface],
    title: str = "Untitled",
    recipe: str = "",
    device: str = "auto",
    compiling: bool | None = None,
    ray: str | None = None,
    restart: bool = False,
    replace: bool = False,
) -> bool:
    """Evaluate surfaces for every snapshot and write them to a sequence file, or go on with it.

    Parameters
    ----------
    path : path
        The sequence file; its journal is ``<path>.journal``.
    surfaces : Surface, or dict of Surface
        One network, or several by name, with equally many snapshots each.
    title, recipe : str
        The piece's name; TOML whose film, look and camera tables Blender follows.
    device : str
        A torch device, or "auto": CUDA, else MPS, else the CPU.
    compiling : bool, optional
        Whether to compile; by default where it pays.
    ray : str, optional
        The address of a Ray cluster to evaluate on; "local", or "", for one that is started here.
    restart : bool
        Begin anew, whatever is there. A sequence stays until there is something to replace it with.
    replace : bool
        The same, but go on with this computation where its beginning is there: a restart that was
        interrupted.

    Returns
    -------
    bool
        False where everything was there already.

    Raises
    ------
    UserError
        Where the file or its journal holds another computation, another process is at it, there
        is no room for it, or something asked for cannot be.
    """
    path = Path(path)
    given = surfaces if isinstance(surfaces, dict) else {"network": surfaces}
    _check(given)
    where = choose_device(device, ray)
    journal = journal_of(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with alone(path):
        folder = journal / FOLDER
        shots = {name: _Shot(surface, folder / name, where) for name, surface in given.items()}
        for shot in shots.values():
            missing = sum(not shot.file(t).exists() for t in shot.frames)
            check_room(path, shot.points, len(shot.snapshots), missing, len(shot.objective.names))
        marks = {name: shot.mark for name, shot in shots.items()}
        opaque = [f"{name}, {what}" for name, shot in shots.items() for what in shot.opaque]
        if not _begin(path, journal, marks, opaque, restart, replace):
            return False
        for shot in shots.values():
            shot.check()
        described = {name: shot.describe() for name, shot in shots.items()}

        def publish() -> None:
            for name, shot in shots.items():
                described[name].attrs.update(shot.refine_error())
            write_sequence(path, title, recipe, described)

        for shot in shots.values():
            shot.evaluate(publish, compiling, ray, device)
        publish()
        discard(journal)
    return True


def _check(surfaces: dict[str, Surface]) -> None:
    """Refuse surfaces that do not go into one file."""
    for name in surfaces:
        if "/" in name or not name.strip("."):
            raise UserError(f"surfaces: {name!r} cannot be a name, expected one without /.")
    frames = {name: len(surface.snapshots) for name, surface in surfaces.items()}
    if len(set(frames.values())) != 1:
        found = ", ".join(f"{count} of {name}" for name, count in frames.items()) or "none"
        raise UserError(f"surfaces: expected equally many snapshots of each, got {found}.")


def journal_of(path: Path) -> Path:
    """Return the folder where a sequence file's computation keeps what it has."""
    return path.with_name(path.name + ".journal")


def discard(journal: Path) -> None:
    """Remove a journal, where there is one."""
    if not journal.exists():
        return
    for note in journal.iterdir():  # first: half a journal must not look like one to go on with
        if note.is_file():
            note.unlink()
    shutil.rmtree(journal)


def choose_device(name: str, ray: str | None = None) -> torch.device:
    """Return the torch device of a name; "auto" is CUDA, else MPS, else the CPU.

    Where a Ray cluster evaluates, whose address is given, this machine need not have its CUDA.
    """
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
        if name.split(":")[0] == "cuda" and ray not in (None, *STARTED_HERE):
            return choose_device("auto")
        raise UserError(f"--device {name}: torch finds no such device here.") from None
    return device


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold a sequence file against other processes, once or more; whoever dies lets go."""
    file = path.with_name(f".{path.name}.lock")
    lock = FileLock(file, timeout=0, is_singleton=True)
    outermost = not lock.is_locked
    try:
        with lock:
            try:
                yield
            finally:
                # Still held: whoever has opened the file finds that it is gone, and makes another.
                # On Windows no open file goes; there filelock removes it afterwards.
                if outermost and os.name == "posix":
                    file.unlink(missing_ok=True)
    except Timeout:
        raise UserError(f"{path}: another process is computing it.") from None


def _begin(
    path: Path,
    journal: Path,
    marks: dict[str, str],
    opaque: list[str],
    restart: bool,
    replace: bool,
) -> bool:
    """Open the journal; return False where the file is complete already."""
    note = journal / NOTE
    if opaque and not restart and (note.exists() or path.exists()):
        raise UserError(
            f"{note if note.exists() else path}: whether it is of this very computation cannot be "
            f"told, for nobody sees through {opaque[0]}: restart to begin anew, or give another "
            "file."
        )
    going_on = not restart and note.exists() and json.loads(note.read_text()) == marks
    may_replace = restart or replace
    if note.exists() and not going_on and not may_replace:
        raise UserError(
            f"{journal} holds the beginning of another computation: give another file, "
            "or restart to begin anew."
        )
    if path.exists():
        with open_sequence(path) as file:  # what is no sequence is not ours to replace
            found = {name: str(g.attrs.get("fingerprint")) for name, g in file["surfaces"].items()}
            complete = all(finished_frames(group).all() for group in file["surfaces"].values())
        if found != marks and not may_replace:
            raise UserError(
                f"{path} was computed from other weights, data or settings: give another file, "
                "or replace it with replace=True."
            )
        if complete and not going_on and not may_replace:
            discard(journal)  # of a run killed at its very end
            return False
    if not going_on:
        note.unlink(missing_ok=True)  # first, as in discard
        if (kept := journal / FOLDER).exists():
            shutil.rmtree(kept)
    journal.mkdir(parents=True, exist_ok=True)
    write_whole(note, json.dumps(marks).encode())
    return True


def check_room(path: Path, points: int, frames: int, missing: int, values: int = 1) -> None:
    """Refuse a computation for which there is no disk or no memory, before anything is done.

    Parameters
    ----------
    path : Path
        The sequence file.
    points, frames : int
        Of a frame; of the file.
    missing : int
        Frames still to be kept in the journal: of a fixed window one, which the file repeats.
    values : int
        Loss and metrics of a point.

    Raises
    ------
    UserError
        With what is needed and what is there.
    """
    asked = f"{path}: {frames} frames of {points:,} points take"
    needed, free = 4 * values * points * (frames + missing), shutil.disk_usage(_existing(path)).free
    if needed > free:
        raise UserError(
            f"{asked} {_gb(needed)} of disk, {_gb(free)} are free: ask for a lower resolution."
        )
    if not hasattr(os, "sysconf"):  # Windows does not tell
        return
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    needed = points * (32 + 8 * values)  # a frame's coordinates and values
    if needed > memory:
        raise UserError(
            f"{asked} {_gb(needed)} of memory, there are {_gb(memory)}: ask for a lower resolution."
        )


def _existing(path: Path) -> Path:
    """Return the nearest folder that is there already."""
    return next(folder for folder in path.absolute().parents if folder.exists())


def _keep(path: Path, values: NDArray) -> None:
    buffer = io.BytesIO()
    np.save(buffer, values)
    write_whole(path, buffer.getvalue())


def _gb(amount: float) -> str:
    return f"{amount / 1e9:.1f} GB"


def _kept_plan(file: Path, where: str) -> Plan | None:
    """Return the plan in a file, if it was measured where it is to be used."""
    if not file.exists():
        return None
    content = json.loads(file.read_text())
    return Plan(**content["plan"]) if content.get("where") == where else None


def _check_losses(losses: NDArray[np.float64]) -> None:
    """Refuse a batch without a finite loss ``(frames, parts)`` where the others have one."""
    finite = np.isfinite(losses)
    for number in np.flatnonzero(~finite.any(0)):
        if finite.any():
            raise UserError(
                f"batches: the loss of batch {number + 1} is {losses[0, number]} for every "
                "snapshot, as where nothing in it is labelled: leave it out, or have the loss "
                'return {"loss": ..., "weight": ...} with weight 0 for it.'
            )


def _float(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


class _Shot:
    """One surface on its way: its plane, its frames, and where they are kept."""

    def __init__(self, surface: Surface, journal: Path, device: torch.device) -> None:
        module = unwrapped(surface.module)  # as in the snapshots, of torch.compile and the like
        self.surface = surface = dataclasses.replace(surface, module=module)
        self.journal, self.device = journal, device
        self.snapshots = surface.snapshots.check(module)
        self.finite = [t for t in range(len(self.snapshots)) if t not in self.snapshots.diverged]
        if not self.finite:
            raise UserError("snapshots: the weights of all of them are infinite or not a number.")
        # Once only, and the same in every run: they may be loaders, which shuffle and augment.
        with randomness.seeded(surface.measure.seed, torch.device("cpu")):
            self.batches, self.test = gathered(surface.batches), gathered(surface.test)
        self._names = list(weights_of(module))
        self.plane = surface.plane or self._random_plane()
        self.mark, self.opaque = self._fingerprint()  # before anything of the user's is run
        self.objective = self._objective(surface.measure, self.test)
        if surface.tolerance and len(self.objective.names) > 1:
            raise UserError("tolerance: a refined surface has its loss only, no metrics beside it.")
        # The minimizer's loss is that of all samples, whatever few a point draws.
        exact = dataclasses.replace(surface.measure, minibatch=None, noise="fixed")
        same = exact == surface.measure
        self.true = self.objective if same else self._objective(exact)
        self.found: dict[str, str] = {}
        rows, cols = surface.shape
        self.alpha = np.linspace(-surface.range, surface.range, cols)
        self.beta = np.linspace(-surface.range, surface.range, rows)
        self.points = rows * cols
        # A fixed window shows one land: that of the last snapshot.
        self.frames = self.finite if surface.window == "travelling" else self.finite[-1:]

    def _objective(self, measure: Measure, test: Sequence[Batch] = ()) -> Objective:
        surface = self.surface
        return Objective(
            surface.module, surface.loss, self.batches, measure, test, self.device, surface.count
        )

    def _random_plane(self) -> Plane:
        last = self.finite[-1]
        plane = random_plane(self.weights(self.snapshots[last]), seed=0)
        if last == len(self.snapshots) - 1:
            return plane
        said = f"filter, of the weights of step {self.snapshots.steps[last]}, the last finite ones"
        return dataclasses.replace(plane, attrs=plane.attrs | {"normalisation": said})

    def check(self) -> None:
        """Hold what is evaluated against the user's network, before hours are spent on it.

        Raises
        ------
        UserError
            Where it is not what it seems.
        """
        state = self.snapshots[self.finite[-1]]
        weights = {name: w.to(self.device) for name, w in self.weights(state).items()}
        for objective in dict.fromkeys((self.objective, self.true)):
            buffers = objective.buffers(state)
            self.found |= check_network(objective, weights, buffers)
            check_mean(objective, weights, buffers)

    def weights(self, state: State) -> dict[str, Tensor]:
        """Return the weights of a state dict."""
        return {name: state[name] for name in self._names}

    def _fingerprint(self) -> tuple[str, list[str]]:
        """Return a digest of all that decides on the values, and what it could not see through."""
        surface, fingerprint = self.surface, Fingerprint()
        scale = surface.scale if surface.tolerance else None
        settings = (surface.range, surface.window, surface.tolerance, scale)
        fingerprint.add("settings", (settings, surface.shape, surface.measure))
        fingerprint.add_network("network", surface.module)
        for name, thing in (
            ("steps", self.snapshots.steps),
            ("plane", (self.plane.origin, self.plane.u, self.plane.v)),
            ("batches", self.batches),
            ("test", self.test),
            ("loss", surface.loss),
            ("count", surface.count),
            *((f"snapshot {t}", self.snapshots[t]) for t in range(len(self.snapshots))),
        ):
            fingerprint.add(name, thing)
        return fingerprint.digest(), fingerprint.opaque

    def place(self, evaluator: Evaluator, t: int) -> None:
        """Move an evaluator's window to frame t."""
        evaluator.place(*self.centre(t))

    def centre(self, t: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return the weights and buffers at the window's centre in frame t."""
        if self.surface.window == "fixed":
            return self.plane.origin, self.objective.buffers(self.snapshots[self.finite[-1]])
        state = self.snapshots[t]
        return self.weights(state), self.objective.buffers(state)

    def describe(self) -> SurfaceData:
        """Gather all that is known before any frame is evaluated."""
        count = len(self.snapshots)
        origin, minimizer = np.zeros((count, 2)), np.full((count, 3), np.nan)
        losses = []
        for t in self.finite:
            state = self.snapshots[t]
            weights = {n: w.to(self.device) for n, w in self.weights(state).items()}
            minimizer[t, :2] = self.plane.project(weights)
            parts = self.true.each(self.true.parts, weights, self.true.buffers(state))
            minimizer[t, 2] = self.true.assemble(parts)[0].item()
            losses.append([value[0].item() for value in parts])
        _check_losses(np.array(losses))
        for t in self.snapshots.diverged:  # stays where it was last seen
            before = max((known for known in self.finite if known < t), default=self.finite[0])
            minimizer[t, :2] = minimizer[before, :2]
        if self.surface.window == "travelling":
            origin = minimizer[:, :2].copy()
        return SurfaceData(
            alpha=self.alpha,
            beta=self.beta,
            step=np.array(self.snapshots.steps),
            origin=origin,
            minimizer=minimizer,
            frame=self.frame,
            scalars={n.replace("/", "_"): v for n, v in self.snapshots.scalars.items()},
            metrics=self.objective.names[1:],
            attrs=self._attributes() | {"fingerprint": self.mark},
        )

    def _attributes(self) -> dict[str, Any]:
        surface, measure, objective = self.surface, self.surface.measure, self.objective
        samples = objective.samples
        drawn = measure.minibatch or samples
        attrs: dict[str, Any] = {
            "network": type(surface.module).__name__,
            "parameters": sum(w.numel() for w in self.plane.origin.values()),
            "mode": measure.mode,
            "window": surface.window,
            **self.plane.attrs,
            "batch_norm": objective.statistics,
            "precision": objective.precision,
            "checked": "against the network itself, at moved weights",
            **self.found,
        }
        if drawn is not None and drawn == int(drawn):
            attrs["batch"] = int(drawn)
        if len(self.batches) > 1:
            attrs["mean"] = self.true.weighing
        if self.objective.own:
            attrs["evaluated"] = f"by the network itself: {self.objective.own.why}"
        if self.snapshots.notes:
            attrs["snapshots"] = "; ".join(self.snapshots.notes)
        if self.snapshots.diverged:
            attrs["diverged"] = np.array([self.snapshots.steps[t] for t in self.snapshots.diverged])
        if measure.minibatch:
            attrs["minibatch"] = f"{measure.minibatch} of {samples:g} drawn at every point"
        if measure.minibatch or measure.noise == "point":
            attrs["noise"] = f"{measure.noise}, seed {measure.seed}"
        if objective.precision not in ("float32", "float64"):
            attrs |= self._precision_error()
        return attrs | surface.attrs

    def _precision_error(self, points: int = 32) -> dict[str, float]:
        """Return the largest relative error of the loss at some points, against float32.

        Nothing where a network of half precision does not compute in float32.
        """
        surface = self.surface
        measure = dataclasses.replace(surface.measure, precision="float32")
        module, batches = surface.module, self.batches
        if measure == surface.measure:  # the network's own precision
            module = copied(module, self.device).float()
            batches = [mapped(batch, _float) for batch in batches]
        try:
            exact = Objective(
                module, surface.loss, batches, measure, device=self.device, count=surface.count
            )
        except UserError:
            return {}
        if exact.precision != "float32":  # autocast within it
            return {}
        weights, buffers = self.centre(self.finite[-1])
        plane = dataclasses.replace(self.plane, origin=weights).to(self.device)
        errors = []
        generator = np.random.default_rng(0)
        for alpha, beta in generator.uniform(-surface.range, surface.range, (points, 2)):
            one = float(self.objective.at(plane.at(alpha, beta), buffers)[0])
            there = {n: _float(w) for n, w in plane.to(dtype=torch.float32).at(alpha, beta).items()}
            other = float(exact.at(there, exact.buffers(buffers))[0])
            errors.append(abs(one - other) / max(abs(other), 1e-12))
        return {"precision_error": max(errors)}

    def file(self, t: int) -> Path:
        """Return where the journal keeps frame t."""
        number = t if self.surface.window == "travelling" else 0
        return self.journal / "frames" / f"{number:06d}.npz"

    def frame(self, t: int) -> Frame | None:
        """Return frame t, or None while it is missing, as it will stay where weights diverged."""
        if t in self.snapshots.diverged or not self.file(t).exists():
            return None
        with np.load(self.file(t)) as kept:
            values, evaluated = kept["values"], kept["evaluated"]
        metrics = dict(zip(self.objective.names[1:], values[1:], strict=True))
        return Frame(values[0], evaluated if evaluated.ndim else None, metrics)

    def refine_error(self) -> dict[str, float]:
        """Return the attribute of a refined surface: the largest error of the frames there are."""
        if not self.surface.tolerance:
            return {}
        files = [self.file(t) for t in self.frames if self.file(t).exists()]
        return {"refine_error": max((float(np.load(file)["error"]) for file in files), default=0.0)}

    def evaluate(
        self, publish: Callable[[], None], compiling: bool | None, ray: str | None, device: str
    ) -> None:
        """Evaluate the frames that are missing."""
        missing = [t for t in self.frames if not self.file(t).exists()]
        if not missing:
            return
        kept = [t for t in self.frames if t not in missing]
        with (
            self._evaluating(missing, compiling, ray, device) as (plan, evaluate),
            progress(
                "evaluating", self.points * len(self.frames), self.points * len(kept), "point"
            ) as bar,
        ):
            finish = self._refined if self.surface.tolerance else self._measured
            due = time.monotonic() + PUBLISH_EVERY
            for _ in finish(missing, plan.tile, evaluate, bar):
                if (started := time.monotonic()) > due:
                    publish()
                    # A large file takes long to write, and is written the more seldom.
                    due = time.monotonic() + max(PUBLISH_EVERY, 20 * (time.monotonic() - started))

    def _plan(
        self, evaluator: Evaluator | Cluster, points: int, compiling: bool | None, where: str
    ) -> Plan:
        """Return the journal's plan, or measure one: the same plan gives the same bits."""
        kept = self.journal / "plan.json"
        plan = _kept_plan(kept, where)
        if plan is None or (plan.way == "own") != bool(self.objective.own):
            shutil.rmtree(self.journal / "tiles", ignore_errors=True)  # of tiles of another size
            plan = evaluator.tune(points, compiling)
            kept.parent.mkdir(parents=True, exist_ok=True)
            content = {"where": where, "plan": dataclasses.asdict(plan)}
            write_whole(kept, json.dumps(content).encode())
        print(f"Evaluating {plan}.")
        return plan

    @contextmanager
    def _evaluating(
        self, missing: list[int], compiling: bool | None, ray: str | None, device: str
    ) -> Iterator[tuple[Plan, Evaluate]]:
        points = self.points * len(missing)
        if ray is not None:
            from .cluster import Cluster

            with Cluster(ray, self, device=device) as cluster:
                plan = self._plan(cluster, points, compiling, f"Ray, {cluster.device}")
                cluster.use(plan)
                yield plan, cluster.evaluate
            return
        evaluator = Evaluator(self.objective, self.plane, self.journal / "compiled")
        self.place(evaluator, missing[0])
        plan = self._plan(evaluator, points, compiling, place_of(self.objective))
        evaluator.use(plan)
        placed = None

        def evaluate(tiles: Iterable[Tile]) -> Iterator[tuple[Tile, NDArray]]:
            nonlocal placed
            for tile in tiles:
                if placed != tile.frame:
                    self.place(evaluator, tile.frame)
                    placed = tile.frame
                yield tile, evaluator(self.coordinates(tile.points), tile.points)

        try:
            yield plan, evaluate
        finally:
            evaluator.close()

    def coordinates(self, index: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return alpha and beta ``(n, 2)`` of points by their number in the grid."""
        rows, cols = np.divmod(index, len(self.alpha))
        return np.stack([self.alpha[cols], self.beta[rows]], axis=1)

    def _tiles(self, t: int, round_: int, index: NDArray[np.int64], size: int) -> list[Tile]:
        folder = self.journal / "tiles" / f"{t:06d}"
        folder.mkdir(parents=True, exist_ok=True)
        pieces = [index[i : i + size] for i in range(0, len(index), size)]
        return [Tile(t, folder / f"{round_:02d}-{n:06d}.npy", p) for n, p in enumerate(pieces)]

    def _measured(
        self, missing: list[int], size: int, evaluate: Evaluate, bar: tqdm
    ) -> Iterator[None]:
        """Measure whole frames, their tiles in one stream, so that no worker waits between."""
        everything = np.arange(self.points)
        due: dict[int, tuple[int, list[Tile]]] = {}

        def stream() -> Iterator[Tile]:
            for t in missing:
                tiles = self._tiles(t, 0, everything, size)
                todo = [tile for tile in tiles if not tile.file.exists()]
                due[t] = len(todo), tiles
                bar.update(sum(len(tile.points) for tile in tiles if tile.file.exists()))
                yield from todo

        def finished() -> Iterator[None]:
            for t in [t for t, (left, _) in due.items() if not left]:
                self._finish(t, np.concatenate([np.load(tile.file) for tile in due.pop(t)[1]]))
                yield

        for tile, values in evaluate(stream()):
            _keep(tile.file, values)
            bar.update(len(tile.points))
            left, tiles = due[tile.frame]
            due[tile.frame] = left - 1, tiles
            yield from finished()
        yield from finished()

    def _refined(
        self, missing: list[int], size: int, evaluate: Evaluate, bar: tqdm
    ) -> Iterator[None]:
        """Refine frame after frame, each beginning with what the one before it taught."""
        for t in missing:
            before = self.frame(t - 1) if t else None
            rounds = iter(range(100))

            def measure(index: NDArray[np.int64], t: int = t, rounds=rounds) -> NDArray:
                tiles = self._tiles(t, next(rounds), index, size)
                for tile, values in evaluate(x for x in tiles if not x.file.exists()):
                    _keep(tile.file, values)
                    bar.update(len(tile.points))
                return np.concatenate([np.load(tile.file) for tile in tiles])[:, 0]

            refined = refine(
                measure,
                *self.surface.shape,
                tolerance=self.surface.tolerance or 0.0,
                scale=self.surface.scale,
                hint=None if before is None else before.evaluated,
            )
            self._finish(t, refined.loss.reshape(-1, 1), refined.evaluated, refined.error)
            bar.update(int((refined.evaluated == 2).sum()))
            yield

    def _finish(
        self, t: int, values: NDArray, evaluated: NDArray | None = None, error: float = 0.0
    ) -> None:
        """Keep a whole frame instead of its tiles."""
        buffer = io.BytesIO()
        planes = values.T.reshape(-1, *self.surface.shape).astype(np.float32)
        state = np.array(0 if evaluated is None else evaluated, np.uint8)
        np.savez(buffer, values=planes, evaluated=state, error=error)
        self.file(t).parent.mkdir(parents=True, exist_ok=True)
        write_whole(self.file(t), buffer.getvalue())
        shutil.rmtree(self.journal / "tiles" / f"{t:06d}", ignore_errors=True)
