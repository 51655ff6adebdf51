"""State dicts out of the files and folders in which trainings leave them.

Of a file only tensors and plain values are opened: a pickle of anything else can run any code.
What varies from one training loop to the next is found out as far as it can be said for sure (the
step in a name, the entry with the network); the rest is refused with what would settle it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .errors import UserError

State = dict[str, Tensor]
"""What ``module.state_dict()`` returns: parameters and buffers by name."""

Scalars = dict[str, float]

SUFFIXES = (".pt", ".pth", ".bin", ".ckpt", ".safetensors")

WHOLE = ("model.safetensors", "pytorch_model.bin")
"""What transformers names the network in a checkpoint's folder; in shards, with an index."""

ENTRIES = ("state_dict", "model_state_dict", "model", "module", "network", "net", "weights")
"""Where the state dict lies in a file that holds more, the likeliest first."""

WRAPPERS = ("module.", "_orig_mod.")
"""What DataParallel and torch.compile put before every name."""

COUNTERS = [rf"(?i:{name})s?[^a-zA-Z0-9]?(\d+)" for name in ("step", "iter(?:ation)?", "epoch")]
"""How names count a training, the finest first: ``epoch=3-step=1200``."""


def find(folder: Path, pattern: str | None) -> dict[int, Path]:
    """Return the snapshots in a folder by their step, in its order.

    Raises
    ------
    UserError
        Where there is none, or a name tells no step or the step of another.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder of snapshots.")
    found: dict[int, Path] = {}
    for path in _candidates(folder, pattern):
        step = _step(path.relative_to(folder))
        if step is None:
            fault = f"{path}: no number in the name tells its step; rename it, or leave it out"
        elif step in found:
            fault = f"{path}: is of step {step} like {found[step].name}; leave one out"
        else:
            found[step] = path
            continue
        raise UserError(f"{fault} with a pattern such as 'step*.pt'.")
    if not found:
        what = pattern or f"files ({' '.join(SUFFIXES)}) or sub-folders with {WHOLE[0]}"
        raise UserError(f"{folder}: no snapshots there, expected {what}.")
    return dict(sorted(found.items()))


def read(path: Path, entry: str | None, prefix: str) -> tuple[State, Scalars]:
    """Return a snapshot's state dict and what a ``Recorder`` wrote beside it.

    Parameters
    ----------
    path : Path
        A file, or a folder in the manner of transformers.
    entry, prefix : str
        As in ``Snapshots.in_folder``.
    """
    content, scalars = _open(path), {}
    if isinstance(content, Mapping) and content.keys() == {"module", "scalars"}:
        state, scalars = content["module"], content["scalars"]
    else:
        state = _stripped(_state_in(content, path, entry))
    if prefix:
        chosen = {k.removeprefix(prefix): w for k, w in state.items() if k.startswith(prefix)}
        if not chosen:
            raise UserError(
                f"{path}: no name begins with {prefix!r}, one is {next(iter(state), None)!r}."
            )
        state = _stripped(chosen)
    return dict(state), scalars


def _candidates(folder: Path, pattern: str | None) -> list[Path]:
    found = sorted(folder.glob(pattern or "*"))
    folders = [path for path in found if path.is_dir() and _network_of(path)]
    if pattern:
        return folders + [path for path in found if path.is_file()]
    return folders or [path for path in found if path.is_file() and path.suffix in SUFFIXES]


def _network_of(folder: Path) -> Path | None:
    candidates = (folder / (name + end) for name in WHOLE for end in ("", ".index.json"))
    return next((path for path in candidates if path.is_file()), None)


def _step(path: Path) -> int | None:
    name = path.as_posix().removesuffix(path.suffix if path.suffix in SUFFIXES else "")
    for counter in COUNTERS:
        if numbers := re.findall(counter, name):
            return int(numbers[-1])
    whole = [number for number in re.findall(r"\d+(?:\.\d+)*", name) if number.isdigit()]
    return int(whole[-1]) if whole else None


def _state_in(content: Any, path: Path, entry: str | None) -> State:
    """Find the state dict in what a file holds."""
    if entry is None and _is_state(content):
        return content
    entries = content if isinstance(content, Mapping) else {}
    states = {name: value for name, value in entries.items() if _is_state(value)}
    usual = [entry] if entry else [*ENTRIES, *(states if len(states) == 1 else ())]
    for name in usual:
        if name in states:
            return states[name]
    raise UserError(
        f"{path}: no state dict under {' or '.join(map(repr, usual))}, "
        f"its entries are {', '.join(map(repr, entries)) or 'none'}: give one as entry=."
    )


def _is_state(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and len(value) > 0
        and all(isinstance(k, str) and isinstance(w, Tensor) for k, w in value.items())
    )


def _stripped(state: State) -> State:
    for wrapper in WRAPPERS * 2:  # either may be within the other
        if all(name.startswith(wrapper) for name in state):
            state = {name.removeprefix(wrapper): value for name, value in state.items()}
    return state


def _open(path: Path) -> Any:
    """Return what a file holds, or the shards of a folder together."""
    if path.is_dir():
        network = _network_of(path)
        if network is None:
            raise UserError(f"{path}: expected {' or '.join(WHOLE)} there.")
        return _open(network)
    if path.suffix == ".json":
        try:
            shards = sorted(
                set(json.loads(path.read_text(encoding="utf-8"))["weight_map"].values())
            )
        except (ValueError, KeyError, AttributeError, TypeError):
            raise UserError(f"{path}: expected an index of shards, a 'weight_map'.") from None
        return {name: w for shard in shards for name, w in _open(path.parent / shard).items()}
    return _open_safetensors(path) if path.suffix == ".safetensors" else _open_torch(path)


def _open_safetensors(path: Path) -> State:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError:
        raise UserError(f"{path}: needs pip install 'movinglands[safetensors]'.") from None
    try:
        return load_file(path)
    except SafetensorError as error:
        raise UserError(f"{path}: is no safetensors file, or not a whole one: {error}.") from None


def _open_torch(path: Path) -> Any:
    load = partial(torch.load, path, map_location="cpu", weights_only=True)
    try:
        try:
            return load(mmap=True)  # an optimizer's state beside the network's is not even read
        except RuntimeError as error:
            if "mmap" not in str(error):
                raise
            return load()  # the format before torch 1.6
    except (FileNotFoundError, PermissionError, MemoryError):
        raise
    except Exception as error:  # what torch.load raises on bytes of another kind, it does not say
        if foreign := re.search(r"GLOBAL ([\w.]+)", str(error)):
            raise UserError(
                f"{path}: holds {foreign[1]}, and pickles of other than tensors and plain values "
                "can run any code, so it is not opened: save the state dict alone, or, if the file "
                "is your own, allow that class with torch.serialization.add_safe_globals."
            ) from None
        reason = f"{type(error).__name__}: {error}".split(". ")[0].splitlines()[0]
        raise UserError(
            f"{path}: is no file of torch.save, or not a whole one ({reason})."
        ) from None
