"""Snapshots of a network along its training, loaded one at a time.

A snapshot is a state dict. A file is opened when its snapshot is asked for, so a training may be
larger than the memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from ..errors import UserError, few
from . import checkpoints
from .fitting import Fit, Notes
from .states import Scalars, State, plain


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
            in_memory(step, state, {name: float(columns[name][t]) for name in columns})
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


def in_memory(step: int, state: Mapping[str, Any], scalars: Scalars) -> _Kept:
    """Return the snapshot that a state dict in memory is."""
    name = f"Snapshot of step {step}"
    return _Kept(step, name, partial(_plain, name, state, scalars))


def _plain(name: str, state: Mapping[str, Any], scalars: Scalars) -> tuple[State, Scalars]:
    return plain(name, state), scalars


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


def unwrapped(module: nn.Module) -> nn.Module:
    """Return a module without what ``torch.compile`` or parallel training put around it."""
    while True:
        if isinstance(module, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            module = module.module
        elif isinstance(inner := getattr(module, "_orig_mod", None), nn.Module):
            module = inner
        else:
            return module
