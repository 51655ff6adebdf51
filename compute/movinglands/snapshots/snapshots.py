"""Snapshots of a network along its training: those there are, and taking new ones.

A snapshot is a state dict. ``Snapshots`` gives them by index and opens a file when it is asked
for, so a training may be larger than the memory. ``Recorder`` takes them in any training loop and
keeps a snapshot's scalars in the same file, so that the two cannot get out of step.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import UserError
from ..files import replacing
from . import checkpoints
from .checkpoints import Scalars, State, few, is_extra, must_be_plain
from .fitting import Fit, Notes


@dataclass(frozen=True)
class _Kept:
    step: int
    name: str  # for messages
    read: Callable[[], tuple[State, Scalars]]
    finite: bool = True  # as far as it was looked at


class Snapshots:
    """States of a network along its training, in the order of their steps, loaded one at a time.

    ``snapshots[t]`` is a state dict on the CPU, not to be written to. Made by ``in_folder``, ``of``
    and ``Recorder.snapshots``.

    Attributes
    ----------
    steps : list of int
        The updates that each of them has had.
    notes : tuple of str
        What was left out or tolerated, in short sentences: "ignored in the snapshots: total_ops".
    diverged : tuple of int
        The indices of those that hold a NaN or an infinity. Known to what ``check`` returns.
    """

    def __init__(
        self, kept: Iterable[_Kept], *, strict: bool = True, notes: Iterable[str] = ()
    ) -> None:
        self._kept = list(kept)
        if not self._kept:
            raise UserError("Snapshots: there are none, expected one at least.")
        self._strict = strict
        self.steps = [snapshot.step for snapshot in self._kept]
        self.notes = tuple(notes)
        self.diverged = tuple(t for t, snapshot in enumerate(self._kept) if not snapshot.finite)

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
        strict: bool = True,
    ) -> Snapshots:
        """Find the snapshots in a folder, whoever wrote them.

        A snapshot is a file of ``torch.save`` or safetensors, or a sub-folder in the manner of
        transformers (``checkpoint-500/model.safetensors``, also in shards); where there are such
        sub-folders, files beside them do not count. The step is the number in its name by "step",
        else by "iter", else by "epoch", else the only whole number that the names do not share.
        Names without a number beside others with one, such as ``best.pt``, are left out, and
        ``notes`` says so. What DataParallel and torch.compile put before all names is taken away.

        Parameters
        ----------
        folder : path
        pattern : str, optional
            Which files or sub-folders, relative to the folder: ``"epoch=*.ckpt"``, ``"*/net.tar"``.
            ``"net_{step}_*.pt"`` also says which number is the step.
        entry : str, optional
            Under which name a file that holds more has the network: ``"generator"``, or
            ``"checkpoint.model"`` for an entry in an entry. By itself the usual names are found,
            or the only state dict there is.
        prefix : str
            Take only the tensors whose names begin so, and shorten their names by it: ``"model."``
            for the network that a LightningModule keeps as ``self.model``.
        strict : bool
            Without it ``check`` ignores tensors that the network has not, and takes buffers that
            are missing from the network. Parameters may never be missing.

        Raises
        ------
        UserError
            Where there is no snapshot, or a name tells no step or the step of another. Files are
            opened, and may be refused, when they are asked for.
        """
        found, left_out = checkpoints.find(Path(folder), pattern)
        kept = [
            _Kept(step, str(path), partial(checkpoints.read, path, entry, prefix))
            for step, path in found.items()
        ]
        notes = [f"left out, as their names tell no step: {few(left_out)}"] if left_out else []
        return cls(kept, strict=strict, notes=notes)

    @classmethod
    def of(
        cls,
        states: Sequence[Mapping[str, Any]],
        steps: Sequence[int],
        scalars: Mapping[str, Sequence[float]] | None = None,
        *,
        strict: bool = True,
    ) -> Snapshots:
        """Return snapshots of state dicts in memory.

        Parameters
        ----------
        states : sequence of dict of Tensor or ndarray
            Tensors are neither copied nor written to.
        steps : sequence of int
            One for each, strictly increasing.
        scalars : dict of sequences of float, optional
            One value for each state.
        strict : bool
            As in ``in_folder``.

        Raises
        ------
        UserError
            Where the sequences do not belong together, or a step is no whole number. What a state
            holds may be refused when it is asked for.
        """
        columns = dict(scalars or {})
        for name, values in {"steps": steps, **columns}.items():
            if len(values) != len(states):
                raise UserError(
                    f"Snapshots, {name}: {len(values)} values, expected one for each of the "
                    f"{len(states)} states."
                )
        whole = [_whole(step) for step in steps]
        if any(after <= before for before, after in pairwise(whole)):
            raise UserError(f"Snapshots: steps must increase strictly, not {whole}.")
        kept = [
            _held(step, state, {name: float(columns[name][t]) for name in columns})
            for t, (state, step) in enumerate(zip(states, whole, strict=True))
        ]
        return cls(kept, strict=strict)

    def thinned(self, count: int) -> Snapshots:
        """Return ``count`` of the snapshots, evenly spaced by index, the first and last among them.

        All of them where there are no more than that.
        """
        if count < 2:
            raise UserError(f"Snapshots: {count} cannot hold the first and the last, ask for 2.")
        if count >= len(self):
            return self
        kept = (self._kept[k * (len(self) - 1) // (count - 1)] for k in range(count))
        return type(self)(kept, strict=self._strict, notes=self.notes)

    def check(self, module: nn.Module) -> Snapshots:
        """Return the same snapshots as states of this very module, all of them compared with it.

        What is returned has the module's names, in its order, and its precision. Names that share
        one tensor in the module, of which a file may hold only one (transformers writes tied
        embeddings so), are all there. What DataParallel and torch.compile put into names counts
        nowhere. What cannot change a value, such as BatchNorm's counter, may be missing or too
        many; ``notes`` names it.

        Parameters
        ----------
        module : nn.Module
            May be on the meta device: only its shapes and precisions are looked at, and the
            buffers that snapshots lack.

        Raises
        ------
        UserError
            At the first name or shape that does not fit.
        """
        fit, notes = Fit(unwrapped(module), self._strict), Notes()
        checked = []
        for kept in self._kept:
            state = fit(kept.name, kept.read()[0], notes)
            checked.append(
                replace(kept, read=partial(_fitted, kept, fit), finite=fit.finite(state))
            )
        said = dict.fromkeys((*self.notes, *notes.sentences()))
        return type(self)(checked, strict=self._strict, notes=said)


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
        if _counted(step) % self.every == 0:
            self.keep(model, step, **scalars)

    def keep(
        self, model: nn.Module | Mapping[str, Tensor], step: int, **scalars: float | Tensor
    ) -> None:
        """Keep the network whatever its step, as at the end of a training."""
        distributed = torch.distributed
        if distributed.is_available() and distributed.is_initialized() and distributed.get_rank():
            return
        if (step := _counted(step)) < 0:
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
            _held(step, self._states[step], values)
            for step, values in sorted(self._scalars.items())
        )


def _held(step: int, state: Mapping[str, Any], scalars: Scalars) -> _Kept:
    name = f"Snapshot of step {step}"
    return _Kept(step, name, partial(_plain, name, state, scalars))


def _plain(name: str, state: Mapping[str, Any], scalars: Scalars) -> tuple[State, Scalars]:
    return checkpoints.plain(name, state), scalars


def _fitted(kept: _Kept, fit: Fit) -> tuple[State, Scalars]:
    state, scalars = kept.read()
    return fit(kept.name, state, Notes()), scalars


def _whole(step: Any) -> int:
    try:
        if (whole := int(step)) == step:
            return whole
    except (TypeError, ValueError, OverflowError, RuntimeError):
        pass
    raise UserError(f"Snapshots: step {step!r}, expected a whole number.")


def _counted(step: Any) -> int:
    try:
        return operator.index(step)
    except TypeError:
        raise UserError(f"Recorder: step {step!r}, expected a whole number.") from None


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
        if is_extra(name):
            continue
        must_be_plain(f"Recorder: {name!r}", value)
        if id(value) not in copies:
            copies[id(value)] = value.detach().to("cpu", copy=True)
        copied[name] = copies[id(value)]
    return copied
