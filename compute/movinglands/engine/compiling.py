"""Launches compiled ahead: functions of tensors that run without the interpreter, in threads too.

What is compiled is kept in a folder, under a name that tells the computation and the machine, so
that the same is not compiled again.
"""

from __future__ import annotations

import platform
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx
from torch._ops import OpOverload
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn import functional as F
from torch.utils import _pytree as pytree

from ..files import replacing


def compiled_launch(
    launch: Callable[..., Tensor],
    fixed: Sequence[Any],
    batches: Sequence[Tensor],
    points: tuple[Tensor, Tensor, Tensor],
    folder: Path,
    unfolding: bool,
) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """Compile a launch, or find it compiled.

    Parameters
    ----------
    launch : callable
        From ``(*fixed, batches, alpha, beta, index)`` to values.
    fixed : sequence
        Tensors by name, whose contents may change later: weights, directions, buffers.
    batches : sequence of Tensor
        Which never change.
    points : tuple of Tensor
        Alpha, beta and numbers of a launch, as an example.
    folder : Path
        Where what is compiled is kept.
    unfolding : bool
        Whether convolutions of one channel become products of matrices.
    """
    flat, arranged = pytree.tree_flatten((*fixed, list(batches), *points))

    def flattened(*tensors: Tensor) -> tuple[Tensor]:
        return (launch(*pytree.tree_unflatten(tensors, arranged)),)

    single = {torch.ops.aten.convolution.default: _unfolded} if unfolding else {}
    with torch.no_grad():
        graph = make_fx(flattened, single, tracing_mode="fake", _allow_non_fake_inputs=True)(*flat)
        count = len(flat) - 3
        hoisted = hoist(graph, set(range(count - len(batches), count)), flat)
        shapes = [(tuple(t.shape), t.stride()) for t in (*flat, *hoisted)]
        device = points[0].device
        mark = zlib.crc32(repr((graph.code, shapes, machine(device))).encode())
        path = folder / f"launch-{len(points[0])}-{mark:08x}.bin"
        if path.exists():
            compiled = torch._inductor.CompiledArtifact.load(path=str(path), format="binary")
        else:
            settings = {"cpp_wrapper": device.type == "cpu", "cpp.threads": 1}
            compiled = torch._inductor.standalone_compile(
                graph, [*flat, *hoisted], options={"config_patches": settings}
            )
            folder.mkdir(parents=True, exist_ok=True)
            with replacing(path) as partial:
                compiled.save(path=str(partial), format="binary")
    given = tuple(flat[:-3])
    return lambda alpha, beta, index: compiled(*given, alpha, beta, index, *hoisted)[0]


def _unfolded(x: Tensor, w: Tensor, bias: Tensor | None, *rest: Any) -> Tensor:
    """Turn a convolution of one channel into one of its patches: a product of matrices.

    One channel looks the same in either layout, and oneDNN then takes the slow one, by ten times.
    """
    stride, padding, dilation, transposed = rest[:4]
    single = x.ndim == 4 and x.shape[1] == w.shape[1] == 1
    if not single or transposed or w[0].numel() == 1:
        return NotImplemented
    (n, _, *size), (filters, _, *kernel) = x.shape, w.shape
    out = [
        (side + 2 * p - d * (k - 1) - 1) // s + 1
        for side, p, d, k, s in zip(size, padding, dilation, kernel, stride, strict=True)
    ]
    patches = F.unfold(x, (*kernel,), dilation, padding, stride).view(n, -1, *out)
    patches, flat = (
        t.contiguous(memory_format=torch.channels_last)
        for t in (patches, w.reshape(filters, -1, 1, 1))
    )
    return F.conv2d(patches, flat, bias)


def hoist(graph: fx.GraphModule, fixed: set[int], inputs: list[Tensor]) -> list[Tensor]:
    """Take out of a traced graph what is the same in every launch, computed once, now.

    That is what depends on fixed inputs alone, and tensors that the network or its loss holds: a
    compiled graph that is saved and loaded again has lost them.

    Parameters
    ----------
    graph : GraphModule
        Changed: what was taken out comes in as further inputs, after those that it has.
    fixed : set of int
        Which inputs are the same in every launch.
    inputs : list of Tensor
        All of them.

    Returns
    -------
    list of Tensor
        The further inputs.
    """
    nodes = list(graph.graph.nodes)
    placed = [node for node in nodes if node.op == "placeholder"]
    known: dict[fx.Node, Any] = {placed[n]: inputs[n] for n in fixed}
    held = {n: getattr(graph, n.target, None) for n in nodes if n.op == "get_attr"}
    known |= {node: tensor for node, tensor in held.items() if isinstance(tensor, Tensor)}
    calls = [node for node in nodes if node.op == "call_function"]
    changed = any(isinstance(n.target, OpOverload) and n.target._schema.is_mutable for n in calls)
    for node in () if changed else calls:
        drawn = torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ())
        if not drawn and node.all_input_nodes and all(n in known for n in node.all_input_nodes):
            args, kwargs = fx.map_arg((node.args, node.kwargs), known.get)
            known[node] = node.target(*args, **kwargs)
    border = [
        node
        for node in known
        if node.op != "placeholder" and any(user not in known for user in node.users)
    ]
    for number, node in enumerate(border):
        with graph.graph.inserting_after(placed[-1]):
            placed.append(graph.graph.placeholder(f"hoisted_{number}"))
        placed[-1].meta = node.meta
        node.replace_all_uses_with(placed[-1])
    graph.graph.eliminate_dead_code()
    for target in {node.target for node in held if node in known}:
        delattr(graph, target)  # else it would become an input, too
    graph.recompile()
    return [known[node] for node in border]


def machine(device: torch.device) -> str:
    """Return what compiled code depends on: on another machine it may not even start."""
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    listed = Path("/proc/cpuinfo")
    lines = listed.read_text().splitlines() if listed.exists() else [platform.processor()]
    flags = next((line for line in lines if line.startswith(("flags", "Features"))), lines[0])
    return f"torch {torch.__version__}, {platform.machine()}, {flags}, {gpu}"
