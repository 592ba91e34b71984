"""How the numba kernels see a graph: a few diagonals and the rest.

Most arcs of a speech graph lead from a state to itself, the next, or the one after.  These are
kept as diagonals: over them the recursions are loops over neighbouring numbers, which a compiler
turns into vector instructions.  All others stand in a list.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from aligner.search.kernels import compiled

MOST_ARCS = 2**16  # into a state
DIAGONALS = 3  # self-loop, from the state before, from the one before that


class Layout(NamedTuple):
    """The arcs of one graph; every array is numpy's, every index unsigned (numba is faster then)."""

    columns: np.ndarray
    """(3, S) int32: the column of ``predecessors`` that holds the diagonal's arc, -1 where there is none."""
    source: np.ndarray
    """(E,): the state that each of the other arcs comes from; arcs are sorted by target."""
    target: np.ndarray
    """(E,): the state that it leads to."""
    column: np.ndarray
    """(E,): its column of ``predecessors``."""
    code: np.ndarray
    """(E,): what tells such an arc from all others into its target: the least number that no diagonal of the
    target and no other of its arcs has."""
    first: np.ndarray
    """(S + 1,): where a target's arcs begin in the list."""


@compiled
def layout(predecessors: Any) -> Any:
    """The `Layout` of a graph's (S, K) predecessors."""
    states, arcs = predecessors.shape
    columns, first = np.empty((DIAGONALS, states), np.int32), np.empty(states + 1, np.uint32)
    for d in range(DIAGONALS):
        for s in range(states):
            columns[d, s] = -1
    others = 0
    for s in range(states):
        first[s] = others
        for k in range(arcs):
            p = predecessors[s, k]
            if p < 0:
                continue
            if 0 <= s - p < DIAGONALS and columns[s - p, s] < 0:
                columns[s - p, s] = k
            else:
                others += 1
    first[states] = others
    source, target, column = (
        np.empty(others, np.uint32),
        np.empty(others, np.uint32),
        np.empty(others, np.uint32),
    )
    code = np.empty(others, np.int32)
    e = 0
    for s in range(states):
        free = 0
        for k in range(arcs):
            p = predecessors[s, k]
            if p >= 0 and not (0 <= s - p < DIAGONALS and columns[s - p, s] == k):
                while free < DIAGONALS and columns[free, s] >= 0:
                    free += 1
                source[e], target[e], column[e], code[e] = p, s, k, free
                free += 1
                e += 1
    return Layout(columns=columns, source=source, target=target, column=column, code=code, first=first)


@compiled
def weigh(graph: Any, weights: Any, lo: int, hi: int, diagonals: Any, others: Any) -> None:
    """Fetch weights (S, K) of the arcs into states ``lo`` to ``hi`` - 1: ``diagonals`` (3, S), ``others``
    (E,).
    """
    for d in range(DIAGONALS):
        for s in range(lo, hi):
            k = graph.columns[d, s]
            diagonals[d, s] = weights[s, k] if k >= 0 else -np.inf
    for e in range(graph.first[lo], graph.first[hi]):
        others[e] = weights[graph.target[e], graph.column[e]]


def backpointer_bits(graph: Layout) -> int:
    """1, 2, 4, 8 or 16 (powers of two, so that bytes hold whole ones), to tell the arcs into any state
    apart."""
    used = np.flatnonzero((graph.columns >= 0).any(1))
    codes = 1 + max(int(graph.code.max(initial=0)), int(used.max(initial=0)))
    if codes > MOST_ARCS:
        raise ValueError(f"a state with {codes} or more predecessors; the kernels take {MOST_ARCS}")
    return next(width for width in (1, 2, 4, 8, 16) if codes <= 2**width)
