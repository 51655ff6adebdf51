"""What scripts call: ``from addon import stage`` is this module."""

from .build import build, building, import_sequence, importing
from .parts import Options
from .settings import Settings
from .update import change_look, change_rig, changing_rig, update, updating

dress, film, filming = change_look, change_rig, changing_rig
"""As earlier versions called them."""

__all__ = [
    "Options", "Settings", "build", "building", "change_look", "change_rig", "changing_rig",
    "dress", "film", "filming", "import_sequence", "importing", "update", "updating",
]  # fmt: skip
