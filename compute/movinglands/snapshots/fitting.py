"""Making a file's state dict one of a given network: names, shapes, precision, what may be missing.

The rule is that of ``load_state_dict``, but for what cannot change a value: a counter of batches,
a table of positions. Such a thing may be missing or too many, and that is noted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from ..errors import UserError, few
from .states import State, is_extra, must_be_plain

CONSTANTS = ("num_batches_tracked", "position_ids", "inv_freq")
"""Last names of buffers that count or that every network of the kind has alike."""

FOREIGN = ("total_ops", "total_params", "n_averaged", "masked_bias")
"""Last names of what tools leave in a state dict, and no network reads."""

MASKS = ("mask", "attn_mask", "causal_mask")

LOSSES = ("criterion", "loss", "loss_fn", "loss_func", "loss_function")
"""First names of a loss that was trained as a part of the network; here it is given apart."""


@dataclass
class Notes:
    """What was tolerated, by name, in the order in which it was met."""

    ignored: dict[str, None] = field(default_factory=dict)
    taken: dict[str, None] = field(default_factory=dict)
    left: dict[str, None] = field(default_factory=dict)

    def sentences(self) -> tuple[str, ...]:
        """Return it in words."""
        told = {
            "ignored in the snapshots": self.ignored,
            "not in the snapshots, taken from the network": self.taken,
            "extra state, left as the network has it": self.left,
        }
        return tuple(f"{what}: {few(names)}" for what, names in told.items() if names)


class Fit:
    """Makes state dicts those of one network; keeps none of its parameters.

    Parameters
    ----------
    module : nn.Module
        May be on the meta device.
    strict : bool
        Whether to refuse what is too many, and missing buffers, where that could change a value.

    Raises
    ------
    UserError
        Where the network has parameters without a shape.
    """

    def __init__(self, module: nn.Module, strict: bool) -> None:
        parameters = dict(module.named_parameters(remove_duplicate=False))
        buffers = dict(module.named_buffers(remove_duplicate=False))
        whole = module.state_dict()
        state = {name: w for name, w in whole.items() if not is_extra(name)}
        for name, w in state.items():
            if is_lazy(w) or not isinstance(w, Tensor):
                must_be_plain(f"The network's {name!r}", w)
        self.strict = strict
        self.expected = {name: (w.shape, w.dtype) for name, w in state.items()}
        self.parameters = parameters.keys() & state.keys()
        self.own = {
            name: w.detach().cpu().clone()
            for name, w in state.items()
            if name not in parameters and not w.is_meta
        }
        self._extra = whole.keys() - state.keys()
        self._unsaved = buffers.keys() - state.keys()
        self._ties = _ties(parameters | buffers)
        self._full = _by_core(state)

    def __call__(self, where: str, state: State, notes: Notes) -> State:
        """Return a state dict as this network's, and note what was tolerated.

        Raises
        ------
        UserError
            ``where``, and the first name, shape or kind of number that does not fit.
        """
        state = self._renamed(state)
        for names in self._ties:
            there = sorted(names & state.keys())
            state.update({name: state[there[0]] for name in names - state.keys() if there})
        fitted = {}
        for name in self.expected:
            if name in state:
                fitted[name] = self._cast(f"{where}: {name!r}", name, state[name])
            else:
                fitted[name] = self._missing(where, name, state)
                notes.taken[name] = None
        notes.left.update(dict.fromkeys(sorted(self._extra)))
        for name in state:
            if name in self.expected:
                continue
            if self.strict and not self._needless(name, state[name]):
                raise UserError(
                    f"{where}: holds {name!r}, which the network has not; "
                    "with strict=False it is ignored."
                )
            notes.ignored[name] = None
        return fitted

    def finite(self, state: State) -> bool:
        """Return whether a fitted state holds no NaN and no infinity of its own.

        A mask has infinities by nature: of a buffer those count that the network has not.
        """
        for name, w in state.items():
            if _is_integer(w):
                continue
            values = _readable(w)
            finite = values.isfinite()
            if name not in self.parameters:
                finite |= values.isinf() & _readable(self.own.get(name, w)).isinf()
            if not finite.all():
                return False
        return True

    def _renamed(self, state: State) -> State:
        renamed: State = {}
        for name, w in state.items():
            full = name if name in self.expected else self._full.get(_core(name), name)
            taken = full != name and (full in state or full in renamed)
            renamed[name if taken else full] = w
        return renamed

    def _cast(self, what: str, name: str, w: Tensor) -> Tensor:
        shape, dtype = self.expected[name]
        if w.shape == (1,) and shape == ():  # from before torch 0.4, as load_state_dict has it
            w = w[0]
        if w.shape != shape:
            raise UserError(
                f"{what} is {tuple(w.shape)}, expected {tuple(shape)} as in the network."
            )
        drops = w.is_complex() and not dtype.is_complex
        coded = (
            name in self.parameters
            and _is_integer(w)
            and (dtype.is_floating_point or dtype.is_complex)
        )
        if drops or coded:
            raise UserError(f"{what} is {w.dtype}, expected {dtype} as in the network.")
        return w.to(dtype)

    def _missing(self, where: str, name: str, state: State) -> Tensor:
        last = name.rpartition(".")[2]
        if name in self.own and (last in CONSTANTS or not self.strict):
            return self.own[name]
        if last == "num_batches_tracked":
            shape, dtype = self.expected[name]
            return torch.zeros(shape, dtype=dtype)
        hint = ""
        if prefixes := self._prefixes(state):
            hint = f"; with {' or '.join(f'prefix={p!r}' for p in prefixes)} it would be there"
        elif name in self.own:
            hint = "; with strict=False the network's own is taken"
        raise UserError(f"{where}: lacks {name!r}, which the network has{hint}.")

    def _prefixes(self, state: State) -> list[str]:
        """Return the shortest prefixes under which all parameters are there."""
        heads = {name[: k + 1] for name in state for k, letter in enumerate(name) if letter == "."}
        wanted = {_core(name) for name in self.parameters} - self._tied()
        found: list[str] = []
        for head in sorted(heads, key=lambda head: (len(head), head)):
            inside = {_core(name.removeprefix(head)) for name in state if name.startswith(head)}
            if wanted and wanted <= inside and not any(map(head.startswith, found)):
                found.append(head)
        return found

    def _tied(self) -> set[str]:
        """Return the names of parameters that another name gives as well."""
        return {_core(name) for names in self._ties for name in sorted(names)[1:]}

    def _needless(self, name: str, w: Tensor) -> bool:
        first, last = name.partition(".")[0], name.rpartition(".")[2]
        return (
            name in self._unsaved
            or last in CONSTANTS + FOREIGN
            or _is_integer(w)
            or (last in MASKS and w.unique().numel() <= 2)
            or (first in LOSSES and not any(n.startswith(f"{first}.") for n in self.expected))
        )


def _is_integer(w: Tensor) -> bool:
    return not (w.is_floating_point() or w.is_complex())


def _readable(w: Tensor) -> Tensor:
    """Return a tensor that can be asked for NaN: those of float8 and sparse ones cannot."""
    w = w if w.layout == torch.strided else w.to_dense()
    return w.float() if w.dtype.itemsize == 1 else w


def _core(name: str) -> str:
    """Return a name without what DataParallel and torch.compile put into it, at any depth."""
    return ".".join(part for part in name.split(".") if part not in ("module", "_orig_mod"))


def _by_core(names: Iterable[str]) -> dict[str, str]:
    """Return the full names by their cores, those that are the only one of their core."""
    full = defaultdict(list)
    for name in names:
        full[_core(name)].append(name)
    return {core: found[0] for core, found in full.items() if len(found) == 1}


def _ties(tensors: Mapping[str, Tensor]) -> list[set[str]]:
    names = defaultdict(set)
    for name, tensor in tensors.items():
        names[id(tensor)].add(name)
    return [tied for tied in names.values() if len(tied) > 1]
