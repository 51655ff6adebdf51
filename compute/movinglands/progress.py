"""How far a computation is: a bar on stderr for people, lines of JSON on stdout for a program.

    {"event": "progress", "label": "evaluating", "done": 3, "total": 48, "seconds_left": 12.5}
    {"event": "done", "file": "/home/me/gently.h5"}
    {"event": "error", "message": "One sentence."}

A program that is gone cannot be told: the computation fails at its next line, and can be gone on
with.
"""

from __future__ import annotations

import io
import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any, TextIO

from tqdm import tqdm

_listener: TextIO | None = None


@contextmanager
def listened_to() -> Iterator[None]:
    """Tell a program on stdout; what is printed for people goes to stderr meanwhile."""
    global _listener
    for name in ("SIGINT", "SIGBREAK"):  # ignored where the program's starter ignores it; Windows'
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.default_int_handler)
    _listener = sys.stdout
    try:
        with redirect_stdout(sys.stderr):
            yield
    except Exception as fault:  # a defect: people read its traceback
        tell("error", message=f"{type(fault).__name__}: {fault}".splitlines()[0])
        raise
    finally:
        _listener = None


def tell(event: str, **more: Any) -> None:
    """Tell a program, if one listens."""
    if _listener is not None:
        print(json.dumps({"event": event, **more}), file=_listener, flush=True)


def announce(label: str) -> None:
    """Tell that something begins of which nobody knows how long it takes."""
    tell("progress", label=label, done=0, total=1, seconds_left=None)


def progress(label: str, total: int, done: int, unit: str, delay: float = 0) -> tqdm:
    """Return a progress bar with an ETA, to be seen after ``delay`` seconds."""
    kind = tqdm if _listener is None else _Told
    return kind(
        desc=f"{label:>10}",
        total=total,
        initial=done,
        unit=f" {unit}",
        mininterval=0.5,
        delay=delay,
    )


class _Told(tqdm):
    """A progress bar that is told instead of drawn."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(file=io.StringIO(), **settings)

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        shown = self.format_dict
        done, total, rate = shown["n"], shown["total"], shown["rate"]
        if rate is None and shown["elapsed"]:
            rate = (done - shown["initial"]) / shown["elapsed"]
        left = (total - done) / rate if rate else None
        label = shown["prefix"].strip(": ")
        tell("progress", label=label, done=done, total=total, seconds_left=left)
