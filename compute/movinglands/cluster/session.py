"""Connecting to a Ray cluster, or starting one here, and letting go of it as it was."""

from __future__ import annotations

import logging
import os
import re
import secrets
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from .. import places
from ..errors import UserError

try:
    import ray
    from ray import exceptions  # noqa: F401 (for those that talk to the cluster)
except ImportError:
    raise UserError("--ray needs Ray: pip install 'movinglands[ray]'.") from None

_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
"""What a client says to a gRPC server: a greeting and empty SETTINGS (4), as it answers first."""


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
        settings |= {"address": _reachable(address)}
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
                _reread_settings()
            try:
                ray.init(**settings)
            except Exception as error:  # of any kind, down to the plainest
                reason = reason_of(error)
                if address == "auto" and isinstance(error, ConnectionError):
                    reason = "no Ray runs on this machine."
                raise UserError(f"{f'--ray {address}'.strip()}: {reason}") from None
            yield
        finally:
            ray.shutdown()


def _reachable(address: str) -> str:
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
        _reread_settings()


def _reread_settings() -> None:
    """Have Ray read RAY_AUTH_MODE and RAY_AUTH_TOKEN anew, where it knows them: it does so once."""
    inside: Any = ray._raylet
    with suppress(AttributeError):
        inside.Config.initialize("")
        inside.AuthenticationTokenLoader.instance().reset_cache()


def reason_of(error: Exception) -> str:
    """Return the line of a message that matters: what was raised last, else the first."""
    lines = str(error).strip().splitlines()
    raised = [line for line in lines if re.match(r"[\w.]+(Error|Exception): ", line)]
    return [*raised[-1:], *lines, type(error).__name__][0]
