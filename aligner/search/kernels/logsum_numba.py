"""The forward algorithm and its posteriors on the CPU, in float64; must equal `forward_backward.reference`.

The backward pass needs no beta: with alpha known, the share of arc p -> s in alpha[t, s] is
exp(alpha[t-1, p] + w - logsum), and the posterior of the arc is that share of the posterior of s
(backpropagation through the forward algorithm: Eisner 2016, *Inside-outside and forward-backward
algorithms are just backprop*).  Everything then stays between 0 and 1.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from aligner.search.arcs import Arcs, arrays
from aligner.search.kernels import compiled, spread
from aligner.search.kernels.exponential import FAST, exp
from aligner.search.kernels.layout import DIAGONALS, layout, weigh
from aligner.search.kernels.viterbi_numba import PAD

UNDERFLOW = 1e-250  # below, a sum may have lost terms to underflow


class Batch(NamedTuple):
    """A batch's scores and graphs (see `aligner.search.arcs`) as arrays."""

    scores: Any
    lengths: Any
    pdf: Any
    predecessors: Any
    weights: Any
    start: Any
    final: Any


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
    """Do as `_arrive` for graphs with most of all arcs, by exponentials of states, not of arcs.

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
        if reached[s] > UNDERFLOW:
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
def _forward(batch: Any, begin: int, every: int, alphas: Any, totals: Any) -> None:
    """log Z of utterances ``begin``, ``begin`` + ``every``, ... into ``totals`` (B,).

    ``alphas`` (B, T, PAD + S) receives the forward variables, or is (B, 2, PAD + S): then only two frames
    are kept.  Its first `PAD` cells are -inf.
    """
    scores, lengths, pdf, predecessors, weights, start, final = batch
    dense = 2 * predecessors.shape[2] > pdf.shape[1]
    for b in range(begin, scores.shape[0], every):
        g = b if pdf.shape[0] > 1 else 0
        length, own = lengths[b], alphas[b]
        for t in range(own.shape[0]):
            for s in range(PAD):
                own[t, s] = -np.inf
        for s in range(pdf.shape[1]):
            own[0, s + PAD] = start[g, s] + scores[b, 0, pdf[g, s]]
        if dense:
            _forward_dense(
                scores=scores[b],
                length=length,
                pdf=pdf[g],
                row=predecessors[g],
                weights=weights[g],
                alphas=own,
            )
        else:
            _forward_sparse(
                scores=scores[b],
                length=length,
                pdf=pdf[g],
                row=predecessors[g],
                weights=weights[g],
                alphas=own,
            )
        totals[b] = _ending(own[(length - 1) % own.shape[0]], final[g])


@compiled
def _forward_dense(scores: Any, length: int, pdf: Any, row: Any, weights: Any, alphas: Any) -> None:
    """Forward variables of one utterance, from those of its first frame on, by `_arrive_dense`."""
    states, kept, level = len(pdf), alphas.shape[0], 0.0
    matrix, reached, shares = np.empty((states, states)), np.empty(states), np.empty(states)
    for t in range(1, length):
        moves = weights[t if weights.shape[0] > 1 else 0]
        if t == 1 or weights.shape[0] > 1:
            level = _exponentials(row, moves, matrix)
        _arrive_dense(
            old=alphas[(t - 1) % kept],
            reached=reached,
            shares=shares,
            row=row,
            weights=moves,
            matrix=matrix,
            level=level,
        )
        now = alphas[t % kept]
        for s in range(states):
            now[s + PAD] = reached[s] + scores[t, pdf[s]]


@compiled
def _forward_sparse(scores: Any, length: int, pdf: Any, row: Any, weights: Any, alphas: Any) -> None:
    """Forward variables of one utterance, from those of its first frame on, by `_arrive`."""
    states, kept, graph = len(pdf), alphas.shape[0], layout(row)
    diagonals, reached, best = np.empty((DIAGONALS, states)), np.empty(states), np.empty(states)
    others, arriving = np.empty(len(graph.source)), np.empty(len(graph.source))
    for t in range(1, length):
        if t == 1 or weights.shape[0] > 1:
            weigh(
                graph=graph,
                weights=weights[t if weights.shape[0] > 1 else 0],
                lo=0,
                hi=states,
                diagonals=diagonals,
                others=others,
            )
        _arrive(
            old=alphas[(t - 1) % kept],
            reached=reached,
            best=best,
            graph=graph,
            diagonals=diagonals,
            others=others,
            arriving=arriving,
        )
        now = alphas[t % kept]
        for s in range(states):
            now[s + PAD] = reached[s] + scores[t, pdf[s]]


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
def _backward(batch: Any, begin: int, every: int, alphas: Any, totals: Any, gammas: Any, xis: Any) -> None:
    """Posteriors of states into ``gammas`` (B, T, S) and of arcs, added up, into ``xis`` (B, U, S, K).

    ``alphas`` (B, T, PAD + S) and ``totals`` come from `_forward`; utterances whose total is -inf are left
    alone.
    """
    scores, lengths, pdf, predecessors, weights, _, final = batch
    for b in range(begin, scores.shape[0], every):
        if totals[b] == -np.inf:
            continue
        g, last = b if pdf.shape[0] > 1 else 0, lengths[b] - 1
        for s in range(pdf.shape[1]):
            gammas[b, last, s] = exp(alphas[b, last, s + PAD] + final[g, s] - totals[b])
        _hand_back(
            scores=scores[b],
            last=last,
            pdf=pdf[g],
            row=predecessors[g],
            weights=weights[g],
            alphas=alphas[b],
            gammas=gammas[b],
            xis=xis[b],
        )


@compiled
def _hand_back(
    scores: Any, last: int, pdf: Any, row: Any, weights: Any, alphas: Any, gammas: Any, xis: Any
) -> None:
    """Posteriors of one utterance, from those of the states in its ``last`` frame back to the first."""
    states, graph = len(pdf), layout(row)
    diagonals, reached = np.empty((DIAGONALS, states)), np.empty(states)
    before, others, shares = np.empty(states + PAD), np.empty(len(graph.source)), np.empty(len(graph.source))
    for t in range(last, 0, -1):
        if t == last or weights.shape[0] > 1:
            weigh(
                graph=graph,
                weights=weights[t if weights.shape[0] > 1 else 0],
                lo=0,
                hi=states,
                diagonals=diagonals,
                others=others,
            )
        for s in range(states):
            score = scores[t, pdf[s]]
            reached[s] = alphas[t, s + PAD] - score if score > -np.inf else 0.0
        for s in range(states + PAD):
            before[s] = 0.0
        _share(
            old=alphas[t - 1],
            reached=reached,
            gamma=gammas[t],
            before=before,
            graph=graph,
            diagonals=diagonals,
            others=others,
            shares=shares,
            xi=xis[t if xis.shape[0] > 1 else 0],
        )
        for s in range(states):
            gammas[t - 1, s] = before[s + PAD]


class Passes:
    """The two passes over one batch, with what the first leaves for the second."""

    def __init__(self, arcs: Arcs, scores: Tensor, lengths: Tensor) -> None:
        self.arcs, self.scores = arcs, scores
        self.batch = Batch(*arrays(scores, lengths, *arcs))

    def forward(self, keep: bool) -> Tensor:
        """Compute log Z (B,) in float64; ``keep`` is for `backward`, which needs all forward variables."""
        batch, frames, _ = self.scores.shape
        kept = frames if keep else min(2, frames)
        self.alphas = torch.empty(batch, kept, PAD + self.arcs.states, dtype=torch.float64)
        totals = torch.full((batch,), -torch.inf, dtype=torch.float64)
        found = arrays(self.alphas, totals)
        spread(lambda first, step: _forward(self.batch, first, step, *found), batch)
        return totals

    def backward(self, totals: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the posteriors of states (B, T, S) and arcs (B, U, S, K)."""
        batch, frames, _ = self.scores.shape
        gammas = torch.zeros(batch, frames, self.arcs.states, dtype=torch.float64)
        xis = torch.zeros(batch, *self.arcs.weights.shape[1:], dtype=torch.float64)
        found = arrays(self.alphas, totals, gammas, xis)
        spread(lambda first, step: _backward(self.batch, first, step, *found), batch)
        return gammas.to(self.scores.dtype), xis.to(self.scores.dtype)
