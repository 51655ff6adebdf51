"""Planes in weight space: the plane itself, and the directions that span it."""
