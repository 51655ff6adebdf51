"""Things described by simpler things: what decides their value, and nothing else of them.

A description is a row of parts, each with a label for people, until only numbers, text and buffers
are left. It reads memory and runs no code of the user's: no properties, no comparisons.
"""

from __future__ import annotations

import _io
import collections
import contextlib
import copyreg
import enum
import functools
import gc
import mmap
import re
import socket
import types
import warnings
import weakref
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, fx, nn
from torch._library.custom_ops import CustomOpDef
from torch._ops import OperatorBase, OpOverloadPacket

from .code import (
    Opaque,
    Parts,
    attributes,
    declared,
    describe_builtin,
    describe_class,
    describe_code,
    describe_function,
    describe_module,
    instance_dict,
    library,
    module_of,
    mro_of,
    name_of,
    named,
    namespace,
)
from .tensors import Buffer, describe_array, describe_tensor

_BYSTANDERS = re.compile(
    r"logging\.(Handler|Logger|LoggerAdapter)"
    r"|_thread\.(lock|RLock)|threading\.(_?RLock|Thread|Condition|Event|\w*Semaphore|Barrier)"
    r"|multiprocessing\.synchronize\.\w+"
    r"|(lightning|pytorch_lightning|lightning_fabric)\.(.+\.)?(Trainer|Fabric)"
    r"|tqdm\.(.+\.)?tqdm\w*|(torch\.utils\.tensorboard|tensorboardX)\.(.+\.)?SummaryWriter"
    r"|weakref\.Weak\w+Dictionary"  # caches, such as functools.singledispatch's
)
"""Classes whose instances watch and wait but decide no value: they count by type."""

_REDUCERS = {"__getnewargs__", "__getnewargs_ex__", "__getstate__", "__reduce__", "__reduce_ex__"}

_GRAPH_SETTINGS = {"training", "_parameters", "_buffers", "_modules", "_code"}
"""What counts of a traced module; its graph is its code once more."""


class Unordered(NamedTuple):
    """Things whose order does not count."""

    items: Iterable[Any]


def describe(thing: Any) -> Parts:
    """Describe anything by its type and what its value is made of.

    Parameters
    ----------
    thing : any
        Left as it is.

    Yields
    ------
    label, part
        The label for people; the part is a plain value, a ``Buffer``, ``Opaque``, or to be
        described in turn.
    """
    cls = type(thing)
    if cls is not type:  # which is part of itself
        yield "", cls
    yield from _content(cls)(thing)  # type: ignore[arg-type]


@functools.lru_cache(1024)
def _content(cls: type) -> Callable[[Any], Parts]:
    mro = mro_of(cls)
    if any(_BYSTANDERS.fullmatch(name_of(base)) for base in mro):
        return lambda _: iter(())
    return next(content for base, content in _CONTENTS.items() if base in mro)


def without_state(module: nn.Module) -> dict[int, Callable[[], Parts]]:
    """Return how a network's parts are described where its state is known from elsewhere.

    Parameters
    ----------
    module : nn.Module
        The network.

    Returns
    -------
    dict
        By ``id``: parameters, persistent buffers and what is computed from them by their name,
        modules without ``training``.
    """
    special: dict[int, Callable[[], Parts]] = {}
    modules = [("", module)]
    for path, one in modules:  # which grows
        kept = instance_dict(one)
        passing = kept.get("_non_persistent_buffers_set", ())
        state = {n: v for n, v in kept.get("_buffers", {}).items() if n not in passing}
        state |= dict(kept.get("_parameters", {}).items())
        state |= {n: v for n, v in kept.items() if isinstance(v, Tensor) and _follows(n, v, state)}
        for name, value in state.items():
            special.setdefault(id(value), functools.partial(_by_name, f"{path}{name}", value))
        special[id(one)] = functools.partial(_untrained, one)
        inner = ((f"{path}{n}.", m) for n, m in kept.get("_modules", {}).items() if m is not None)
        modules += [(name, m) for name, m in inner if id(m) not in special]
    special.pop(id(None), None)
    return special


def _follows(name: str, tensor: Tensor, state: dict[str, Any]) -> bool:
    """Return whether a plain attribute is computed from state, as weight_norm and pruning do."""
    return tensor.grad_fn is not None or bool({f"{name}_orig", f"{name}_v"} & state.keys())


def _by_name(name: str, _: Any) -> Parts:
    yield "", ("state", name)


def _untrained(module: nn.Module) -> Parts:
    return (part for part in describe(module) if not re.search(r"[ .]training$", str(part[0])))


