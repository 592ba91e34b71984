"""Searches from arcs and scores to best paths, posteriors and segments; for batches, long audio and streams.

`arcs` says what a graph is here and what shapes mean; `viterbi` is the page to read next.
"""
