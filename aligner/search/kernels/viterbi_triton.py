"""Viterbi on CUDA: one program an utterance, all of its states on chip, the loop over time inside.

Must equal `aligner.search.viterbi.reference`.  Only the packed backpointers leave the chip.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from aligner.graph.flat import NONE
from aligner.search.arcs import Arcs

IMPOSSIBLE = tl.constexpr(float("-inf"))
WIDEST = 2**15  # states that fit into the shared memory of a program, 4 bytes each


@triton.jit
def _best_paths(
    scores,
    lengths,
    pdf,
    predecessors,
    weights,
    start,
    final,
    choices,
    paths,
    totals,
    per_graph,
    per_varying,
    frames,
    columns,
    states,
    arcs,
    row,
    BLOCK: tl.constexpr,
    WIDTH: tl.constexpr,
):
    """``per_graph`` is 1 where utterances have graphs of their own, ``per_varying`` where arcs vary in
    time."""
    PER: tl.constexpr = 8 // WIDTH if WIDTH < 8 else 1
    b = tl.program_id(0).to(tl.int64)
    columns, states, row = columns + b * 0, states + b * 0, row + b * 0  # products with them may pass 2**31
    g = b * per_graph
    length = tl.load(lengths + b).to(tl.int32)
    s = tl.arange(0, BLOCK)
    real = s < states
    column = tl.load(pdf + g * states + s, real, 0)
    frame = scores + b * frames * columns
    own = predecessors + g * states * arcs
    own_weights = weights + g * (1 + per_varying * (frames - 1)) * states * arcs
    own_choices = choices + b * frames * row
    delta = tl.load(start + g * states + s, real, IMPOSSIBLE) + tl.load(frame + column, real, IMPOSSIBLE)
    level = tl.zeros((), tl.float64)
    byte = tl.arange(0, BLOCK // PER)
    shifts = tl.arange(0, PER) * WIDTH
    for t in range(1, length):
        best = tl.full((BLOCK,), IMPOSSIBLE, delta.dtype)
        choice = tl.zeros((BLOCK,), tl.int32)
        moves = own_weights + t * per_varying * states * arcs
        for k in range(arcs):
            before = tl.load(own + s * arcs + k, real, -1)
            arriving = tl.gather(delta, tl.maximum(before, 0), 0) + tl.load(
                moves + s * arcs + k, real, IMPOSSIBLE
            )
            arriving = tl.where(before >= 0, arriving, IMPOSSIBLE)
            choice = tl.where(arriving > best, k, choice)
            best = tl.maximum(best, arriving)
        off = tl.max(delta, 0)  # as on the CPU: the sums stay small
        off = tl.where(off > IMPOSSIBLE, off, 0.0)
        delta = (best - off) + tl.load(frame + t * columns + column, real, IMPOSSIBLE)
        level += off.to(tl.float64)
        packed = tl.sum(tl.reshape(choice, (BLOCK // PER, PER)) << shifts[None, :], 1)
        tl.store(own_choices + t * row + byte, packed.to(choices.dtype.element_ty), byte < row)
    delta = delta + tl.load(final + g * states + s, real, IMPOSSIBLE)
    total = tl.max(delta, 0)
    tl.store(totals + b, total.to(tl.float64) + level)
    tl.debug_barrier()  # every thread's backpointers are written before they are read
    if total > IMPOSSIBLE:
        state = tl.argmax(delta, 0)
        for back in range(1, length):
            t = length - back
            tl.store(paths + b * frames + t, state.to(tl.int64))
            packed = tl.load(own_choices + t * row + state // PER).to(tl.int32)
            choice = (packed >> ((state % PER) * WIDTH)) & ((1 << WIDTH) - 1)
            state = tl.load(own + state * arcs + choice)
        tl.store(paths + b * frames, state.to(tl.int64))


def best_paths(arcs: Arcs, scores: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """States (B, T) and totals (B,)."""
    batch, frames, columns = scores.shape
    states, most = arcs.predecessors.shape[1:]
    width = backpointer_bits(most)
    row = -(-states // max(8 // width, 1))
    block = block_of(states, WIDEST)
    paths = torch.full((batch, frames), NONE, dtype=torch.int64, device=scores.device)
    totals = torch.empty(batch, dtype=torch.float64, device=scores.device)
    kind = torch.uint8 if width <= 8 else torch.uint16
    choices = torch.empty((batch, frames, row), dtype=kind, device=scores.device)
    _best_paths[(batch,)](
        scores.contiguous(),
        lengths.to(scores.device),
        *on_device(arcs, scores),
        choices,
        paths,
        totals,
        int(len(arcs.pdf) > 1),
        int(arcs.weights.shape[1] > 1),
        frames,
        columns,
        states,
        most,
        row,
        BLOCK=block,
        WIDTH=width,
        num_warps=warps(block),
    )
    return paths, totals.to(scores.dtype)


def backpointer_bits(arcs: int) -> int:
    """1, 2, 4, 8 or 16, to tell a state's arcs apart."""
    return next(width for width in (1, 2, 4, 8, 16) if arcs <= 2**width)


def block_of(states: int, most: int) -> int:
    """The power of two that holds so many states.

    Raises
    ------
    ValueError
        If they are more than a program can exchange on chip.
    """
    if states > most:
        raise ValueError(
            f"{states} states; the triton kernel holds {most} on chip: take kernel='reference', or search "
            "on the CPU"
        )
    return max(16, triton.next_power_of_2(states))


def on_device(arcs: Arcs, scores: Tensor) -> tuple[Tensor, ...]:
    """The tensors of ``arcs``, contiguous, in the floating type of ``scores``."""
    return (
        arcs.pdf.contiguous(),
        arcs.predecessors.contiguous(),
        *(v.to(scores).contiguous() for v in (arcs.weights, arcs.start, arcs.final)),
    )


def warps(block: int) -> int:
    """A warp for every 128 states, 1 to 16."""
    return min(max(block // 128, 1), 16)
