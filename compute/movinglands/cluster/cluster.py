"""Tiles on a Ray cluster: a worker for each GPU there is, else for each CPU core.

A worker is a process with an evaluator of its own; what that is made of is sent to it once. It is
given two tiles at a time, so that it never waits, and answers with values. It keeps nothing: when
one dies, its tiles go to others and a new one is asked for, which comes when there is room for it.
"""

from __future__ import annotations

import io
import logging
import os
import re
import secrets
import signal
import socket
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from .. import places
from ..engine.evaluator import Evaluator
from ..engine.plan import Plan
from ..errors import UserError
from ..evaluation.objective import Objective
from ..evaluation.own import OwnNetwork
from ..files import write_whole
from ..planes.plane import Plane

try:
    import ray
    from ray import exceptions
except ImportError:
    raise UserError("--ray needs Ray: pip install 'movinglands[ray]'.") from None

if TYPE_CHECKING:
    from ..surfaces.job import SurfaceJob, Tile

PATIENCE = 60.0
"""Seconds without a single worker after which a cluster counts as gone."""

AHEAD = 2
"""Tiles a worker is given at a time: one to do, one not to wait for."""

ATTEMPTS = 5
"""Workers that a tile may outlive: what meets more has killed them."""

_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
"""What a client says to a gRPC server: a greeting and empty SETTINGS (4), as it answers first."""

_GONE = (
    exceptions.RayActorError,
    exceptions.ObjectLostError,
    exceptions.NodeDiedError,
    exceptions.WorkerCrashedError,
    exceptions.OutOfMemoryError,
)


@dataclass(eq=False)
class _Hired:
    """A worker as its employer sees it."""

    actor: Any
    up: bool = False  # there is a process
    ready: bool = False  # with an evaluator
    gone: bool = False
    tiles: int = 0  # in its hands


