"""The system's shared libraries that Blender links to: which are missing, and how to get them.

A server or container without a desktop often lacks them, and importing bpy then fails with the
loader's words for the first one. Here bpy is only looked at, never imported, and all are named.

`python -m movinglands.system_libraries` is silent when all is well. With `--packages` it prints
the missing Debian packages instead, for a script to install.
"""

import importlib.util
import platform
import subprocess
import sys
from pathlib import Path

# soname: package on Debian and Ubuntu, package on Fedora and its kin
PACKAGES = {
    "libGL.so.1": ("libgl1", "libglvnd-glx"),
    "libICE.so.6": ("libice6", "libICE"),
    "libSM.so.6": ("libsm6", "libSM"),
    "libX11.so.6": ("libx11-6", "libX11"),
    "libXext.so.6": ("libxext6", "libXext"),
    "libXfixes.so.3": ("libxfixes3", "libXfixes"),
    "libXi.so.6": ("libxi6", "libXi"),
    "libXrender.so.1": ("libxrender1", "libXrender"),
    "libXt.so.6": ("libxt6", "libXt"),
    "libstdc++.so.6": ("libstdc++6", "libstdc++"),
    "libxkbcommon.so.0": ("libxkbcommon0", "libxkbcommon"),
}


def missing(bpy_file: Path | str) -> list[str]:
    """The shared libraries that bpy's extension module wants and this system lacks."""
    if platform.system() != "Linux":
        return []
    listing = subprocess.run(["ldd", str(bpy_file)], capture_output=True, text=True).stdout
    return sorted({line.split()[0] for line in listing.splitlines() if line.endswith("not found")})


def advice(missing: list[str]) -> str:
    """What is missing and the command that installs it, in two sentences at most."""
    known = [PACKAGES[name] for name in missing if name in PACKAGES]
    sentence = f"Blender needs shared libraries this system lacks: {', '.join(missing)}."
    if not known:
        return sentence
    debian, fedora = (" ".join(names) for names in zip(*known, strict=True))
    return f"{sentence} Install them with: apt-get install {debian} (or: dnf install {fedora})."


def main() -> int:
    """Check the bpy of the environment this runs in."""
    spec = importlib.util.find_spec("bpy")
    if spec is None or spec.origin is None:
        return 0
    names = missing(spec.origin)
    if "--packages" in sys.argv:
        print("\n".join(PACKAGES[name][0] for name in names if name in PACKAGES))
        return 0
    if names:
        print(advice(names), file=sys.stderr)
    return 2 if names else 0


if __name__ == "__main__":
    sys.exit(main())
