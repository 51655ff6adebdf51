"""The memory of a long computation in large frames: what it takes beyond torch and the network.

The network is so small that its losses cost nothing: what is measured is all that surrounds them,
tiles, journal and file. Each run is a process of its own.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from movinglands import Snapshots, Surface, compute_sequence

from .report import Row

RESOLUTION = 1000
FRAMES = (10, 100)


def bench() -> Iterator[Row]:
    """Measure a short and a long run."""
    peaks = {}
    for frames in FRAMES:
        command = [sys.executable, "-m", __name__, str(frames)]
        done = subprocess.run(command, check=True, text=True, capture_output=True)
        peaks[frames] = float(done.stdout.splitlines()[-1])
    short, long = FRAMES
    yield Row(
        "memory.peak_gib",
        peaks[long],
        f"{RESOLUTION} x {RESOLUTION} x {long}",
        f"x {short}: {peaks[short]:.4g}; the surfaces themselves are "
        f"{4 * RESOLUTION**2 * long / 2**30:.3g}",
    )


def _square(module: nn.Module, batch: Tensor) -> Tensor:
    return module(batch).square().mean()


def _compute(frames: int) -> float:
    """Return the GiB that computing a sequence adds at its peak."""
    module = nn.Linear(2, 1)
    states = [{n: w + 0.01 * t for n, w in module.state_dict().items()} for t in range(frames)]
    snapshots = Snapshots.of(states, range(frames))
    surface = Surface(module, snapshots, _square, [torch.ones(1, 2)], resolution=RESOLUTION)
    before = _resident("VmRSS")
    with tempfile.TemporaryDirectory() as folder:
        compute_sequence(Path(folder, "fake.h5"), surface, device="cpu")
    return _resident("VmHWM") - before


def _resident(what: str) -> float:
    """Return a figure of this process that Linux keeps, VmRSS now or VmHWM at its peak, in GiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(what):
            return int(line.split()[1]) / 2**20
    raise LookupError(what)


if __name__ == "__main__":
    print(_compute(int(sys.argv[1])))
