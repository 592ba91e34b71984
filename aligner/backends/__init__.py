"""Ways of aligning (backends), and which one is chosen.

`base` is what a backend must have, `abilities` what it may have besides, `options` what it is asked for and
how it computes.  `hmm`, `ctc`, `ctc_hmm`, `dtw` and `median` are the backends; `choose` makes one.
"""
