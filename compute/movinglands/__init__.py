"""Moving Lands, the torch half: from a network's training to a sequence of loss surfaces.

Importing this package is cheap: torch is loaded with the first name that needs it, so that a
sequence file can be read and written where torch is not installed.

The folders, each of which imports only from those before it:

    fingerprint   a digest of all that decides a value
    snapshots     states of a network along its training
    callbacks     taking them in other libraries' trainers
    planes        directions in weight space
    evaluation    the loss at a point
    engine        many points, fast, and only those that are needed
    checks        is it the network's loss?
    sequence      the file
    cluster       the engine on many machines
    surfaces      all of this, resumable: compute_sequence
    networks, data, pieces     recipes, and what they train
    interop, preview, film     other tools' surfaces; pictures; the whole way
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "Measure": "evaluation.measure",
    "Plane": "planes.plane",
    "Recorder": "snapshots.recorder",
    "Snapshots": "snapshots.snapshots",
    "Surface": "surfaces.surface",
    "UserError": "errors",
    "compute_sequence": "surfaces.compute",
    "given_plane": "planes.file",
    "half_width": "planes.window",
    "hessian_plane": "planes.hessian",
    "plane_from_file": "planes.file",
    "plane_through": "planes.through",
    "random_plane": "planes.random",
    "trajectory_plane": "planes.pca",
    "weights_of": "planes.weights",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
