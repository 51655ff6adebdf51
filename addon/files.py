"""Files that appear whole or not at all, also where another process has them open.

Windows neither replaces nor removes a file that somebody reads. Whoever reads ours is done in a
moment: so it is tried again for a while.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

PATIENCE = 5.0
"""Seconds for which a file that is in use is tried again."""


def replace(partial: Path, path: Path) -> None:
    """Move a file that is complete to its place, in one step.

    Raises
    ------
    PermissionError
        Where the place cannot be written to, or another process does not let go of what is there.
    """
    _insist(lambda: os.replace(partial, path), path)


def remove(path: Path) -> None:
    """Remove a file, if it is there.

    Raises
    ------
    PermissionError
        As for ``replace``.
    """
    _insist(lambda: path.unlink(missing_ok=True), path)


def _insist(attempt: Callable[[], None], path: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return attempt()
        except PermissionError:
            if not _may_be_in_use(path) or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _may_be_in_use(path: Path) -> bool:
    """Return whether waiting may help: not where the folder is one that cannot be written to."""
    return path.exists() and os.access(path.parent, os.W_OK)
