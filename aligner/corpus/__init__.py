"""Disk <-> nouns: recordings, transcripts, labels, results."""
