"""Files of a corpus and of a run to and from the nouns: recordings, transcripts, labels, results."""
