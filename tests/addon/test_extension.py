"""The extension as an artist gets it: built, looked into, and installed in a fresh Blender."""

import os
import sys
import tomllib
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest
from package import build, run

ROOT = Path(__file__).resolve().parents[2]
# What a working folder may hold that nobody should be sent.
CLUTTER = [
    ".hidden",
    ".venv/lib/module.py",
    "addon/.hidden",
    "addon/__pycache__/module.pyc",
    "bench.json",
    "compute/movinglands/__pycache__/module.pyc",
    "dist/old.zip",
    "films/gently/gently.mp4",
    "wheels/h5py-1.0-cp27-none-any.whl",
]

# Runs in a Python of its own, so that the user folder is fresh and this one's h5py, which no
# artist has, can be hidden.
INSTALL = """
import sys
from importlib.machinery import PathFinder

import bpy
import addon_utils  # bpy puts it on the path

site_packages = sys.argv[2]

class Hide:
    def find_spec(name, path=None, target=None):
        if name == "h5py":
            return PathFinder.find_spec(name, [p for p in sys.path if p != site_packages])

sys.meta_path.insert(0, Hide)

addon_utils.enable("bl_pkg")
bpy.ops.extensions.package_install_files(
    filepath=sys.argv[1], repo="user_default", enable_on_install=True
)
name = "bl_ext.user_default.moving_lands"
assert name in bpy.context.preferences.addons, "not enabled"
assert name + ".addon" in sys.modules, "the add-on was not imported"
assert hasattr(bpy.types, "MOVING_LANDS_OT_import_sequence"), "not registered"

import h5py
print("h5py:", h5py.__file__)

addon_utils.disable(name)
assert not hasattr(bpy.types, "MOVING_LANDS_OT_import_sequence"), "still registered"
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """The zip for this system, built from a cluttered copy of the working folder."""
    return build(tmp_path_factory.mktemp("extension"), CLUTTER)


def test_every_platform_has_a_wheel_for_every_python():
    manifest = tomllib.loads((ROOT / "blender_manifest.toml").read_text())
    pythons = [Path(wheel).name.split("-")[2] for wheel in manifest["wheels"]]
    assert set(pythons) == {"cp311", "cp313", "cp314"}
    assert {pythons.count(python) for python in pythons} == {len(manifest["platforms"])}


def test_the_zip_holds_the_extension_and_nothing_else(package):
    names = zipfile.ZipFile(package).namelist()
    parts = {part for name in names for part in Path(name).parts}
    assert {Path(name).parts[0] for name in names} - {"README.md"} == {
        "LICENSE",
        "__init__.py",
        "addon",
        "blender_manifest.toml",
        "wheels",
    }
    assert not [part for part in parts if part.startswith(".") or part == "__pycache__"]
    assert [name.split("-")[2] for name in sorted(names) if name.startswith("wheels/")] == [
        "cp311",
        "cp313",
        "cp314",
    ]


def test_a_fresh_blender_installs_and_enables_it(package, tmp_path):
    site_packages = Path(find_spec("bpy").origin).parents[1]
    printed = run(
        *(sys.executable, "-c", INSTALL, package, site_packages),
        cwd=tmp_path,
        env=os.environ | {"BLENDER_USER_RESOURCES": str(tmp_path)},
    )
    (h5py,) = [line for line in printed.splitlines() if line.startswith("h5py:")]
    assert str(tmp_path / "extensions") in h5py
