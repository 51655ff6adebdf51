"""The whole way: compute, build, render, encode. What is there already is kept."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from . import blender
from .compute import compute
from .errors import UserError
from .files import write_whole
from .recipe import Recipe


def film(recipe: Recipe, folder: Path, name: str, device: str, restart: bool) -> None:
    """Make a piece's film in a folder: ``name.h5``, ``.blend``, ``.mp4``, ``poster.png``.

    Parameters
    ----------
    recipe : Recipe
        The piece.
    folder : Path
        Made where it is missing.
    name : str
        Of the files.
    device : str
        For torch, "auto" mostly; Cycles finds its own.
    restart : bool
        Begin anew, whatever is there.

    Raises
    ------
    UserError
        As ``compute``; or where the .blend is not what the recipe says any more, and an artist
        has worked on it.
    BlenderFailed
        Where the add-on's command failed.
    """
    blender.command()  # a missing Blender is told now, not after an hour of computing
    sequence, blend = folder / f"{name}.h5", folder / f"{name}.blend"
    compute(recipe, sequence, device, restart)
    if restart or _must_build(blend, recipe):
        # Pictures of the shot that goes are no pictures of the one that comes.
        for old in (folder / "frames" / "shot.json", folder / "poster.png", folder / f"{name}.mp4"):
            old.unlink(missing_ok=True)
        blender.run("build", sequence, "-o", blend)
        note = {"recipe": recipe.to_toml(), "blend": _digest(blend)}
        write_whole(_note(blend), json.dumps(note).encode())
    blender.run("render", blend, "-o", folder)


def _note(blend: Path) -> Path:
    return blend.with_name(blend.name + ".json")


def _digest(blend: Path) -> str:
    return hashlib.sha256(blend.read_bytes()).hexdigest()


def _must_build(blend: Path, recipe: Recipe) -> bool:
    """Whether a .blend is missing, or of another recipe and as we left it."""
    if not blend.exists():
        return True
    try:
        note = json.loads(_note(blend).read_text())
        built, left = note["recipe"], note["blend"]
    except (OSError, ValueError, KeyError, TypeError):
        return False  # somebody else's: never replaced
    if built == recipe.to_toml():
        return False
    if left != _digest(blend):
        raise UserError(
            f"{blend} was changed by hand, and its recipe has changed too: save it under another "
            "name to keep it, then --restart builds it anew."
        )
    return True
