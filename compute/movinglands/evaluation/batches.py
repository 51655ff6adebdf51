"""Batches in whatever arrangement a loss takes them, and how many samples they hold.

A batch may be any Python object. What counts of it are its tensors: they are found through
containers, dataclasses and plain objects, and an arrangement of other tensors is a copy of the
objects on the way to them. Nobody's own batch is written to. How many samples a batch holds is
asked for; it is told from the tensors only where they all agree.
"""

from __future__ import annotations

import copy
import itertools
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import BuiltinFunctionType, FunctionType, MappingProxyType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from ..errors import UserError, said
from ..fingerprint.code import slots_of
from ..memory import available

Batch = Any
"""What a loss takes: tensors in any arrangement."""

Count = Callable[[Batch], float]
"""From a batch to what its loss counts for in the mean: its samples, as a rule."""

MOST_BATCHES = 65_536
"""Batches after which a loader that tells no length counts as endless."""

_CLOSED = (
    *(str, bytes, int, float, complex, type),
    *(nn.Module, torch.Generator, torch.dtype, torch.device),
    *(ModuleType, FunctionType, MethodType, BuiltinFunctionType),
)
"""What is never looked into for tensors of a batch."""


def replaced(batch: Batch, change: Callable[[Any], Any]) -> Batch:
    """Return a batch in which every part for which ``change`` does not answer None is its answer.

    It is asked for containers, too, before what is in them. Parts in which nothing changes are the
    same objects.
    """
    known: dict[int, Any] = {}

    def walk(part: Any) -> Any:
        if id(part) not in known:
            known[id(part)] = part  # so that a circle ends
            answer = change(part)
            known[id(part)] = _rebuilt(part, walk) if answer is None else answer
        return known[id(part)]

    return walk(batch)


def _rebuilt(part: Any, walk: Callable[[Any], Any]) -> Any:
    """Return an object with what ``walk`` makes of its parts; itself where that is the same."""
    if part is None or isinstance(part, _CLOSED):
        return part
    if isinstance(part, PackedSequence):  # its lengths stay on the CPU
        data, lengths, order, back = part
        return PackedSequence(walk(data), lengths, walk(order), walk(back))
    if isinstance(part, tuple):
        items = [walk(item) for item in part]
        if all(map(operator.is_, items, part)):
            return part
        return type(part)(*items) if hasattr(part, "_fields") else tuple.__new__(type(part), items)
    if isinstance(part, MappingProxyType):
        values = {key: walk(value) for key, value in part.items()}
        same = all(map(operator.is_, values.values(), part.values()))
        return part if same else MappingProxyType(values)
    held = _held(part)
    changed = {key: new for key, old in held.items() if (new := walk(old)) is not old}
    if not changed:
        return part
    try:
        made = copy.copy(part)
    except Exception:  # what refuses to be written to, for one
        made = object.__new__(type(part))
        changed = held | changed
    for (kind, key), new in changed.items():
        if kind == "item":
            (dict if isinstance(part, dict) else list).__setitem__(made, key, new)
        else:  # past a __setattr__ of its own, and what is frozen
            object.__setattr__(made, key, new)
    return made


def _held(part: Any) -> dict[tuple[str, Any], Any]:
    """Return the parts of an object, by how they are reached."""
    held: dict[tuple[str, Any], Any] = {}
    if isinstance(part, dict):
        held |= {("item", key): value for key, value in dict.items(part)}
    elif isinstance(part, list):
        held |= {("item", n): value for n, value in enumerate(list.__iter__(part))}
    attributes = getattr(part, "__dict__", {}) | slots_of(part)
    return held | {("attribute", key): value for key, value in attributes.items()}


def mapped(batch: Batch, change: Callable[[Tensor], Tensor]) -> Batch:
    """Return a batch with each of its tensors changed; a tensor that is there twice stays one."""
    return replaced(batch, lambda part: change(part) if isinstance(part, Tensor) else None)


def fresh(batch: Batch) -> Batch:
    """Return a batch with tensors and arrays of its own, for a loss that writes to them."""

    def renewed(part: Any) -> Any:
        if isinstance(part, Tensor):
            return part.clone()
        return part.copy() if isinstance(part, np.ndarray) else None

    return replaced(batch, renewed)


def alike(one: Batch, other: Batch) -> bool:
    """Tell whether a fresh batch is still what it was made from."""
    some, others = _content(one), _content(other)
    return len(some) == len(others) and all(map(_equal, some, others))


def _content(batch: Batch) -> list[Any]:
    found: list[Any] = []

    def look(part: Any) -> Any:
        if isinstance(part, Tensor | np.ndarray | int | float | str):
            found.append(part)
            return part
        if isinstance(part, Sequence | Mapping):
            found.append(len(part))
        return None

    replaced(batch, look)
    return found


