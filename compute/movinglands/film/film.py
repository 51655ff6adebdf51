"""The whole way: compute, build, render, encode. What is there already is kept."""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from pathlib import Path

from ..errors import UserError
from ..files import replace, write_whole
from ..pieces.compute import compute
from ..pieces.schema import Recipe
from . import blender


def film(
    recipe: Recipe,
    folder: Path,
    name: str,
    device: str,
    restart: bool,
    compiling: bool | None = None,
    ray: str | None = None,
) -> None:
    """Make a piece's film in a folder: ``name.h5``, ``.blend``, ``.mp4``, ``poster.png``.

    A .blend that is not as it was built has been worked on, and is never replaced.

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
        Begin anew, whatever is there, but for a .blend that was worked on.
    compiling
        As in ``compute``.
    ray : str, optional
        As in ``compute``; frames are rendered there, too.

    Raises
    ------
    UserError
        As ``compute``; or where a .blend that was worked on is not what is asked for.
    BlenderFailed
        Where the add-on's command failed.
    """
    blender.command()  # a missing Blender is told now, not after an hour of computing
    sequence, blend = folder / f"{name}.h5", folder / f"{name}.blend"
    must_build = restart or not blend.exists() or _recipe_of(blend) != recipe.to_toml()
    if must_build and blend.exists() and not _is_as_built(blend):
        raise UserError(
            f"{blend} was changed by hand, and would have to be built anew: move it away, or save "
            "it under another name."
        )
    compute(recipe, sequence, device, restart, compiling, ray)
    if must_build:
        _build(sequence, blend, recipe)
    anew = _is_as_built(blend) and _frames_are_older(blend)
    if ray is not None and _is_rendered_on(ray, blend, folder, anew):
        anew = False
    blender.run("render", blend, "-o", folder, *(["--restart"] if anew else []))


def _is_rendered_on(ray: str, blend: Path, folder: Path, anew: bool) -> bool:
    """Render the frames on a Ray cluster, unless it has no Blender; return whether it had."""
    from .rendering import render_frames

    try:
        render_frames(blend, folder, ray, anew)
    except blender.NoBlender as error:
        print(f"--ray: {error} Rendering here instead.", file=sys.stderr)
        return False
    return True


def _build(sequence: Path, blend: Path, recipe: Recipe) -> None:
    """Build a shot; a kill at any moment leaves a .blend that its note knows.

    Its mesh caches, where it has any, come first: the .blend that they do not fit is built anew.
    """
    with tempfile.TemporaryDirectory(prefix=f".{blend.stem}.", dir=blend.parent) as folder:
        fresh = Path(folder, blend.name)
        blender.run("build", sequence, "-o", fresh)
        note = {digest: built for digest, built in _note(blend).items() if digest == _digest(blend)}
        note[_digest(fresh)] = recipe.to_toml()
        for cache in Path(folder).glob("*.pc2"):
            replace(cache, blend.with_name(cache.name))
        write_whole(_note_file(blend), json.dumps(note).encode())
        replace(fresh, blend)


def _note_file(blend: Path) -> Path:
    return blend.with_name(blend.name + ".json")


def _note(blend: Path) -> dict[str, str]:
    """Return the recipes of the versions of a .blend that we built, by digest, newest last."""
    try:
        return dict(json.loads(_note_file(blend).read_text()))
    except (OSError, ValueError, TypeError):
        return {}


def _digest(blend: Path) -> str:
    return hashlib.sha256(blend.read_bytes()).hexdigest() if blend.exists() else ""


def _is_as_built(blend: Path) -> bool:
    return _digest(blend) in _note(blend)


def _recipe_of(blend: Path) -> str:
    """Return the recipe of a .blend, or of what it was before somebody worked on it."""
    note = _note(blend)
    return note.get(_digest(blend)) or next(reversed(note.values()), "")


def _frames_are_older(blend: Path) -> bool:
    try:
        note = json.loads((blend.parent / "frames" / "shot.json").read_text())
        return note["blend"] != _digest(blend)
    except (OSError, ValueError, KeyError, TypeError):
        return False
