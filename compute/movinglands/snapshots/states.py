"""State dicts: plain tensors by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from ..errors import UserError
from .opening import Array

State = dict[str, Tensor]
"""What ``module.state_dict()`` returns: parameters and buffers by name."""

Scalars = dict[str, float]


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
    if isinstance(value, (np.ndarray, Array)):
        try:
            array = value.array() if isinstance(value, Array) else value
            return torch.from_numpy(array.astype(array.dtype.newbyteorder("=")))
        except (TypeError, ValueError) as error:
            raise UserError(f"{what} is an array that torch cannot take: {error}.") from None
    must_be_plain(what, value)
    return value.detach().cpu()
