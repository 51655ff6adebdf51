"""Gates: the figures that a still, a film or a shot must reach."""