class Cluster:
    """An evaluator of tiles on many devices; a context manager.

    Parameters
    ----------
    address : str
        "local", or "", starts Ray on this machine, for as long as it takes; "auto" finds it there;
        HOST:PORT and ray://HOST:PORT connect. A Ray that the caller has initialised is used as it
        is.
    job : SurfaceJob
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
        job: SurfaceJob,
        plan: Plan | None = None,
        workers: int | None = None,
        device: str = "auto",
    ) -> None:
        self.job, self._asked = job, (address, plan, workers, device)
        self._packages = job.journal / "compiled"
        self._calls: dict[Any, tuple[_Hired, Tile | str]] = {}
        self._hired: list[_Hired] = []
        self._centres: dict[int, Any] = {}
        self._outlived: Counter[Path] = Counter()
        self._stillborn = 0
        self._seen = time.monotonic()

    def __enter__(self) -> Cluster:
        address, plan, workers, device = self._asked
        with ExitStack() as stack:
            stack.enter_context(connected(address, workers))
            stack.callback(self._dismiss)
            self.device, self.workers = _devices(device, workers)
            self._ingredients = ray.put(self._pack())
            if plan:
                self.use(plan)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def tune(self, points: int, compiling: bool | None = None) -> Plan:
        """Find the fastest plan by measuring on one worker: the driver may be another machine.

        Parameters
        ----------
        points : int
            How many are to be evaluated in all.
        compiling : bool, optional
            As in ``Evaluator.tune``.
        """
        centre = _packed(self.job.centre(self.job.frames[-1]))
        share = -(-points // self.workers)
        for _ in range(ATTEMPTS):
            actor = self._actor()
            try:
                if not ray.wait([actor.greet.remote()], timeout=PATIENCE)[0]:
                    raise self._deserted()
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
        raise UserError(f"--ray: {ATTEMPTS} workers died while tuning: {_reason(reason)}")

    def use(self, plan: Plan) -> None:
        """Hire workers that evaluate by this plan, each in one thread."""
        self.plan = replace(plan, workers=1)
        self._keep({})
        for _ in range(self.workers):
            self._hire()

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
        while more() or self._given():
            while more() and (worker := self._free()):
                self._send(worker, waiting.popleft())
            for tile, values in self._answered():
                if values is None:
                    waiting.append(tile)
                else:
                    yield tile, values

    def _pack(self) -> bytes:
        job, surface = self.job, self.job.surface
        given = {
            "the network": surface.module,
            "the loss": surface.loss,
            "the batches": (job.batches, job.test),
            "measure": surface.measure,
            "the plane": job.plane,
            "count": (surface.count, job.objective.own and job.objective.own.why),
        }
        try:
            return _packed(tuple(given.values()))
        except Exception as error:  # whatever a user's own class raises
            at_fault = [name for name, part in given.items() if not _can_be_packed(part)]
            name = at_fault[0] if at_fault else "the surface"
            raise UserError(
                f"--ray: {name} cannot be sent to other processes: {_reason(error)}"
            ) from None

    def _actor(self) -> Any:
        gpus = int(self.device == "cuda")
        return ray.remote(num_gpus=gpus, num_cpus=1 - gpus)(_Worker).remote(self.device)

    def _hire(self) -> None:
        worker = _Hired(self._actor())
        self._hired.append(worker)
        self._calls[worker.actor.greet.remote()] = worker, "greet"
        prepared = worker.actor.prepare.remote(self._ingredients, self.plan, self._compiled)
        self._calls[prepared] = worker, "prepare"

    def _dismiss(self) -> None:
        for worker in self._hired:
            ray.kill(worker.actor)
        self._hired, self._calls, self._centres = [], {}, {}

    def _given(self) -> list[Tile]:
        """Return the tiles in workers' hands."""
        return [call for _, call in self._calls.values() if not isinstance(call, str)]

    def _free(self) -> _Hired | None:
        """Return the worker with the fewest tiles, if it may have one more."""
        ready = [worker for worker in self._hired if worker.ready and worker.tiles < AHEAD]
        return min(ready, key=lambda worker: worker.tiles, default=None)

    def _send(self, worker: _Hired, tile: Tile) -> None:
        points = self.job.coordinates(tile.points)
        # In a list, a reference is passed on as it is: a worker fetches a frame's weights once.
        centre = [self._centre(tile.frame)]
        answer = worker.actor.evaluate.remote(tile.frame, centre, points, tile.points)
        self._calls[answer] = worker, tile
        worker.tiles += 1

    def _centre(self, frame: int) -> Any:
        """Return a reference to a frame's weights and buffers; those no tile needs any more go."""
        if frame not in self._centres:
            needed = {tile.frame for tile in self._given()}
            kept = {t: centre for t, centre in self._centres.items() if t in needed}
            self._centres = kept | {frame: ray.put(_packed(self.job.centre(frame)))}
        return self._centres[frame]

    def _answered(self) -> Iterator[tuple[Tile, NDArray | None]]:
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
                self._mourn(worker, call, error)
            if not isinstance(call, str):
                worker.tiles -= 1
                yield call, values
            elif call == "greet" and not worker.gone:
                worker.up = True
            elif call == "prepare" and not worker.gone:
                worker.ready, self._stillborn = True, 0
                if values:
                    self._keep(values)
        if any(worker.up for worker in self._hired):
            self._seen = time.monotonic()
        elif time.monotonic() > self._seen + PATIENCE:
            raise self._deserted()

    def _mourn(self, worker: _Hired, call: Tile | str, error: Exception) -> None:
        """Ask for a new worker in the place of one that died, unless there is no sense in it."""
        if not isinstance(call, str):
            self._outlived[call.file] += 1
            if self._outlived[call.file] == ATTEMPTS:
                raise UserError(
                    f"--ray: the same points have ended {ATTEMPTS} workers: {_reason(error)}"
                )
        if worker.gone:
            return
        worker.gone = True
        self._hired.remove(worker)
        self._seen = time.monotonic()
        ray.kill(worker.actor)  # it may only be out of reach
        self._stillborn += not worker.ready
        if self._stillborn == ATTEMPTS:
            raise UserError(f"--ray: no worker starts: {_reason(error)}")
        self._hire()

    def _deserted(self) -> UserError:
        what = "GPU" if self.device == "cuda" else "CPU core"
        return UserError(
            f"--ray: the cluster has had no {what} to give for {PATIENCE:.0f} seconds; "
            "what is done is kept, and the same command, without --restart, goes on from here."
        )

    def _keep(self, packages: dict[str, bytes]) -> None:
        """Keep in the journal what a worker compiled, for all that are hired from now on."""
        for name, content in packages.items():
            self._packages.mkdir(parents=True, exist_ok=True)
            write_whole(self._packages / name, content)
        self._compiled = ray.put(_new(self._packages, {}))


class _Worker:
    """What runs on the cluster: an evaluator, in a process of its own."""

    def __init__(self, device: str) -> None:
        torch.set_num_threads(1)
        self._device = torch.device(device)
        self._frame: int | None = None

    def greet(self) -> None:
        """Answer, as soon as there is a process."""

    def prepare(self, ingredients: bytes, plan: Plan, packages: dict[str, bytes]) -> dict:
        """Get ready to evaluate; return the packages that had to be compiled for it."""
        with _located(), _folder(packages) as folder:
            self._evaluator = Evaluator(*self._made_of(ingredients), folder, plan)
            return _new(folder, packages)

    def tune(
        self, ingredients: bytes, centre: bytes, points: int, compiling: bool | None
    ) -> tuple[Plan, dict[str, bytes]]:
        """Return the fastest plan on this device, and the packages that it needs."""
        with _located(), _folder({}) as folder:
            evaluator = Evaluator(*self._made_of(ingredients), folder)
            evaluator.place(*_unpacked(centre, self._device))
            return evaluator.tune(points, compiling), _new(folder, {})

    def evaluate(
        self, frame: int, centre: list, points: NDArray[np.float64], index: NDArray[np.int64]
    ) -> NDArray:
        """Return the values of points of a frame."""
        with _located():
            if frame != self._frame:
                self._evaluator.place(*_unpacked(ray.get(centre[0]), self._device))
                self._frame = frame
            return self._evaluator(points, index)

    def _made_of(self, ingredients: bytes) -> tuple[Objective, Plane]:
        module, loss, (batches, test), measure, plane, (count, own) = _unpacked(
            ingredients, self._device
        )
        objective = Objective(module, loss, batches, measure, test, self._device, count)
        if own:
            objective.own = OwnNetwork(objective, own)
        return objective, plane


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


