"""Loss surfaces of any network along its training: from snapshots to a sequence file, resumable.

Only this process writes, wherever the points are evaluated, and a reader of the file never waits
and never meets half of it.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from ..engine.device import choose_device
from ..errors import UserError
from ..evaluation.copies import put_back
from ..locks import file_lock
from ..sequence import write_sequence
from .job import SurfaceJob
from .journal import FOLDER, begin, check_room, discard, journal_of
from .record import describe
from .surface import Surface


def compute_sequence(
    path: str | Path,
    surfaces: Surface | dict[str, Surface],
    title: str = "Untitled",
    recipe: str = "",
    device: str = "auto",
    compiling: bool | None = None,
    ray: str | None = None,
    restart: bool = False,
    replace: bool = False,
) -> bool:
    """Evaluate surfaces for every snapshot and write them to a sequence file, or go on with it.

    Parameters
    ----------
    path : path
        The sequence file; its journal is ``<path>.journal``.
    surfaces : Surface, or dict of Surface
        One network, or several by name, with equally many snapshots each.
    title, recipe : str
        The piece's name; TOML whose film, look and camera tables Blender follows.
    device : str
        A torch device, or "auto": CUDA, else MPS, else the CPU.
    compiling : bool, optional
        Whether to compile; by default where it pays.
    ray : str, optional
        The address of a Ray cluster to evaluate on; "local", or "", for one that is started here.
    restart : bool
        Begin anew, whatever is there. A sequence stays until there is something to replace it with.
    replace : bool
        The same, but go on with this computation where its beginning is there: a restart that was
        interrupted.

    Returns
    -------
    bool
        False where everything was there already.

    Raises
    ------
    UserError
        Where the file or its journal holds another computation, another process is at it, there
        is no room for it, or something asked for cannot be.
    """
    path = Path(path)
    given = surfaces if isinstance(surfaces, dict) else {"network": surfaces}
    _check(given)
    where = choose_device(device, ray)
    journal = journal_of(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with file_lock(path), ExitStack() as stack:
        folder = journal / FOLDER
        jobs = {name: SurfaceJob(surface, folder / name, where) for name, surface in given.items()}
        check_room(path, [job.room for job in jobs.values()])
        fingerprints = {name: job.fingerprint for name, job in jobs.items()}
        opaque = [f"{name}, {what}" for name, job in jobs.items() for what in job.opaque]
        if not begin(path, journal, fingerprints, opaque, restart, replace):
            return False
        for job in jobs.values():
            stack.enter_context(put_back(job.surface.module))
            job.check()
        described = {name: describe(job) for name, job in jobs.items()}

        def publish() -> None:
            for name, job in jobs.items():
                described[name].attrs.update(job.refine_error())
            write_sequence(path, title, recipe, described)

        for job in jobs.values():
            job.evaluate(publish, compiling, ray, device)
        publish()
        discard(journal)
    return True


def _check(surfaces: dict[str, Surface]) -> None:
    """Refuse surfaces that do not go into one file."""
    for name in surfaces:
        if "/" in name or not name.strip("."):
            raise UserError(f"surfaces: {name!r} cannot be a name, expected one without /.")
    frames = {name: len(surface.snapshots) for name, surface in surfaces.items()}
    if len(set(frames.values())) != 1:
        found = ", ".join(f"{count} of {name}" for name, count in frames.items()) or "none"
        raise UserError(f"surfaces: expected equally many snapshots of each, got {found}.")
