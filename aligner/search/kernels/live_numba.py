"""The kernels of `aligner.search.live`: a Viterbi recursion over the band of states that are alive, and
tracebacks through rows of backpointers whose bands differ.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from aligner.search.kernels import compiled
from aligner.search.kernels.viterbi_numba import PAD, came_from, pack, step


class WeighedGraph(NamedTuple):
    """A graph whose arcs weigh the same in every frame, as the recursion over a band reads it."""

    graph: Any
    """`Layout` of the arcs."""
    diagonals: Any
    """(3, S): log weights of the arcs on the diagonals."""
    others: Any
    """(E,): log weights of all other arcs."""
    lowest: Any
    """(S,): the first state that any state from each one on has an arc to, or that state itself."""
    highest: Any
    """(S,): the last state that any state up to each one has an arc to, or that state itself."""


class Record(NamedTuple):
    """Where the recursion over a band writes what a traceback needs, a row a frame."""

    rows: Any
    """(T, bytes): packed backpointers."""
    edges: Any
    """(T, 2): the first state and the last + 1 that a row is of."""
    tops: Any
    """(T,) float64: log weight of the best path to any state."""


@compiled
def advance_band(
    now: Any,
    spare: Any,
    band: Any,
    scores: Any,
    pdf: Any,
    weighed: Any,
    codes: Any,
    width: int,
    record: Any,
    level: float,
) -> Any:
    """Take ``now`` through all frames of ``scores`` (n, P); (result, scratch, what was subtracted in all).

    ``now`` and ``spare`` are (`PAD` + S,) sums, -inf outside their bands; ``band`` (4,) holds the first state
    and last + 1 of ``now``, then of what ``spare`` may still hold, and is brought up to date.  ``codes`` (S,)
    is scratch, ``level`` what was subtracted before.
    """
    graph, diagonals, others, lowest, highest = weighed
    lo, hi, old_lo, old_hi = band[0], band[1], band[2], band[3]
    off = -np.inf
    for s in range(lo, hi):
        off = max(off, now[s + PAD])
    for t in range(len(scores)):
        bottom, top = lowest[lo], highest[hi - 1] + 1
        _clear(spare, old_lo, bottom)
        _clear(spare, top, old_hi)
        level += off
        taken = now.dtype.type(off)
        off = step(now, spare, codes, scores[t], taken, pdf, bottom, top, graph, diagonals, others)
        pack(codes, bottom, top, width, record.rows[t])
        record.edges[t, 0], record.edges[t, 1], record.tops[t] = bottom, top, level + off
        now, spare = spare, now
        old_lo, old_hi, lo, hi = lo, hi, bottom, top
        if not off > -np.inf:
            record.tops[len(record.tops) - 1] = off  # where the caller looks for it
            break
        lo, hi = _shrunk(now, lo, hi)
    band[0], band[1], band[2], band[3] = lo, hi, old_lo, old_hi
    return now, spare, level


@compiled
def _clear(sums: Any, lo: int, hi: int) -> None:
    """Set the sums of states ``lo`` to ``hi`` - 1 to -inf."""
    for s in range(lo, hi):
        sums[s + PAD] = -np.inf


@compiled
def prune(sums: Any, band: Any, beam: float) -> None:
    """Drop the states of a ``band`` whose sums are more than ``beam`` behind the greatest."""
    lo, hi = band[0], band[1]
    most = -np.inf
    for s in range(lo, hi):
        most = max(most, sums[s + PAD])
    for s in range(lo, hi):
        if sums[s + PAD] < most - beam:
            sums[s + PAD] = -np.inf
    band[0], band[1] = _shrunk(sums, lo, hi)


@compiled
def _shrunk(sums: Any, lo: int, hi: int) -> Any:
    """The band without the impossible states at its ends."""
    while sums[lo + PAD] == -np.inf:
        lo += 1
    while sums[hi - 1 + PAD] == -np.inf:
        hi -= 1
    return lo, hi


@compiled
def merge_back(
    states: Any,
    count: int,
    t: int,
    until: int,
    begin: int,
    rows: Any,
    edges: Any,
    width: int,
    graph: Any,
    seen: Any,
    stamp: int,
) -> Any:
    """Follow the paths to ``states[:count]`` at frame ``t`` back until they merge, or to frame ``until``.

    ``rows`` and ``edges`` begin with frame ``begin``.  ``states`` is changed in place; (states left, frame,
    last stamp used in ``seen``).
    """
    while t > until and count > 1:
        lo, hi, row = edges[t - begin, 0], edges[t - begin, 1], rows[t - begin]
        stamp += 1
        left = 0
        for i in range(count):
            before = came_from(state=states[i], row=row, lo=lo, hi=hi, width=width, graph=graph)
            if seen[before] != stamp:
                seen[before] = stamp
                states[left] = before
                left += 1
        count = left
        t -= 1
    return count, t, stamp


@compiled
def ancestors(
    states: Any, t: int, until: int, begin: int, rows: Any, edges: Any, width: int, graph: Any
) -> int:
    """Put in place of each of ``states`` at frame ``t`` where its path was at frame ``until``, or at the last
    frame before ``begin``, where ``rows`` and ``edges`` begin; the frame."""
    while t > until and t >= begin:
        lo, hi, row = edges[t - begin, 0], edges[t - begin, 1], rows[t - begin]
        for i in range(len(states)):
            states[i] = came_from(state=states[i], row=row, lo=lo, hi=hi, width=width, graph=graph)
        t -= 1
    return t


@compiled
def write_path(
    state: int, t: int, known: int, path: Any, begin: int, rows: Any, edges: Any, width: int, graph: Any
) -> Any:
    """Write the path to ``state`` at frame ``t`` into ``path``, down to frame ``begin``.

    Or to where it meets the one that stands there in frames before ``known``; (state before, its frame,
    whether it met it).  Frames are counted from the first of ``path``.
    """
    while t >= begin:
        if t < known and path[t] == state:
            return state, t, True
        path[t] = state
        if t == 0:
            return state, -1, True
        state = came_from(
            state=state,
            row=rows[t - begin],
            lo=edges[t - begin, 0],
            hi=edges[t - begin, 1],
            width=width,
            graph=graph,
        )
        t -= 1
    return state, t, False
