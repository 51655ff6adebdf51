"""A shot rendered: frames, poster and film, shared by several machines."""
