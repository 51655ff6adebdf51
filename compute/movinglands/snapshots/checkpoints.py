"""State dicts out of the files and folders in which trainings leave them.

Of a file only tensors, arrays and plain values are opened. Whatever else its pickle names stays
closed, an empty stand-in in its place, because the real thing could run any code. What varies from
one training loop to the next is found out as far as it can be said for sure (the entry with the
network); the rest is refused with what would settle it.
"""

from __future__ import annotations

import builtins
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from ..errors import UserError
from . import steps

State = dict[str, Tensor]
"""What ``module.state_dict()`` returns: parameters and buffers by name."""

Scalars = dict[str, float]

SUFFIXES = (".pt", ".pth", ".bin", ".ckpt", ".t7", ".safetensors")
"""Of files with a network; ``.tar`` may follow, as PyTorch's own examples have it."""

WHOLE = ("model.safetensors", "pytorch_model.bin", "adapter_model.safetensors", "adapter_model.bin")
"""What transformers names the network in a checkpoint's folder; in shards, with an index."""

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
    content, scalars = _open(path), {}
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


def plain(where: str, state: Mapping[str, Any]) -> State:
    """Return the tensors of a state dict, on the CPU and detached, not copied.

    Arrays become tensors. Extra state (``get_extra_state``) is no weight and is left out.

    Raises
    ------
    UserError
        ``where`` and the name of what is no plain tensor.
    """
    if not isinstance(state, Mapping):
        found = type(state).__name__
        raise UserError(f"{where}: is a {found}, expected a state dict, as of net.state_dict().")
    return {
        name: _tensor(f"{where}: {name!r}", value)
        for name, value in state.items()
        if not is_extra(name)
    }


def is_extra(name: str) -> bool:
    """Return whether a name of a state dict is that of what ``get_extra_state`` returned."""
    return name.rpartition(".")[2] == "_extra_state"


def few(names: Iterable[str], most: int = 3) -> str:
    """Return a few names in words, and how many more there are."""
    told = list(names)
    more = f" and {len(told) - most} more" if len(told) > most else ""
    return ", ".join(told[:most]) + more


def must_be_plain(what: str, value: Any) -> None:
    """Refuse what is not a tensor of its own values, with what to do about it."""
    if is_lazy(value):
        fault = "has no shape yet: call the network once on a batch first"
    elif isinstance(value, torch.dtype) or getattr(value, "is_quantized", False):
        fault = "belongs to a quantised network: take it as it was before"
    elif hasattr(value, "full_tensor"):  # a DTensor
        fault = f"is a {type(value).__name__}, a part of a tensor: gather it with full_tensor()"
    elif type(value) not in (Tensor, nn.Parameter):
        fault = f"is a {type(value).__name__}, expected a plain tensor"
    elif value.is_meta:
        fault = "is on the meta device, which keeps no values: give it its values first"
    else:
        return
    raise UserError(f"{what} {fault}.")


def _tensor(what: str, value: Any) -> Tensor:
    if isinstance(value, (np.ndarray, _Array)):
        try:
            array = value.array() if isinstance(value, _Array) else value
            return torch.from_numpy(array.astype(array.dtype.newbyteorder("=")))
        except (TypeError, ValueError) as error:
            raise UserError(f"{what} is an array that torch cannot take: {error}.") from None
    must_be_plain(what, value)
    return value.detach().cpu()


def _chosen(state: State, prefix: str) -> State:
    return {k.removeprefix(prefix): w for k, w in state.items() if k.startswith(prefix)}


def _candidates(folder: Path, pattern: str | None) -> list[Path]:
    marked = rf"\*?{re.escape(steps.MARK)}\*?"
    try:
        found = sorted(folder.glob(re.sub(marked, "*", pattern) if pattern else "*"))
    except (ValueError, NotImplementedError) as error:
        raise UserError(f"{folder}, pattern {pattern!r}: {error}.") from None
    folders = [path for path in found if path.is_dir() and _network_of(path)]
    if pattern:
        return folders + [path for path in found if path.is_file()]
    return folders or [
        path
        for path in found
        if path.is_file() and path.name.removesuffix(".tar").endswith(SUFFIXES)
    ]


def _network_of(folder: Path) -> Path | None:
    candidates = (folder / (name + end) for name in WHOLE for end in ("", ".index.json"))
    return next((path for path in candidates if path.is_file()), None)


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
    if isinstance(content, _StandIn) and "_parameters" in content.state:
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
    return all(isinstance(w, (Tensor, np.ndarray, _Array)) for w in weights) and any(
        w.ndim > 0 and getattr(w, "dtype", None) not in (torch.uint8, torch.int64) for w in weights
    )


