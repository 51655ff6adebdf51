"""Progress: a line that counts on stderr for a person, lines of JSON on stdout for a program.

A program that starts this one with ``--json`` reads:

    {"event": "progress", "label": "rendering", "done": 3, "total": 48, "seconds_left": 12.5}
    {"event": "done", "file": "/home/me/gently.mp4"}
    {"event": "error", "message": "One sentence."}
    {"event": "remark", "message": "One sentence that a person should read."}
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

_listener: TextIO | None = None


@contextmanager
def listened_to() -> Iterator[None]:
    """Write JSON to stdout instead of text for a person, also while Blender is ``quiet``."""
    global _listener
    with os.fdopen(os.dup(1), "w") as _listener:
        try:
            yield
        finally:
            _listener = None


def tell(event: str, **more: Any) -> bool:
    """Write an event as JSON where a program reads it; return whether one does."""
    if _listener is not None:
        print(json.dumps({"event": event, **more}), file=_listener, flush=True)
    return _listener is not None


class Counter:
    """Counts up to a total, with an estimate of the time that is left.

    Parameters
    ----------
    label : str
        What is being done, in one word: "rendering".
    total, done : int
        How many there are, and how many of them were done before.
    """

    def __init__(self, label: str, total: int, done: int = 0) -> None:
        self.label, self.total, self.done = label, total, done
        self.before = done
        self.start = self.shown = time.monotonic()
        tell("progress", label=label, done=done, total=total, seconds_left=None)

    def step(self) -> None:
        """Count one more."""
        self.reach(self.done + 1)

    def reach(self, done: int) -> None:
        """Set how many are done."""
        now = time.monotonic()
        if done <= self.done:
            return
        self.done = done
        if done < self.total and now - self.shown < 0.2:
            return
        self.shown = now
        each = (now - self.start) / (done - self.before)
        self._say(each, each * (self.total - done))

    def _say(self, each: float, left: float) -> None:
        if tell("progress", label=self.label, done=self.done, total=self.total, seconds_left=left):
            return
        end = "\n" if self.done == self.total else ""
        line = f"{self.label:>10}: {self.done}/{self.total}, {each:.2f} s each"
        print(f"\r{line}, {clock(left)} left   ", end=end, file=sys.stderr, flush=True)


def announce(label: str) -> None:
    """Announce work whose duration cannot be estimated."""
    tell("progress", label=label, done=0, total=1, seconds_left=None)
    say(f"{label.capitalize()}.")


def say(line: str) -> None:
    """Print a line for a person on stdout, unless a program reads there."""
    if _listener is None:
        print(line, flush=True)


def clock(seconds: float) -> str:
    """Return seconds as minutes and seconds or with hours: 2:05, 1:02:05."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


@contextmanager
def quiet() -> Iterator[None]:
    """Discard what Blender prints on stdout, also what it prints from C."""
    sys.stdout.flush()
    kept = os.dup(1)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Delay Ctrl+C to the end of the block; a second one ends the process at once.

    Raised inside Cycles' Python code, KeyboardInterrupt would spoil a picture; raised in a handler
    it would be lost.
    """
    pressed = []

    def press(*_: object) -> None:
        pressed.append(True)
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    before = signal.signal(signal.SIGINT, press)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed:
        raise KeyboardInterrupt
