"""Carries the pieces' recipes, which lie beside this folder, into the installed package.

Everything else about the package stands in pyproject.toml.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

SCENES = Path(__file__).resolve().parent.parent / "scenes"


class BuildWithScenes(build_py):
    """Copies ``scenes/*.toml`` in; an editable install reads them where they are."""

    def run(self):
        super().run()
        if self.editable_mode:
            return
        if not SCENES.is_dir():
            raise SystemExit(f"{SCENES}: missing; build the package in a whole checkout.")
        target = Path(self.build_lib, "movinglands", "scenes")
        shutil.rmtree(target, ignore_errors=True)  # an earlier build's may be of other pieces
        target.mkdir(parents=True)
        for recipe in SCENES.glob("*.toml"):
            shutil.copy(recipe, target)


setup(cmdclass={"build_py": BuildWithScenes})
