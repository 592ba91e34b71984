"""Segmental search and sums on the CPU, in float64; must equal the references in `aligner.search.segmental`.

With cumulated scores C[t, s], a segment of state s from frame b to frame t - 1 weighs C[t] - C[b] plus its
duration's weight.  So with A[b] = begin[b] - C[b] the recursion over segments that end before t is a sum
(or a maximum) of A[t - d] + duration[d] over d: neighbours in memory, where A is kept state by state.
A frame that scores -inf is left out of C; segments may not reach back over it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from aligner.search.arcs import Arcs, arrays
from aligner.search.kernels import compiled, spread
from aligner.search.kernels.exponential import FAST, exp


class Batch(NamedTuple):
    """A batch's scores, graphs and durations (see `aligner.search.segmental`) as arrays."""

    scores: Any
    lengths: Any
    pdf: Any
    predecessors: Any
    weights: Any
    start: Any
    final: Any
    durations: Any


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
def _best_segments(batch: Any, begin: int, every: int, paths: Any, begins: Any, totals: Any) -> None:
    """States (B, T), where segments begin (B, T), and totals (B,), of every ``every``-th utterance."""
    scores, lengths, pdf, predecessors, weights, start, final, durations = batch
    states, frames = pdf.shape[1], scores.shape[1]
    opened = np.empty((states, frames + 1))  # A
    ends = np.empty(states)
    chosen = np.empty((frames + 1, states), np.uint16)
    choices = np.empty((frames + 1, states), np.int32)
    for b in range(begin, scores.shape[0], every):
        g = b if predecessors.shape[0] > 1 else 0
        h = b if durations.shape[0] > 1 else 0
        for s in range(states):
            opened[s, 0] = start[g, s]
        _search(
            scores=scores[b],
            length=lengths[b],
            pdf=pdf[g],
            predecessors=predecessors[g],
            weights=weights[g],
            durations=durations[h],
            opened=opened,
            ends=ends,
            chosen=chosen,
            choices=choices,
        )
        state, totals[b] = 0, -np.inf
        for s in range(states):
            if ends[s] + final[g, s] > totals[b]:
                state, totals[b] = s, ends[s] + final[g, s]
        if totals[b] > -np.inf:
            _trace(
                state=state,
                length=lengths[b],
                chosen=chosen,
                choices=choices,
                path=paths[b],
                begins=begins[b],
            )


@compiled
def _search(
    scores: Any,
    length: int,
    pdf: Any,
    predecessors: Any,
    weights: Any,
    durations: Any,
    opened: Any,
    ends: Any,
    chosen: Any,
    choices: Any,
) -> None:
    """The recursion of one utterance: sums of its last frame in ``ends`` (S,), and for every frame the best
    duration of a segment that ends before it, ``chosen``, and the best state before one that begins there,
    ``choices``, both (T + 1, S)."""
    states = len(pdf)
    total, arrived, barred = np.zeros(states), np.empty(states), np.zeros(states, np.int64)
    for t in range(1, length + 1):
        _cumulate(t, scores[t - 1], pdf, total, barred)
        lasts = durations[t - 1 if durations.shape[0] > 1 else 0]
        for s in range(states):
            best, choice = -np.inf, 1
            for d in range(1, _reach(t, s, durations.shape[2], barred) + 1):
                value = opened[s, t - d] + lasts[s, d - 1]
                if value > best:
                    best, choice = value, d
            ends[s] = best + total[s]
            chosen[t, s] = choice
        if t < length:
            moves = weights[t if weights.shape[0] > 1 else 0]
            _arrive(ends, predecessors, moves, arrived, choices[t])
            for s in range(states):
                opened[s, t] = arrived[s] - total[s]


@compiled
def _arrive(ends: Any, predecessors: Any, moves: Any, arrived: Any, choices: Any) -> None:
    """Sum over the best arc into each state, ``arrived`` (S,), and the state that it comes from."""
    for s in range(len(arrived)):
        best, choice = -np.inf, 0
        for k in range(predecessors.shape[1]):
            p = predecessors[s, k]
            if p >= 0 and ends[p] + moves[s, k] > best:
                best, choice = ends[p] + moves[s, k], p
        arrived[s] = best
        choices[s] = choice


