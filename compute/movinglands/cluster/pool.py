"""Tiles on a Ray cluster: a worker for each GPU there is, else for each CPU core.

A worker is a process with an evaluator of its own; what that is made of is sent to it once. It is
given two tiles at a time, so that it never waits, and answers with values. It keeps nothing: when
one dies, its tiles go to others and a new one is asked for, which comes when there is room for it.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ..engine.plan import Plan
from ..engine.work import Tile, Work
from ..errors import UserError
from ..files import write_whole
from .packing import can_be_packed, new_files, packed
from .session import connected, exceptions, ray, reason_of
from .worker import Worker

PATIENCE = 60.0
"""Seconds without a single worker after which a cluster counts as gone."""

AHEAD = 2
"""Tiles a worker is given at a time: one to do, one not to wait for."""

ATTEMPTS = 5
"""A tile is given up after so many workers have died with it in their hands."""

_GONE = (
    exceptions.RayActorError,
    exceptions.ObjectLostError,
    exceptions.NodeDiedError,
    exceptions.WorkerCrashedError,
    exceptions.OutOfMemoryError,
)


@dataclass(eq=False)
class _Member:
    """What the pool knows of a worker."""

    actor: Any
    up: bool = False  # there is a process
    ready: bool = False  # with an evaluator
    gone: bool = False
    tiles: int = 0  # in its hands


class Cluster:
    """Evaluates tiles on many devices; a ``Backend``.

    Parameters
    ----------
    address : str
        "local", or "", starts Ray on this machine, for as long as it takes; "auto" finds it there;
        HOST:PORT and ray://HOST:PORT connect. A Ray that the caller has initialised is used as it
        is.
    work : Work
        What is evaluated. The driver, this process, needs none of the cluster's devices.
    plan : Plan, optional
        How; without one, ask ``tune`` and then ``use`` what it found.
    workers : int, optional
        How many; by default one for each GPU, or each CPU core where there is no GPU.
    device : str
        "cuda", "cpu", or "auto": GPUs where the cluster has any.

    Raises
    ------
    UserError
        Where there is no cluster, or it has no such device, or what is evaluated cannot be sent.
    """

    def __init__(
        self,
        address: str,
        work: Work,
        plan: Plan | None = None,
        workers: int | None = None,
        device: str = "auto",
    ) -> None:
        self.work, self._asked = work, (address, plan, workers, device)
        self._packages = work.packages
        self._calls: dict[Any, tuple[_Member, Tile | str]] = {}
        self._members: list[_Member] = []
        self._centres: dict[int, Any] = {}
        self._deaths: Counter[Path] = Counter()
        self._failed_starts = 0
        self._seen = time.monotonic()

    def __enter__(self) -> Cluster:
        address, plan, workers, device = self._asked
        with ExitStack() as stack:
            stack.enter_context(connected(address, workers))
            stack.callback(self._release)
            self.device, self.workers = _devices(device, workers)
            self._ingredients = ray.put(self._pack())
            if plan:
                self.use(plan)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def where(self) -> str:
        """The device that its plans are for."""
        return f"Ray, {self.device}"

    def tune(self, points: int, compiling: bool | None = None) -> Plan:
        """Find the fastest plan by measuring on one worker: the driver may be another machine.

        Parameters
        ----------
        points : int
            How many are to be evaluated in all.
        compiling : bool, optional
            As in ``Evaluator.tune``.
        """
        centre = packed(self.work.centre(self.work.frames[-1]))
        share = -(-points // self.workers)
        for _ in range(ATTEMPTS):
            actor = self._actor()
            try:
                if not ray.wait([actor.greet.remote()], timeout=PATIENCE)[0]:
                    raise self._no_workers()
                plan, packages = ray.get(
                    actor.tune.remote(self._ingredients, centre, share, compiling)
                )
            except exceptions.RayTaskError as error:
                raise error.cause from None
            except _GONE as error:
                reason = error
            else:
                self._keep(packages)
                return plan
            finally:
                ray.kill(actor)  # what trying has left in its memory goes with it
        raise UserError(f"--ray: {ATTEMPTS} workers died while tuning: {reason_of(reason)}")

    def use(self, plan: Plan) -> None:
        """Start workers that evaluate by this plan, each in one thread."""
        self.plan = replace(plan, workers=1)
        self._keep({})
        for _ in range(self.workers):
            self._add_worker()

    def evaluate(self, tiles: Iterable[Tile]) -> Iterator[tuple[Tile, NDArray]]:
        """Evaluate tiles, asked for as workers become free, and return them in any order.

        Raises
        ------
        UserError
            Where no worker is left, or a tile kills whoever takes it.
        Exception
            What the loss raised, as it raised it.
        """
        coming = iter(tiles)
        waiting: deque[Tile] = deque()

        def more() -> bool:
            waiting.extend(islice(coming, 0 if waiting else 1))
            return bool(waiting)

        self._seen = time.monotonic()
        while more() or self._in_hand():
            while more() and (worker := self._free()):
                self._send(worker, waiting.popleft())
            for tile, values in self._answers():
                if values is None:
                    waiting.append(tile)
                else:
                    yield tile, values

    def _pack(self) -> bytes:
        ingredients = self.work.ingredients
        try:
            return packed(ingredients)
        except Exception as error:  # whatever a user's own class raises
            parts = vars(ingredients).items()
            name = next((name for name, part in parts if not can_be_packed(part)), "surface")
            raise UserError(
                f"--ray: the {name} cannot be sent to other processes: {reason_of(error)}"
            ) from None

    def _actor(self) -> Any:
        gpus = int(self.device == "cuda")
        return ray.remote(num_gpus=gpus, num_cpus=1 - gpus)(Worker).remote(self.device)

    def _add_worker(self) -> None:
        worker = _Member(self._actor())
        self._members.append(worker)
        self._calls[worker.actor.greet.remote()] = worker, "greet"
        prepared = worker.actor.prepare.remote(self._ingredients, self.plan, self._compiled)
        self._calls[prepared] = worker, "prepare"

    def _release(self) -> None:
        for worker in self._members:
            ray.kill(worker.actor)
        self._members, self._calls, self._centres = [], {}, {}

    def _in_hand(self) -> list[Tile]:
        """Return the tiles in workers' hands."""
        return [call for _, call in self._calls.values() if not isinstance(call, str)]

    def _free(self) -> _Member | None:
        """Return the worker with the fewest tiles, if it may have one more."""
        ready = [worker for worker in self._members if worker.ready and worker.tiles < AHEAD]
        return min(ready, key=lambda worker: worker.tiles, default=None)

    def _send(self, worker: _Member, tile: Tile) -> None:
        points = self.work.coordinates(tile.points)
        # In a list, a reference is passed on as it is: a worker fetches a frame's weights once.
        centre = [self._centre(tile.frame)]
        answer = worker.actor.evaluate.remote(tile.frame, centre, points, tile.points)
        self._calls[answer] = worker, tile
        worker.tiles += 1

    def _centre(self, frame: int) -> Any:
        """Return a reference to a frame's weights and buffers; forget those that no tile needs."""
        if frame not in self._centres:
            needed = {tile.frame for tile in self._in_hand()}
            kept = {t: centre for t, centre in self._centres.items() if t in needed}
            self._centres = kept | {frame: ray.put(packed(self.work.centre(frame)))}
        return self._centres[frame]

    def _answers(self) -> Iterator[tuple[Tile, NDArray | None]]:
        """Wait for an answer; return tiles with their values, or None for those that were lost."""
        arrived, _ = ray.wait(list(self._calls), timeout=1.0)
        for reference in arrived:
            worker, call = self._calls.pop(reference)
            values = None
            try:
                values = ray.get(reference)
            except exceptions.RayTaskError as error:
                raise error.cause from None
            except _GONE as error:
                self._on_death(worker, call, error)
            if not isinstance(call, str):
                worker.tiles -= 1
                yield call, values
            elif call == "greet" and not worker.gone:
                worker.up = True
            elif call == "prepare" and not worker.gone:
                worker.ready, self._failed_starts = True, 0
                if values:
                    self._keep(values)
        if any(worker.up for worker in self._members):
            self._seen = time.monotonic()
        elif time.monotonic() > self._seen + PATIENCE:
            raise self._no_workers()

    def _on_death(self, worker: _Member, call: Tile | str, error: Exception) -> None:
        """Ask for a new worker in the place of one that died, unless there is no sense in it."""
        if not isinstance(call, str):
            self._deaths[call.file] += 1
            if self._deaths[call.file] == ATTEMPTS:
                raise UserError(
                    f"--ray: the same points have ended {ATTEMPTS} workers: {reason_of(error)}"
                )
        if worker.gone:
            return
        worker.gone = True
        self._members.remove(worker)
        self._seen = time.monotonic()
        ray.kill(worker.actor)  # it may only be out of reach
        self._failed_starts += not worker.ready
        if self._failed_starts == ATTEMPTS:
            raise UserError(f"--ray: no worker starts: {reason_of(error)}")
        self._add_worker()

    def _no_workers(self) -> UserError:
        what = "GPU" if self.device == "cuda" else "CPU core"
        return UserError(
            f"--ray: the cluster has had no {what} to give for {PATIENCE:.0f} seconds; "
            "what is done is kept, and the same command, without --restart, goes on from here."
        )

    def _keep(self, packages: dict[str, bytes]) -> None:
        """Keep in the journal what a worker compiled, for all workers that start from now on."""
        for name, content in packages.items():
            self._packages.mkdir(parents=True, exist_ok=True)
            write_whole(self._packages / name, content)
        self._compiled = ray.put(new_files(self._packages, {}))


def _devices(device: str, workers: int | None) -> tuple[str, int]:
    """Return what workers compute on, "cuda" or "cpu", and how many there may be."""
    found = ray.cluster_resources()
    there = {"cuda": int(found.get("GPU", 0)), "cpu": int(found.get("CPU", 0))}
    kind = device.split(":")[0]
    if kind == "auto":
        kind = "cuda" if there["cuda"] else "cpu"
    if not there.get(kind):
        raise UserError(
            f"--device {device}: the Ray cluster has {there['cuda']} GPUs (cuda) and "
            f"{there['cpu']} CPU cores (cpu)."
        )
    return kind, workers or there[kind]