def _module(module: nn.Module) -> Parts:
    kept = instance_dict(module)
    if isinstance(original := kept.get("_modules", {}).get("_orig_mod"), nn.Module):  # compiled
        yield "", original
        return
    hooks = {n: v for n, v in kept.items() if n.endswith(("_hooks", "_kwargs", "_called"))}
    hooks = {n: v for n, v in hooks.items() if isinstance(v, dict) and n.startswith("_")}
    # Torch numbers the hooks of a process: what counts is their order.
    numbers = sorted({number for hook in hooks.values() for number in hook})
    ordered = {n: {numbers.index(k): v for k, v in hook.items()} for n, hook in hooks.items()}
    ignored = {"_compiled_call_impl", *(n for n in hooks if "state_dict" in n)}
    if any(base.__name__ == "LightningModule" for base in mro_of(type(module))):
        ignored |= {"_trainer", "_fabric"}  # there from the first training on
    settings = {n: v for n, v in (kept | ordered).items() if n not in ignored}
    yield from named("attribute", settings)


def _graph_module(module: fx.GraphModule) -> Parts:
    kept = instance_dict(module)
    yield from named("attribute", {n: v for n, v in kept.items() if n in _GRAPH_SETTINGS})
    for node in kept["_graph"].nodes:
        if callable(node.target):
            yield f"node {node.name}", node.target


def _script_module(module: torch.jit.ScriptModule) -> Parts:
    """Describe scripted modules by their code, and all attributes that any of it reads."""
    modules: list[tuple[str, Any]] = [("", module)]
    for path, one in modules:  # which grows
        modules += [(f"{path}{name}.", m) for name, m in one._modules.items()]
    compiled = {
        f"{path}{name}": one._c._get_method(name)
        for path, one in modules
        for name in one._c._method_names()
    }
    reads = set()
    for path, method in sorted(compiled.items()):
        yield "", path
        yield from _script(method)
        reads |= {node.s("name") for node in method.graph.findAllNodes("prim::GetAttr", True)}
    values = {
        f"{path}{name}": one._c.getattr(name)
        for path, one in modules
        for name in reads
        if one._c.hasattr(name) and name not in one._modules
    }
    yield from named("attribute", values)


def _script(compiled: Any) -> Parts:
    """Describe a scripted function; torch numbers classes of the same name in a process."""
    yield "", re.sub(r"\.___torch_mangle_\d+", "", compiled.code)
    for node in compiled.graph.findAllNodes("prim::Constant", True):
        if isinstance(value := node.output().toIValue(), Tensor):
            yield "a constant", value


def _function(function: types.FunctionType) -> Parts:
    compiled = instance_dict(function).get("_torchdynamo_orig_callable")
    return iter([("", compiled)]) if compiled else describe_function(function)


def _items(size: Callable[[Any], int], items: Callable[[Any], Iterable]) -> Callable[[Any], Parts]:
    def content(thing: Any) -> Parts:
        yield "", size(thing)
        for index, item in enumerate(items(thing)):
            yield (index,), item
        yield from attributes(thing)

    return content


def _pairs(pairs: Callable[[Any], Iterable]) -> Callable[[Any], Parts]:
    def content(thing: Any) -> Parts:
        yield "", dict.__len__(thing)
        for key, value in pairs(thing):
            yield "a key", key
            yield (key,), value
        yield from attributes(thing)

    return content


def _as(*parts: Callable[[Any], Any]) -> Callable[[Any], Parts]:
    """Describe by what functions return, and by attributes where there are any."""

    def content(thing: Any) -> Parts:
        for part in parts:
            yield "", part(thing)
        yield from attributes(thing)

    return content


def _proxied(proxy: Any) -> Any:
    """Return what a weak proxy stands for, which its bound ``__repr__`` knows."""
    try:
        return proxy.__repr__.__self__
    except ReferenceError:
        return None


def _cell(cell: types.CellType) -> Parts:
    try:
        yield "", cell.cell_contents
    except ValueError:  # nothing in it yet
        return


def _object(thing: Any) -> Parts:
    """Describe an object by its attributes, or by what its library pickles of it."""
    cls = type(thing)
    reduce = _reducer(cls)
    if "__wrapped__" in instance_dict(thing):  # a cache around it, a compiler
        yield "", instance_dict(thing)["__wrapped__"]
    elif reduce is not None:
        try:
            reduced = reduce(thing)
        except Exception:
            reduced = _unseen(thing)
        yield "", reduced
    elif _hides(cls):
        yield "", _unseen(thing)
    elif library(module_of(cls)):
        yield from attributes(thing)
    if not library(module_of(cls)):
        yield from attributes(thing)


def _reducer(cls: type) -> Callable[[Any], Any] | None:
    """Return what pickles a class's instances, where a library defines it."""
    registered = copyreg.dispatch_table.get(cls)
    if registered is not None and library(str(registered.__module__)):
        return registered
    definers = [base for base in mro_of(cls)[:-1] if _REDUCERS & namespace(base).keys()]
    if definers and all(library(module_of(base)) for base in definers):
        return functools.partial(_reduced, cls)
    return None


