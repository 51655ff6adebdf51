"""Copies of a user's network, and the original exactly as it was after it has been used."""

from __future__ import annotations

import copy
import random
from collections import UserDict, UserList, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedTensorMixin  # type: ignore[attr-defined]

from ..errors import UserError
from ..fingerprint.code import library, module_of, slots_of

_OWN = ("_parameters", "_buffers", "_modules")
_DEEPEST = 12
"""Containers within containers that are put back: state of a layer lies no deeper."""


def copied(module: nn.Module, device: torch.device) -> nn.Module:
    """Return a copy of a network on a device.

    What Python cannot copy (a lock, an open file) the copy shares; a skeleton on the meta device
    gets room for the weights that it will be given.

    Raises
    ------
    UserError
        For a network that is not there as a whole, or cannot be copied.
    """
    _check(module)
    # What old weight_norm, pruning and the like left: made anew from the weights at each pass.
    memo: dict[int, Any] = {
        id(value): value.detach().clone()
        for part in module.modules()
        for value in vars(part).values()
        if isinstance(value, Tensor) and not value.is_leaf
    }
    try:
        made = copy.deepcopy(module, dict(memo))
    except Exception:  # whatever a user's own attribute raises
        shared = {id(value): value for value in _uncopyable(module, memo)}
        try:
            made = copy.deepcopy(module, memo | shared)
        except Exception as error:
            raise UserError(
                f"module: Python cannot copy this {type(module).__name__} ({error}): take out of "
                "it what cannot be copied, or give it a __deepcopy__ that works."
            ) from error

    def there(tensor: Tensor) -> Tensor:
        return torch.zeros_like(tensor, device=device) if tensor.is_meta else tensor.to(device)

    return made._apply(there)


def _check(module: nn.Module) -> None:
    """Refuse a network whose weights are elsewhere, or not made yet."""
    for name, part in module.named_modules():
        tensors = [*part.parameters(recurse=False), *part.buffers(recurse=False)]
        if any(isinstance(t, UninitializedTensorMixin) for t in tensors):
            raise UserError(
                f"module: {name or type(part).__name__} is lazy and has no weights yet: call the "
                "network on a batch once, before its weights are loaded."
            )
        if hasattr(part, "_hf_hook") and any(t.is_meta for t in tensors):
            raise UserError(
                f"module: {name or type(part).__name__} is offloaded, its weights are not in "
                "memory: give the network whole, without a device map."
            )
        unsaved = getattr(part, "_non_persistent_buffers_set", ())
        for key, buffer in part.named_buffers(recurse=False):
            if key in unsaved and buffer.is_meta:
                raise UserError(
                    f"module: {f'{name}.{key}'.strip('.')} is on the meta device and in no "
                    "snapshot: make the network on the CPU."
                )


def _uncopyable(module: nn.Module, memo: dict[int, Any]) -> Iterator[Any]:
    """Yield what a network holds that cannot be copied."""
    for part in module.modules():
        for name, value in vars(part).items():
            held = value.values() if isinstance(value, dict) else [value]
            for thing in () if name in _OWN else held:
                try:
                    copy.deepcopy(thing, dict(memo))
                except Exception:
                    yield thing


