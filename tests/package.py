"""The extension's zip for this system, for tests that install it."""

import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def run(*command, **options):
    """Run a command and give what it printed; fail with that if it fails."""
    done = subprocess.run(
        [str(word) for word in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def build(folder, clutter=()):
    """Build the zip in a folder, from a copy of the working folder with files that do not belong.

    Blender's own tool builds it, the one in the module bpy.
    """
    fetch = [sys.executable, ROOT / ".ci/wheels.py", "--here"]
    here = [Path(line) for line in run(*fetch).splitlines() if line.startswith(str(ROOT))]

    source = folder / "source"
    skipped = shutil.ignore_patterns(".git", ".venv", ".*_cache", "dist", "films", "wheels")
    shutil.copytree(ROOT, source, ignore=skipped)
    (source / "wheels").mkdir()
    for wheel in here:
        shutil.copy(wheel, source / "wheels")

    # The tool wants every wheel that the manifest names: leave those of other systems out.
    manifest = source / "blender_manifest.toml"
    lines = manifest.read_text().splitlines(keepends=True)
    kept = [x for x in lines if "./wheels/" not in x or any(w.name in x for w in here)]
    manifest.write_text("".join(kept))
    for path in clutter:
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).touch()

    (tool,) = Path(find_spec("bpy").origin).parent.glob(
        "*/scripts/addons_core/bl_pkg/cli/blender_ext.py"
    )
    target = folder / "moving_lands.zip"
    run(sys.executable, tool, "build", "--source-dir", source, "--output-filepath", target)
    return target
