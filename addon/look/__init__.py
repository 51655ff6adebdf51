"""Looks: materials, light and colour of a shot."""
