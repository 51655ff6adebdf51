"""The networks of our own pieces."""
