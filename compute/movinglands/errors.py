"""The one exception that a user is meant to read, and how others are told in it."""

from __future__ import annotations

from collections.abc import Iterable


class UserError(ValueError):
    """Bad input, said in one sentence: which file, which field, what was expected.

    The command line prints it without a traceback and exits with code 2.
    """


def said(error: Exception) -> str:
    """Return an exception as a part of a sentence."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}"[:200].rstrip(".: ")


def few(names: Iterable[str], most: int = 3) -> str:
    """Return a few names in words, and how many more there are."""
    told = list(names)
    more = f" and {len(told) - most} more" if len(told) > most else ""
    return ", ".join(told[:most]) + more
