"""The plane along directions that somebody else has found, in a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import UserError
from ..snapshots.checkpoints import read
from .directions import Course, Directions
from .plane import Attributes, Plane
from .weights import Weights, check


@dataclass(frozen=True)
class DirectionsOfFile(Directions):
    """The directions in a file, as ``plane_from_file`` reads it."""

    path: str = ""

    def __post_init__(self) -> None:
        if not self.path:
            raise ValueError('path: expected the path of a file of directions, got "".')

    def plane(self, course: Course) -> Plane:
        return plane_from_file(Path(self.path).expanduser(), course.final)


def plane_from_file(path: Path, origin: Weights) -> Plane:
    """Return the plane through an origin along the directions in a file.

    Parameters
    ----------
    path : Path
        A dictionary of ``u`` and ``v``, each tensors by parameter name, of ``torch.save``; or a
        ``.safetensors`` file of tensors named ``u.<parameter>`` and ``v.<parameter>``.
    origin : dict of Tensor
        The directions take its device and precision.

    Raises
    ------
    UserError
        Where the file is missing, is something else, or does not fit the origin.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file of directions.")
    axes = {}
    for part in ("u", "v"):
        flat = path.suffix == ".safetensors"
        found, _ = read(path, None if flat else part, f"{part}." if flat else "")
        check(found, origin, f"{path}: direction {part}")
        axes[part] = {name: found[name].to(w) for name, w in origin.items()}
    attrs: Attributes = {"directions": f"given, {path.name}", "normalisation": "as given"}
    return Plane(origin, **axes, attrs=attrs)


given_plane = plane_from_file
"""The name that it had."""