class Kept:
    """All that evaluating a network can change of it, and how it is put back.

    These are weights and buffers, modes, attributes of its modules, and tensors, containers,
    generators and plain objects of the user's in them. Gradients are taken away until the end.
    """

    def __init__(self, module: nn.Module) -> None:
        self._undo: list[Callable[[], None]] = []
        self._known: dict[int, object] = {}
        self._gradients: list[tuple[Tensor, Tensor | None]] = []
        for part in module.modules():
            if isinstance(part, torch.jit.ScriptModule):  # no Python state, nor room for any
                self._keep_scripted(part)
            else:
                self._keep(part, 0)
        self._take_gradients()

    def put_back(self) -> None:
        """Make everything what it was, without gradients."""
        with torch.no_grad():
            for undo in self._undo:
                undo()
        self._take_gradients()

    def end(self) -> None:
        """Make everything what it was."""
        self.put_back()
        for tensor, gradient in self._gradients:
            tensor.grad = gradient

    def _take_gradients(self) -> None:
        for tensor, _ in self._gradients:
            tensor.grad = None

    def _keep(self, thing: Any, depth: int) -> None:
        of_another = depth and isinstance(thing, nn.Module)  # which has its own turn
        if id(thing) in self._known or depth > _DEEPEST or of_another:
            return
        self._known[id(thing)] = thing  # held, so that no other thing gets its number
        if isinstance(thing, Tensor):
            if not thing.is_meta and not thing.is_inference():
                self._keep_tensor(thing)
        elif isinstance(thing, torch.Generator):
            state = thing.get_state()
            self._undo.append(lambda: (thing.set_state(state), None)[1])
        elif isinstance(thing, random.Random):
            pythons = thing.getstate()
            self._undo.append(lambda: thing.setstate(pythons))
        elif isinstance(thing, np.random.Generator):
            bits = copy.deepcopy(thing.bit_generator.state)
            self._undo.append(lambda: setattr(thing.bit_generator, "state", bits))
        elif isinstance(thing, np.random.RandomState):
            numpys = thing.get_state()
            self._undo.append(lambda: thing.set_state(numpys))
        elif isinstance(thing, np.ndarray):
            values = thing.copy()
            self._undo.append(lambda: np.copyto(thing, values) if thing.flags.writeable else None)
        else:
            self._keep_container(thing, depth)

    def _keep_scripted(self, part: torch.jit.ScriptModule) -> None:
        training = part.training
        self._undo.append(lambda: setattr(part, "training", training))
        for tensor in (*part.parameters(recurse=False), *part.buffers(recurse=False)):
            self._keep(tensor, 0)

    def _keep_tensor(self, tensor: Tensor) -> None:
        if not all(tensor.stride() if tensor.layout == torch.strided else (1,)):
            return  # expanded: nobody can write to it
        values = tensor.detach().clone()
        self._undo.append(lambda: (tensor.detach().copy_(values), None)[1])
        if tensor.is_leaf:
            self._gradients.append((tensor, tensor.grad))

    def _keep_container(self, thing: Any, depth: int) -> None:
        if isinstance(thing, dict):
            items = dict(thing)
            self._undo.append(lambda: _refill(thing, items))
            inside = list(items.values())
        elif isinstance(thing, list | set | deque):
            inside = list(thing)
            self._undo.append(lambda: _refill(thing, inside))
        elif isinstance(thing, tuple):
            inside = list(thing)
        elif isinstance(thing, nn.Module | SimpleNamespace | UserDict | UserList) or _is_plain(
            thing
        ):
            inside = [getattr(thing, "__dict__", ())]
            for name, value in slots_of(thing).items():
                inside.append(value)
                self._undo.append(partial(object.__setattr__, thing, name, value))
        else:
            return
        for value in inside:
            self._keep(value, depth + 1)


def _refill(container: Any, content: Any) -> None:
    container.clear()
    if isinstance(container, deque | list):
        container.extend(content)
    else:
        container.update(content)


def _is_plain(thing: Any) -> bool:
    """Tell whether a thing is an object of a class of the user's own."""
    closed = (type, FunctionType, MethodType, BuiltinFunctionType, ModuleType)
    has_state = hasattr(thing, "__dict__") or hasattr(thing, "__slots__")
    return has_state and not isinstance(thing, closed) and is_own(type(thing))


def is_own(cls: type) -> bool:
    """Tell whether a class is the user's own: neither Python's nor of an installed package."""
    return library(module_of(cls)) is None


_lent: dict[int, Kept] = {}
"""Networks that are lent out, by id."""


@contextmanager
def put_back(module: nn.Module) -> Iterator[Kept]:
    """Put a network back as it was at the end, whatever happens; nested, it is kept only once."""
    if kept := _lent.get(id(module)):
        try:
            yield kept
        finally:
            kept.put_back()
        return
    kept = _lent[id(module)] = Kept(module)
    try:
        yield kept
    finally:
        del _lent[id(module)]
        kept.end()
