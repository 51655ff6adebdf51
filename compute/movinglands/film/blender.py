"""Finding a Blender and running the add-on's commands in it.

The two halves share a file and these commands, nothing else: this module starts a program.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from .. import system_libraries
from ..errors import UserError
from ..places import addon


class BlenderFailed(Exception):
    """The add-on's command ended with this exit code; it has said why, or the message does."""

    def __init__(self, code: int, message: str = "") -> None:
        super().__init__(code, message)  # both, to be whole again after another process
        self.code, self.message = code, message

    def __str__(self) -> str:
        return self.message


class NoBlender(UserError):
    """There is no Blender to start."""


def command() -> list[str]:
    """Return the beginning of a command line for the add-on.

    In a checkout whose Python has bpy that is ``python -m addon``; else the first ``blender`` on
    PATH, with the extension installed.

    Raises
    ------
    NoBlender
        Where neither is there, or bpy lacks libraries of the system.
    """
    spec = importlib.util.find_spec("bpy")
    if spec is not None and spec.origin and addon().exists():
        if missing := system_libraries.missing(spec.origin):
            raise NoBlender(system_libraries.advice(missing))
        return [sys.executable, "-m", "addon"]
    if blender := shutil.which("blender"):
        return [blender, "-c", "moving_lands"]
    raise NoBlender("No Blender: put blender on PATH with the Moving Lands extension installed.")


def run(*arguments: str | Path) -> None:
    """Run one of the add-on's commands, its output going where ours goes.

    Raises
    ------
    BlenderFailed
        With its exit code, where it is not 0.
    """
    done = subprocess.run([*command(), *map(str, arguments)], env=_environment(), check=False)
    _check(done.returncode)


def ask(*arguments: str | Path) -> list[dict[str, Any]]:
    """Run one of the add-on's commands with its output captured, and return its JSON events.

    Raises
    ------
    BlenderFailed
        With its exit code and its sentence, where that is not 0.
    """
    words = [*command(), *map(str, arguments), "--json"]
    done = subprocess.run(words, env=_environment(), capture_output=True, text=True, check=False)
    events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"event"')]
    errors = [event["message"] for event in events if event["event"] == "error"]
    _check(done.returncode, *errors[-1:] or done.stderr.splitlines()[-1:])
    return events


def _environment() -> dict[str, str]:
    paths = [str(addon().parent), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(path for path in paths if path)}


def _check(code: int, message: str = "") -> None:
    if code < 0:
        raise BlenderFailed(128 - code, f"Blender was ended by signal {-code}.")
    if code:
        raise BlenderFailed(code, message)
