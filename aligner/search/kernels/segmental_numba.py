"""Segmental search and sums on the CPU, in float64; must equal the references in `aligner.search.segmental`.

With cumulated scores C[t, s], a segment of state s from frame b to frame t - 1 weighs C[t] - C[b] plus its
duration's weight.  So with A[b] = begin[b] - C[b] the recursion over segments that end before t is a sum
(or a maximum) of A[t - d] + duration[d] over d: neighbours in memory, where A is kept state by state.
A frame that scores -inf is left out of C; segments may not reach back over it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from aligner.search.kernels import compiled
from aligner.search.kernels.exponential import FAST, exp


@compiled
def _reach(t: int, s: int, longest: int, barred: Any) -> int:
    """How many frames a segment of ``s`` that ends before frame ``t`` may have."""
    return min(longest, t - barred[s])


@compiled
def _cumulate(t: int, scores: Any, pdf: Any, total: Any, barred: Any) -> None:
    """Add frame ``t`` - 1 to the cumulated scores."""
    for s in range(len(pdf)):
        x = scores[pdf[s]]
        if x > -np.inf:
            total[s] += x
        else:
            barred[s] = t


@compiled
def best_segments(
    scores: Any,
    lengths: Any,
    pdf: Any,
    predecessors: Any,
    weights: Any,
    start: Any,
    final: Any,
    durations: Any,
    begin: int,
    every: int,
    paths: Any,
    begins: Any,
    totals: Any,
) -> None:
    """States (B, T), where segments begin (B, T), and totals (B,), of every ``every``-th utterance."""
    graphs, states, arcs = predecessors.shape
    longest, frames = durations.shape[3], scores.shape[1]
    opened = np.empty((states, frames + 1))  # A
    ends, total = np.empty(states), np.empty(states)
    barred = np.empty(states, np.int64)
    chosen = np.empty((frames + 1, states), np.uint16)
    choices = np.empty((frames + 1, states), np.int32)
    for b in range(begin, scores.shape[0], every):
        g = b if graphs > 1 else 0
        h = b if durations.shape[0] > 1 else 0
        for s in range(states):
            total[s], barred[s], opened[s, 0] = 0.0, 0, start[g, s]
        length = lengths[b]
        for t in range(1, length + 1):
            _cumulate(t, scores[b, t - 1], pdf[g], total, barred)
            lasts = durations[h, t - 1 if durations.shape[1] > 1 else 0]
            for s in range(states):
                best, choice = -np.inf, 1
                for d in range(1, _reach(t, s, longest, barred) + 1):
                    value = opened[s, t - d] + lasts[s, d - 1]
                    if value > best:
                        best, choice = value, d
                ends[s] = best + total[s]
                chosen[t, s] = choice
            if t == length:
                break
            moves = weights[g, t if weights.shape[1] > 1 else 0]
            for s in range(states):
                best, choice = -np.inf, 0
                for k in range(arcs):
                    p = predecessors[g, s, k]
                    if p >= 0 and ends[p] + moves[s, k] > best:
                        best, choice = ends[p] + moves[s, k], p
                opened[s, t] = best - total[s]
                choices[t, s] = choice
        state, totals[b] = 0, -np.inf
        for s in range(states):
            if ends[s] + final[g, s] > totals[b]:
                state, totals[b] = s, ends[s] + final[g, s]
        if totals[b] == -np.inf:
            continue
        t = length
        while t > 0:
            first = t - chosen[t, state]
            for i in range(first, t):
                paths[b, i] = state
            begins[b, first] = True
            state, t = choices[first, state], first


@compiled(fastmath=FAST)
def _sum_ends(opened: Any, lasts: Any) -> float:
    """log of the sum of exp(opened[i] + lasts[n - 1 - i])."""
    n = len(opened)
    most = -np.inf
    for i in range(n):
        most = max(most, opened[i] + lasts[n - 1 - i])
    if most == -np.inf:
        return most
    total = 0.0
    for i in range(n):
        total += exp(opened[i] + lasts[n - 1 - i] - most)
    return most + np.log(total)


@compiled
def _sum_arcs(ends: Any, row: Any, moves: Any) -> float:
    """log of the sum over a state's arcs."""
    most = -np.inf
    for k in range(len(row)):
        if row[k] >= 0:
            most = max(most, ends[row[k]] + moves[k])
    if most == -np.inf:
        return most
    total = 0.0
    for k in range(len(row)):
        if row[k] >= 0:
            total += exp(ends[row[k]] + moves[k] - most)
    return most + np.log(total)


