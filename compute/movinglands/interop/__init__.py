"""The surfaces of other tools, made into sequences."""
