"""``python -m addon``: the add-on's command line, where bpy is a Python module."""

import sys

from .ui.cli import main

sys.exit(main(sys.argv[1:]))
