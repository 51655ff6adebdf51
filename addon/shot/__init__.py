"""A whole shot: built from a sequence, brought up to date, known by its parts."""
