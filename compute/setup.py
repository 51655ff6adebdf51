"""Carries recipes and typeface, which lie beside this folder, into the installed package.

Everything else about the package stands in pyproject.toml.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent.parent
CARRIED = {"scenes": ROOT / "scenes", "fonts": ROOT / "addon" / "assets" / "fonts"}


class BuildWithCarried(build_py):
    """Copies them in; an editable install reads them where they are."""

    def run(self):
        super().run()
        if self.editable_mode:
            return
        for name, folder in CARRIED.items():
            if not folder.is_dir():
                raise SystemExit(f"{folder}: missing; build the package in a whole checkout.")
            target = Path(self.build_lib, "movinglands", name)
            shutil.rmtree(target, ignore_errors=True)  # an earlier build's may be of other pieces
            shutil.copytree(folder, target, ignore=shutil.ignore_patterns(".*", "*~"))


setup(cmdclass={"build_py": BuildWithCarried})
