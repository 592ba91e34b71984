"""Training of models from recordings and their transcripts."""
