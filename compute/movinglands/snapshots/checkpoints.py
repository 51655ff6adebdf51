"""State dicts out of the files and folders in which trainings leave them.

What varies from one training loop to the next is found out as far as it can be said for sure (the
entry with the network); the rest is refused with what would settle it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import UserError, few
from . import steps
from .opening import WHOLE, Array, StandIn, network_in, opened
from .states import Scalars, State, is_extra, plain

SUFFIXES = (".pt", ".pth", ".bin", ".ckpt", ".t7", ".safetensors")
"""Of files with a network; ``.tar`` may follow, as PyTorch's own examples have it."""

ENTRIES = ("state_dict", "model_state_dict", "model", "module", "network", "net", "weights")
"""Where the state dict usually lies in a file that holds more."""

WRAPPERS = ("module.", "_orig_mod.")
"""What DataParallel and torch.compile put before every name."""


def find(folder: Path, pattern: str | None) -> tuple[dict[int, Path], list[str]]:
    """Return the snapshots in a folder by their step, in its order, and the names left out.

    Raises
    ------
    UserError
        Where there is none, or a name tells no step or the step of another.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder of snapshots.")
    paths = {path.relative_to(folder).as_posix(): path for path in _candidates(folder, pattern)}
    names = steps.matching(paths, pattern) if pattern and steps.MARK in pattern else list(paths)
    if not names:
        what = pattern or f"files ({' '.join(SUFFIXES)}) or sub-folders with {WHOLE[0]}"
        raise UserError(f"{folder}: no snapshots there, expected {what}.")
    try:
        found = steps.steps_of(names, pattern)
    except UserError as error:
        raise UserError(f"{folder}/{error}") from None
    return {step: paths[name] for name, step in found.items()}, [n for n in names if n not in found]


def read(path: Path, entry: str | None, prefix: str) -> tuple[State, Scalars]:
    """Return a snapshot's state dict and what a ``Recorder`` wrote beside it.

    Parameters
    ----------
    path : Path
        A file, or a folder in the manner of transformers.
    entry, prefix : str
        As in ``Snapshots.in_folder``.
    """
    content, scalars = opened(path), {}
    if isinstance(content, Mapping) and content.keys() == {"module", "scalars"}:
        raw, scalars = content["module"], content["scalars"]
        state = plain(str(path), raw)
    else:
        raw = plain(str(path), _state_in(content, path, entry))
        state = _stripped(raw)
    if prefix:
        state = _stripped(_chosen(raw, prefix) or _chosen(state, prefix))
        if not state:
            raise UserError(
                f"{path}: no name begins with {prefix!r}, one is {next(iter(raw), None)!r}."
            )
    return state, scalars


def _chosen(state: State, prefix: str) -> State:
    return {k.removeprefix(prefix): w for k, w in state.items() if k.startswith(prefix)}


def _candidates(folder: Path, pattern: str | None) -> list[Path]:
    marked = rf"\*?{re.escape(steps.MARK)}\*?"
    try:
        found = sorted(folder.glob(re.sub(marked, "*", pattern) if pattern else "*"))
    except (ValueError, NotImplementedError) as error:
        raise UserError(f"{folder}, pattern {pattern!r}: {error}.") from None
    folders = [path for path in found if path.is_dir() and network_in(path)]
    if pattern:
        return folders + [path for path in found if path.is_file()]
    return folders or [
        path
        for path in found
        if path.is_file() and path.name.removesuffix(".tar").endswith(SUFFIXES)
    ]


def _state_in(content: Any, path: Path, entry: str | None) -> Mapping[str, Any]:
    """Find the state dict in what a file holds."""
    states = dict(_states(content))
    if entry is None:
        matrices = [name for name, state in states.items() if any(map(_is_matrix, state.values()))]
        likely = [name for name in ENTRIES if name in states] or matrices or list(states)
    else:
        inside = [name for name in states if name.startswith(f"{entry}.")]
        likely = [entry] if entry in states else inside
    if len(likely) == 1:
        return states[likely[0]]
    if states:
        fault = f"no state dict under {entry!r}" if entry and not likely else "several state dicts"
        there = few(map(repr, likely or states), 8)
        raise UserError(f"{path}: {fault}, there are {there}: give one with entry=.")
    entries = content if isinstance(content, Mapping) else {}
    others = [name for name, value in entries.items() if not isinstance(value, Tensor)]
    there = f" under {entry!r}" if entry else ""
    raise UserError(
        f"{path}: no state dict{there}, it holds {few(map(repr, others), 8) or 'none'}"
        f"{' among tensors' if len(others) < len(entries) else ''}: "
        "save what net.state_dict() returns, alone or in an entry of its own."
    )


def _is_matrix(weight: Any) -> bool:
    return getattr(weight, "ndim", 0) > 1


def _states(content: Any, name: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield all state dicts in nested entries, by their dotted names."""
    if isinstance(content, StandIn) and "_parameters" in content.state:
        content = dict(content.tensors())
    if _is_state(content):
        yield name, content
        return
    entries: Any = ()
    if isinstance(content, Mapping) and "param_groups" not in content:  # that is an optimizer's
        entries = content.items()
    elif isinstance(content, (list, tuple)):
        entries = ((str(k), value) for k, value in enumerate(content))
    for key, value in entries:
        if isinstance(key, str):
            yield from _states(value, f"{name}.{key}" if name else key)


def _is_state(value: Any) -> bool:
    """Return whether this can be a network: weights by name, among them one that is no scalar."""
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        return False
    weights = [w for name, w in value.items() if not is_extra(name)]
    return all(isinstance(w, (Tensor, np.ndarray, Array)) for w in weights) and any(
        w.ndim > 0 and getattr(w, "dtype", None) not in (torch.uint8, torch.int64) for w in weights
    )


def _stripped(state: State) -> State:
    for wrapper in WRAPPERS * 2:  # either may be within the other
        if all(name.startswith(wrapper) for name in state if name != "n_averaged"):
            state = {name.removeprefix(wrapper): value for name, value in state.items()}
    return state
