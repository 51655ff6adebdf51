"""Code described by what it does: functions, classes and modules, and what they reach by name.

Code of the user's own counts by its instructions, constants and the globals that it names, not by
file names, line numbers or names of functions. Library code counts by its name and version:
nobody edits it, and looking through it would mean looking through all of torch.
"""

from __future__ import annotations

import contextlib
import dis
import functools
import sys
from collections.abc import Iterator, Mapping
from importlib import metadata, util
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, MemberDescriptorType, ModuleType
from typing import Any, NamedTuple

Parts = Iterator[tuple[Any, Any]]
"""Of a description: labels for people (text, or an item's key in a tuple), and simpler things."""

_NOISE = {
    "__abstractmethods__",
    "__annotations__",
    "__dict__",
    "__doc__",
    "__firstlineno__",
    "__module__",
    "__name__",
    "__orig_bases__",
    "__parameters__",
    "__qualname__",
    "__slotnames__",
    "__static_attributes__",
    "__weakref__",
    "_abc_impl",
    "_autograd_function_id",  # torch counts its autograd functions
    "_backward_cls",
    "_value2member_map_",  # an enum's, which grows when flags are combined
}
"""Attributes that say where a thing comes from, or what was done with it, not what it does."""

_READS_GLOBAL = {"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"}
_READS_ANY = {"__dict__", "getattr", "vars"}
"""What code names that may read any attribute."""

_FORMER = {
    "movinglands.evaluation.measure": "movinglands.measure",
    "movinglands.pieces.losses": "movinglands.compute",
    "movinglands.planes.axes": "movinglands.planes",
    "movinglands.planes.file": "movinglands.planes",
    "movinglands.planes.hessian": "movinglands.planes",
    "movinglands.planes.pca": "movinglands.planes",
    "movinglands.planes.plane": "movinglands.directions",
    "movinglands.planes.random": "movinglands.directions",
    "movinglands.planes.through": "movinglands.planes",
    "movinglands.planes.weights": "movinglands.directions",
    "movinglands.planes.window": "movinglands.planes",
    "movinglands.snapshots.recorder": "movinglands.snapshots",
    "movinglands.snapshots.snapshots": "movinglands.snapshots",
    "movinglands.surfaces.compute": "movinglands.surfaces",
    "movinglands.surfaces.surface": "movinglands.surface",
}
"""Where what is public in this package was when fingerprints began: there, an installed one counts
it, so that what was begun before it moved can be gone on with."""


class Opaque(NamedTuple):
    """Stands for what cannot be seen through; ``what`` goes on a sentence about it."""

    what: str


def namespace(cls: type) -> Mapping[str, Any]:
    """Return a class's own attributes, whatever its metaclass answers."""
    return type.__dict__["__dict__"].__get__(cls)


def mro_of(cls: type) -> tuple[type, ...]:
    """Return a class and its bases, in the order of their resolution."""
    return type.__dict__["__mro__"].__get__(cls)


def module_of(cls: type) -> str:
    """Return the name of the module that a class says it is from."""
    return str(type.__dict__["__module__"].__get__(cls))


def name_of(cls: type) -> str:
    """Return a class's full name."""
    return f"{counted_as(module_of(cls))}.{type.__dict__['__qualname__'].__get__(cls)}"


def counted_as(module: str) -> str:
    """Return the name under which a module counts: one of ours that moved, as before."""
    return _FORMER.get(module, module)


@functools.cache
def library(module: str) -> str | None:
    """Return the library that a module belongs to, and its version; None for the user's own."""
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names:
        return f"Python {sys.version_info.major}.{sys.version_info.minor}"
    if top == "__main__":
        return None
    installed = {"site-packages", "dist-packages"} & set(Path(_origin(module, top)).parts)
    if not installed and top != "torch":  # torch may be built in place
        return None
    try:
        return f"{top} {metadata.version(top)}"
    except metadata.PackageNotFoundError:
        found = metadata.packages_distributions().get(top, ())
        return " ".join([top, *(f"{name} {metadata.version(name)}" for name in sorted(found))])


def _origin(module: str, top: str) -> str:
    """Return where a module lies, without importing anything."""
    known = sys.modules.get(module) or sys.modules.get(top)
    if known is not None:
        kept = instance_dict(known)
        return str(kept.get("__file__") or next(iter(kept.get("__path__") or ()), ""))
    try:
        spec = util.find_spec(top) if top else None
    except (ImportError, ValueError):
        spec = None
    return str(spec and spec.origin)


def instance_dict(thing: Any) -> dict[str, Any]:
    """Return a thing's attributes, but for those in slots; empty where it has none."""
    try:
        kept = object.__getattribute__(thing, "__dict__")
    except AttributeError:
        return {}
    return kept if isinstance(kept, dict) else {}


def named(kind: str, values: Mapping[str, Any]) -> Parts:
    """Describe values by name, in the order of their names."""
    names = sorted(name for name in values if isinstance(name, str) and name not in _NOISE)
    yield "", len(names)
    for name in names:
        label = f"{kind} {name}"
        yield label, name
        yield label, values[name]


def attributes(thing: Any) -> Parts:
    """Describe what a thing keeps in its dict and in slots."""
    _, computed = declared(type(thing))  # type: ignore[arg-type]
    kept = {n: v for n, v in instance_dict(thing).items() if n not in computed}
    return named("attribute", kept | slots_of(thing))


