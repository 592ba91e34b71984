"""Looking before and after: a corpus, models, this machine, a run's result."""
