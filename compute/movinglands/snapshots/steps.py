"""Which step of a training the name of a snapshot tells.

The names of a folder are judged together: a number that all of them share, like the 18 of
``resnet18``, counts nothing. Where two readings are possible the names are refused, with patterns
that would settle it: a wrong step puts a film out of order, and nobody would see.
"""

from __future__ import annotations

import fnmatch
import glob
import re
from collections.abc import Iterable, Sequence
from itertools import takewhile
from pathlib import PurePath

from ..errors import UserError

MARK = "{step}"
"""What stands for the number in a pattern that says where it is."""

ENDING = re.compile(r"(?:\.(?:pt|pth|bin|ckpt|t7|safetensors|tar|pkl|h5))+$")

NUMBER = r"(?:(?<![a-zA-Z0-9])-)?\d+(?:\.\d+)*(?:(?:e[-+]?\d+|[kKM])(?![a-zA-Z0-9]))?"
"""A number in a name: ``0012``, ``-1``, ``0.95``, ``1e3``, ``10k``."""

UNITS = {"k": 1000, "K": 1000, "M": 1_000_000}

COUNTERS = [
    re.compile(form)
    for word in ("(?i:step)", "(?i:iter(?:ation)?)", "(?i:epoch)")
    for form in (
        rf"{word}(?i:s?)[^a-zA-Z0-9]?({NUMBER})",
        rf"({NUMBER})[^a-zA-Z0-9]?{word}(?i:s?)(?![a-zA-Z0-9])",
    )
]
"""How names count a training, the finest first: ``epoch=3-step=1200``, ``5000_steps``."""

_MONTH = "(?i:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*"
_DAY = r"(?:0[1-9]|[12]\d|3[01])"
DATE = re.compile(
    rf"(?<!\d)(?:(?:19|20)\d\d([-_.]?)(?:0[1-9]|1[0-2])\1{_DAY}"
    rf"|{_DAY}([-_.])\d\d\2(?:19|20)\d\d|{_MONTH}[-_ ]?{_DAY})"
    r"(?:[-_T. ]?\d\d[-_:.h]?\d\d(?:[-_:.m]?\d\d)?)?(?!\d)"
)


def steps_of(names: Sequence[str], pattern: str | None) -> dict[str, int]:
    """Return the step that each name tells, in the order of the steps.

    Names without any number beside others that have one, such as ``best.pt``, are left out.

    Parameters
    ----------
    names : sequence of str
        Paths within their folder, with slashes.
    pattern : str, optional
        That chose them; where it holds ``{step}``, the number is the one there.

    Raises
    ------
    UserError
        Where a name tells no step, or several, or the step of another.
    """
    if pattern and MARK in pattern:
        found = [_marked(name, pattern) for name in names]
    else:
        names = [name for name in names if re.search(r"\d", _stem(name))] or names
        found = _counted(names) or _differing(names)
    telling = [name for name, step in zip(names, found, strict=True) if step is not None]
    steps: dict[str, int] = {}
    first: dict[int, str] = {}
    for name, step in zip(names, found, strict=True):
        if step is None:
            raise UserError(
                f"{name}: no number in the name tells its step; rename it or move it elsewhere"
                f"{_without(name, telling)}."
            )
        if step < 0:
            raise UserError(f"{name}: is of step {step}, expected 0 or more; rename it.")
        if step in first:
            one, other = _start(first[step]), _start(name)
            way = (
                f"choose with pattern={one!r} or {other!r}"
                if one != other
                else "move one elsewhere"
            )
            raise UserError(f"{name}: is of step {step} like {first[step]}; {way}.")
        steps[name], first[step] = step, name
    return dict(sorted(steps.items(), key=lambda item: item[1]))


def matching(names: Iterable[str], pattern: str) -> list[str]:
    """Return the names with a number where a pattern has its ``{step}``."""
    return [name for name in names if _marked(name, pattern) is not None]


def _stem(name: str) -> str:
    return ENDING.sub("", name)


def _whole(text: str) -> int | None:
    unit = UNITS.get(text[-1], 1)
    digits = text.rstrip("kKM")
    if re.fullmatch(r"-?\d+", digits):
        return int(digits) * unit
    if digits.count(".") > 1 or (unit == 1 and "e" not in digits):  # a version, a loss
        return None
    value = float(digits) * unit
    return int(value) if value.is_integer() else None


