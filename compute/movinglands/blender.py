"""Finding a Blender and running the add-on's commands in it.

The two halves share a file and these commands, nothing else: this module starts a program.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from . import system_libraries
from .errors import UserError


class BlenderFailed(Exception):
    """The add-on's command ended with this exit code; it has said why, or the message does."""

    def __init__(self, code: int, message: str = "") -> None:
        super().__init__(message)
        self.code = code


def command() -> list[str]:
    """Return the beginning of a command line for the add-on.

    In a checkout whose Python has bpy that is ``python -m addon``; else the first ``blender`` on
    PATH, with the extension installed.

    Raises
    ------
    UserError
        Where neither is there, or bpy lacks libraries of the system.
    """
    spec = importlib.util.find_spec("bpy")
    if spec is not None and spec.origin and (checkout() / "blender_manifest.toml").exists():
        if missing := system_libraries.missing(spec.origin):
            raise UserError(system_libraries.advice(missing))
        return [sys.executable, "-m", "addon"]
    if blender := shutil.which("blender"):
        return [blender, "-c", "moving_lands"]
    raise UserError("No Blender: put blender on PATH with the Moving Lands extension installed.")


def checkout() -> Path:
    """Return the folder this package would lie in, were it a checkout."""
    return Path(__file__).resolve().parents[2]


def run(*arguments: str | Path) -> None:
    """Run one of the add-on's commands, its output going where ours goes.

    Raises
    ------
    BlenderFailed
        With its exit code, where it is not 0.
    """
    paths = [str(checkout()), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in paths if path)}
    done = subprocess.run([*command(), *map(str, arguments)], env=environment, check=False)
    if done.returncode < 0:
        number = -done.returncode
        raise BlenderFailed(128 + number, f"Blender was ended by signal {number}.")
    if done.returncode:
        raise BlenderFailed(done.returncode)
