"""Figures on speed, work saved and memory, with peers beside ours: ``make bench``."""
