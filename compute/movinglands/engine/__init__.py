"""How points are evaluated: as fast as this machine can, and only those that are needed."""
