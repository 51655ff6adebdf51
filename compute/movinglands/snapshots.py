"""Snapshots of a network along its training: those there are, and taking new ones.

A snapshot is a state dict. ``Snapshots`` gives them by index and opens a file when it is asked
for, so a training may be larger than the memory. ``Recorder`` takes them in any training loop and
keeps a snapshot's scalars in the same file, so that the two cannot get out of step.
"""

from __future__ import annotations

import operator
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from . import checkpoints
from .checkpoints import Scalars, State
from .errors import UserError
from .files import replacing


@dataclass(frozen=True)
class _Kept:
    step: int
    name: str  # for messages
    read: Callable[[], tuple[State, Scalars]]


class Snapshots:
    """States of a network along its training, in the order of their steps, loaded one at a time.

    ``snapshots[t]`` is a state dict on the CPU, not to be written to. Made by ``in_folder``, ``of``
    and ``Recorder.snapshots``.
    """

    def __init__(self, kept: Iterable[_Kept]) -> None:
        self._kept = list(kept)
        if not self._kept:
            raise UserError("Snapshots: there are none, expected one at least.")
        self.steps = [snapshot.step for snapshot in self._kept]

    def __len__(self) -> int:
        return len(self._kept)

    def __getitem__(self, t: int) -> State:
        return self._kept[t].read()[0]

    @cached_property
    def scalars(self) -> dict[str, np.ndarray]:
        """What was recorded beside the states, ``(len,)`` float64; NaN where a snapshot lacks it.

        Asking for it the first time opens every file.
        """
        found = [snapshot.read()[1] for snapshot in self._kept]
        names = dict.fromkeys(name for scalars in found for name in scalars)
        return {
            name: np.array([scalars.get(name, np.nan) for scalars in found], np.float64)
            for name in names
        }

    @classmethod
    def in_folder(
        cls,
        folder: str | Path,
        pattern: str | None = None,
        *,
        entry: str | None = None,
        prefix: str = "",
    ) -> Snapshots:
        """Find the snapshots in a folder, whoever wrote them.

        A snapshot is a file of ``torch.save`` or safetensors, or a sub-folder in the manner of
        transformers (``checkpoint-500/model.safetensors``, also in shards); where there are such
        sub-folders, files beside them do not count. The step is the number in its name after
        "step", else after "iter", else after "epoch", else the last whole number. What
        DataParallel and torch.compile put before all names is taken away.

        Parameters
        ----------
        folder : path
        pattern : str, optional
            Which files or sub-folders, relative to the folder: ``"epoch=*.ckpt"``, ``"*/net.tar"``.
        entry : str, optional
            Under which name a file that holds more has the network (``"generator"``). By itself
            the usual names are found, or the only state dict there is.
        prefix : str
            Take only the tensors whose names begin so, and shorten their names by it: ``"model."``
            for the network that a LightningModule keeps as ``self.model``.

        Raises
        ------
        UserError
            Where there is no snapshot, or a name tells no step or the step of another. Files are
            opened, and may be refused, when they are asked for.
        """
        return cls(
            _Kept(step, str(path), partial(checkpoints.read, path, entry, prefix))
            for step, path in checkpoints.find(Path(folder), pattern).items()
        )

    @classmethod
    def of(
        cls,
        states: Sequence[State],
        steps: Sequence[int],
        scalars: Mapping[str, Sequence[float]] | None = None,
    ) -> Snapshots:
        """Return snapshots of state dicts in memory.

        Parameters
        ----------
        states : sequence of dict of Tensor
            Not copied.
        steps : sequence of int
            One for each, strictly increasing.
        scalars : dict of sequences of float, optional
            One value for each state.
        """
        columns = dict(scalars or {})
        for name, values in {"steps": steps, **columns}.items():
            if len(values) != len(states):
                raise UserError(
                    f"Snapshots, {name}: {len(values)} values, expected one for each of the "
                    f"{len(states)} states."
                )
        if any(after <= before for before, after in pairwise(steps)):
            raise UserError(f"Snapshots: steps must increase strictly, not {list(steps)}.")
        return cls(
            _Kept(
                int(step),
                f"Snapshot of step {step}",
                partial(_held, state, {name: float(columns[name][t]) for name in columns}),
            )
            for t, (state, step) in enumerate(zip(states, steps, strict=True))
        )

    def thinned(self, count: int) -> Snapshots:
        """Return ``count`` of the snapshots, evenly spaced by index, the first and last among them.

        All of them where there are no more than that.
        """
        if count < 2:
            raise UserError(f"Snapshots: {count} cannot hold the first and the last, ask for 2.")
        if count >= len(self):
            return self
        return type(self)(self._kept[k * (len(self) - 1) // (count - 1)] for k in range(count))

    def check(self, module: nn.Module) -> Snapshots:
        """Return the same snapshots as states of this very module, all of them compared with it.

        Names that share one tensor in the module, of which a file may hold only one
        (transformers writes tied embeddings so), are all there in what is returned.

        Raises
        ------
        UserError
            At the first name or shape that does not fit.
        """
        module = unwrapped(module)
        expected, ties = module.state_dict(), _ties(module)
        checked = [replace(kept, read=partial(_tied, kept, ties)) for kept in self._kept]
        for kept in checked:
            _compare(kept.name, kept.read()[0], expected)
        return type(self)(checked)


class Recorder:
    """Takes snapshots in a training loop.

    ::

        recorder = Recorder("run/snapshots", every=10)
        for step, (inputs, labels) in enumerate(batches):
            recorder.record(model, step, learning_rate=scheduler.get_last_lr()[0])
            ...
        recorder.keep(model, step + 1)

    A snapshot of step s is the network after s updates. A step recorded again, as by a training
    that was resumed, replaces the earlier one; a folder is for one training. In a distributed
    training only rank 0 records. Where each rank holds a part of the network (FSDP), gather its
    state dict on all ranks and hand that over.

    Parameters
    ----------
    folder : path, optional
        Where to keep them, a file each; in memory without one.
    every : int
        ``record`` does nothing, at no cost, at steps that are no multiple of this.
    """

    def __init__(self, folder: str | Path | None = None, every: int = 1) -> None:
        if every < 1:
            raise UserError(f"Recorder: every = {every}, expected 1 or more.")
        self.folder = None if folder is None else Path(folder)
        self.every = every
        self._states: dict[int, State] = {}
        self._scalars: dict[int, Scalars] = {}
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)

    def record(
        self, model: nn.Module | Mapping[str, Tensor], step: int, **scalars: float | Tensor
    ) -> None:
        """Keep the network, if it is the turn of this step.

        Parameters
        ----------
        model : nn.Module or state dict
            Copied to the CPU; DataParallel and torch.compile are seen through.
        step : int
            How many updates the network has had.
        **scalars : float or 0-d Tensor
            What else is known of this moment: ``loss=loss, learning_rate=0.1``.
        """
        if step % self.every == 0:
            self.keep(model, step, **scalars)

    def keep(
        self, model: nn.Module | Mapping[str, Tensor], step: int, **scalars: float | Tensor
    ) -> None:
        """Keep the network whatever its step, as at the end of a training."""
        distributed = torch.distributed
        if distributed.is_available() and distributed.is_initialized() and distributed.get_rank():
            return
        if (step := operator.index(step)) < 0:
            raise UserError(f"Recorder: step {step}, expected 0 or more.")
        values = {name: _number(name, value) for name, value in scalars.items()}
        if isinstance(model, nn.Module):
            model = unwrapped(model).state_dict(keep_vars=True)  # as they are: see _copied
        state = _copied(model)
        if self.folder is None:
            self._states[step], self._scalars[step] = state, values
            return
        with replacing(self.folder / f"{step:09d}.pt") as partial_file:
            torch.save({"module": state, "scalars": values}, partial_file)

    @property
    def snapshots(self) -> Snapshots:
        """All that is recorded so far, also by an earlier run into the same folder."""
        if self.folder is not None:
            return Snapshots.in_folder(self.folder)
        return Snapshots(
            _Kept(step, f"Snapshot of step {step}", partial(_held, self._states[step], values))
            for step, values in sorted(self._scalars.items())
        )


def _held(state: State, scalars: Scalars) -> tuple[State, Scalars]:
    return {name: value.detach().cpu() for name, value in state.items()}, scalars


def _number(name: str, value: float | Tensor) -> float:
    try:
        return float(value.detach() if isinstance(value, Tensor) else value)
    except (TypeError, ValueError, RuntimeError):
        found = f"a tensor {tuple(value.shape)}" if isinstance(value, Tensor) else repr(value)
        raise UserError(f"Recorder, {name}: expected a number, got {found}.") from None


def unwrapped(module: nn.Module) -> nn.Module:
    """Return a module without what ``torch.compile`` or parallel training put around it."""
    while True:
        if isinstance(module, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            module = module.module
        elif isinstance(inner := getattr(module, "_orig_mod", None), nn.Module):
            module = inner
        else:
            return module


def _copied(state: Mapping[str, Tensor]) -> State:
    """Copy a state dict to the CPU; a tensor of two names is one in the copy too."""
    copies: dict[int, Tensor] = {}
    copied = {}
    for name, value in state.items():
        if type(value) not in (Tensor, nn.Parameter):
            raise UserError(
                f"Recorder: {name!r} is a {type(value).__name__}, expected a plain tensor."
            )
        if id(value) not in copies:
            copies[id(value)] = value.detach().to("cpu", copy=True)
        copied[name] = copies[id(value)]
    return copied


def _ties(module: nn.Module) -> list[set[str]]:
    names = defaultdict(set)
    for named in (module.named_parameters, module.named_buffers):
        for name, tensor in named(remove_duplicate=False):
            names[id(tensor)].add(name)
    return [tied for tied in names.values() if len(tied) > 1]


def _tied(kept: _Kept, ties: list[set[str]]) -> tuple[State, Scalars]:
    state, scalars = kept.read()
    for names in ties:
        there = sorted(names & state.keys())
        state.update({name: state[there[0]] for name in names - state.keys() if there})
    return state, scalars


def _compare(where: str, state: State, expected: Mapping[str, Tensor]) -> None:
    for name, tensor in expected.items():
        if name not in state:
            longer = [other.removesuffix(name) for other in state if other.endswith("." + name)]
            hint = f"; with prefix={longer[0]!r} it would be there" if longer else ""
            raise UserError(f"{where}: lacks {name!r}, which the network has{hint}.")
        if state[name].shape != tensor.shape:
            raise UserError(
                f"{where}: {name!r} is {tuple(state[name].shape)}, "
                f"expected {tuple(tensor.shape)} as in the network."
            )
    for name in state:
        if name not in expected:
            raise UserError(f"{where}: holds {name!r}, which the network has not.")
