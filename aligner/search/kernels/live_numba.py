"""What `aligner.search.live` runs: steps over a band of living states, and ways back through rows of unlike
bands.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from aligner.search.kernels import compiled
from aligner.search.kernels.viterbi_numba import PAD, came_from, pack, step


@compiled
def hear(
    now: Any,
    spare: Any,
    scores: Any,
    pdf: Any,
    band: Any,
    ahead: Any,
    beam: float,
    graph: Any,
    diagonals: Any,
    others: Any,
    codes: Any,
    width: int,
    rows: Any,
    edges: Any,
    tops: Any,
    level: float,
) -> Any:
    """Take ``now`` through all frames of ``scores`` (n, P); (result, scratch, what was subtracted in all).

    Parameters
    ----------
    now, spare : ndarray
        (`PAD` + S,) sums, -inf outside their bands.
    band : ndarray
        (4,): first state and last + 1 of ``now``, and of what ``spare`` may still hold; brought up to date.
    ahead : ndarray
        (S,): the last state that any up to each may lead to.
    beam : float
        What falls farther behind the best is set to -inf.
    rows, edges, tops : ndarray
        Receive, a row a frame, packed backpointers, (2,) the band that they are of, and the best sum.
    level : float
        What was subtracted before.
    """
    lo, hi, old_lo, old_hi = band[0], band[1], band[2], band[3]
    off = -np.inf
    for s in range(lo, hi):
        off = max(off, now[s + PAD])
    for t in range(len(scores)):
        top = ahead[hi - 1] + 1
        for s in range(old_lo, lo):
            spare[s + PAD] = -np.inf
        for s in range(top, old_hi):
            spare[s + PAD] = -np.inf
        level += off
        off = step(now, spare, codes, scores[t], now.dtype.type(off), pdf, lo, top, graph, diagonals, others)
        pack(codes, lo, top, width, rows[t])
        edges[t, 0], edges[t, 1], tops[t] = lo, top, level + off
        now, spare = spare, now
        old_lo, old_hi, hi = lo, hi, top
        if not off > -np.inf:
            tops[len(tops) - 1] = off  # where it is looked for
            break
        for s in range(lo, hi):
            if now[s + PAD] < off - beam:
                now[s + PAD] = -np.inf
        while now[lo + PAD] == -np.inf:
            lo += 1
        while now[hi - 1 + PAD] == -np.inf:
            hi -= 1
    band[0], band[1], band[2], band[3] = lo, hi, old_lo, old_hi
    return now, spare, level


@compiled
def back(
    some: Any,
    count: int,
    t: int,
    until: int,
    enough: int,
    begin: int,
    rows: Any,
    edges: Any,
    width: int,
    graph: Any,
    seen: Any,
    stamp: int,
) -> Any:
    """Follow the paths to ``some[:count]``, states at frame ``t``, back to frame ``until``.

    Or until there are no more than ``enough`` states.  ``rows`` and ``edges`` begin with frame ``begin``.
    ``some`` is changed in place; (states left, frame, last stamp used in ``seen``).
    """
    while t > until and count > enough:
        lo, hi, row = edges[t - begin, 0], edges[t - begin, 1], rows[t - begin]
        stamp += 1
        left = 0
        for i in range(count):
            before = came_from(some[i], row, lo, hi, width, graph)
            if seen[before] != stamp:
                seen[before] = stamp
                some[left] = before
                left += 1
        count = left
        t -= 1
    return count, t, stamp


@compiled
def retrace(
    state: int, t: int, known: int, path: Any, begin: int, rows: Any, edges: Any, width: int, graph: Any
) -> Any:
    """Write the path to ``state`` at frame ``t`` into ``path``, down to frame ``begin``.

    Or to where it meets the one that stands there in frames before ``known``; (state before, its frame,
    whether it met it).
    """
    while t >= begin:
        if t < known and path[t] == state:
            return state, t, True
        path[t] = state
        if t == 0:
            return state, -1, True
        state = came_from(state, rows[t - begin], edges[t - begin, 0], edges[t - begin, 1], width, graph)
        t -= 1
    return state, t, False