@contextmanager
def connected(address: str, cores: int | None) -> Iterator[None]:
    """Connect to Ray, or start it here, and let go of it again."""
    if ray.is_initialized():  # by the caller, who keeps it
        yield
        return
    settings: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address == "local":  # what Ray itself calls one of one's own
        address = ""
    if address:  # every node runs this very code
        settings |= {"address": _checked(address)}
        modules = [places.PACKAGE, places.addon()]
        sent = [str(folder) for folder in modules if folder.exists()]
        settings |= {"runtime_env": {"py_modules": sent}}
    else:  # "local", as Ray would otherwise look for one that runs
        settings |= {"address": "local", "num_cpus": cores, "include_dashboard": False}
        paths = os.pathsep.join(map(os.path.abspath, sys.path))  # what is found here is there
        settings |= {"runtime_env": {"env_vars": {"PYTHONPATH": paths}}}
    with _restored():
        try:
            if not address:
                os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
                # For this start alone; without one, Ray leaves one in the home folder.
                os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
                _look_again()
            try:
                ray.init(**settings)
            except Exception as error:  # of any kind, down to the plainest
                reason = _reason(error)
                if address == "auto" and isinstance(error, ConnectionError):
                    reason = "no Ray runs on this machine."
                raise UserError(f"{f'--ray {address}'.strip()}: {reason}") from None
            yield
        finally:
            ray.shutdown()


def _checked(address: str) -> str:
    """Refuse an address where Ray does not answer; it would try to connect without end."""
    if address == "auto":
        address = os.environ.get("RAY_ADDRESS") or address
    if address == "auto":  # which is quick to tell
        return address
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        raise UserError(f"--ray {address}: expected local, auto, HOST:PORT or ray://HOST:PORT.")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=3) as connection:
            connection.sendall(_HELLO)
            answer = connection.recv(4, socket.MSG_WAITALL)
    except OSError as error:
        raise UserError(f"--ray {address}: there is no Ray ({error.strerror or error}).") from None
    if answer[3:] != b"\4" and not os.environ.get("RAY_USE_TLS"):
        raise UserError(
            f"--ray {address}: what answers is no Ray, which is at port 6379 by default, "
            "with ray:// at 10001."
        )
    return address


@contextmanager
def _restored() -> Iterator[None]:
    """Undo what Ray does to the process it is called from."""

    def own() -> dict[str, str]:
        return {n: v for n, v in os.environ.items() if n.startswith(("RAY_", "PYTHONBREAKPOINT"))}

    before, terminated = own(), signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        for name in own():
            del os.environ[name]
        os.environ.update(before)
        if threading.current_thread() is threading.main_thread() and terminated is not None:
            signal.signal(signal.SIGTERM, terminated)
        _look_again()


def _look_again() -> None:
    """Have Ray read RAY_AUTH_MODE and RAY_AUTH_TOKEN anew, where it knows them: it does so once."""
    inside: Any = ray._raylet
    with suppress(AttributeError):
        inside.Config.initialize("")
        inside.AuthenticationTokenLoader.instance().reset_cache()


@contextmanager
def _folder(files: dict[str, bytes]) -> Iterator[Path]:
    """Yield a temporary folder of files."""
    with tempfile.TemporaryDirectory() as name:
        for file, content in files.items():
            (Path(name) / file).write_bytes(content)
        yield Path(name)


def _new(folder: Path, known: dict[str, bytes]) -> dict[str, bytes]:
    """Return the files in a folder that are not known yet."""
    return {path.name: path.read_bytes() for path in folder.glob("*") if path.name not in known}


def _packed(content: Any) -> bytes:
    """Return anything as bytes: tensors once each, functions and classes of a script whole."""
    buffer = io.BytesIO()
    torch.save(content, buffer, pickle_module=ray.cloudpickle)
    return buffer.getvalue()


def _unpacked(content: bytes, device: torch.device) -> Any:
    """Return what the driver packed, all its tensors on a device."""
    try:
        return torch.load(io.BytesIO(content), map_location=device, weights_only=False)
    except ImportError as error:
        raise UserError(
            f"--ray: {socket.gethostname()} cannot import {error.name}, which the network, "
            "the loss or the batches come from: install it on every node."
        ) from None


def _can_be_packed(content: Any) -> bool:
    try:
        _packed(content)
    except Exception:
        return False
    return True


def _reason(error: Exception) -> str:
    """Return the line of a message that matters: what was raised last, else the first."""
    lines = str(error).strip().splitlines()
    raised = [line for line in lines if re.match(r"[\w.]+(Error|Exception): ", line)]
    return [*raised[-1:], *lines, type(error).__name__][0]


@contextmanager
def _located() -> Iterator[None]:
    """Note on an exception where it was raised: its traceback does not leave the process."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        error.add_note("On a worker:\n" + "".join(traceback.format_tb(error.__traceback__)))
        raise
