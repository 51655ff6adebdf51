"""The command line: ``lands``."""

from __future__ import annotations

import argparse
import json
import re
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from . import __version__, places
from .errors import UserError
from .film import blender
from .pieces.recipe import find_recipe, load_recipe, parse_change
from .pieces.schema import QUALITIES, Recipe
from .progress import emit, json_events, printed

_UNWRITTEN = re.compile(
    r"file write failed: .*filename = '(.*?)',.* error message = '(.*?)'", re.DOTALL
)
"""What HDF5 says when the disk is full, as exceptions of several types."""

_SHORT_OF_MEMORY = re.compile(
    r"DefaultCPUAllocator: (can't allocate|not enough) memory"
    r"|^CUDA error: out of memory|^MPS backend out of memory"
)
"""What torch says, besides its ``OutOfMemoryError``."""


def main(arguments: list[str] | None = None) -> int:
    """Run ``lands`` and return its exit code: 0 done, 2 bad input, 130 interrupted."""
    options = _parser().parse_args(arguments)
    with printed(), json_events() if options.events else nullcontext():
        return _run(options)


def _run(options: argparse.Namespace) -> int:
    try:
        options.run(options)
    except UserError as error:
        return _refuse(str(error))
    except blender.BlenderFailed as error:
        if str(error):
            print(f"lands: {error}", file=sys.stderr)
        return error.code
    except (OSError, MemoryError, RuntimeError, ValueError) as error:
        if (sentence := _sentence(error)) is None:
            raise
        return _refuse(sentence)
    except KeyboardInterrupt:
        without = ", without --restart," if getattr(options, "restart", False) else ""
        print(
            f"\nlands: interrupted; the same command{without} goes on from here.", file=sys.stderr
        )
        return 130
    return 0


def _refuse(sentence: str) -> int:
    """Say what was wrong, and return the exit code."""
    emit("error", message=sentence)
    print(f"lands: {sentence}", file=sys.stderr)
    return 2


def _sentence(error: Exception) -> str | None:
    """Return what the machine lacks: disk, memory, a right; or None where it is a defect."""
    if unwritten := _UNWRITTEN.search(str(error)):
        return f"{unwritten[1]}: {unwritten[2]}."
    if isinstance(error, OSError):
        known = error.filename is not None
        return f"{error.filename}: {error.strerror}." if known else " ".join(str(error).split())
    import torch  # here, because most commands do without

    short = isinstance(error, MemoryError | torch.OutOfMemoryError)
    if short or (isinstance(error, RuntimeError) and _SHORT_OF_MEMORY.search(str(error))):
        return next(iter(str(error).splitlines()), "out of memory.")
    return None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lands", description="Films of loss landscapes.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    parser.set_defaults(events=False)

    _add_scenes(commands)
    _add_compute(commands)
    _add_info(commands)
    _add_preview(commands)
    _add_import(commands)
    _add_judge(commands)
    return parser


def _add_scenes(commands: Any) -> None:
    scenes = commands.add_parser("scenes", help="list the pieces")
    scenes.add_argument("--json", action="store_true", help="with what would compute them")
    scenes.set_defaults(run=_scenes)


def _add_compute(commands: Any) -> None:
    computing = commands.add_parser("compute", help="train and evaluate: a sequence file")
    computing.set_defaults(run=_compute)
    filming = commands.add_parser("film", help="the whole way: compute, build, render, encode")
    filming.set_defaults(run=_film)
    for command in (computing, filming):
        command.add_argument("scene", metavar="SCENE|FILE.toml")
        command.add_argument("--quality", choices=QUALITIES, default="preview")
        command.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
        command.add_argument("--device", default="auto", help="auto, cpu, cuda, mps ...")
        command.add_argument("--restart", action="store_true", help="throw away what is there")
        command.add_argument(
            "--compile",
            action=argparse.BooleanOptionalAction,
            help="compile the network, or not; by default where it pays",
        )
        command.add_argument(
            "--ray",
            nargs="?",
            const="",
            metavar="ADDRESS",
            help="use a Ray cluster; without an address, or with local, one that is started here",
        )
    computing.add_argument("-o", "--output", type=Path, metavar="FILE.h5")
    computing.add_argument(
        "--json", action="store_true", dest="events", help="tell a program how far it is, on stdout"
    )
    filming.add_argument("-o", "--output", type=Path, metavar="FOLDER")


def _add_info(commands: Any) -> None:
    info = commands.add_parser("info", help="what is in a sequence file")
    info.add_argument("file", type=Path)
    info.add_argument("--json", action="store_true")
    info.set_defaults(run=_info)


def _add_preview(commands: Any) -> None:
    previewing = commands.add_parser("preview", help="a picture or a page of it, without Blender")
    previewing.add_argument("file", type=Path, metavar="FILE.h5")
    previewing.add_argument("-o", "--output", type=Path, metavar="OUT.png")
    previewing.add_argument("--html", action="store_true", help="a page to turn it in")
    previewing.set_defaults(run=_preview)


