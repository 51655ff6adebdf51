"""The repository is the Blender extension; the add-on itself is in addon/."""

from .addon import register, unregister

__all__ = ["register", "unregister"]