@compiled
def _trace(state: int, length: int, chosen: Any, choices: Any, path: Any, begins: Any) -> None:
    """Write the segments of the path that ends in ``state`` into ``path`` and ``begins`` (T,)."""
    t = length
    while t > 0:
        first = t - chosen[t, state]
        for i in range(first, t):
            path[i] = state
        begins[first] = True
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
def _forward(batch: Any, begin: int, every: int, kept: Any, totals: Any) -> None:
    """log Z into ``totals`` (B,); on the way A (B, S, T + 1), ends and C (B, T + 1, S), kept for
    `_backward`."""
    scores, lengths, pdf, predecessors, weights, start, final, durations = batch
    opened, ended, cumulated = kept
    for b in range(begin, scores.shape[0], every):
        g = b if predecessors.shape[0] > 1 else 0
        h = b if durations.shape[0] > 1 else 0
        for s in range(pdf.shape[1]):
            cumulated[b, 0, s], opened[b, s, 0] = 0.0, start[g, s]
        _sum_segments(
            scores=scores[b],
            length=lengths[b],
            pdf=pdf[g],
            predecessors=predecessors[g],
            weights=weights[g],
            durations=durations[h],
            opened=opened[b],
            ended=ended[b],
            cumulated=cumulated[b],
        )
        totals[b] = _sum_final(ended[b, lengths[b]], final[g])


@compiled
def _sum_segments(
    scores: Any,
    length: int,
    pdf: Any,
    predecessors: Any,
    weights: Any,
    durations: Any,
    opened: Any,
    ended: Any,
    cumulated: Any,
) -> None:
    """The recursion of one utterance: A (S, T + 1), ends and C (T + 1, S), from what they are at frame 0."""
    states = len(pdf)
    barred = np.zeros(states, np.int64)
    total = cumulated[0]
    for t in range(1, length + 1):
        for s in range(states):
            cumulated[t, s] = total[s]
        total = cumulated[t]
        _cumulate(t, scores[t - 1], pdf, total, barred)
        lasts = durations[t - 1 if durations.shape[0] > 1 else 0]
        ends = ended[t]
        for s in range(states):
            n = _reach(t, s, durations.shape[2], barred)
            ends[s] = _sum_ends(opened[s, t - n : t], lasts[s, :n]) + total[s]
        if t < length:
            moves = weights[t if weights.shape[0] > 1 else 0]
            for s in range(states):
                opened[s, t] = _sum_arcs(ends, predecessors[s], moves[s]) - total[s]


@compiled
def _sum_final(ends: Any, final: Any) -> float:
    """log of the sum over final states."""
    most = -np.inf
    for s in range(len(final)):
        most = max(most, ends[s] + final[s])
    summed = 0.0
    for s in range(len(final)):
        summed += exp(ends[s] + final[s] - most) if most > -np.inf else 0.0
    return most + np.log(summed) if most > -np.inf else -np.inf


@compiled(fastmath=FAST)
def _share_ends(posterior: float, level: float, opened: Any, lasts: Any, begun: Any, spans: Any) -> None:
    """Hand the posterior of an end back to where its segment may have begun, and to its durations."""
    n = len(opened)
    for i in range(n):
        share = posterior * exp(min(opened[i] + lasts[n - 1 - i] - level, 0.0))
        begun[i] += share
        spans[n - 1 - i] += share


@compiled
def _backward(batch: Any, begin: int, every: int, kept: Any, totals: Any, found: Any) -> None:
    """Posteriors of states ``gammas`` (B, T, S), arcs ``xis`` (B, U, S, K), and durations ``spans`` (B, V, S,
    D).

    And that a segment begins, ``begun`` (B, S, T + 1), or has ended, ``finished`` (B, T + 1, S).  All are
    added to; the rest comes from `_forward`.
    """
    scores, lengths, pdf, predecessors, weights, _, final, durations = batch
    opened, ended, cumulated = kept
    begun, finished, gammas, xis, spans = found
    for b in range(begin, scores.shape[0], every):
        if totals[b] == -np.inf:
            continue
        g = b if predecessors.shape[0] > 1 else 0
        h = b if durations.shape[0] > 1 else 0
        length = lengths[b]
        for s in range(pdf.shape[1]):
            finished[b, length, s] = exp(ended[b, length, s] + final[g, s] - totals[b])
        for t in range(length, 0, -1):
            if t < length:
                v = t if weights.shape[1] > 1 else 0
                _share_arcs(
                    begun=begun[b, :, t],
                    opened=opened[b, :, t],
                    cumulated=cumulated[b, t],
                    ended=ended[b, t],
                    predecessors=predecessors[g],
                    weights=weights[g, v],
                    done=finished[b, t],
                    xis=xis[b, v],
                )
            v = t - 1 if durations.shape[1] > 1 else 0
            for s in range(pdf.shape[1]):
                if finished[b, t, s] <= 0:
                    continue
                n = _possible(scores[b], pdf[g, s], t, durations.shape[3])
                _share_ends(
                    posterior=finished[b, t, s],
                    level=ended[b, t, s] - cumulated[b, t, s],
                    opened=opened[b, s, t - n : t],
                    lasts=durations[h, v, s, :n],
                    begun=begun[b, s, t - n : t],
                    spans=spans[b, v, s, :n],
                )
        for s in range(pdf.shape[1]):
            _occupy(begun[b, s], finished[b, :, s], gammas[b, :length, s])


