"""Lock files by which processes, on one machine or several, share a folder of frames.

A claim is a file beside the one that is to be made, which only one process can create. While that
process lives, it touches its claim every few seconds. A claim that nobody touches belongs to a dead
process; the next process then makes a claim of the next number: `.0003.png.1.claim`, then
`.0003.png.2.claim`. The highest number counts. Until the file is there a process removes no claim
but its own, so no two living processes ever hold the same file. Clocks of machines are not
compared: a claim's age is how long this process has seen it unchanged.

No bpy here.
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ..files import remove

BEAT = 5.0
"""Seconds between two touches of a claim by its owner."""

SILENCE = 30.0
"""Seconds without a touch after which its owner counts as dead."""

LOOK = 0.5
"""Seconds between two looks at what other processes have made."""


class Claims:
    """Lock files by which processes share a folder of frames.

    A context manager: at its end the claim that this process still holds is removed.

    Parameters
    ----------
    waiting : callable
        Called each time there is nothing to do but wait for other processes.
    """

    def __init__(self, waiting: Callable[[], None] = lambda: None) -> None:
        self._waiting = waiting
        self._held: Path | None = None
        self._seen: dict[Path, tuple[int, float]] = {}
        self._over = threading.Event()
        self._heart = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Claims:
        self._heart.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._heart.join()
        self._let_go()

    def share(
        self, files: Sequence[Path], count: Callable[[int], None] = lambda _: None
    ) -> Iterator[Path]:
        """Yield the files that this process is to make, one by one, until all files are there.

        Parameters
        ----------
        files : sequence of Path
            In one folder. Each that is yielded must have been made when the next is asked for.
        count : callable
            Called with how many of them are there, whoever made them.
        """
        while files:
            there = set(os.listdir(files[0].parent))
            left = [file for file in files if file.name not in there]
            count(len(files) - len(left))
            if not left:
                return
            latest = _latest(there)
            mine = next((f for f in left if self._take(f, latest.get(f.name, 0))), None)
            if mine:
                yield mine
                _clear(mine)
                self._held = None
            else:
                self._waiting()
                time.sleep(LOOK)

    def _take(self, file: Path, latest: int) -> bool:
        """Claim a file, unless a living process has claimed it, or the file is there."""
        if latest and not self._is_dead(_claim(file, latest)):
            return False
        claim = self._held = _claim(file, latest + 1)  # before it is there: see _let_go
        try:
            with open(claim, "x") as made:
                made.write(_owner())
        except FileExistsError:
            self._held = None
            return False
        except PermissionError:  # on Windows also: another process is just removing its own
            self._held = None
            if os.name == "nt":
                return False
            raise
        if file.exists():  # since we looked
            self._let_go()
        return self._held is not None

    def _is_dead(self, claim: Path) -> bool:
        try:
            with open(claim) as file:  # opened, a network's file is as it is now, not as cached
                touched, owner = os.fstat(file.fileno()).st_mtime_ns, file.read()
        except OSError:  # its owner is just done with it
            return False
        if _has_ended(owner):
            return True
        now = time.monotonic()
        before, since = self._seen.setdefault(claim, (touched, now))
        if touched != before:
            self._seen[claim] = touched, now
            return False
        return now - since > SILENCE

    def _let_go(self) -> None:
        """Remove the claim that is held, unless it is another's after all.

        That can be where this process was interrupted while it made the claim.
        """
        if self._held and self._held.exists() and self._held.read_text() in ("", _owner()):
            remove(self._held)
        self._held = None

    def _beat(self) -> None:
        while not self._over.wait(BEAT):
            if held := self._held:
                with contextlib.suppress(OSError):  # the file is made; or the network is away
                    os.utime(held)


def unfinished(file: Path) -> Path:
    """Return where this process writes a file, before it moves the complete file to its place."""
    return file.with_name(f".{file.name}.{os.getpid()}.writing{file.suffix}")


def _claim(file: Path, number: int) -> Path:
    return file.with_name(f".{file.name}.{number}.claim")


def _latest(names: set[str]) -> dict[str, int]:
    """Return the highest number of the claims among a folder's names, for each claimed file."""
    found: dict[str, int] = {}
    for name in names:
        if claim := re.fullmatch(r"\.(.+)\.(\d+)\.claim", name):
            found[claim[1]] = max(int(claim[2]), found.get(claim[1], 0))
    return found


def _owner() -> str:
    return json.dumps({"machine": _machine(), "process": os.getpid()})


def _machine() -> str:
    """Return the host and container within which a process's number means one process."""
    try:
        return f"{socket.gethostname()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return socket.gethostname()


def _has_ended(owner: str) -> bool:
    """Return whether a claim's owner was a process of this machine that has ended."""
    try:
        known = json.loads(owner)
        machine, process = known["machine"], int(known["process"])
    except (ValueError, KeyError, TypeError):  # half-written: its silence will tell
        return False
    if machine != _machine() or not hasattr(os, "getpgid"):  # Windows: likewise
        return False
    try:
        os.getpgid(process)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _clear(file: Path) -> None:
    """Remove the claims on a file that is complete, and half files of dead processes."""
    for old in file.parent.glob(f".{glob.escape(file.name)}.*"):
        with contextlib.suppress(PermissionError):  # it is in use, and does no harm
            remove(old)
