"""What our way to render costs: frames that are claimed, whole and resumable, against Blender's.

Both render the same .blend with Cycles on the CPU, from opening it to the last frame, in turns and
in one process of their own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from funnel import funnel

from movinglands.film import blender
from movinglands.sequence import write_sequence

from .report import Row

FILM = """
[film]
fps = 24
seconds = 1.0
width = 320
height = 180
samples = 4
"""

ROUNDS = 5


def bench() -> Iterator[Row]:
    """Build a small shot, and measure."""
    with tempfile.TemporaryDirectory() as folder:
        sequence, shot = Path(folder, "funnel.h5"), Path(folder, "funnel.blend")
        write_sequence(sequence, "FUNNEL", FILM, {"network": funnel(size=161)})
        blender.ask("build", sequence, "-o", shot)
        command = [sys.executable, "-m", __name__, str(shot)]
        done = subprocess.run(command, check=True, text=True, capture_output=True)
    # Blender may have a last word after ours.
    said = next(line for line in done.stdout.splitlines() if line.startswith("["))
    ours, plain = json.loads(said)
    yield Row(
        "render.overhead",
        ours / plain,
        f"24 frames of 320 x 180, 4 samples: {ours:.4g} s",
        f"Blender's animation render {plain:.4g} s",
    )


def _ours(shot: Path, folder: Path) -> None:
    from addon.render.claims import Claims
    from addon.render.folder import open_folder
    from addon.render.frames import render_frames
    from addon.render.job import prepare

    job = prepare(shot, folder, device="cpu")
    asked = list(job.frames)
    open_folder(job, False, asked)
    with Claims() as claims:
        render_frames(job, asked, claims, lambda _: None)


def _plain(shot: Path, folder: Path) -> None:
    import bpy

    bpy.ops.wm.open_mainfile(filepath=str(shot), load_ui=False)
    bpy.context.scene.render.filepath = f"{folder}/frames/"
    bpy.ops.render.render(animation=True)


def _by_turns(shot: Path) -> tuple[float, float]:
    """Return the median seconds of both ways; the first round loads what later ones find loaded."""
    from addon.progress import quiet

    seconds: list[tuple[float, ...]] = []
    for _ in range(1 + ROUNDS):
        taken = []
        for way in (_ours, _plain):
            with tempfile.TemporaryDirectory() as folder, quiet():
                start = time.perf_counter()
                way(shot, Path(folder))
                taken.append(time.perf_counter() - start)
                assert len(list(Path(folder, "frames").glob("*.png"))) == 24
        seconds.append(tuple(taken))
    ours, plain = zip(*seconds[1:], strict=True)
    return median(ours), median(plain)


if __name__ == "__main__":
    print(json.dumps(_by_turns(Path(sys.argv[1]))))
