"""How points are evaluated: as fast as this machine can, and no more of them than it takes."""
