"""Viterbi on the CPU; must equal `aligner.search.viterbi.reference`.

Backpointers are codes of a state's arcs (see `layout`), in 1, 2, 4, 8 or 16 bits each.  In every frame the
best sum of the frame before is taken off all; what was taken off is kept apart in float64.  So sums stay
small, and float32 tells paths apart after hours.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from aligner.search.kernels import compiled
from aligner.search.kernels.layout import DIAGONALS, weigh

PAD = DIAGONALS - 1  # cells of -inf before state 0: the diagonals reach there


def row_bytes(states: int, width: int) -> int:
    """Bytes of a frame's backpointers of ``width`` bits."""
    return -(-states * width // 8)


def new_rows(frames: int, states: int, width: int) -> np.ndarray:
    """Room for the backpointers of so many frames."""
    if width > 8:
        return np.empty((frames, states), np.uint16)
    return np.empty((frames, row_bytes(states, width)), np.uint8)


@compiled(fastmath={"nnan", "nsz", "reassoc"})  # there is no NaN, and so it is done in vector instructions
def _most(values: Any) -> float:
    most = values[0]
    for s in range(len(values)):
        most = max(most, values[s])
    return most


@compiled
def step(
    old: Any,
    new: Any,
    codes: Any,
    scores: Any,
    off: float,
    pdf: Any,
    lo: int,
    hi: int,
    graph: Any,
    diagonals: Any,
    others: Any,
) -> Any:
    """One frame: sums ``old`` to ``new``, states ``lo`` to ``hi`` - 1, and the code of each one's best arc.

    ``off`` is taken off every sum; returns the greatest.
    ``old`` and ``new`` begin with `PAD` cells of -inf; those of states outside the band are -inf too.
    """
    # slices from 0: numba then knows that no index is negative, and the loops become vector instructions
    zero, one, two = (
        old[lo + PAD : hi + PAD],
        old[lo + PAD - 1 : hi + PAD - 1],
        old[lo + PAD - 2 : hi + PAD - 2],
    )
    stay, move, skip = diagonals[0, lo:hi], diagonals[1, lo:hi], diagonals[2, lo:hi]
    best, choice, column = new[lo + PAD : hi + PAD], codes[lo:hi], pdf[lo:hi]
    for s in range(hi - lo):
        a, b, c = zero[s] + stay[s], one[s] + move[s], two[s] + skip[s]
        ab = max(a, b)
        best[s] = max(ab, c)
        choice[s] = 2 if c > ab else (1 if b > a else 0)
    for e in range(graph.first[lo], graph.first[hi]):
        s = graph.target[e]
        arriving = old[graph.source[e] + PAD] + others[e]
        if arriving > new[s + PAD]:
            new[s + PAD] = arriving
            codes[s] = graph.code[e]
    for s in range(hi - lo):
        best[s] = (best[s] - off) + scores[column[s]]
    return _most(best)


@compiled
def pack(codes: Any, lo: int, hi: int, width: int, row: Any) -> None:
    """Codes of states ``lo`` to ``hi`` - 1 into ``row``: byte j holds states lo + j, lo + j + N, lo + j + 2N,
    ...

    so that neighbours stay neighbours (N is the number of bytes).
    """
    count = hi - lo
    per = max(8 // width, 1)
    n = (count + per - 1) // per
    packed = row[:n]
    for i in range(per):
        shift = i * width
        some = codes[lo + i * n : min(lo + (i + 1) * n, hi)]
        if i == 0:
            for j in range(len(some)):
                packed[j] = some[j]
        else:
            for j in range(len(some)):
                packed[j] |= some[j] << shift


@compiled
def came_from(state: int, row: Any, lo: int, hi: int, width: int, graph: Any) -> int:
    """The state before ``state``, by a row of packed codes."""
    per = max(8 // width, 1)
    n = (hi - lo + per - 1) // per
    place = state - lo
    c = (row[place % n] >> ((place // n) * width)) & ((1 << width) - 1)
    if c < DIAGONALS and graph.columns[c, state] >= 0:
        return state - c
    for e in range(graph.first[state], graph.first[state + 1]):
        if graph.code[e] == c:
            return np.int64(graph.source[e])
    return state  # no path leads here


@compiled
def advance(
    old: Any,
    new: Any,
    first: int,
    last: int,
    scores: Any,
    pdf: Any,
    lo: int,
    hi: int,
    graph: Any,
    weights: Any,
    rows: Any,
    width: int,
) -> Any:
    """Take ``old``, the scores before frame ``first``, through frame ``last`` - 1.

    Returns (result, scratch, what was subtracted).  Row t - ``first`` of ``rows`` receives frame t's packed
    backpointers, if it has rows.
    """
    diagonals = np.empty((DIAGONALS, graph.columns.shape[1]), old.dtype)
    others = np.empty(len(graph.target), old.dtype)
    codes = np.empty(graph.columns.shape[1], rows.dtype)
    level, off, zero = 0.0, _most(old[lo + PAD : hi + PAD]), diagonals.dtype.type(0)
    for t in range(first, last):
        if t == first or weights.shape[0] > 1:
            weigh(
                graph=graph,
                weights=weights[t if weights.shape[0] > 1 else 0],
                lo=lo,
                hi=hi,
                diagonals=diagonals,
                others=others,
            )
        if not off > -np.inf:
            off = zero
        level += off
        off = step(old, new, codes, scores[t], off, pdf, lo, hi, graph, diagonals, others)
        if rows.shape[0]:
            pack(codes, lo, hi, width, rows[t - first])
        old, new = new, old
    return old, new, level


@compiled
def ended(now: Any, final: Any) -> Any:
    """The best final state and its score: (0, -inf) where there is none."""
    state, best = 0, -np.inf
    for s in range(len(final)):
        total = now[s + PAD] + final[s]
        if total > best:
            state, best = s, total
    return state, best


@compiled
def trace(state: int, rows: Any, opening: int, path: Any, lo: int, hi: int, width: int, graph: Any) -> int:
    """Fill ``path`` from its end, where ``state`` is; the state before its first frame.

    Row t - ``opening`` of ``rows`` holds the backpointers of frame t; frames before ``opening`` have none.
    """
    for t in range(len(path) - 1, -1, -1):
        path[t] = state
        if t >= opening:
            state = came_from(state=state, row=rows[t - opening], lo=lo, hi=hi, width=width, graph=graph)
    return state


def best_path(
    scores: Any, pdf: Any, weights: Any, start: Any, final: Any, graph: Any, width: int, path: Any
) -> float:
    """Fill ``path`` (T,) for one utterance of scores (T, P); its total.  ``weights`` are (U, S, K).

    Not compiled itself: what it calls need then not be compiled again as part of it.
    """
    frames, states = len(scores), len(pdf)
    now, spare = (np.full(states + PAD, -np.inf, scores.dtype) for _ in range(2))
    now[PAD:] = start + scores[0, pdf]
    rows = new_rows(frames - 1, states, width)
    now, spare, level = advance(
        old=now,
        new=spare,
        first=1,
        last=frames,
        scores=scores,
        pdf=pdf,
        lo=0,
        hi=states,
        graph=graph,
        weights=weights,
        rows=rows,
        width=width,
    )
    state, total = ended(now, final)
    if total > -np.inf:
        trace(state=state, rows=rows, opening=1, path=path, lo=0, hi=states, width=width, graph=graph)
    return float(total + level)
