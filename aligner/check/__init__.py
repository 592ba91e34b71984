"""Checks before and after the work: of a corpus, models, this machine and a run's result."""
