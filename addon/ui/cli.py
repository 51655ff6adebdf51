"""The command line: ``blender -c moving_lands``, and ``python -m addon`` where bpy is a module.

Exit codes: 0 done, 1 judged strictly and found wanting, 2 bad input, said in one sentence, 130
interrupted.
"""

from __future__ import annotations

import argparse
import signal
import sys
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import bpy

from ..files import replace
from ..judge import film as judge_film
from ..judge import gates as judge
from ..judge import shot as judge_shot
from ..look import LOOKS
from ..progress import Counter, announce, clock, listened_to, quiet, say, tell
from ..render import encode, folder, frames
from ..render.claims import Claims
from ..render.job import RenderJob, prepare
from ..render.quality import QUALITIES
from ..sequence.format import SequenceError
from ..sequence.memory import cache_size
from ..sequence.reader import open_sequence
from ..shot import parts as shots
from ..shot import scripting as stage
from .preferences import preferences


def main(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    if signal.getsignal(signal.SIGINT) is None:  # Blender's own would break off one frame only
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        options = _parser().parse_args(arguments)
    except SystemExit as stop:  # argparse has said why
        return int(stop.code or 0)
    with listened_to() if options.json else nullcontext():
        return _run(options)


def _run(options: argparse.Namespace) -> int:
    try:
        return options.run(options) or 0
    except (ValueError, OSError, MemoryError, RuntimeError) as error:
        tell("error", message=_sentence(error))
        print(f"moving_lands: {_sentence(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nmoving_lands: interrupted; the same command goes on from here.", file=sys.stderr)
        return 130


def _sentence(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return "not enough memory for this sequence."
    return " ".join(str(error).split()) or type(error).__name__


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="moving_lands", description="Films of loss landscapes.")
    parser.set_defaults(json=False)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    building = commands.add_parser("build", help="a sequence becomes a shot")
    building.add_argument("file", type=Path, metavar="FILE.h5")
    building.add_argument("-o", "--output", type=Path, metavar="SHOT.blend")
    building.add_argument("--restart", action="store_true", help="replace a shot that is there")
    building.add_argument("--json", action="store_true", help="tell a program how far it is")
    building.set_defaults(run=_build)

    rendering = commands.add_parser("render", help="render a shot: frames, film, poster")
    rendering.add_argument("file", type=Path, metavar="FILE.h5|SHOT.blend")
    rendering.add_argument("-o", "--output", type=Path, metavar="FOLDER")
    rendering.add_argument("--frames", type=_frames, metavar="1-48")
    rendering.add_argument("--quality", choices=QUALITIES, help="by default as the shot is")
    rendering.add_argument("--format", choices=encode.FORMATS, help="of film and frames")
    rendering.add_argument("--device", default="auto", help="auto, cpu, optix, cuda, hip ...")
    rendering.add_argument("--threads", type=int, help="processor cores to use")
    rendering.add_argument("--restart", action="store_true", help="render what is there again")
    rendering.add_argument("--estimate", action="store_true", help="only how long it will take")
    rendering.add_argument("--missing", action="store_true", help="only which frames are missing")
    rendering.add_argument("--json", action="store_true", help="tell a program how far it is")
    rendering.set_defaults(run=_render)

    judging = commands.add_parser("judge", help="the gates of a still, a film or a shot")
    judging.add_argument("file", type=Path, metavar="FILE.png|FILE.mp4|SHOT.blend")
    judging.add_argument("--look", choices=tuple(LOOKS), help="by default a shot's, or flesh")
    judging.add_argument("--sheet", action="store_true", help="twelve frames of a film, beside it")
    judging.add_argument("--strict", action="store_true", help="exit with 1 where a gate is out")
    judging.set_defaults(run=_judge)
    return parser


def _frames(text: str) -> list[int]:
    found: list[int] = []
    try:
        for part in text.split(","):
            first, _, last = part.partition("-")
            found += range(int(first), int(last or first) + 1)
    except ValueError:
        found = []
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r}: expected frames such as 1-48 or 1,5,8-12.")
    return found


def build(file: Path, blend: Path) -> None:
    """Build a shot from a sequence and save it; the .blend appears whole or not at all."""
    budget = preferences(bpy.context).memory_budget * 1e9
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    with open_sequence(file) as sequence:
        cached = sum(map(cache_size, sequence.surfaces.values())) > budget
    blend.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{blend.stem}.", dir=blend.parent) as folder:
        fresh = Path(folder, blend.name).resolve()
        if cached:  # a cache lies beside a .blend
            _save(fresh)
        percent = Counter("importing", 100)
        for progress in stage.importing(file, None, shots.Options(cache=cached)):
            percent.reach(round(100 * progress))
        percent.reach(100)
        _save(fresh)
        for made in (*fresh.parent.glob("*.pc2"), fresh):
            replace(made, blend.with_name(made.name))


def _save(blend: Path) -> None:
    with quiet():
        bpy.ops.wm.save_as_mainfile(filepath=str(blend), compress=True)


