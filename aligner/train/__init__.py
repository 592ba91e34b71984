"""Models from recordings and their transcripts."""
