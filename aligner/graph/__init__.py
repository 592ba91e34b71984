"""Graphs of all that a transcript may sound like, made of pronunciations and a topology, as flat arrays.

Indices, all zero-based:

============  ==================================================================================
word          of the transcript, in order; -1 for silence
node          a phone at one place of one pronunciation, in one context: a chain of states
unit          what the model has for a phone in its context: the pdfs of its states and which
              matrix holds its transitions
state         of the graph, in topological order: every arc but a self-loop leads to a later one
arc           from a predecessor to a state, with a log weight; a state has at most K
pdf           of the model; the graph numbers only the P that it uses, column j of the scores
              being pdf ``graph.pdfs[j]`` of the model
============  ==================================================================================
"""

from aligner.graph.flat import NONE, Graph
from aligner.graph.pronunciations import Position, Topology, Unit, build

__all__ = ["NONE", "Graph", "Position", "Topology", "Unit", "build"]