def _equal(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if not isinstance(one, Tensor | np.ndarray):
        return bool(one == other)
    if isinstance(one, Tensor) and one.layout != torch.strided:
        return True  # nobody writes to a sparse one
    same = (one == other) | ((one != one) & (other != other)) if one.shape == other.shape else None
    return same is not None and bool(same.all())


def moved(batch: Batch, device: torch.device) -> Batch:
    """Return a batch on a device; what hides its tensors is asked to move them itself.

    Raises
    ------
    UserError
        For nested tensors, which torch cannot tell the shape of.
    """

    def move(part: Any) -> Any:
        if isinstance(part, Tensor):
            if part.is_nested:
                raise UserError(
                    "batches: a nested tensor, expected a list of its parts, as tensor.unbind() "
                    "gives it, or a padded tensor."
                )
            return part.to(device)
        hiding = not hasattr(part, "__dict__") and not isinstance(part, _CLOSED)
        if hiding and callable(to := getattr(part, "to", None)):
            return to(device)
        return None

    return replaced(batch, move)


def tensors_of(batch: Batch) -> list[Tensor]:
    """Return the tensors of a batch, each once, in the order in which they are found."""
    found: list[Tensor] = []
    mapped(batch, lambda tensor: found.append(tensor) or tensor)  # type: ignore[func-returns-value]
    return found


def with_tensors(batch: Batch, tensors: Sequence[Tensor]) -> Batch:
    """Return a batch with other tensors in the place of ``tensors_of``."""
    given = iter(tensors)
    return mapped(batch, lambda _: next(given))


def sizes(batch: Batch) -> list[int]:
    """Return the first dimension of every tensor and array that has one; a packed sequence is one.

    Numbers and 0-d tensors have none: they are constants.
    """
    found: list[int] = []

    def look(part: Any) -> Any:
        if isinstance(part, PackedSequence):
            found.append(int(part.batch_sizes[0]))
        elif not isinstance(part, Tensor | np.ndarray):
            return None
        elif part.ndim:
            found.append(len(part) if isinstance(part, np.ndarray) else part.shape[0])
        return part

    replaced(batch, look)
    return found


def counts(batches: Sequence[Batch], count: Count | None) -> list[float] | None:
    """Return how much each batch counts for, or None where its tensors do not tell.

    Raises
    ------
    UserError
        Where ``count`` answers with what is no number of samples.
    """
    if count is None:
        agreed = [set(sizes(batch)) for batch in batches]
        return [float(*found) for found in agreed] if all(len(s) == 1 for s in agreed) else None
    found = []
    for number, batch in enumerate(batches, 1):
        try:
            answer = count(batch)
        except Exception as error:  # whatever the user's function raises
            raise UserError(
                f"count: it fails on batch {number} ({said(error)}), expected a number of samples."
            ) from error
        try:
            value = float(answer)
        except (TypeError, ValueError, RuntimeError):
            value = -1.0
        if not 0 <= value < float("inf"):
            raise UserError(f"count: {answer!r} for batch {number}, expected a number of samples.")
        found.append(value)
    if batches and not sum(found):
        raise UserError("count: no batch has a sample, expected one at least.")
    return found


def untold(batches: Sequence[Batch]) -> str:
    """Return the error for batches whose numbers of samples cannot be told."""
    unlike = next(batch for batch in batches if len(set(sizes(batch))) != 1)
    found = ", ".join(map(str, dict.fromkeys(sizes(unlike)))) or "none"
    return (
        "batches: how many samples a batch holds cannot be told from the first dimensions of its "
        f"tensors ({found}): say it, as in count=lambda batch: len(batch[1]), or have the loss "
        'return {"loss": ..., "weight": ...} with what it is the mean of.'
    )


def sample(batch: Batch, count: float, index: Tensor) -> Batch:
    """Return the samples of a batch that an index ``(n,)`` names.

    Samples are what has as many entries as there are samples; the rest is the same for all.
    """

    def pick(part: Any) -> Any:
        if isinstance(part, PackedSequence):
            raise UserError("minibatch: no samples can be drawn from a PackedSequence.")
        if isinstance(part, Tensor):
            is_samples = part.ndim and part.shape[0] == count
            if is_samples and part.layout != torch.strided:
                raise UserError("minibatch: no samples can be drawn from a sparse tensor.")
            return part[index] if is_samples else part
        if isinstance(part, np.ndarray) and part.ndim and len(part) == count:
            return part[index.cpu().numpy()]
        return None

    return replaced(batch, pick)


def piece(batch: Batch, count: float, start: int, stop: int) -> Batch:
    """Return consecutive samples of a batch."""
    return sample(batch, count, torch.arange(start, stop, device=_device(batch)))


def _device(batch: Batch) -> torch.device:
    return next((t.device for t in tensors_of(batch)), torch.device("cpu"))


def joined(batches: Sequence[Batch], counts: Sequence[float]) -> Batch:
    """Return batches as one: their samples one after another, what is no sample once.

    Raises
    ------
    ValueError
        Where they are not arranged alike, or what they do not share is no sample.
    """
    taken = [tensors_of(batch) for batch in batches]
    together = []
    for parts in zip(*taken, strict=True):
        if all(p.ndim and p.shape[0] == n for p, n in zip(parts, counts, strict=True)):
            if len({(p.shape[1:], p.dtype) for p in parts}) > 1:
                raise ValueError("samples of unlike shape")
            together.append(torch.cat(parts))
        elif all(torch.equal(parts[0], p) for p in parts[1:]):
            together.append(parts[0])
        else:
            raise ValueError("what is no sample differs")
    return with_tensors(batches[0], together)


def gathered(given: Iterable[Batch]) -> list[Batch]:
    """Return batches as a list, read once.

    Raises
    ------
    UserError
        Where they do not end, as far as can be told, or do not fit the memory.
    """
    if isinstance(given, Tensor | Mapping | str | nn.Module):
        raise UserError(
            f"batches: a {type(given).__name__}, expected a list of batches, or a loader; "
            "put a single batch in a list: [batch]."
        )
    if hasattr(given, "__len__"):
        return list(given)
    found: list[Batch] = []
    room, held = available() // 2, 0
    for batch in itertools.islice(given, MOST_BATCHES + 1):
        found.append(batch)
        held += sum(tensor.nbytes for tensor in tensors_of(batch))
        if held > room or len(found) > MOST_BATCHES:
            raise UserError(
                f"batches: the loader does not seem to end, after {len(found):,} batches of "
                f"{held / 1e9:.2g} GB in all: give as many as the loss shall be the mean of, as in "
                "list(itertools.islice(loader, 100))."
            )
    return found