def _stripped(state: State) -> State:
    for wrapper in WRAPPERS * 2:  # either may be within the other
        if all(name.startswith(wrapper) for name in state if name != "n_averaged"):
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
    allowed: list[tuple[Callable, str]] = []
    while True:
        try:
            with torch.serialization.safe_globals(allowed):  # type: ignore[arg-type]
                return _load(path)
        except (FileNotFoundError, PermissionError, MemoryError):
            raise
        except Exception as error:  # what torch.load raises on other bytes, it does not say
            allowed.append(_stand_in(path, error, {name for _, name in allowed}))


def _load(path: Path) -> Any:
    load = partial(torch.load, path, map_location="cpu", weights_only=True)
    try:
        return load(mmap=True)  # an optimizer's state beside the network's is not even read
    except RuntimeError as error:
        if "mmap" not in str(error):
            raise
        return load()  # the format before torch 1.6


def _stand_in(path: Path, error: Exception, known: set[str]) -> tuple[Callable, str]:
    """Return what to put in the place of the class that torch.load refused, and its name.

    Raises
    ------
    UserError
        Where torch.load failed over something else, or over a function that runs code.
    """
    unsafe = (
        "so it is not opened: if you trust it, save the state dict that is in "
        "torch.load(path, weights_only=False) alone"
    )
    if foreign := re.search(r"GLOBAL ([\w.]+)", str(error)):
        name = foreign[1] if "." in foreign[1] else f"builtins.{foreign[1]}"
        module, _, short = name.rpartition(".")
        harmless = module != "builtins" or isinstance(getattr(builtins, short, None), type)
        if harmless and name not in known and "is blocked" not in str(error):
            return STAND_INS.get(name) or type(short, (_StandIn,), {}), name
        raise UserError(f"{path}: holds {foreign[1]}, which can run any code, {unsafe}.")
    if known:
        raise UserError(
            f"{path}: holds {', '.join(sorted(known))} in a way unknown here, {unsafe}."
        )
    told = re.search(r"WeightsUnpickler error:\s*(.+)", str(error))
    reason = told[1] if told else f"{type(error).__name__}: {error}".split(". ")[0].splitlines()[0]
    raise UserError(
        f"{path}: is no file of torch.save, or not a whole one ({reason.rstrip('. ')}): "
        "save the state dict alone with torch.save."
    )


class _StandIn:
    """An object of a class that is not opened: it is made and filled, and nothing of it runs."""

    state: Mapping[str, Any] = {}

    def __init__(self, *_: Any) -> None: ...

    def __setstate__(self, state: Any) -> None:
        self.state = state if isinstance(state, dict) else {}

    def tensors(self, prefix: str = "") -> Iterator[tuple[str, Any]]:
        """Yield what ``state_dict`` would of a pickled ``nn.Module``."""
        unsaved = self.state.get("_non_persistent_buffers_set", ())
        for kind in ("_parameters", "_buffers"):
            for name, w in self.state.get(kind, {}).items():
                if w is not None and name not in unsaved:
                    yield prefix + name, w
        for name, child in self.state.get("_modules", {}).items():
            if isinstance(child, _StandIn):
                yield from child.tensors(f"{prefix}{name}.")


class _Type:
    """NumPy's dtype in a file, of numbers only: NumPy's own could be led to foreign memory."""

    def __init__(self, code: Any, *_: Any) -> None:
        self.code, self.order = str(code), "="

    def __setstate__(self, state: tuple) -> None:
        self.order = state[1]

    def numpy(self) -> np.dtype:
        if not re.fullmatch(r"[biufc]\d+", self.code):
            raise TypeError(f"its values are of type {self.code}, expected numbers")
        return np.dtype(self.order + self.code)


class _Array:
    """A NumPy array in a file, as the bytes it is made of."""

    state: Any = (1, (), None, False, b"")

    def __init__(self, *_: Any) -> None: ...

    def __setstate__(self, state: Any) -> None:
        self.state = state

    @property
    def ndim(self) -> int:
        return len(self.state[1])

    def array(self) -> np.ndarray:
        _, shape, kind, columns_first, values = self.state
        array = np.frombuffer(values, kind.numpy())
        return array.reshape(shape, order="F" if columns_first else "C")


def _dictionary(*_: Any) -> dict:
    return {}


STAND_INS: dict[str, Callable] = {
    "builtins.bytes": bytes,
    "collections.defaultdict": _dictionary,
    "numpy.core.multiarray._reconstruct": _Array,
    "numpy._core.multiarray._reconstruct": _Array,  # NumPy 2
    "numpy.dtype": _Type,
}
