"""Segmental search and sums on CUDA; must equal the references in `aligner.search.segmental`.

The recursions are those of `segmental_numba`.  Cumulated scores are float64, for their differences are
wanted after thousands of frames; exponentials are in the floating type of the scores.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from aligner.graph.flat import NONE
from aligner.search.arcs import Arcs
from aligner.search.kernels.logsum_triton import arrive, successors_of
from aligner.search.kernels.viterbi_triton import IMPOSSIBLE, WIDEST, block_of, on_device, warps


@triton.jit
def _best_segments(
    scores,
    lengths,
    pdf,
    predecessors,
    weights,
    start,
    final,
    durations,
    opened,
    chosen,
    choices,
    paths,
    begins,
    totals,
    per_graph,
    per_varying,
    per_durations,
    per_ending,
    frames,
    columns,
    states,
    arcs,
    longest,
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
    spans = durations + b * per_durations * (1 + per_ending * (frames - 1)) * states * longest
    begun = opened + b * (frames + 1) * states
    own_chosen = chosen + b * (frames + 1) * states
    own_choices = choices + b * (frames + 1) * states
    tl.store(begun + s, tl.load(start + g * states + s, real, IMPOSSIBLE).to(tl.float64), real)
    total = tl.zeros((BLOCK,), tl.float64)
    barred = tl.zeros((BLOCK,), tl.int32)
    ends = tl.full((BLOCK,), IMPOSSIBLE, tl.float64)
    for t in range(1, length + 1):
        now = tl.load(frame + (t - 1) * columns + column, real, IMPOSSIBLE)
        total += tl.where(now > IMPOSSIBLE, now, 0.0).to(tl.float64)
        barred = tl.where(now > IMPOSSIBLE, barred, t)
        lasts = spans + (t - 1) * per_ending * states * longest
        best = tl.full((BLOCK,), IMPOSSIBLE, tl.float64)
        choice = tl.zeros((BLOCK,), tl.int32) + 1
        for d in range(1, tl.minimum(longest, t) + 1):
            value = tl.load(begun + (t - d) * states + s, real, IMPOSSIBLE) + tl.load(
                lasts + s * longest + d - 1, real, IMPOSSIBLE
            ).to(tl.float64)
            value = tl.where(t - d >= barred, value, IMPOSSIBLE)
            choice = tl.where(value > best, d, choice)
            best = tl.maximum(best, value)
        ends = best + total
        tl.store(own_chosen + t * states + s, choice.to(tl.uint16), real)
        if t < length:
            moves = own_weights + t * per_varying * states * arcs
            best = tl.full((BLOCK,), IMPOSSIBLE, tl.float64)
            choice = tl.zeros((BLOCK,), tl.int32)
            for k in range(arcs):
                before = tl.load(own + s * arcs + k, real, -1)
                value = tl.gather(ends, tl.maximum(before, 0), 0) + tl.load(
                    moves + s * arcs + k, real, IMPOSSIBLE
                ).to(tl.float64)
                value = tl.where(before >= 0, value, IMPOSSIBLE)
                choice = tl.where(value > best, before, choice)
                best = tl.maximum(best, value)
            tl.store(begun + t * states + s, best - total, real)
            tl.store(own_choices + t * states + s, choice, real)
    ends += tl.load(final + g * states + s, real, IMPOSSIBLE).to(tl.float64)
    best = tl.max(ends, 0)
    tl.store(totals + b, best)
    tl.debug_barrier()  # every thread's choices are written before they are read
    if best > IMPOSSIBLE:
        state = tl.argmax(ends, 0).to(tl.int32)
        t = length
        while t > 0:
            first = t - tl.load(own_chosen + t * states + state).to(tl.int32)
            for i in range(first, t):
                tl.store(paths + b * frames + i, state.to(tl.int64))
            tl.store(begins + b * frames + first, 1)
            state = tl.load(own_choices + first * states + state, first > 0, 0).to(tl.int32)
            t = first


@triton.jit
def _forward(
    scores,
    lengths,
    pdf,
    predecessors,
    weights,
    start,
    final,
    durations,
    opened,
    ended,
    cumulated,
    totals,
    per_graph,
    per_varying,
    per_durations,
    per_ending,
    frames,
    columns,
    states,
    arcs,
    longest,
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
    spans = durations + b * per_durations * (1 + per_ending * (frames - 1)) * states * longest
    base = b * (frames + 1) * states + s
    tl.store(opened + base, tl.load(start + g * states + s, real, IMPOSSIBLE).to(tl.float64), real)
    total = tl.zeros((BLOCK,), tl.float64)
    barred = tl.zeros((BLOCK,), tl.int32)
    ends = tl.full((BLOCK,), IMPOSSIBLE, tl.float64)
    for t in range(1, length + 1):
        now = tl.load(frame + (t - 1) * columns + column, real, IMPOSSIBLE)
        total += tl.where(now > IMPOSSIBLE, now, 0.0).to(tl.float64)
        barred = tl.where(now > IMPOSSIBLE, barred, t)
        lasts = spans + (t - 1) * per_ending * states * longest + s * longest
        best = tl.full((BLOCK,), IMPOSSIBLE, tl.float64)
        for d in range(1, tl.minimum(longest, t) + 1):
            value = tl.load(opened + base + (t - d) * states, real, IMPOSSIBLE) + tl.load(
                lasts + d - 1, real, IMPOSSIBLE
            ).to(tl.float64)
            best = tl.maximum(best, tl.where(t - d >= barred, value, IMPOSSIBLE))
        level = tl.where(best > IMPOSSIBLE, best, 0.0)
        summed = tl.zeros((BLOCK,), now.dtype)
        for d in range(1, tl.minimum(longest, t) + 1):
            value = tl.load(opened + base + (t - d) * states, real, IMPOSSIBLE) + tl.load(
                lasts + d - 1, real, IMPOSSIBLE
            ).to(tl.float64)
            summed += tl.where(t - d >= barred, tl.exp((value - level).to(now.dtype)), 0.0)
        some = summed > 0
        ends = tl.where(some, tl.log(tl.where(some, summed, 1.0)).to(tl.float64) + level + total, IMPOSSIBLE)
        tl.store(ended + base + t * states, ends, real)
        tl.store(cumulated + base + t * states, total, real)
        if t < length:
            most = tl.max(ends, 0)
            most = tl.where(most > IMPOSSIBLE, most, 0.0)
            reached = arrive(
                values=(ends - most).to(now.dtype),
                own=own,
                moves=own_weights + t * per_varying * states * arcs,
                s=s,
                real=real,
                arcs=arcs,
                BLOCK=BLOCK,
            )
            tl.store(opened + base + t * states, reached.to(tl.float64) + most - total, real)
    ends += tl.load(final + g * states + s, real, IMPOSSIBLE).to(tl.float64)
    best = tl.max(ends, 0)
    level = tl.where(best > IMPOSSIBLE, best, 0.0)
    summed = tl.sum(tl.exp(ends - level), 0)
    total_of_all = tl.log(tl.where(summed > 0, summed, 1.0)) + level
    tl.store(totals + b, tl.where(best > IMPOSSIBLE, total_of_all, IMPOSSIBLE))


@triton.jit
def _backward(
    scores,
    lengths,
    pdf,
    predecessors,
    successors,
    weights,
    final,
    durations,
    opened,
    ended,
    cumulated,
    totals,
    begun,
    finished,
    xis,
    spread,
    per_graph,
    per_varying,
    per_durations,
    per_ending,
    frames,
    columns,
    states,
    arcs,
    fan,
    longest,
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
    next_ones = successors + g * states * fan
    varying = 1 + per_varying * (frames - 1)
    ending = 1 + per_ending * (frames - 1)
    spans = durations + b * per_durations * ending * states * longest + s * longest
    base = b * (frames + 1) * states + s
    best = tl.load(totals + b)
    if best > IMPOSSIBLE:
        done = tl.load(ended + base + length * states, real, IMPOSSIBLE)
        done = tl.exp(done + tl.load(final + g * states + s, real, IMPOSSIBLE).to(tl.float64) - best)
        for back in range(0, length):
            t = length - back
            ends = tl.load(ended + base + t * states, real, IMPOSSIBLE)
            total = tl.load(cumulated + base + t * states, real, 0.0)
            if t < length:
                moves = weights + (g * varying + t * per_varying) * states * arcs
                mine = tl.load(begun + base + t * states, real, 0.0)
                level = tl.load(opened + base + t * states, real, IMPOSSIBLE) + total
                level = tl.where(level > IMPOSSIBLE, level, 0.0)
                for k in range(arcs):
                    before = tl.load(own + s * arcs + k, real, -1)
                    value = (
                        tl.gather(ends, tl.maximum(before, 0), 0)
                        - level
                        + tl.load(moves + s * arcs + k, real, IMPOSSIBLE).to(tl.float64)
                    )
                    share = tl.where(before >= 0, mine * tl.exp(tl.minimum(value, 0.0)), 0.0)
                    cell = xis + ((b * varying + t * per_varying) * states + s) * arcs + k
                    tl.store(cell, tl.load(cell, real, 0.0) + share, real)
                done = tl.zeros((BLOCK,), tl.float64)
                for j in range(fan):
                    arc = tl.load(next_ones + s * fan + j, real, -1)
                    target = tl.maximum(arc, 0) // arcs
                    value = (
                        ends
                        - tl.gather(level, target, 0)
                        + tl.load(moves + tl.maximum(arc, 0), real, IMPOSSIBLE).to(tl.float64)
                    )
                    share = tl.gather(mine, target, 0) * tl.exp(tl.minimum(value, 0.0))
                    done += tl.where(arc >= 0, share, 0.0)
            tl.store(finished + base + t * states, done, real)
            level = tl.where(ends > IMPOSSIBLE, ends - total, 0.0)
            open_still = done > 0  # a segment may not reach back over an impossible frame
            for d in range(1, tl.minimum(longest, t) + 1):
                now = tl.load(frame + (t - d) * columns + column, real, IMPOSSIBLE)
                open_still = open_still & (now > IMPOSSIBLE)
                cell = opened + base + (t - d) * states
                value = (
                    tl.load(cell, real, IMPOSSIBLE)
                    - level
                    + tl.load(spans + (t - 1) * per_ending * states * longest + d - 1, real, IMPOSSIBLE).to(
                        tl.float64
                    )
                )
                share = tl.where(open_still, done * tl.exp(tl.minimum(value, 0.0)), 0.0)
                cell = begun + base + (t - d) * states
                tl.store(cell, tl.load(cell, real, 0.0) + share, real)
                cell = spread + ((b * ending + (t - 1) * per_ending) * states + s) * longest + d - 1
                tl.store(cell, tl.load(cell, real, 0.0) + share, real)


class Passes:
    """The two passes over one batch, with what the first leaves for the second."""

    def __init__(self, arcs: Arcs, scores: Tensor, durations: Tensor, lengths: Tensor) -> None:
        self.scores, self.lengths = scores.contiguous(), lengths.to(scores.device)
        self.pdf, self.predecessors, self.weights, self.start, self.final = on_device(arcs, scores)
        self.durations = durations.to(scores).contiguous()
        self.block = block_of(arcs.states, WIDEST // 2)  # 8 bytes each
        self.own = (
            int(len(arcs.pdf) > 1),
            int(arcs.weights.shape[1] > 1),
            int(len(durations) > 1),
            int(durations.shape[1] > 1),
        )

    def _new(self, *shape: int) -> Tensor:
        return torch.zeros(shape, dtype=torch.float64, device=self.scores.device)

    def best(self) -> tuple[Tensor, Tensor, Tensor]:
        """States (B, T), where segments begin (B, T), and totals (B,)."""
        batch, frames, columns = self.scores.shape
        states, arcs = self.predecessors.shape[1:]
        paths = torch.full((batch, frames), NONE, dtype=torch.int64, device=self.scores.device)
        begins = torch.zeros((batch, frames), dtype=torch.uint8, device=self.scores.device)
        totals = self._new(batch)
        chosen, choices = (
            torch.zeros((batch, frames + 1, states), dtype=kind, device=self.scores.device)
            for kind in (torch.uint16, torch.int32)
        )
        _best_segments[(batch,)](
            self.scores,
            self.lengths,
            self.pdf,
            self.predecessors,
            self.weights,
            self.start,
            self.final,
            self.durations,
            self._new(batch, frames + 1, states),
            chosen,
            choices,
            paths,
            begins,
            totals,
            *self.own,
            frames,
            columns,
            states,
            arcs,
            self.durations.shape[3],
            BLOCK=self.block,
            num_warps=warps(self.block),
        )
        return paths, begins.bool(), totals.to(self.scores.dtype)

    def forward(self) -> Tensor:
        """Compute log Z (B,) in float64."""
        batch, frames, columns = self.scores.shape
        states, arcs = self.predecessors.shape[1:]
        self.opened, self.ended, self.cumulated = (self._new(batch, frames + 1, states) for _ in range(3))
        totals = self._new(batch)
        _forward[(batch,)](
            self.scores,
            self.lengths,
            self.pdf,
            self.predecessors,
            self.weights,
            self.start,
            self.final,
            self.durations,
            self.opened,
            self.ended,
            self.cumulated,
            totals,
            *self.own,
            frames,
            columns,
            states,
            arcs,
            self.durations.shape[3],
            BLOCK=self.block,
            num_warps=warps(self.block),
        )
        return totals

    def backward(self, totals: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Posteriors of states (B, T, S), arcs (B, U, S, K) and durations (B, V, S, D)."""
        batch, frames, columns = self.scores.shape
        states, arcs = self.predecessors.shape[1:]
        begun, finished = (self._new(batch, frames + 1, states) for _ in range(2))
        xis, spread = self._new(batch, *self.weights.shape[1:]), self._new(batch, *self.durations.shape[1:])
        successors = successors_of(self.predecessors)
        _backward[(batch,)](
            self.scores,
            self.lengths,
            self.pdf,
            self.predecessors,
            successors,
            self.weights,
            self.final,
            self.durations,
            self.opened,
            self.ended,
            self.cumulated,
            totals,
            begun,
            finished,
            xis,
            spread,
            *self.own,
            frames,
            columns,
            states,
            arcs,
            successors.shape[2],
            self.durations.shape[3],
            BLOCK=self.block,
            num_warps=warps(self.block),
        )
        occupied = (begun - finished).cumsum(1)[:, :frames].clamp(0.0, 1.0)  # from beginnings to ends
        real = torch.arange(frames, device=self.scores.device) < self.lengths[:, None]
        return tuple(v.to(self.scores) for v in (occupied * real[..., None], xis, spread))


def best_segments(
    arcs: Arcs, scores: Tensor, durations: Tensor, lengths: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """States (B, T), where segments begin (B, T), and totals (B,)."""
    return Passes(arcs, scores, durations, lengths).best()
