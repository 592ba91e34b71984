"""English words as they are said: each module knows one kind of what is written, `rules` their order."""
