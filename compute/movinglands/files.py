"""Files that are either absent or complete, also after a kill or a power cut."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path to write to; when all went well, it becomes ``path`` in one step."""
    partial = path.with_name(path.name + ".writing")
    try:
        yield partial
        with open(partial, "r+b") as written:  # Windows syncs only what may be written
            os.fsync(written.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes) -> None:
    """Write bytes to a file in one step."""
    with replacing(path) as partial:
        partial.write_bytes(content)
