"""The forward algorithm and its posteriors on CUDA; must equal `forward_backward.reference`.

As `logsum_numba`, but alpha is brought down by its maximum in every frame, and what was taken off is
added up in float64: all else may then stay in the floating type of the scores.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from aligner.search.arcs import Arcs
from aligner.search.kernels.viterbi_triton import IMPOSSIBLE, WIDEST, block_of, on_device, warps


@triton.jit
def arrive(values, own, moves, s, real, arcs, BLOCK: tl.constexpr):
    """log of the sum over each state's arcs of exp(value of the predecessor + weight)."""
    best = tl.full((BLOCK,), IMPOSSIBLE, values.dtype)
    for k in range(arcs):
        before = tl.load(own + s * arcs + k, real, -1)
        value = tl.gather(values, tl.maximum(before, 0), 0) + tl.load(moves + s * arcs + k, real, IMPOSSIBLE)
        best = tl.maximum(best, tl.where(before >= 0, value, IMPOSSIBLE))
    level = tl.where(best > IMPOSSIBLE, best, 0.0)
    total = tl.zeros((BLOCK,), values.dtype)
    for k in range(arcs):
        before = tl.load(own + s * arcs + k, real, -1)
        value = tl.gather(values, tl.maximum(before, 0), 0) + tl.load(moves + s * arcs + k, real, IMPOSSIBLE)
        total += tl.where(before >= 0, tl.exp(value - level), 0.0)
    return tl.where(total > 0, tl.log(tl.where(total > 0, total, 1.0)) + level, IMPOSSIBLE)


@triton.jit
def _forward(
    scores,
    lengths,
    pdf,
    predecessors,
    weights,
    start,
    final,
    alphas,
    totals,
    per_graph,
    per_varying,
    frames,
    columns,
    states,
    arcs,
    BLOCK: tl.constexpr,
):
    b = tl.program_id(0).to(tl.int64)
    columns, states = columns + b * 0, states + b * 0  # products with them may pass 2**31
    g = b * per_graph
    length = tl.load(lengths + b).to(tl.int32)
    s = tl.arange(0, BLOCK)
    real = s < states
    column = tl.load(pdf + g * states + s, real, 0)
    frame = scores + b * frames * columns
    own = predecessors + g * states * arcs
    own_weights = weights + g * (1 + per_varying * (frames - 1)) * states * arcs
    alpha = tl.load(start + g * states + s, real, IMPOSSIBLE) + tl.load(frame + column, real, IMPOSSIBLE)
    taken = tl.zeros((), tl.float64)
    for t in range(0, length):
        if t > 0:
            reached = arrive(
                values=alpha,
                own=own,
                moves=own_weights + t * per_varying * states * arcs,
                s=s,
                real=real,
                arcs=arcs,
                BLOCK=BLOCK,
            )
            alpha = reached + tl.load(frame + t * columns + column, real, IMPOSSIBLE)
        most = tl.max(alpha, 0)
        most = tl.where(most > IMPOSSIBLE, most, 0.0)
        alpha = alpha - most
        taken += most.to(tl.float64)
        tl.store(alphas + (b * frames + t) * states + s, alpha, real)
    ending = alpha + tl.load(final + g * states + s, real, IMPOSSIBLE)
    most = tl.max(ending, 0)
    level = tl.where(most > IMPOSSIBLE, most, 0.0)
    summed = tl.sum(tl.exp(ending - level), 0)
    total = tl.log(tl.where(summed > 0, summed, 1.0)) + level
    tl.store(totals + b, tl.where(most > IMPOSSIBLE, total.to(tl.float64) + taken, IMPOSSIBLE))


