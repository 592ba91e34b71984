"""Dynamic time warping on CUDA: one program a pair, all rows of an anti-diagonal at once.

Must equal `aligner.search.dtw.reference`, bit by bit: sums are float64, made in the same order, and never
fused.  The sums of the last anti-diagonals and each cell's step stay in global memory, where they are cached.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from aligner.search.steps import Table, WarpingTask

BLOCK = 512  # rows at once
INFINITE = tl.constexpr(float("inf"))


@triton.jit
def _weighed(cost, weight):
    """Infinite where the cost is, whatever the weight."""
    open = cost < INFINITE
    return tl.where(open, weight * tl.where(open, cost, 0.0), INFINITE)


@triton.jit
def _best_paths(
    cost,
    lengths,
    limits,
    sizes,
    mul,
    add,
    first,
    cells,
    weights,
    sums,
    codes,
    kept,
    anchors,
    counts,
    totals,
    rows,
    columns,
    steps,
    ring,
    subsequence,
    keep,
    BLOCK: tl.constexpr,
):
    """``sums`` is (B, ring, T); ``codes`` (B, T, U) are 0 where a path begins, else 1 + the step."""
    b = tl.program_id(0).to(tl.int64)
    rows, columns = rows + b * 0, columns + b * 0  # products with them may pass 2**31
    own_rows, own_columns = tl.load(lengths + 2 * b).to(tl.int32), tl.load(lengths + 2 * b + 1).to(tl.int32)
    own_cost, own_codes, own_kept = (
        cost + b * rows * columns,
        codes + b * rows * columns,
        kept + b * rows * columns,
    )
    own_limits, own_sums = limits + b * rows * 2, sums + b * ring * rows
    best_end = tl.full((), INFINITE, tl.float64)
    end = own_columns - 1
    for k in range(0, own_rows + own_columns - 1):
        last = tl.minimum(k, own_rows - 1)
        for top in range(tl.maximum(k - own_columns + 1, 0), last + 1, BLOCK):
            i = top + tl.arange(0, BLOCK)
            j = k - i
            real = i <= last
            low, high = tl.load(own_limits + 2 * i, real, 0), tl.load(own_limits + 2 * i + 1, real, 0)
            inside = real & (j >= low) & (j < high)
            here = tl.load(own_cost + i * columns + j, inside, INFINITE).to(tl.float64)
            begins = inside & (i == 0) & ((j == 0) | (subsequence != 0))
            best = tl.where(begins, here, INFINITE)
            code = tl.zeros((BLOCK,), tl.int32)
            for s in range(steps):
                down, right = tl.load(sizes + 2 * s).to(tl.int32), tl.load(sizes + 2 * s + 1).to(tl.int32)
                entered = _weighed(here, tl.load(mul + s)) + tl.load(add + s)
                for v in range(tl.load(first + s).to(tl.int32), tl.load(first + s + 1).to(tl.int32)):
                    p, q = (
                        i - tl.load(cells + 2 * v).to(tl.int32),
                        j - tl.load(cells + 2 * v + 1).to(tl.int32),
                    )
                    within = inside & (p >= 0) & (q >= 0)
                    within &= (q >= tl.load(own_limits + 2 * p, within, 0)) & (
                        q < tl.load(own_limits + 2 * p + 1, within, 0)
                    )
                    passed = tl.load(own_cost + p * columns + q, within, INFINITE).to(tl.float64)
                    entered += _weighed(passed, tl.load(weights + v))
                before = inside & (i >= down) & (j >= right)
                slot = tl.maximum(k - down - right, 0) % ring
                arriving = tl.load(own_sums + slot * rows + i - down, before, INFINITE) + entered
                better = arriving < best
                best = tl.where(better, arriving, best)
                code = tl.where(better, s + 1, code)
            tl.store(own_sums + (k % ring) * rows + i, best, real)
            tl.store(own_codes + i * columns + j, code.to(tl.uint8), real)
            if keep:
                tl.store(own_kept + i * columns + j, best, real)
            ending = tl.min(tl.where(i == own_rows - 1, best, INFINITE), 0)
            if (ending < best_end) & ((subsequence != 0) | (k == own_rows + own_columns - 2)):
                best_end = ending
                end = k - own_rows + 1
        tl.debug_barrier()  # every thread's sums are written before the next anti-diagonal reads them
    tl.store(totals + b, best_end)
    own_anchors = anchors + b * (rows + columns - 1) * 3
    i, j, n, going = own_rows - 1, end, tl.zeros((), tl.int32), (best_end < INFINITE).to(tl.int32)
    while going > 0:
        step = tl.load(own_codes + i * columns + j).to(tl.int32) - 1
        tl.store(own_anchors + 3 * n, i.to(tl.int64))
        tl.store(own_anchors + 3 * n + 1, j.to(tl.int64))
        tl.store(own_anchors + 3 * n + 2, step.to(tl.int64))
        going = (step >= 0).to(tl.int32)
        i -= tl.load(sizes + 2 * tl.maximum(step, 0)).to(tl.int32) * going
        j -= tl.load(sizes + 2 * tl.maximum(step, 0) + 1).to(tl.int32) * going
        n += 1
    tl.store(counts + b, n.to(tl.int64))


def best_paths(task: WarpingTask, keep: bool) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Anchors (B, N, 3), their counts (B,), costs (B,) and, to ``keep``, all sums (B, T, U)."""
    cost, steps = task.cost, Table.of(task.rules.steps)
    batch, rows, columns = cost.shape
    device, ring = cost.device, int(steps.sizes.sum(1).max()) + 1
    tables = (
        torch.from_numpy(v).to(device)
        for v in (steps.sizes, steps.mul, steps.add, steps.first, steps.cells, steps.weights)
    )
    sums = torch.empty((batch, ring, rows), dtype=torch.float64, device=device)
    codes = torch.empty(cost.shape, dtype=torch.uint8, device=device)
    kept = torch.full(cost.shape if keep else (0,), torch.inf, dtype=torch.float64, device=device)
    anchors = torch.full((batch, rows + columns - 1, 3), -1, device=device)
    counts = torch.zeros(batch, dtype=torch.int64, device=device)
    totals = torch.empty(batch, dtype=torch.float64, device=device)
    _best_paths[(batch,)](
        cost.contiguous(),
        task.lengths.contiguous().to(device),
        task.limits.to(device),
        *tables,
        sums,
        codes,
        kept,
        anchors,
        counts,
        totals,
        rows,
        columns,
        len(steps.sizes),
        ring,
        int(task.rules.subsequence),
        int(keep),
        BLOCK=BLOCK,
        num_warps=4,
        enable_fp_fusion=False,
    )
    return _forwards(anchors, counts), counts, totals, kept if keep else None


def _forwards(anchors: Tensor, counts: Tensor) -> Tensor:
    """Anchors that were written from a path's end, from its beginning."""
    place = torch.arange(anchors.shape[1], device=anchors.device)
    back = counts[:, None] - 1 - place
    turned = anchors.gather(1, back.clamp(min=0)[..., None].expand_as(anchors))
    return torch.where((back >= 0)[..., None], turned, -1)