def _marked(name: str, pattern: str) -> int | None:
    exact = fnmatch.translate(pattern).replace(re.escape(MARK), rf"(?<!\d)({NUMBER})(?!\d)", 1)
    found = re.match(exact, name)
    return _whole(found[1]) if found else None


def _counted(names: Sequence[str]) -> list[int | None] | None:
    """Return the numbers beside the finest counting word that tells all names apart."""
    some: list[int | None] | None = None
    for counter in COUNTERS:
        found = [counter.findall(_stem(name)) for name in names]
        if all(found):
            steps = [_whole(numbers[-1]) for numbers in found]
            if len(set(steps)) == len(steps):
                return steps
            some = some or steps
    if some is None:
        for name in names:
            counting = [other for other in names if any(c.search(_stem(other)) for c in COUNTERS)]
            if counting and name not in counting:
                raise UserError(
                    f"{name}: counts otherwise than {counting[0]}; rename it or move it elsewhere"
                    f"{_without(name, counting)}."
                )
    return some


def _differing(names: Sequence[str]) -> list[int | None]:
    """Return the one whole number in each name that is not the same in all."""
    dates = [[date[0] for date in DATE.finditer(_stem(name))] for name in names]
    if all(dates) and (len(names) == 1 or any(date != dates[0] for date in dates)):
        raise UserError(
            f"{names[0]}: tells a date, not a step; rename the files by their steps, as step_100.pt"
            f"{_ways(names)}."
        )
    found = [_numbers(_stem(name)) for name in names]
    shared = set.intersection(*map(set, found)) if len(names) > 1 else set()
    steps: list[int | None] = []
    for name, numbers in zip(names, found, strict=True):
        left = [
            step for item in numbers if item not in shared and (step := _whole(item[1])) is not None
        ]
        if len(left) > 1:
            raise UserError(
                f"{name}: which of {', '.join(map(str, left))} is the step is not sure; rename the "
                f"files, as step_100.pt{_ways(names)}."
            )
        steps.append(left[0] if left else None)
    return steps


def _numbers(stem: str) -> list[tuple[str, str]]:
    """Return the numbers in a name, each after the text that leads to it."""
    parts = re.split(f"({NUMBER})", stem)
    return list(zip(parts[::2], parts[1::2], strict=False))


def _ways(names: Sequence[str]) -> str:
    """Return the patterns under which each of the names would tell a step of its own."""
    stem = _stem(names[0])
    parts = re.split(f"({NUMBER})", stem)
    patterns = []
    for chosen in range(1, len(parts), 2):
        pieces = [glob.escape(part) if k % 2 == 0 else "*" for k, part in enumerate(parts)]
        pieces[chosen] = MARK
        pattern = "".join(pieces) + names[0].removeprefix(stem)
        steps = {_marked(name, pattern) for name in names}
        if len(steps) == len(names) and None not in steps:
            patterns.append(pattern)
    if not patterns:
        return ""
    return ", or say where it stands: pattern=" + " or ".join(map(repr, patterns))


def _start(name: str) -> str:
    """Return a pattern for all that begins as a name does, up to its numbers."""
    return "/".join(
        glob.escape(re.split(r"\d", part, maxsplit=1)[0]) + "*" + PurePath(part).suffix
        if re.search(r"\d", part)
        else glob.escape(part)
        for part in name.split("/")
    )


def _without(name: str, others: Sequence[str]) -> str:
    """Return the advice to leave a name out, where a pattern can."""
    stems = [_stem(other) for other in others]
    pairs = zip(min(stems, default=""), max(stems, default=""), strict=False)
    common = "".join(one for one, _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    suffixes = "".join({PurePath(other).suffix for other in others})
    pattern = glob.escape(common.rstrip("0123456789")) + "*" + suffixes
    chosen = [other for other in (name, *others) if fnmatch.fnmatchcase(other, pattern)]
    if not others or chosen != list(others) or any("/" in other for other in others):
        return ""
    return f", or leave it out with pattern={pattern!r}"
