"""Fetch the wheels that blender_manifest.toml names and print where they lie, one a line.

The manifest is the only list: a wheel's file name says what it is and for which Python and
system. Wheels already there are kept. With --here, only those for this system.
"""

import platform
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SYSTEMS = {"Linux": "manylinux", "Darwin": "macosx", "Windows": "win"}


def fits_here(wheel: Path) -> bool:
    """Whether a wheel is for the system this runs on, whichever Python it is for."""
    tag = wheel.stem.split("-")[4]
    arm = platform.machine().lower() in ("arm64", "aarch64")
    return tag.startswith(SYSTEMS[platform.system()]) and arm == tag.endswith(("arm64", "aarch64"))


def fetch(wheel: Path) -> None:
    """Download one wheel, or end with a sentence that says why not."""
    name, version, python, abi, tag = wheel.stem.split("-")
    print(f"Fetching {wheel.name}", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", "pip", "download", "-qq", "--no-input", "--no-deps"]
    command += ["--only-binary=:all:", "--implementation", "cp", "--abi", abi]
    command += ["--python-version", python.removeprefix("cp"), "--platform", tag]
    command += ["--dest", str(wheel.parent), f"{name}=={version}"]
    done = subprocess.run(command, capture_output=True, text=True)
    if not wheel.exists():
        reason = (done.stderr.strip().splitlines() or ["another file came"])[-1]
        sys.exit(f"{wheel.name} is not in wheels/ and could not be fetched: {reason}")


def main() -> None:
    """Fetch what is asked for and missing."""
    manifest = tomllib.loads((ROOT / "blender_manifest.toml").read_text(encoding="utf-8"))
    for wheel in (ROOT / path for path in manifest["wheels"]):
        if "--here" in sys.argv and not fits_here(wheel):
            continue
        if not wheel.exists():
            fetch(wheel)
        print(wheel)


if __name__ == "__main__":
    main()
