"""Node trees, written as expressions."""
