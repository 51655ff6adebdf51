"""A shot's frames on a Ray cluster: nodes run Blender on a few of them at a time.

Nodes need share no folder. The .blend goes to each of them once, with the files beside it that it
is made of, and pictures come back as bytes. Each is there whole or not at all, so what has arrived
when something ends stays, and the next run asks for the rest. What a node had in its hands when it
died goes to another.
"""

from __future__ import annotations

import json
import socket
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from ..cluster.pool import ATTEMPTS, PATIENCE
from ..cluster.session import connected, exceptions, ray
from ..errors import UserError
from ..files import write_whole
from ..progress import progress
from . import blender

PARTS = 2
"""How many times, at least, a Blender is given frames: nodes are not equally fast. But each time
it has to start and open the shot."""

LONGEST = 8
"""Frames that a Blender is given at a time, at most: so many are lost where a node dies."""

SHOT = "shot.json"
"""The file in a folder of frames that says what they were rendered from."""


def render_frames(blend: Path, folder: Path, address: str, restart: bool = False) -> None:
    """Render the frames of a shot that are missing in a folder.

    Parameters
    ----------
    blend : Path
        The shot.
    folder : Path
        Of its film; the frames lie in ``frames`` in it.
    address : str
        As in ``Cluster``.
    restart : bool
        Whether frames of another version of the shot go.

    Raises
    ------
    NoBlender
        Where a node has none.
    UserError
        Where there is no cluster, or no node of it can render the shot.
    BlenderFailed
        Where the folder holds other frames.
    """
    anew = ["--restart"] if restart else []
    told = blender.ask("render", blend, "-o", folder, "--missing", *anew)
    (missing,) = (event for event in told if event["event"] == "missing")
    if missing["frames"]:
        files = {name: (blend.parent / name).read_bytes() for name in missing["files"]}
        with connected(address, None):
            _render(files | {"shot.blend": blend.read_bytes()}, missing["frames"], folder)


def _render(files: dict[str, bytes], frames: list[int], folder: Path) -> None:
    """Give frames to the nodes and take in the pictures."""
    gpus, threads = _share()
    size = max(1, min(LONGEST, -(-len(frames) // (PARTS * _blenders(gpus, threads)))))
    version = json.loads((folder / "frames" / SHOT).read_text())["Blender"]
    shot, cpus = ray.put(files), 0 if gpus else threads
    work = ray.remote(_on_node).options(num_gpus=gpus, num_cpus=cpus, max_retries=ATTEMPTS)

    def give(part: list[int]) -> Any:
        return work.remote([shot], part, threads, version)

    parts = [frames[first : first + size] for first in range(0, len(frames), size)]
    given = {give(part): part for part in parts}
    ended: Counter[int] = Counter()
    seen = time.monotonic()
    with progress("rendering", len(frames), 0, "frames") as bar:
        while given:
            arrived, _ = ray.wait(list(given), timeout=1.0)
            for reference in arrived:
                part = given.pop(reference)
                pictures = _pictures(reference, ended[part[0]])
                if pictures is None:
                    ended[part[0]] += 1
                    given[give(part)] = part
                    continue
                for name, picture in pictures.items():
                    write_whole(folder / "frames" / name, picture)
                bar.update(len(pictures))
            seen = time.monotonic() if _blenders(gpus, threads) else seen
            if time.monotonic() > seen + PATIENCE:
                raise UserError(
                    f"--ray: the cluster has had no node for {PATIENCE:.0f} seconds; what is done "
                    "is kept, and the same command, without --restart, goes on from here."
                )


def _pictures(reference: Any, before: int) -> dict[str, bytes] | None:
    """Return the pictures a node has rendered; None where its Blender crashed, to try again."""
    try:
        return ray.get(reference)
    except exceptions.RayTaskError as error:
        cause = error.cause
        crashed = isinstance(cause, blender.BlenderFailed) and cause.code > 128
        if crashed and before + 1 < ATTEMPTS:
            return None
        if isinstance(cause, blender.BlenderFailed):
            raise UserError(f"--ray: {cause}") from None
        raise cause from None
    except exceptions.RayError as error:
        raise UserError(f"--ray: {str(error).splitlines()[0]}") from None


def _share() -> tuple[int, int]:
    """Return the GPUs and the processor cores that each Blender is given.

    One GPU, where there are any; else as many cores as the smallest node has.
    """
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if any(node.get("GPU", 0) >= 1 for node in nodes):
        return 1, 0
    cores = [int(node["CPU"]) for node in nodes if node.get("CPU", 0) >= 1]
    if not cores:
        raise UserError("--ray: the cluster has neither a GPU nor a CPU core to render on.")
    return 0, min(cores)


def _blenders(gpus: int, threads: int) -> int:
    """Return how many Blenders the cluster has room for, were it idle."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if gpus:
        return sum(int(node.get("GPU", 0)) for node in nodes)
    return sum(int(node.get("CPU", 0)) // threads for node in nodes)


def _on_node(shot: list[Any], frames: list[int], threads: int, version: str) -> dict[str, bytes]:
    """Render frames on a node; return the pictures by their files' names."""
    files: dict[str, bytes] = ray.get(shot[0])
    words = ["--frames", ",".join(map(str, frames))]
    words += ["--threads", str(threads)] if threads else []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, content in files.items():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_bytes(content)
        try:
            blender.ask("render", folder / "shot.blend", "-o", folder, *words)
        except blender.NoBlender as error:
            raise blender.NoBlender(f"{socket.gethostname()}: {error}") from None
        except blender.BlenderFailed as error:
            where = f"{socket.gethostname()}: {error}"
            raise blender.BlenderFailed(error.code, where) from None
        own = json.loads((folder / "frames" / SHOT).read_text())["Blender"]
        if own != version:
            raise UserError(
                f"--ray: {socket.gethostname()} has Blender {own}, here is {version}: their "
                "pictures are not the same."
            )
        found = (folder / "frames").glob("[0-9]*")
        return {picture.name: picture.read_bytes() for picture in found}