def _reduced(cls: type, thing: Any) -> Any:
    """Return what a library pickles of a thing, iterators as lists."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of iterators, which Python 3.14 stops pickling
        reduced = cls.__reduce_ex__(thing, 4)  # type: ignore[arg-type, call-arg]
    if isinstance(reduced, str):  # a global by name
        return reduced, str(getattr(thing, "__module__", None))
    return [*reduced[:3], *(list(more or ()) for more in reduced[3:5])]


def _hides(cls: type) -> bool:
    """Return whether instances have more memory than attributes account for: state in C."""
    slots, _ = declared(cls)  # type: ignore[arg-type]
    known = len(slots) + (cls.__dictoffset__ > 0) + (cls.__weakrefoffset__ > 0)
    return cls.__itemsize__ > 0 or cls.__basicsize__ > object.__basicsize__ + 8 * known


_KINDS: dict[type, str] = {
    types.GeneratorType: "a generator in progress",
    types.AsyncGeneratorType: "a generator in progress",
    types.CoroutineType: "a coroutine in progress",
    _io._IOBase: "an open file",
    socket.socket: "a socket",
    mmap.mmap: "a memory map",
    object: "an object that does not show its state",
}


def _unseen(thing: Any) -> Any:
    """Return what stands for a thing whose state is hidden: its name, if a library gives it one."""
    with contextlib.suppress(AttributeError):  # only functions have both names
        names = [object.__getattribute__(thing, name) for name in ("__module__", "__qualname__")]
        if where := library(str(names[0])):
            return *names, where
    cls = type(thing)
    kind = next(kind for base, kind in _KINDS.items() if base in mro_of(cls))
    return Opaque(f"is {kind} ({name_of(cls)})")


_CONTENTS: dict[type, Callable[[Any], Parts]] = {
    # Before what they may be derived from:
    torch.jit.ScriptModule: _script_module,
    fx.GraphModule: _graph_module,
    enum.Enum: lambda x: iter(
        [("", instance_dict(x)["_name_"]), ("", instance_dict(x)["_value_"])]
    ),
    np.generic: _as(np.asarray),
    collections.OrderedDict: _pairs(collections.OrderedDict.items),
    # Data
    Tensor: describe_tensor,
    np.ndarray: describe_array,
    int: _as(int.__int__),
    float: _as(float.__float__),
    complex: _as(complex.__complex__),
    str: _as(str.__str__),
    bytes: _as(bytes.__bytes__),
    bytearray: _as(Buffer),
    memoryview: _as(lambda x: x.format, lambda x: x.shape, memoryview.tobytes),
    list: _items(list.__len__, list.__iter__),
    tuple: _items(tuple.__len__, tuple.__iter__),
    dict: _pairs(dict.items),
    type({}.keys()): _as(list),
    type({}.values()): _as(list),
    type({}.items()): _as(list),
    set: _as(lambda x: Unordered(set.__iter__(x))),
    frozenset: _as(lambda x: Unordered(frozenset.__iter__(x))),
    types.MappingProxyType: _as(lambda x: gc.get_referents(x)[0]),
    weakref.ReferenceType: _as(weakref.ReferenceType.__call__),
    weakref.ProxyType: _as(_proxied),
    weakref.CallableProxyType: _as(_proxied),
    torch.Generator: _as(torch.Generator.get_state),
    torch.layout: _as(str),
    torch.memory_format: _as(str),
    torch.qscheme: _as(str),
    # Code
    nn.Module: _module,
    torch.jit.ScriptFunction: _script,
    OperatorBase: lambda x: iter([("", x.name())]),
    OpOverloadPacket: lambda x: iter([("", x._qualified_op_name)]),
    CustomOpDef: lambda x: iter([("", x._init_fn), ("", x._backend_fns)]),
    types.FunctionType: _function,
    types.CodeType: describe_code,
    types.CellType: _cell,
    types.MethodType: _as(lambda x: x.__func__, lambda x: x.__self__),
    property: _as(lambda x: x.fget, lambda x: x.fset, lambda x: x.fdel),
    classmethod: _as(lambda x: x.__func__),
    staticmethod: _as(lambda x: x.__func__),
    types.ModuleType: describe_module,
    type: describe_class,
    types.BuiltinFunctionType: describe_builtin,
    types.MethodWrapperType: describe_builtin,
    types.WrapperDescriptorType: describe_builtin,
    types.MethodDescriptorType: describe_builtin,
    types.ClassMethodDescriptorType: describe_builtin,
    types.GetSetDescriptorType: describe_builtin,
    types.MemberDescriptorType: describe_builtin,
    object: _object,
}
"""How the content of a thing is described, by the first of its bases in this order."""
