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
import logging
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any, TextIO

from tqdm import tqdm

_log = logging.getLogger("movinglands")

_listener: TextIO | None = None


class _Printed(logging.Handler):
    """Prints what is said, wherever stdout goes then."""

    def emit(self, record: logging.LogRecord) -> None:
        print(self.format(record))


@contextmanager
def printed() -> Iterator[None]:
    """Print what is said for people, as a command does."""
    handler, level = _Printed(), _log.level
    _log.addHandler(handler)
    _log.setLevel(logging.INFO)
    try:
        yield
    finally:
        _log.removeHandler(handler)
        _log.setLevel(level)


@contextmanager
def json_events() -> Iterator[None]:
    """Write events for a program to stdout; what is printed for people goes to stderr meanwhile."""
    global _listener
    for name in ("SIGINT", "SIGBREAK"):  # ignored where the program's starter ignores it; Windows'
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.default_int_handler)
    _listener = sys.stdout
    try:
        with redirect_stdout(sys.stderr):
            yield
    except Exception as fault:  # a defect: people read its traceback
        emit("error", message=f"{type(fault).__name__}: {fault}".splitlines()[0])
        raise
    finally:
        _listener = None


def emit(event: str, **more: Any) -> None:
    """Write an event for a program, if one listens."""
    if _listener is not None:
        print(json.dumps({"event": event, **more}), file=_listener, flush=True)


def say(sentence: str) -> None:
    """Say what is done: printed by a command, else as the caller sets Python's logging."""
    _log.info(sentence)


def announce(label: str) -> None:
    """Tell that something begins of which nobody knows how long it takes."""
    emit("progress", label=label, done=0, total=1, seconds_left=None)


def progress(label: str, total: int, done: int, unit: str, delay: float = 0) -> tqdm:
    """Return a progress bar with an ETA, to be seen after ``delay`` seconds."""
    kind = tqdm if _listener is None else _EventBar
    return kind(
        desc=f"{label:>10}",
        total=total,
        initial=done,
        unit=f" {unit}",
        mininterval=0.5,
        delay=delay,
    )


class _EventBar(tqdm):
    """A progress bar that is written as events instead of drawn."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(file=io.StringIO(), **settings)

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        shown = self.format_dict
        done, total, rate = shown["n"], shown["total"], shown["rate"]
        if rate is None and shown["elapsed"]:
            rate = (done - shown["initial"]) / shown["elapsed"]
        left = (total - done) / rate if rate else None
        label = shown["prefix"].strip(": ")
        emit("progress", label=label, done=done, total=total, seconds_left=left)
