"""Locks: only one process at a time works on a file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from .errors import UserError


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Take a file's lock: once or more in a process, and released if the process dies.

    Raises
    ------
    UserError
        Where another process has it.
    """
    file = path.with_name(f".{path.name}.lock")
    lock = FileLock(file, timeout=0, is_singleton=True)
    outermost = not lock.is_locked
    try:
        with lock:
            try:
                yield
            finally:
                # Still held: whoever has opened the file finds that it is gone, and makes another.
                # On Windows no open file goes; there filelock removes it afterwards.
                if outermost and os.name == "posix":
                    file.unlink(missing_ok=True)
    except Timeout:
        raise UserError(f"{path}: another process is computing it.") from None
