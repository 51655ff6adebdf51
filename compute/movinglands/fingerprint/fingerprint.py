"""A digest of everything that decides a value: code, settings and data, as deep as they go.

Things are described by simpler things (descriptions.py) until only numbers, text and bytes are
left. Each has a digest of its own, made of its parts' digests, so that it does not matter whether
equal things are one object or two; only what is part of itself is named by where it stands. What
cannot be seen through is said, never guessed: a digest that leaves something out comes with its
name.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from .code import Opaque, Parts
from .tensors import Buffer
from .things import Unordered, describe, without_state


class Fingerprint:
    """Digests things, one after another.

    Attributes
    ----------
    opaque : list of str
        What could not be seen through, in plain words: where it is, and what.
    """

    def __init__(self) -> None:
        self.opaque: list[str] = []
        self._hash = _new_hash()

    def add(self, name: str, thing: Any) -> None:
        """Take in a thing with all it reaches; no code of its own runs, and it stays as it is.

        Parameters
        ----------
        name : str
            What it is; opens its sentences in ``opaque``.
        thing : any
            A function, an object, a module, data ...
        """
        self._add(name, thing, {})

    def add_network(self, name: str, module: nn.Module) -> None:
        """Take in a module's code and settings, but nothing of what its snapshots hold.

        Its parameters and persistent buffers count by name, and so does what is computed from
        them; ``training`` does not count.

        Parameters
        ----------
        name : str
            What it is; opens its sentences in ``opaque``.
        module : nn.Module
            The network.
        """
        self._add(name, module, without_state(module))

    def _add(self, name: str, thing: Any, special: dict[int, Callable[[], Parts]]) -> None:
        walk = _Walk(special)
        self._hash.update(_atom(name) + walk(name, thing))
        self.opaque += [sentence for sentence in walk.opaque if sentence not in self.opaque]

    def digest(self) -> str:
        """Return the digest of all that was added so far, in hexadecimal digits."""
        return self._hash.hexdigest()


def _new_hash() -> Any:
    return hashlib.blake2b(digest_size=32)


_ATOMS: dict[type, tuple[bytes, Callable[[Any], Any]]] = {
    type(None): (b"N", lambda _: b""),
    bool: (b"B", lambda x: b"\1" if x else b"\0"),
    int: (b"I", lambda x: b"%x" % x),
    float: (b"F", lambda x: struct.pack("<d", x)),
    complex: (b"C", lambda x: struct.pack("<dd", x.real, x.imag)),
    str: (b"S", lambda x: x.encode("utf-8", "surrogatepass")),
    bytes: (b"Y", lambda x: x),
}
"""What is hashed as it is, by exact type: a tag, and how it becomes bytes."""


def _atom(thing: Any) -> bytes:
    tag, encode = _ATOMS[type(thing)]
    encoded = encode(thing)
    return b"%c%d:" % (tag, len(encoded)) + encoded


@dataclass(slots=True, eq=False)
class _Entry:
    """A thing on the way or done.

    ``number`` counts what was met before it; ``lowest`` is the lowest number that it refers to
    among those around it: it is whole in itself where that is its own.
    """

    thing: Any  # kept, lest another takes its id
    label: Any
    parts: Parts
    number: int
    depth: int
    lowest: int
    hash: Any = field(default_factory=_new_hash)
    digest: bytes = b""
    unordered: list[bytes] | None = None

    def take(self, encoded: Any) -> None:
        if self.unordered is None:
            self.hash.update(encoded)
        else:
            self.unordered.append(encoded)

    def finish(self) -> None:
        for encoded in sorted(self.unordered or ()):
            self.hash.update(encoded)
        self.digest = self.hash.digest()


class _Walk:
    """One descent through a thing, on a stack of its own: however deep, nothing recurses."""

    def __init__(self, special: dict[int, Callable[[], Parts]]) -> None:
        self.opaque: list[str] = []
        self._special = special
        self._memo: dict[int, _Entry] = {}
        self._stack: list[_Entry] = []

    def __call__(self, name: str, thing: Any) -> bytes:
        root = _Entry(None, name, iter([("", thing)]), number=-1, depth=0, lowest=0)
        self._stack.append(root)
        while self._stack:
            self._step()
        return root.digest

    def _step(self) -> None:
        """Take in the top thing's parts up to one that has parts itself, or finish it."""
        top = self._stack[-1]
        while (following := self._next(top)) is not None:
            label, part = following
            if type(part) in _ATOMS:
                top.take(_atom(part))
            elif type(part) is Buffer:
                top.take(b"M%d:" % len(part.bytes))
                top.take(part.bytes)
            elif type(part) is Opaque:
                top.take(b"?")
                self._say(label, part)
            elif (met := self._memo.get(id(part))) is None:
                self._enter(label, part)
                return
            else:
                top.take(self._again(top, met))
            self._forget(top)
        self._stack.pop()
        top.finish()
        if self._stack:
            around = self._stack[-1]
            around.take(b"=" + top.digest)
            if top.lowest < top.number:
                around.lowest = min(around.lowest, top.lowest)
            self._forget(around)

    def _next(self, entry: _Entry) -> tuple[Any, Any] | None:
        """Return the next part; whatever goes wrong in reading it, it is not seen through."""
        try:
            return next(entry.parts, None)
        except Exception as error:
            entry.parts = iter(())
            return "", Opaque(f"cannot be read ({type(error).__name__})")

    def _enter(self, label: Any, thing: Any) -> None:
        number = len(self._memo)
        parts: Parts
        unordered: list[bytes] | None = None
        if type(thing) is Unordered:
            parts, unordered = (("an item", item) for item in thing.items), []
        elif id(thing) in self._special:
            parts = self._special[id(thing)]()
        else:
            parts = describe(thing)
        depth = len(self._stack)
        entry = _Entry(thing, label, parts, number, depth, lowest=number, unordered=unordered)
        self._memo[id(thing)] = entry
        self._stack.append(entry)

    def _again(self, top: _Entry, met: _Entry) -> bytes:
        """Return what stands for a thing that was met before."""
        if not met.digest:  # it is around us: so many steps up
            top.lowest = min(top.lowest, met.number)
            return b"^%d:" % (top.depth - met.depth)
        if met.lowest < met.number:  # its digest means something only where it stands
            top.lowest = min(top.lowest, met.lowest)
            return b"<%d:" % (top.number - met.number)
        return b"=" + met.digest

    def _forget(self, top: _Entry) -> None:
        """After each part of what has no order, forget what was met in it."""
        if top.unordered is not None:
            while len(self._memo) > top.number + 1:
                self._memo.popitem()

    def _say(self, label: Any, part: Opaque) -> None:
        name, *steps = [entry.label for entry in self._stack]
        said = [_spoken(step) for step in (*steps, label)]
        where = ", ".join(step for step in said if step)
        self.opaque.append(f"{name}: {where} {part.what}" if where else f"{name} {part.what}")


def _spoken(label: Any) -> str:
    """Return a label in words; items are labelled by their bare index or key, which is quicker."""
    if isinstance(label, tuple):
        key = label[0]
        return f"item {key!r}" if type(key) in (int, str) else "an item"
    return label
