"""A process beside Blender: started, followed and ended without Blender waiting for it.

No bpy here. The process says how far it is in lines of JSON on its stdout; whatever else it prints
there is passed over:

    {"event": "progress", "label": "evaluating", "done": 3, "total": 48, "seconds_left": 12.5}
    {"event": "done", "file": "/home/me/gently.h5"}
    {"event": "error", "message": "One sentence."}

Threads read what it prints, so it never waits for Blender; it takes effect in ``poll``, in the
thread that calls it. Nothing here belongs to a .blend: a process outlives undo and other files.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

GRACE = 5.0
"""Seconds that a process has to end by itself once it should, before it is killed."""

NICENESS = 10
"""How far a process stands back behind Blender, where both want the processor."""

LONGEST = 1 << 16
"""Characters of a line at most: a longer one is none of the protocol's."""

KEPT = 256
"""Objects that wait for ``poll`` at most; of progress in a row only the latest waits."""


class Process:
    """A process that runs beside Blender.

    Parameters
    ----------
    command : list of str
        The program and its arguments.
    environment : dict, optional
        Variables set for it, besides those of Blender.
    folder : Path, optional
        Where it runs; by default where Blender does.

    Attributes
    ----------
    running : bool
        Until it has ended and all that it said is polled.
    finished : bool
        It has ended, and well.
    cancelled : bool
        It was told to end.
    error : str
        What went wrong, in one sentence: its own, or the last it printed on stderr.
    label : str
        What it is doing; "" before it says so.
    progress : float
        How much of that is done, 0 to 1.
    seconds_left : float or None
        Of that, where it knows.
    file : Path or None
        What it has made, once it is done.

    Raises
    ------
    ValueError
        Where the program cannot be started.
    """

    def __init__(
        self,
        command: list[str],
        environment: dict[str, str] | None = None,
        folder: Path | None = None,
    ) -> None:
        self.running, self.finished, self.cancelled = True, False, False
        self.error, self.label, self.progress = "", "", 0.0
        self.seconds_left: float | None = None
        self.file: Path | None = None
        try:
            self._process = _start(command, os.environ | (environment or {}), folder)
        except (OSError, ValueError) as error:  # ValueError: a NUL in a name
            reason = getattr(error, "strerror", None) or error
            raise ValueError(f"{command[0]}: cannot be started: {reason}.") from None
        self._killer = threading.Timer(GRACE, self._kill)
        self._killer.daemon = True
        self._silent_by = math.inf
        self._lock = threading.Lock()
        self._objects: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._complaints: deque[str] = deque(maxlen=20)
        self._readers = [
            threading.Thread(target=self._listen, args=(self._process.stdout,), daemon=True),
            threading.Thread(target=self._overhear, args=(self._process.stderr,), daemon=True),
        ]
        for reader in self._readers:
            reader.start()
        atexit.register(self.close)

    def poll(self) -> list[dict[str, Any]]:
        """Take in what the process has said, and return its new JSON objects, oldest first.

        To be called a few times a second, until ``running`` is False.
        """
        over = self._process.poll() is not None and self._is_silent()
        with self._lock:
            objects = list(self._objects)
            self._objects.clear()
        for said in objects:
            self._take(said)
        if over and self.running:
            self._end()
        return objects

    def cancel(self) -> None:
        """Ask the process to stop, as Ctrl+C does, and see that it does; return at once."""
        if self._process.poll() is None and not self.cancelled:
            self.cancelled = True
            if sys.platform == "win32":  # where a group of its own hears Ctrl+Break only
                self._signal(signal.CTRL_BREAK_EVENT)
            else:
                self._signal(signal.SIGINT)
            self._must_end()

    def close(self) -> None:
        """End the process now, politely, and wait until it has; ``GRACE`` seconds at most."""
        if not self.running:
            return
        self.cancel()
        try:
            self._process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self._kill()
            self._process.wait()
        for reader in self._readers:
            reader.join(1.0)
        self.poll()

    def _take(self, said: dict[str, Any]) -> None:
        match said:
            case {"event": "progress", "label": str(label), "done": done, "total": total}:
                count, of, left = map(_number, (done, total, said.get("seconds_left")))
                self.label, self.seconds_left = label, left
                self.progress = min(count / of, 1.0) if count and of else 0.0
            case {"event": "done", "file": str(file)}:
                self.file = Path(file)
                self._must_end()
            case {"event": "error", "message": str(message)}:
                self.error = message

    def _is_silent(self) -> bool:
        """Return whether all is read that the ended process has said.

        One that it left behind could hold its output open for ever: that is not waited for.
        """
        for reader in self._readers:
            reader.join(0.02)
        if any(reader.is_alive() for reader in self._readers):
            self._silent_by = min(self._silent_by, time.monotonic() + 1.0)
            return time.monotonic() > self._silent_by
        return True

    def _end(self) -> None:
        code = self._process.returncode
        self.running, self.seconds_left = False, None
        if self.file is None and code != 0 and not self.cancelled and not self.error:
            self.error = self._last_words(code)
        self.finished = not self.error and (self.file is not None or code == 0)
        if self.finished:
            self.progress = 1.0
        self._killer.cancel()
        atexit.unregister(self.close)

    def _last_words(self, code: int) -> str:
        if code == -9:
            return "The process was killed, most likely for want of memory."
        if code < 0:
            return f"The process was ended by signal {-code}."
        return self._complaints[-1] if self._complaints else f"The process ended with code {code}."

    def _must_end(self) -> None:
        with contextlib.suppress(RuntimeError):  # it is on its way already
            self._killer.start()

    def _kill(self) -> None:
        if sys.platform == "win32":
            self._process.kill()
        else:
            self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        """Send a signal to the process and all that it started."""
        if self._process.poll() is not None:
            return  # its number may be another's by now
        with contextlib.suppress(OSError):  # it ended this very moment
            if sys.platform == "win32":
                self._process.send_signal(number)
            else:
                os.killpg(self._process.pid, number)

    def _listen(self, stdout: IO[str]) -> None:
        for line in _lines(stdout):
            said = _object(line)
            if said is None:
                continue
            with self._lock:
                if self._objects and _is_progress(said) and _is_progress(self._objects[-1]):
                    self._objects.pop()
                self._objects.append(said)

    def _overhear(self, stderr: IO[str]) -> None:
        for line in _lines(stderr):
            if line.strip():
                self._complaints.append(line.strip())


def _start(
    command: list[str], environment: dict[str, str], folder: Path | None
) -> subprocess.Popen[str]:
    flags = 0
    if sys.platform == "win32":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.BELOW_NORMAL_PRIORITY_CLASS
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
        env=environment,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,  # a group of its own, to signal as one
        creationflags=flags,
    )
    if sys.platform != "win32":
        with contextlib.suppress(OSError):  # it ended already
            nice = os.getpriority(os.PRIO_PROCESS, 0) + NICENESS
            os.setpriority(os.PRIO_PROCESS, process.pid, nice)
    return process


def _lines(stream: IO[str]) -> Iterator[str]:
    """Yield the lines of a stream, those beyond ``LONGEST`` in pieces."""
    with stream:
        while line := stream.readline(LONGEST):
            yield line


def _object(line: str) -> dict[str, Any] | None:
    """Return the JSON object that a line is, if it is one."""
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) else None


def _is_progress(said: dict[str, Any]) -> bool:
    return said.get("event") == "progress"


def _number(value: Any) -> float | None:
    """Return a number that can be shown, where there is one."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if 0 <= number < math.inf else None
