"""Measuring speed, profiling, and self-tests: `aligner bench`, `profile` and `doctor`."""
