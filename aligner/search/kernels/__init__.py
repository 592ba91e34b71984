"""Fast kernels; each must equal the reference beside it."""
