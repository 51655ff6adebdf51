"""The command line: ``blender -c moving_lands``, and ``python -m addon`` where bpy is a module.

Exit codes: 0 done, 2 bad input, said in one sentence, 130 interrupted.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import bpy

from .. import judge, render, stage
from ..progress import Counter, quiet
from ..sequence import SequenceError


def main(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    try:
        options = _parser().parse_args(arguments)
        options.run(options)
    except SystemExit as stop:  # argparse has said why
        return int(stop.code or 0)
    except (ValueError, OSError, MemoryError, RuntimeError) as error:
        print(f"moving_lands: {_sentence(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nmoving_lands: interrupted; the same command goes on from here.", file=sys.stderr)
        return 130
    return 0


def _sentence(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return "not enough memory for this sequence."
    return " ".join(str(error).split()) or type(error).__name__


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="moving_lands", description="Films of loss landscapes.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    building = commands.add_parser("build", help="a sequence becomes a shot")
    building.add_argument("file", type=Path, metavar="FILE.h5")
    building.add_argument("-o", "--output", type=Path, metavar="SHOT.blend")
    building.add_argument("--restart", action="store_true", help="replace a shot that is there")
    building.set_defaults(run=_build)

    rendering = commands.add_parser("render", help="render a shot: frames, film, poster")
    rendering.add_argument("file", type=Path, metavar="FILE.h5|SHOT.blend")
    rendering.add_argument("-o", "--output", type=Path, metavar="FOLDER")
    rendering.add_argument("--frames", type=_frames, metavar="1-48")
    rendering.add_argument("--device", default="auto", help="auto, cpu, optix, cuda, hip ...")
    rendering.add_argument("--restart", action="store_true", help="render what is there again")
    rendering.set_defaults(run=_render)

    judging = commands.add_parser("judge", help="the gates of a still, figure by figure")
    judging.add_argument("file", type=Path, metavar="FILE.png")
    judging.add_argument("--look", choices=tuple(judge.BLACK), default="flesh")
    judging.set_defaults(run=_judge)
    return parser


def _frames(text: str) -> range:
    first, _, last = text.partition("-")
    try:
        found = range(int(first), int(last or first) + 1)
    except ValueError:
        found = range(0)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a range such as 1-48.")
    return found


def build(file: Path, blend: Path) -> None:
    """Build a shot from a sequence and save it; the .blend appears whole or not at all."""
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    percent = Counter("importing", 100)
    for progress in stage.importing(file):
        while percent.done < round(100 * progress):
            percent.step()
    blend.parent.mkdir(parents=True, exist_ok=True)
    partial = blend.with_name(f".{blend.stem}.writing.blend")
    with quiet():
        bpy.ops.wm.save_as_mainfile(filepath=str(partial.resolve()), copy=True, compress=True)
    partial.replace(blend)


def _build(options: argparse.Namespace) -> None:
    blend = options.output or options.file.with_suffix(".blend")
    if blend.suffix != ".blend":
        raise ValueError(f"{blend}: a shot's name ends in .blend.")
    if blend.exists() and not options.restart:
        raise ValueError(f"{blend} exists: give another file with -o, or --restart to replace it.")
    build(options.file, blend)
    print(f"{blend}: built.")


def _render(options: argparse.Namespace) -> None:
    blend = options.file
    if not blend.is_file():
        raise SequenceError(f"{blend}: no such file.")
    if blend.suffix != ".blend":
        blend = blend.with_suffix(".blend")
        if not blend.exists():
            build(options.file, blend)
    folder = options.output or blend.parent
    frames_folder, poster = folder / "frames", folder / "poster.png"
    film = folder / f"{blend.stem}.mp4"
    render.check_folder(frames_folder, blend, options.restart)
    try:
        with quiet():
            bpy.ops.wm.open_mainfile(filepath=str(blend.resolve()), load_ui=False)
    except RuntimeError:
        raise SequenceError(f"{blend}: not a .blend file that this Blender can open.") from None
    scene = bpy.context.scene
    if scene.camera is None:
        raise ValueError(f"{blend}: its scene has no camera to render from.")
    device = render.choose_device(scene, options.device)
    whole = range(scene.frame_start, scene.frame_end + 1)
    asked = options.frames or whole
    render.open_folder(frames_folder, blend, options.restart and not options.frames, (film, poster))
    if options.restart:  # of some frames only
        for old in (film, *(render.frame_file(frames_folder, frame) for frame in asked)):
            old.unlink(missing_ok=True)
    missing = render.missing_frames(frames_folder, asked)
    wants_poster = not options.frames and "poster_frame" in scene.get(stage.MARK, {})
    if missing or (wants_poster and not poster.exists()):
        print(f"Rendering on {device}.", flush=True)
    count = Counter("rendering", len(asked), len(asked) - len(missing))
    with quiet():
        render.render_frames(scene, frames_folder, missing, count.step)
    if wants_poster and not poster.exists():
        print("Rendering the poster.", flush=True)
        with quiet():
            render.render_poster(scene, poster)
    if not film.exists() and not render.missing_frames(frames_folder, whole):
        with quiet():
            render.encode(frames_folder, whole, scene.render.fps, film)
    print(f"{film if film.exists() else frames_folder}: done.")


def _judge(options: argparse.Namespace) -> None:
    if not options.file.is_file():
        raise SequenceError(f"{options.file}: no such file.")
    for gate in judge.judge_still(judge.read_still(options.file), options.look):
        print(gate)
