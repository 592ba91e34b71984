"""Files of alignments and labels, one module a format."""
