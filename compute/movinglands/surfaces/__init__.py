"""Loss surfaces along a training, from snapshots to a sequence file, resumable."""