@triton.jit
def _backward(
    lengths,
    predecessors,
    successors,
    weights,
    final,
    alphas,
    totals,
    gammas,
    xis,
    per_graph,
    per_varying,
    frames,
    states,
    arcs,
    fan,
    BLOCK: tl.constexpr,
):
    b = tl.program_id(0).to(tl.int64)
    states = states + b * 0  # products with it may pass 2**31
    g = b * per_graph
    length = tl.load(lengths + b).to(tl.int32)
    s = tl.arange(0, BLOCK)
    real = s < states
    own = predecessors + g * states * arcs
    next_ones = successors + g * states * fan
    varying = 1 + per_varying * (frames - 1)
    if tl.load(totals + b) > IMPOSSIBLE:
        ending = tl.load(alphas + (b * frames + length - 1) * states + s, real, IMPOSSIBLE)
        ending += tl.load(final + g * states + s, real, IMPOSSIBLE)
        shares = tl.exp(ending - tl.max(ending, 0))
        gamma = shares / tl.sum(shares, 0)
        tl.store(gammas + (b * frames + length - 1) * states + s, gamma, real)
        for back in range(1, length):
            t = length - back
            moves = weights + (g * varying + t * per_varying) * states * arcs
            alpha = tl.load(alphas + (b * frames + t - 1) * states + s, real, IMPOSSIBLE)
            reached = arrive(values=alpha, own=own, moves=moves, s=s, real=real, arcs=arcs, BLOCK=BLOCK)
            level = tl.where(reached > IMPOSSIBLE, reached, 0.0)
            for k in range(arcs):
                before = tl.load(own + s * arcs + k, real, -1)
                value = tl.gather(alpha, tl.maximum(before, 0), 0) + tl.load(
                    moves + s * arcs + k, real, IMPOSSIBLE
                )
                share = tl.where(before >= 0, gamma * tl.exp(value - level), 0.0)
                cell = xis + ((b * varying + t * per_varying) * states + s) * arcs + k
                tl.store(cell, tl.load(cell, real, 0.0) + share, real)
            earlier = tl.zeros((BLOCK,), gamma.dtype)
            for j in range(fan):
                arc = tl.load(next_ones + s * fan + j, real, -1)
                target = tl.maximum(arc, 0) // arcs
                value = (
                    alpha
                    + tl.load(moves + tl.maximum(arc, 0), real, IMPOSSIBLE)
                    - tl.gather(level, target, 0)
                )
                share = tl.gather(gamma, target, 0) * tl.exp(tl.minimum(value, 0.0))
                earlier += tl.where(arc >= 0, share, 0.0)
            gamma = earlier
            tl.store(gammas + (b * frames + t - 1) * states + s, gamma, real)


def successors_of(predecessors: Tensor) -> Tensor:
    """Arcs out of each state: (G, S, fan) int32, numbers ``state * K + column`` of arcs, -1 fills the row."""
    _, states, arcs = predecessors.shape
    rows = []
    for table in predecessors.cpu():
        target, column = torch.nonzero(table >= 0, as_tuple=True)
        source = table[target, column].long()
        order = torch.argsort(source, stable=True)
        counts = torch.bincount(source, minlength=states)
        place = torch.arange(len(order)) - torch.repeat_interleave(counts.cumsum(0) - counts, counts)
        row = torch.full((states, max(1, int(counts.max()))), -1, dtype=torch.int32)
        row[source[order], place] = (target * arcs + column)[order].int()
        rows.append(row)
    widest = max(r.shape[1] for r in rows)
    padded = [torch.nn.functional.pad(r, (0, widest - r.shape[1]), value=-1) for r in rows]
    return torch.stack(padded).to(predecessors.device)


class Passes:
    """The two passes over one batch, with what the first leaves for the second."""

    def __init__(self, arcs: Arcs, scores: Tensor, lengths: Tensor) -> None:
        self.scores, self.lengths = scores.contiguous(), lengths.to(scores.device)
        self.pdf, self.predecessors, self.weights, self.start, self.final = on_device(arcs, scores)
        self.block = block_of(arcs.states, WIDEST)
        self.own = int(len(arcs.pdf) > 1), int(arcs.weights.shape[1] > 1)

    def forward(self, keep: bool) -> Tensor:
        """log Z (B,) in float64; ``keep`` is for `backward`, which needs all that is kept anyway."""
        batch, frames, columns = self.scores.shape
        states, arcs = self.predecessors.shape[1:]
        self.alphas = self.scores.new_empty(batch, frames, states)
        totals = torch.empty(batch, dtype=torch.float64, device=self.scores.device)
        _forward[(batch,)](
            self.scores,
            self.lengths,
            self.pdf,
            self.predecessors,
            self.weights,
            self.start,
            self.final,
            self.alphas,
            totals,
            *self.own,
            frames,
            columns,
            states,
            arcs,
            BLOCK=self.block,
            num_warps=warps(self.block),
        )
        return totals

    def backward(self, totals: Tensor) -> tuple[Tensor, Tensor]:
        """Posteriors of states (B, T, S) and arcs (B, U, S, K)."""
        batch, frames, _ = self.scores.shape
        states, arcs = self.predecessors.shape[1:]
        gammas = self.scores.new_zeros(batch, frames, states)
        xis = self.scores.new_zeros(batch, *self.weights.shape[1:])
        successors = successors_of(self.predecessors)
        _backward[(batch,)](
            self.lengths,
            self.predecessors,
            successors,
            self.weights,
            self.final,
            self.alphas,
            totals,
            gammas,
            xis,
            *self.own,
            frames,
            states,
            arcs,
            successors.shape[2],
            BLOCK=self.block,
            num_warps=warps(self.block),
        )
        return gammas, xis
