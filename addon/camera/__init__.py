"""Cameras: what a rig wants, the calm path nearest to it, written as plain keyframes."""
