"""What is measured at a point: the loss as a pure function of weights, buffers and the point."""