@compiled
def forward(
    scores: Any,
    lengths: Any,
    pdf: Any,
    predecessors: Any,
    weights: Any,
    start: Any,
    final: Any,
    durations: Any,
    begin: int,
    every: int,
    opened: Any,
    ended: Any,
    cumulated: Any,
    totals: Any,
) -> None:
    """log Z into ``totals`` (B,); on the way A (B, S, T + 1), ends and C (B, T + 1, S), kept for
    `backward`."""
    graphs, states, _ = predecessors.shape
    longest = durations.shape[3]
    barred = np.empty(states, np.int64)
    for b in range(begin, scores.shape[0], every):
        g = b if graphs > 1 else 0
        h = b if durations.shape[0] > 1 else 0
        total = cumulated[b, 0]
        for s in range(states):
            total[s], barred[s], opened[b, s, 0] = 0.0, 0, start[g, s]
        length = lengths[b]
        for t in range(1, length + 1):
            for s in range(states):
                cumulated[b, t, s] = total[s]
            total = cumulated[b, t]
            _cumulate(t, scores[b, t - 1], pdf[g], total, barred)
            lasts = durations[h, t - 1 if durations.shape[1] > 1 else 0]
            ends = ended[b, t]
            for s in range(states):
                n = _reach(t, s, longest, barred)
                ends[s] = _sum_ends(opened[b, s, t - n : t], lasts[s, :n]) + total[s]
            if t < length:
                moves = weights[g, t if weights.shape[1] > 1 else 0]
                for s in range(states):
                    opened[b, s, t] = _sum_arcs(ends, predecessors[g, s], moves[s]) - total[s]
        most = -np.inf
        for s in range(states):
            most = max(most, ends[s] + final[g, s])
        summed = 0.0
        for s in range(states):
            summed += exp(ends[s] + final[g, s] - most) if most > -np.inf else 0.0
        totals[b] = most + np.log(summed) if most > -np.inf else -np.inf


@compiled(fastmath=FAST)
def _share_ends(posterior: float, level: float, opened: Any, lasts: Any, begun: Any, spans: Any) -> None:
    """Hand the posterior of an end back to where its segment may have begun, and to its durations."""
    n = len(opened)
    for i in range(n):
        share = posterior * exp(min(opened[i] + lasts[n - 1 - i] - level, 0.0))
        begun[i] += share
        spans[n - 1 - i] += share


@compiled
def backward(
    scores: Any,
    lengths: Any,
    pdf: Any,
    predecessors: Any,
    weights: Any,
    final: Any,
    durations: Any,
    begin: int,
    every: int,
    opened: Any,
    ended: Any,
    cumulated: Any,
    totals: Any,
    begun: Any,
    finished: Any,
    gammas: Any,
    xis: Any,
    spans: Any,
) -> None:
    """Posteriors of states ``gammas`` (B, T, S), arcs ``xis`` (B, U, S, K), and durations ``spans`` (B, V, S,
    D).

    And that a segment begins, ``begun`` (B, S, T + 1), or has ended, ``finished`` (B, T + 1, S).  All are
    added to; the rest comes from `forward`.
    """
    graphs, states, arcs = predecessors.shape
    longest = durations.shape[3]
    for b in range(begin, scores.shape[0], every):
        if totals[b] == -np.inf:
            continue
        g = b if graphs > 1 else 0
        h = b if durations.shape[0] > 1 else 0
        length = lengths[b]
        for s in range(states):
            finished[b, length, s] = exp(ended[b, length, s] + final[g, s] - totals[b])
        for t in range(length, 0, -1):
            done = finished[b, t]
            if t < length:
                v = t if weights.shape[1] > 1 else 0
                for s in range(states):
                    if begun[b, s, t] <= 0:
                        continue
                    level = opened[b, s, t] + cumulated[b, t, s]
                    for k in range(arcs):
                        p = predecessors[g, s, k]
                        if p >= 0:
                            share = begun[b, s, t] * exp(
                                min(ended[b, t, p] + weights[g, v, s, k] - level, 0.0)
                            )
                            xis[b, v, s, k] += share
                            done[p] += share
            v = t - 1 if durations.shape[1] > 1 else 0
            for s in range(states):
                if done[s] <= 0:
                    continue
                n = min(longest, t)
                for d in range(n):  # not over a frame that is impossible
                    if scores[b, t - 1 - d, pdf[g, s]] == -np.inf:
                        n = d
                        break
                _share_ends(
                    done[s],
                    ended[b, t, s] - cumulated[b, t, s],
                    opened[b, s, t - n : t],
                    durations[h, v, s, :n],
                    begun[b, s, t - n : t],
                    spans[b, v, s, :n],
                )
        for s in range(states):  # a state is occupied from its segments' beginnings to their ends
            occupied = 0.0
            for t in range(length):
                occupied += begun[b, s, t] - (finished[b, t, s] if t > 0 else 0.0)
                gammas[b, t, s] = min(max(occupied, 0.0), 1.0)
