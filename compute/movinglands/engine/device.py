"""The device that is computed on."""

from __future__ import annotations

import torch

from ..errors import UserError

STARTED_HERE = ("", "local")
"""What asks for a Ray on this machine, in the place of an address."""


def choose_device(name: str, ray: str | None = None) -> torch.device:
    """Return the torch device of a name; "auto" is CUDA, else MPS, else the CPU.

    Where a Ray cluster evaluates, whose address is given, this machine need not have its CUDA.
    """
    if name == "auto":
        name = "cpu"
        if torch.cuda.is_available():
            name = "cuda"
        elif torch.backends.mps.is_available():
            name = "mps"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError):
        if name.split(":")[0] == "cuda" and ray not in (None, *STARTED_HERE):
            return choose_device("auto")
        raise UserError(f"--device {name}: torch finds no such device here.") from None
    return device


def device_name(device: torch.device) -> str:
    """Return what a device is called, for a person."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "cpu":
        threads = torch.get_num_threads()
        return f"{threads} CPU thread{'s' if threads > 1 else ''}"
    return device.type
