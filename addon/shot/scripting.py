"""What scripts call: ``from addon import stage`` is this module."""

from .build import build, building, import_sequence, importing
from .parts import Options
from .settings import Settings
from .update import change_look, change_rig, changing_rig, update, updating

dress = change_look
"""As earlier versions called it."""

__all__ = [
    "Options", "Settings", "build", "building", "change_look", "change_rig", "changing_rig",
    "dress", "import_sequence", "importing", "update", "updating",
]  # fmt: skip
