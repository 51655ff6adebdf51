"""The land: a mesh that moves from snapshot to snapshot, and what lies on it."""
