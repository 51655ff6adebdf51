"""Taking snapshots in any training loop.

A snapshot's scalars are kept in the same file, so that the two cannot get out of step.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import UserError
from ..files import replacing
from .snapshots import Snapshots, in_memory, unwrapped
from .states import Scalars, State, is_extra, must_be_plain


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
            in_memory(step, self._states[step], values)
            for step, values in sorted(self._scalars.items())
        )


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
