"""From transcripts to the pronunciations of their words."""
