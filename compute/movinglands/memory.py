"""How much memory and disk there is, and what does not fit."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from .errors import UserError


def total() -> int:
    """Return the bytes of this machine's memory; where it does not tell, more than any has."""
    if not hasattr(os, "sysconf"):  # Windows
        return sys.maxsize
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def available() -> int:
    """Return the bytes that are free here, or that this process is allowed, whichever are fewer.

    Where the system does not tell, as on Windows, more than any machine has.
    """
    bytes_ = total()
    if os.name == "posix":
        import resource  # which Windows has not

        soft, _ = resource.getrlimit(resource.RLIMIT_AS)
        if soft != resource.RLIM_INFINITY:
            bytes_ = min(bytes_, soft)
    listed = Path("/proc/meminfo")
    if listed.exists():
        lines = dict(line.split(":", 1) for line in listed.read_text().splitlines())
        bytes_ = min(bytes_, 1024 * int(lines["MemAvailable"].split()[0]))
    return bytes_


def must_fit(what: str, needed: int, advice: str) -> None:
    """Refuse what needs more memory than this machine has.

    Parameters
    ----------
    what : str
        Opens the sentence: "a.h5: 3 frames of 100 points".
    needed : int
        Bytes.
    advice : str
        Ends it: "ask for a lower resolution".
    """
    if needed > (there := total()):
        raise UserError(f"{what} take {_gb(needed)} of memory, there are {_gb(there)}: {advice}.")


def must_fit_disk(what: str, needed: int, folder: Path, advice: str) -> None:
    """Refuse what needs more than is free on the disk of a folder, which need not be there yet."""
    existing = next(f for f in (folder.absolute(), *folder.absolute().parents) if f.exists())
    if needed > (free := shutil.disk_usage(existing).free):
        raise UserError(f"{what} take {_gb(needed)} of disk, {_gb(free)} are free: {advice}.")


def _gb(amount: float) -> str:
    return f"{amount / 1e9:.1f} GB"
