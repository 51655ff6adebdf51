"""Files of weights, opened without running anything that is in them.

Of a file only tensors, arrays and plain values are opened. Whatever else its pickle names stays
closed, an empty stand-in in its place, because the real thing could run any code.
"""

from __future__ import annotations

import builtins
import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import UserError

WHOLE = ("model.safetensors", "pytorch_model.bin", "adapter_model.safetensors", "adapter_model.bin")
"""What transformers names the network in a checkpoint's folder; in shards, with an index."""


def network_in(folder: Path) -> Path | None:
    """Return the file of a folder that holds the network, where one does."""
    candidates = (folder / (name + end) for name in WHOLE for end in ("", ".index.json"))
    return next((path for path in candidates if path.is_file()), None)


def opened(path: Path) -> Any:
    """Return what a file holds, or the shards of a folder together."""
    if path.is_dir():
        network = network_in(path)
        if network is None:
            raise UserError(f"{path}: expected {' or '.join(WHOLE)} there.")
        return opened(network)
    if path.suffix == ".json":
        try:
            shards = sorted(
                set(json.loads(path.read_text(encoding="utf-8"))["weight_map"].values())
            )
        except (ValueError, KeyError, AttributeError, TypeError):
            raise UserError(f"{path}: expected an index of shards, a 'weight_map'.") from None
        return {name: w for shard in shards for name, w in opened(path.parent / shard).items()}
    return _open_safetensors(path) if path.suffix == ".safetensors" else _open_torch(path)


def _open_safetensors(path: Path) -> dict[str, Tensor]:
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
            return STAND_INS.get(name) or type(short, (StandIn,), {}), name
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


class StandIn:
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
            if isinstance(child, StandIn):
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


class Array:
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
    "numpy.core.multiarray._reconstruct": Array,
    "numpy._core.multiarray._reconstruct": Array,  # NumPy 2
    "numpy.dtype": _Type,
}
