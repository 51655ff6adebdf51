"""Files that are either absent or complete, also after a kill or a power cut."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import UserError

PATIENCE = 10.0
"""Seconds for another program to let go of a file."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path to write to; when all went well, it becomes ``path`` in one step."""
    partial = path.with_name(path.name + ".writing")
    try:
        yield partial
        with open(partial, "r+b") as written:  # Windows syncs only what may be written
            os.fsync(written.fileno())
        replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def replace(source: Path, target: Path) -> None:
    """Move a file to a place where one may be, in one step.

    On Windows none goes while another program has it open: Blender, which shows it, for a moment.

    Raises
    ------
    UserError
        Where that lasts.
    """
    due = time.monotonic() + PATIENCE
    while True:
        try:
            os.replace(source, target)
            return
        except PermissionError:
            if time.monotonic() > due:
                raise UserError(
                    f"{target}: another program has it open and keeps it from being replaced: "
                    "close it there, and give the same command again."
                ) from None
            time.sleep(0.1)


def write_whole(path: Path, content: bytes) -> None:
    """Write bytes to a file in one step."""
    with replacing(path) as partial:
        partial.write_bytes(content)
