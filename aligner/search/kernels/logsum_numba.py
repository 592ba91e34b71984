"""The forward algorithm and its posteriors on the CPU, in float64; must equal `forward_backward.reference`.

The backward pass needs no beta: with alpha known, the share of arc p -> s in alpha[t, s] is
exp(alpha[t-1, p] + w - logsum), and the posterior of the arc is that share of the posterior of s
(backpropagation through the forward algorithm: Eisner 2016, *Inside-outside and forward-backward
algorithms are just backprop*).  Everything then stays between 0 and 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from aligner.search.kernels import compiled
from aligner.search.kernels.exponential import FAST, exp
from aligner.search.kernels.layout import DIAGONALS, layout, weigh
from aligner.search.kernels.viterbi_numba import PAD

TINY = 1e-250  # below, a sum may have lost terms to underflow


@compiled(fastmath=FAST)
def _arrive(
    old: Any, reached: Any, best: Any, graph: Any, diagonals: Any, others: Any, arriving: Any
) -> None:
    """``reached`` (S,) = log of the sum over each state's arcs of exp(``old`` + weight).

    ``best`` (S,) and ``arriving`` (E,) are scratch: exponentials are taken in loops of their own, as vectors.
    """
    states = len(reached)
    zero, one, two = old[PAD : states + PAD], old[PAD - 1 : states + PAD - 1], old[PAD - 2 : states + PAD - 2]
    stay, move, skip = diagonals[0, :states], diagonals[1, :states], diagonals[2, :states]
    for s in range(states):
        best[s] = max(max(zero[s] + stay[s], one[s] + move[s]), two[s] + skip[s])
    for e in range(len(others)):
        arriving[e] = old[graph.source[e] + PAD] + others[e]
    for e in range(len(others)):
        best[graph.target[e]] = max(best[graph.target[e]], arriving[e])
    for s in range(states):
        best[s] = best[s] if best[s] > -np.inf else 0.0
    for s in range(states):
        reached[s] = (
            exp(zero[s] + stay[s] - best[s])
            + exp(one[s] + move[s] - best[s])
            + exp(two[s] + skip[s] - best[s])
        )
    for e in range(len(others)):
        arriving[e] = exp(arriving[e] - best[graph.target[e]])
    for e in range(len(others)):
        reached[graph.target[e]] += arriving[e]
    for s in range(states):
        reached[s] = np.log(reached[s]) + best[s] if reached[s] > 0 else -np.inf


@compiled(fastmath=FAST)
def _arrive_dense(
    old: Any, reached: Any, shares: Any, row: Any, weights: Any, matrix: Any, level: float
) -> None:
    """As `_arrive`, for graphs with most arcs there are: exponentials of states, not of arcs.

    ``matrix`` (S, S) holds exp of the weights less ``level``, from row to column; ``shares`` (S,) is scratch.
    A state whose sum comes out near the smallest number there is, is summed again arc by arc: nothing is
    lost to underflow.
    """
    states = len(reached)
    most = -np.inf
    for s in range(states):
        most = max(most, old[s + PAD])
    most = most if most > -np.inf else 0.0
    for s in range(states):
        shares[s] = exp(old[s + PAD] - most)
        reached[s] = 0.0
    for p in range(states):
        share, arcs = shares[p], matrix[p]
        for s in range(states):
            reached[s] += share * arcs[s]
    for s in range(states):
        if reached[s] > TINY:
            reached[s] = np.log(reached[s]) + most + level
        else:
            reached[s] = _sum_arcs(old, row[s], weights[s])


@compiled
def _sum_arcs(old: Any, row: Any, weights: Any) -> float:
    """log of the sum over one state's arcs of exp(``old`` + weight)."""
    most = -np.inf
    for k in range(len(row)):
        if row[k] >= 0:
            most = max(most, old[row[k] + PAD] + weights[k])
    if most == -np.inf:
        return most
    total = 0.0
    for k in range(len(row)):
        if row[k] >= 0:
            total += exp(old[row[k] + PAD] + weights[k] - most)
    return most + np.log(total)


@compiled
def _exponentials(row: Any, weights: Any, matrix: Any) -> float:
    """exp of the arcs' weights (S, K), less the greatest, as a matrix (S, S) from row to column; the
    greatest.
    """
    for s in range(len(row)):
        for p in range(len(row)):
            matrix[s, p] = 0.0
    most = -np.inf
    for s in range(len(row)):
        for k in range(row.shape[1]):
            if row[s, k] >= 0:
                most = max(most, weights[s, k])
    if most == -np.inf:
        return 0.0
    for s in range(len(row)):
        for k in range(row.shape[1]):
            if row[s, k] >= 0:
                matrix[row[s, k], s] += exp(weights[s, k] - most)
    return most


