"""Blender itself: its versions, and keyframes in bulk."""