def _build(options: argparse.Namespace) -> None:
    blend = options.output or options.file.with_suffix(".blend")
    if blend.suffix != ".blend":
        raise ValueError(f"{blend}: a shot's name ends in .blend.")
    if blend.exists() and not options.restart:
        raise ValueError(f"{blend} exists: give another file with -o, or --restart to replace it.")
    build(options.file, blend)
    tell("done", file=str(blend))
    say(f"{blend}: built.")


def _render(options: argparse.Namespace) -> None:
    blend = _shot(options.file, options.output)
    job = prepare(blend, options.output, options.device, options.quality, options.format)
    for remark in job.remarks:
        tell("remark", message=remark)
        say(remark)
    if options.threads:
        job.scene.render.threads_mode, job.scene.render.threads = "FIXED", options.threads
    asked = _asked(job, options.frames)
    if options.estimate:
        _estimate(job, blend, asked)
        return
    folder.open_folder(job, options.restart, asked)
    if options.missing:
        _missing(job, asked)
        return
    with Claims(_say_waiting) as claims:
        made = _make(job, asked, claims)
    file = job.film if job.film and job.film.exists() else job.folder
    tell("done", file=str(file), rendered=made)
    say(f"{file}: done.")


def _shot(file: Path, output: Path | None) -> Path:
    """Return the shot of a file, built where it is a sequence that has none yet.

    It lies beside the sequence or, where nothing can be written there, with the film.
    """
    if not file.is_file():
        raise SequenceError(f"{file}: no such file.")
    blend = file.with_suffix(".blend")
    if not blend.exists():
        try:
            build(file, blend)
        except PermissionError:
            if output is None:
                raise ValueError(
                    f"{blend.parent} cannot be written to: give a folder with -o."
                ) from None
            blend = output / blend.name
            if not blend.exists():
                build(file, blend)
    return blend


def _asked(job: RenderJob, numbers: list[int] | None) -> list[int]:
    """Return the frames of a shot that are asked for, by default all."""
    asked = [frame for frame in job.frames if numbers is None or frame in numbers]
    if not asked:
        given = f"{min(numbers)} to {max(numbers)}"
        raise ValueError(
            f"--frames {given}: the shot's are {min(job.frames)} to {max(job.frames)}."
        )
    return asked


def _make(job: RenderJob, asked: list[int], claims: Claims) -> int:
    """Render and encode what is missing; return how many of the frames this process rendered."""
    missing, whole = job.missing(asked), len(asked) == len(job.frames)
    wants_poster = whole and job.poster and not job.poster.exists()
    if missing or wants_poster:
        say(f"Rendering on {job.device}.")
    count = Counter("rendering", len(asked), len(asked) - len(missing))
    with quiet():
        made = frames.render_frames(job, asked, claims, count.reach)
    if wants_poster:
        announce("rendering the poster")
        with quiet():
            frames.render_poster(job, claims)
    if job.film and not job.film.exists() and not job.missing(list(job.frames)):
        count = Counter("encoding", len(job.frames))
        with quiet():
            frames.encode_film(job, claims, count.step)
    return made


@cache
def _say_waiting() -> None:
    """Say it once."""
    print("\nOthers are rendering the rest: waiting for it.", file=sys.stderr)


def _estimate(job: RenderJob, blend: Path, asked: list[int]) -> None:
    """Say how long the frames take that are not there yet."""
    fits = folder.fits(job)
    missing = job.missing(asked) if fits else asked
    announce("estimating")
    with quiet():
        each = frames.estimate(job.scene)
    left = {"total": len(asked), "seconds_left": each * len(missing)}
    tell("progress", label="estimate", done=len(asked) - len(missing), **left)
    tell("done", file=str(blend))
    took = f"{clock(each * len(missing))} for {len(missing)} frames, {each:.2f} s each"
    say(f"{blend}: about {took}, on {job.device}.")


def _missing(job: RenderJob, asked: list[int]) -> None:
    """Say which frames are missing, and which files beside the .blend they are made of."""
    missing = job.missing(asked)
    files = [path[2:] for path in bpy.utils.blend_paths(absolute=False) if path.startswith("//")]
    tell("missing", frames=missing, files=files)
    tell("done", file=str(job.folder))
    say(" ".join(map(str, missing)) or "none")


def _judge(options: argparse.Namespace) -> int:
    if not options.file.is_file():
        raise SequenceError(f"{options.file}: no such file.")
    gates = _gates(options)
    print(*gates, sep="\n")
    return int(options.strict and not all(gate.passed for gate in gates))


def _gates(options: argparse.Namespace) -> list[judge.Gate]:
    file, look = options.file, options.look or "flesh"
    if file.suffix == ".blend":
        scene = judge_shot.open_shot(file)
        announce("judging")
        return judge_shot.judge_shot(scene, options.look or judge_shot.look_of(scene))
    if file.suffix not in judge_film.FILMS:
        return judge.judge_still(judge.read_still(file), look)
    count = Counter("judging", judge_film.facts(file)[0])
    gates, sheet = judge_film.judge_film(judge_film.decoded(file), look, count.step)
    if options.sheet:
        judge_film.write_sheet(sheet, file.with_suffix(".sheet.png"))
    return gates
