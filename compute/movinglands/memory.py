"""How much memory this process may take."""

from __future__ import annotations

import os
import sys
from pathlib import Path


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
