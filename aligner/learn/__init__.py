"""Runs that make models, and save them in a folder.

`train_hmm`, `train_ctc` and `train_neural` train a model on a corpus, `adapt` adapts one to a corpus, `teach`
teaches one where boundaries are by labels that were corrected.  The other modules are their parts: `spread`
distributes work over processes, `checkpoint` and `history` keep what a training that stops resumes from.
"""