def slots_of(thing: Any) -> dict[str, Any]:
    """Return what is in an object's slots."""
    slots, _ = declared(type(thing))  # type: ignore[arg-type]
    held = {}
    for name, slot in slots:
        with contextlib.suppress(AttributeError):  # nothing in it
            held[name] = slot.__get__(thing)
    return held


@functools.lru_cache(1024)
def declared(cls: type) -> tuple[list[tuple[str, MemberDescriptorType]], set[str]]:
    """Return a class's slots, and the names of cached properties: they follow from the rest."""
    slots, computed = [], set()
    for base in reversed(mro_of(cls)):
        for name, value in namespace(base).items():
            # A member without __slots__ is one of a struct in C, perhaps an address.
            if type(value) is MemberDescriptorType and "__slots__" in namespace(base):
                slots.append((name, value))
            elif type(value) is functools.cached_property:
                computed.add(name)
    return slots, computed


def describe_class(cls: type) -> Parts:
    """Describe a class: its bases, and all that its body holds where it is the user's own."""
    where = library(module_of(cls))
    if where:
        yield "", name_of(cls)
    else:
        yield "", type.__dict__["__name__"].__get__(cls)
    yield "", where
    for base in mro_of(cls)[1:]:  # of a library's as well: it may have made a class of the user's
        yield "base class", base
    if not where:
        yield from named("class attribute", namespace(cls))


def describe_code(code: CodeType) -> Parts:
    """Describe a code object: what it does, in any file and on any line."""
    constants = code.co_consts
    if "__firstlineno__" in code.co_names:  # of a class body, from Python 3.13
        constants = tuple(c for c in constants if type(c) is bool or c != code.co_firstlineno)
    yield "", (code.co_code, code.co_exceptiontable, code.co_flags)
    yield "", (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount)
    yield "", (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    yield "constants", constants


def describe_function(function: FunctionType) -> Parts:
    """Describe a function: code, defaults, closure, and the globals that its code names."""
    code, cells = function.__code__, function.__closure__ or ()
    module = str(function.__globals__.get("__name__"))
    where = library(module)
    if where:
        yield "", (counted_as(module), code.co_qualname, where)
        if "<" not in code.co_qualname:
            return
    # Of a library's, only what was made at run time has more to it than its name.
    yield "", code
    yield "", len(cells)
    for name, cell in zip(code.co_freevars, cells, strict=True):
        yield f"closure variable {name}", cell
    yield "a default argument", function.__defaults__
    yield "a default argument", function.__kwdefaults__
    made = {n: v for n, v in instance_dict(function).items() if not n.startswith("_torchdynamo")}
    yield from named("attribute", made)
    if not where:
        yield from named("global", _globals(function))


def _globals(function: FunctionType) -> dict[str, Any]:
    """Return what a function's code reads by name: globals, and attributes of modules."""
    reads: set[str] = set()
    names: set[str] = set()
    found: dict[str, Any] = {}
    for code in _nested(function.__code__):
        names.update(code.co_names)
        before: list[Any] = [0, 0]  # the values loaded last
        for step in dis.get_instructions(code):
            if step.opname in _READS_GLOBAL:
                reads.add(step.argval)
            elif step.opname == "IMPORT_NAME":
                found[step.argval] = _imported(function, step.argval, before[0])
            before = [before[1], step.argval]
    found |= {n: v for n, v in function.__globals__.items() if n in reads}
    modules = [(n, v) for n, v in found.items() if _is_own_module(v)]
    for path, module in modules:  # which grows
        found[path] = None
        kept = instance_dict(module)
        for name in kept.keys() if names & _READS_ANY else names & kept.keys():
            value = kept[name]
            if not _is_own_module(value):
                found[f"{path}.{name}"] = value
            elif all(value is not module for _, module in modules):
                modules.append((f"{path}.{name}", value))
    return found


def _nested(code: CodeType) -> Iterator[CodeType]:
    codes = [code]
    for one in codes:  # which grows
        codes += [constant for constant in one.co_consts if isinstance(constant, CodeType)]
    return iter(codes)


def _imported(function: FunctionType, name: str, level: Any) -> Any:
    """Return the module that a function imports when it runs."""
    if isinstance(level, int) and level:
        package = str(function.__globals__.get("__package__"))
        name = util.resolve_name("." * level + name, package)
    if name not in sys.modules and not library(name):
        return Opaque("is not imported yet")
    return sys.modules.get(name, name)


def _is_own_module(thing: Any) -> bool:
    return isinstance(thing, ModuleType) and not library(str(instance_dict(thing)["__name__"]))


def describe_module(module: ModuleType) -> Parts:
    """Describe a module that is held as a thing: any of its attributes may be read."""
    kept = instance_dict(module)
    where = library(str(kept.get("__name__")))
    if where:
        yield "", (kept["__name__"], where)
    else:
        yield from named("attribute", {n: v for n, v in kept.items() if not n.startswith("__")})


def describe_builtin(thing: Any) -> Parts:
    """Describe a function or method in C: its name, and what it is bound to."""
    module = str(getattr(thing, "__module__", None))
    yield "", (module, thing.__qualname__)
    if isinstance(thing, BuiltinFunctionType) and module != "None":
        where = library(module)
        yield "", where or Opaque("is compiled code of one's own")
        return
    owner = getattr(thing, "__self__", None)
    yield "", owner if owner is not None else getattr(thing, "__objclass__", None)
