"""The data sets of our own pieces."""
