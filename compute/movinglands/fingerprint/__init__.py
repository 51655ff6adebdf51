"""A digest of all that decides a value: things described by simpler ones, down to bytes."""