def _add_import(commands: Any) -> None:
    importing = commands.add_parser("import", help="other tools' surfaces: a sequence file")
    importing.add_argument("files", nargs="+", type=Path, metavar="FILE", help="one for each frame")
    importing.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.h5")
    importing.add_argument("--kind", help="what wrote the files, where they do not show it")
    importing.add_argument(
        "--coordinates",
        nargs=2,
        type=float,
        action="append",
        default=[],
        metavar=("LOW", "HIGH"),
        help="of bare arrays; twice: of alpha, then of beta",
    )
    importing.add_argument("--trajectory", type=Path, metavar="PROJ.h5", help="with --kind li")
    importing.add_argument("--title", help="by default OUT")
    importing.set_defaults(run=_import)


def _add_judge(commands: Any) -> None:
    judging = commands.add_parser("judge", help="the gates of a still, a film or a shot")
    judging.add_argument("file", type=Path, metavar="FILE.png|FILE.mp4|SHOT.blend")
    judging.add_argument("--look", help="by default the shot's, or flesh")
    judging.add_argument("--sheet", action="store_true", help="twelve frames of a film, beside it")
    judging.add_argument("--strict", action="store_true", help="exit with 1 where a gate is out")
    judging.set_defaults(run=_judge)


def _scenes(options: argparse.Namespace) -> None:
    recipes = {file.stem: load_recipe(file) for file in sorted(places.scenes().glob("*.toml"))}
    if options.json:
        from .engine.device import choose_device, device_name

        pieces = [
            {"name": name, "title": recipe.title, "sentence": recipe.sentence}
            for name, recipe in recipes.items()
        ]
        device = device_name(choose_device("auto"))
        print(json.dumps({"version": __version__, "device": device, "scenes": pieces}))
        return
    for name, recipe in recipes.items():
        print(f"{name:<12} {recipe.sentence}")


def _recipe(options: argparse.Namespace) -> Recipe:
    changes = dict(parse_change(assignment) for assignment in options.set)
    return load_recipe(find_recipe(options.scene), options.quality, changes)


def _default_folder(options: argparse.Namespace) -> Path:
    name = Path(options.scene).stem
    return Path("films") / (name if options.quality == "preview" else f"{name}-{options.quality}")


def _how(options: argparse.Namespace) -> dict[str, Any]:
    return {
        "device": options.device,
        "restart": options.restart,
        "compiling": options.compile,
        "ray": options.ray,
    }


def _compute(options: argparse.Namespace) -> None:
    from .pieces.compute import compute

    recipe = _recipe(options)
    path = options.output or _default_folder(options) / f"{Path(options.scene).stem}.h5"
    if compute(recipe, path, **_how(options)):
        print(f"{path}: done.")
    else:
        print(f"{path}: all there already.")
    emit("done", file=str(path.absolute()))


def _film(options: argparse.Namespace) -> None:
    from .film.film import film

    folder = options.output or _default_folder(options)
    film(_recipe(options), folder, Path(options.scene).stem, **_how(options))


def _preview(options: argparse.Namespace) -> None:
    from .preview.page import write_page
    from .preview.sheet import write_sheet

    kinds, write = ((".html",), write_page) if options.html else ((".png", ".pdf"), write_sheet)
    output = options.output or options.file.with_name(f"{options.file.stem}.preview{kinds[0]}")
    if output.suffix.lower() not in kinds:  # above all, never the sequence's own
        raise UserError(f"{output}: expected a name that ends in {' or '.join(kinds)}.")
    output.parent.mkdir(parents=True, exist_ok=True)
    write(options.file, output)
    print(output)


def _import(options: argparse.Namespace) -> None:
    from .interop.importing import import_surfaces
    from .sequence import describe

    import_surfaces(
        options.files,
        options.output,
        options.kind,
        [(low, high) for low, high in options.coordinates],
        options.trajectory,
        options.title,
    )
    (surface,) = describe(options.output)["surfaces"].values()
    count, complete = surface["frames"], surface["complete"]
    print(f"{options.output}: {surface['rows']} x {surface['cols']} points, frames: {count}.")
    if complete < count:
        print(f"Frames with points missing, which Blender does not show: {count - complete}.")


def _judge(options: argparse.Namespace) -> None:
    look = ["--look", options.look] if options.look else []
    flags = [f"--{name}" for name in ("sheet", "strict") if getattr(options, name)]
    blender.run("judge", options.file.resolve(), *look, *flags)


def _info(options: argparse.Namespace) -> None:
    from .sequence import describe

    summary = describe(options.file)
    if options.json:
        print(json.dumps(summary, indent=2, allow_nan=False))
        return
    surfaces: dict[str, dict[str, Any]] = summary.pop("surfaces")
    for key, value in summary.items():
        print(f"{key:<15}{value}")
    for name, surface in surfaces.items():
        print(f"\nsurface {name}")
        for key, value in surface.items():
            print(f"  {key:<15}{_shown(value)}")


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return " to ".join(map(_shown, value))
    if value is None:
        return "not finite"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(main())
