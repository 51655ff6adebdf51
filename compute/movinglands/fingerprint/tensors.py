"""Tensors and arrays described by their values: memory is hashed as it lies, not copied.

Not where a tensor lies counts, nor whether it takes gradients, for neither changes its values.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .code import Parts, attributes

_SPARSE = {
    torch.sparse_coo: ("_indices", "_values"),
    torch.sparse_csr: ("crow_indices", "col_indices", "values"),
    torch.sparse_bsr: ("crow_indices", "col_indices", "values"),
    torch.sparse_csc: ("ccol_indices", "row_indices", "values"),
    torch.sparse_bsc: ("ccol_indices", "row_indices", "values"),
}
"""The methods that return a sparse tensor's parts."""


class Buffer(NamedTuple):
    """Memory to hash as it lies."""

    bytes: Any


def describe_tensor(tensor: Tensor) -> Parts:
    """Describe a tensor of any layout by its values, wherever it lies."""
    with torch._C.DisableTorchFunctionSubclass(), torch.no_grad():
        parts = _tensor_parts(tensor.detach())
    yield from (("", part) for part in parts)
    if type(tensor) not in (Tensor, nn.Parameter, nn.Buffer):
        yield from attributes(tensor)


def _tensor_parts(tensor: Tensor) -> list[Any]:
    head: list[Any] = [str(tensor.dtype), str(tensor.layout)]
    if tensor.is_nested:
        return [*head, list(tensor.unbind())]
    head.append(tuple(tensor.shape))
    if tensor.is_meta:
        return [*head, "meta"]
    if tensor.layout in _SPARSE:
        return [*head, *(getattr(tensor, method)() for method in _SPARSE[tensor.layout])]
    if tensor.is_quantized:
        return [*head, tensor.int_repr(), *_quantisation(tensor)]
    dense = tensor.to_dense() if tensor.layout != torch.strided else tensor
    flat = dense.resolve_conj().resolve_neg().cpu().contiguous().reshape(-1)
    return [*head, Buffer(flat.view(torch.uint8).numpy())]


def _quantisation(tensor: Tensor) -> list[Any]:
    if tensor.qscheme() in (torch.per_tensor_affine, torch.per_tensor_symmetric):
        return [tensor.q_scale(), tensor.q_zero_point()]
    points = tensor.q_per_channel_zero_points()
    return [tensor.q_per_channel_scales(), points, tensor.q_per_channel_axis()]


def describe_array(array: NDArray) -> Parts:
    """Describe an array by its values, those of objects and fields one by one."""
    plain = np.ndarray.view(array, np.ndarray)
    yield "", plain.shape
    if plain.dtype.names is not None:
        yield "", len(plain.dtype.names)
        for name in plain.dtype.names:
            yield "", name
            yield f"field {name}", plain[name]
    elif plain.dtype.hasobject:
        yield "", plain.ravel().tolist()
    else:
        yield "", plain.dtype.str
        flat = np.ascontiguousarray(plain).reshape(-1)
        yield "", Buffer(flat.view(np.uint8))
    if type(array) not in (np.ndarray, np.memmap):
        yield from attributes(array)
