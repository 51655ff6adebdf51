"""What goes from process to process as bytes: tensors, functions, compiled packages."""

from __future__ import annotations

import io
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from ..errors import UserError
from .session import ray


def packed(content: Any) -> bytes:
    """Return anything as bytes: tensors once each, functions and classes of a script whole."""
    buffer = io.BytesIO()
    torch.save(content, buffer, pickle_module=ray.cloudpickle)
    return buffer.getvalue()


def unpacked(content: bytes, device: torch.device) -> Any:
    """Return what the driver packed, all its tensors on a device."""
    try:
        return torch.load(io.BytesIO(content), map_location=device, weights_only=False)
    except ImportError as error:
        raise UserError(
            f"--ray: {socket.gethostname()} cannot import {error.name}, which the network, "
            "the loss or the batches come from: install it on every node."
        ) from None


def can_be_packed(content: Any) -> bool:
    """Tell whether anything can be sent to another process."""
    try:
        packed(content)
    except Exception:
        return False
    return True


@contextmanager
def folder_of(files: dict[str, bytes]) -> Iterator[Path]:
    """Yield a temporary folder of files."""
    with tempfile.TemporaryDirectory() as name:
        for file, content in files.items():
            (Path(name) / file).write_bytes(content)
        yield Path(name)


def new_files(folder: Path, known: dict[str, bytes]) -> dict[str, bytes]:
    """Return the files in a folder that are not known yet."""
    return {path.name: path.read_bytes() for path in folder.glob("*") if path.name not in known}