@compiled
def _ending(alpha: Any, final: Any) -> Any:
    most = -np.inf
    for s in range(len(final)):
        most = max(most, alpha[s + PAD] + final[s])
    if most == -np.inf:
        return most
    total = 0.0
    for s in range(len(final)):
        total += np.exp(alpha[s + PAD] + final[s] - most)
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
    begin: int,
    every: int,
    alphas: Any,
    totals: Any,
) -> None:
    """log Z of utterances ``begin``, ``begin`` + ``every``, ... into ``totals`` (B,).

    ``alphas`` (B, T, PAD + S) receives the forward variables, or is (B, 2, PAD + S): then only two frames
    are kept.  Its first `PAD` cells are -inf.
    """
    graphs, states, kept = pdf.shape[0], pdf.shape[1], alphas.shape[1]
    dense = 2 * predecessors.shape[2] > states
    matrix = np.empty((states, states)) if dense else np.empty((0, 0))
    diagonals, best = np.empty((DIAGONALS, states)), np.empty(states)
    reached = np.empty(states)
    for b in range(begin, scores.shape[0], every):
        g = b if graphs > 1 else 0
        graph = layout(predecessors[g])
        others, arriving = np.empty(len(graph.source)), np.empty(len(graph.source))
        column = pdf[g]
        for t in range(kept):
            for s in range(PAD):
                alphas[b, t, s] = -np.inf
        level = 0.0
        for s in range(states):
            alphas[b, 0, s + PAD] = start[g, s] + scores[b, 0, column[s]]
        for t in range(1, lengths[b]):
            now_weights = weights[g, t if weights.shape[1] > 1 else 0]
            if dense:
                if t == 1 or weights.shape[1] > 1:
                    level = _exponentials(predecessors[g], now_weights, matrix)
                _arrive_dense(
                    alphas[b, (t - 1) % kept], reached, best, predecessors[g], now_weights, matrix, level
                )
            else:
                if t == 1 or weights.shape[1] > 1:
                    weigh(graph, now_weights, 0, states, diagonals, others)
                _arrive(alphas[b, (t - 1) % kept], reached, best, graph, diagonals, others, arriving)
            now = alphas[b, t % kept]
            for s in range(states):
                now[s + PAD] = reached[s] + scores[b, t, column[s]]
        totals[b] = _ending(alphas[b, (lengths[b] - 1) % kept], final[g])


@compiled(fastmath=FAST)
def _share(
    old: Any,
    reached: Any,
    gamma: Any,
    before: Any,
    graph: Any,
    diagonals: Any,
    others: Any,
    shares: Any,
    xi: Any,
) -> None:
    """Hand the posteriors ``gamma`` (S,) of a frame back along the arcs: to ``before`` (PAD + S,) and ``xi``
    (S, K).

    Both are added to; ``shares`` (E,) is scratch.
    """
    states = len(gamma)
    for d in range(DIAGONALS):
        arrived = old[PAD - d : states + PAD - d]
        back = before[PAD - d : states + PAD - d]
        along = diagonals[d]
        for s in range(states):  # reached is never -inf where gamma is above 0
            share = gamma[s] * exp(min(arrived[s] + along[s] - reached[s], 0.0)) if gamma[s] > 0 else 0.0
            back[s] += share
            if graph.columns[d, s] >= 0:
                xi[s, graph.columns[d, s]] += share
    for e in range(len(others)):
        shares[e] = exp(min(old[graph.source[e] + PAD] + others[e] - reached[graph.target[e]], 0.0))
    for e in range(len(others)):
        s = graph.target[e]
        share = gamma[s] * shares[e]
        before[graph.source[e] + PAD] += share
        xi[s, graph.column[e]] += share


@compiled
def backward(
    scores: Any,
    lengths: Any,
    pdf: Any,
    predecessors: Any,
    weights: Any,
    final: Any,
    begin: int,
    every: int,
    alphas: Any,
    totals: Any,
    gammas: Any,
    xis: Any,
) -> None:
    """Posteriors of states into ``gammas`` (B, T, S) and of arcs, added up, into ``xis`` (B, U, S, K).

    ``alphas`` (B, T, PAD + S) and ``totals`` come from `forward`; utterances whose total is -inf are left
    alone.
    """
    graphs, states = pdf.shape[0], pdf.shape[1]
    diagonals, reached = np.empty((DIAGONALS, states)), np.empty(states)
    gamma, before = np.empty(states), np.empty(states + PAD)
    for b in range(begin, scores.shape[0], every):
        if totals[b] == -np.inf:
            continue
        g = b if graphs > 1 else 0
        graph = layout(predecessors[g])
        others, shares = np.empty(len(graph.source)), np.empty(len(graph.source))
        column = pdf[g]
        last = lengths[b] - 1
        for s in range(states):
            gamma[s] = exp(alphas[b, last, s + PAD] + final[g, s] - totals[b])
        for t in range(last, 0, -1):
            if t == last or weights.shape[1] > 1:
                weigh(graph, weights[g, t if weights.shape[1] > 1 else 0], 0, states, diagonals, others)
            for s in range(states):
                gammas[b, t, s] = gamma[s]
                score = scores[b, t, column[s]]
                reached[s] = alphas[b, t, s + PAD] - score if score > -np.inf else 0.0
            for s in range(states + PAD):
                before[s] = 0.0
            _share(
                alphas[b, t - 1],
                reached,
                gamma,
                before,
                graph,
                diagonals,
                others,
                shares,
                xis[b, t if xis.shape[1] > 1 else 0],
            )
            for s in range(states):
                gamma[s] = before[s + PAD]
        for s in range(states):
            gammas[b, 0, s] = gamma[s]