@compiled
def _share_arcs(
    begun: Any,
    opened: Any,
    cumulated: Any,
    ended: Any,
    predecessors: Any,
    weights: Any,
    done: Any,
    xis: Any,
) -> None:
    """Hand the posteriors ``begun`` (S,) of beginnings at a frame back along the arcs, to ``done`` (S,)."""
    for s in range(len(begun)):
        if begun[s] <= 0:
            continue
        level = opened[s] + cumulated[s]
        for k in range(predecessors.shape[1]):
            p = predecessors[s, k]
            if p >= 0:
                share = begun[s] * exp(min(ended[p] + weights[s, k] - level, 0.0))
                xis[s, k] += share
                done[p] += share


@compiled
def _possible(scores: Any, column: int, t: int, longest: int) -> int:
    """Frames of the longest segment that ends before frame ``t``: not over one that is impossible."""
    for d in range(min(longest, t)):
        if scores[t - 1 - d, column] == -np.inf:
            return d
    return min(longest, t)


@compiled
def _occupy(begun: Any, finished: Any, gamma: Any) -> None:
    """Posteriors ``gamma`` (T,) of a state: it is occupied from its segments' beginnings to their ends."""
    occupied = 0.0
    for t in range(len(gamma)):
        occupied += begun[t] - (finished[t] if t > 0 else 0.0)
        gamma[t] = min(max(occupied, 0.0), 1.0)


def best_segments(
    arcs: Arcs, scores: Tensor, durations: Tensor, lengths: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """States (B, T), where segments begin (B, T), and totals (B,)."""
    batch = Batch(*arrays(scores, lengths, *arcs, durations))
    states = torch.full(scores.shape[:2], -1)
    begins = torch.zeros(scores.shape[:2], dtype=torch.bool)
    totals = torch.full((len(scores),), -torch.inf, dtype=torch.float64)
    results = arrays(states, begins, totals)
    spread(lambda first, step: _best_segments(batch, first, step, *results), len(scores))
    return states, begins, totals.to(scores.dtype)


class Passes:
    """The two passes over one batch, with what the first leaves for the second."""

    def __init__(self, arcs: Arcs, scores: Tensor, durations: Tensor, lengths: Tensor) -> None:
        self.batch, self.dtype = Batch(*arrays(scores, lengths, *arcs, durations)), scores.dtype
        batch, frames, _ = scores.shape
        self.shape = batch, frames, arcs.states
        self.arcs, self.spans = (batch, *arcs.weights.shape[1:]), (batch, *durations.shape[1:])

    def forward(self) -> Tensor:
        """Compute log Z (B,) in float64."""
        batch, frames, states = self.shape
        opened = torch.empty(batch, states, frames + 1, dtype=torch.float64)
        ended, cumulated = (torch.empty(batch, frames + 1, states, dtype=torch.float64) for _ in range(2))
        totals = torch.full((batch,), -torch.inf, dtype=torch.float64)
        self.kept = arrays(opened, ended, cumulated)
        [sums] = arrays(totals)
        spread(lambda first, step: _forward(self.batch, first, step, self.kept, sums), batch)
        return totals

    def backward(self, totals: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Compute the posteriors of states (B, T, S), arcs (B, U, S, K) and durations (B, V, S, D)."""
        batch, frames, states = self.shape
        shapes = (
            (batch, states, frames + 1),
            (batch, frames + 1, states),
            (batch, frames, states),
            self.arcs,
            self.spans,
        )
        begun, finished, *found = (torch.zeros(s, dtype=torch.float64) for s in shapes)
        [sums], results = arrays(totals), arrays(begun, finished, *found)
        spread(
            lambda first, step: _backward(
                batch=self.batch, begin=first, every=step, kept=self.kept, totals=sums, found=results
            ),
            batch,
        )
        gammas, xis, spans = (v.to(self.dtype) for v in found)
        return gammas, xis, spans
