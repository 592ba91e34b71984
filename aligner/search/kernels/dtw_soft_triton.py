"""Soft-DTW on CUDA: one program a pair, all rows of an anti-diagonal at once, in float64.

Must equal `aligner.search.soft_dtw.reference`.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from aligner.search.kernels.dtw_triton import BLOCK, INFINITE


@triton.jit
def _forward(cost, lengths, gammas, totals, rows, columns, BLOCK: tl.constexpr):
    """``totals`` is (B, T + 1, U + 1), inf in row and column 0 but for 0 in cell (0, 0)."""
    b = tl.program_id(0).to(tl.int64)
    rows, columns, gamma = rows + b * 0, columns + b * 0, tl.load(gammas)  # products may pass 2**31
    own_rows, own_columns = tl.load(lengths + 2 * b).to(tl.int32), tl.load(lengths + 2 * b + 1).to(tl.int32)
    own_cost, own, wide = cost + b * rows * columns, totals + b * (rows + 1) * (columns + 1), columns + 1
    for k in range(0, own_rows + own_columns - 1):
        last = tl.minimum(k, own_rows - 1)
        for top in range(tl.maximum(k - own_columns + 1, 0), last + 1, BLOCK):
            i = top + tl.arange(0, BLOCK)
            j = k - i
            real = i <= last
            at = own + i * wide + j
            corner, above = tl.load(at, real, INFINITE), tl.load(at + 1, real, INFINITE)
            left = tl.load(at + wide, real, INFINITE)
            here = tl.load(own_cost + i * columns + j, real, INFINITE).to(tl.float64)
            least = tl.minimum(tl.minimum(corner, above), left)
            some = least < INFINITE
            base = tl.where(some, least, 0.0)
            summed = (
                tl.exp((base - corner) / gamma)
                + tl.exp((base - above) / gamma)
                + tl.exp((base - left) / gamma)
            )
            total = here + base - gamma * tl.log(tl.where(some, summed, 1.0))
            tl.store(at + wide + 1, tl.where(some, total, INFINITE), real)
        tl.debug_barrier()  # every thread's sums are written before the next anti-diagonal reads them


@triton.jit
def _share(own_cost, own, expected, i, j, down, right, here, real, own_rows, own_columns, columns, gamma):
    """What comes back to cells (i, j) of sums ``here`` from those ``down`` and ``right`` of them."""
    p, q = i + down, j + right
    exists = real & (p < own_rows) & (q < own_columns)
    following = tl.load(own + (p + 1) * (columns + 1) + q + 1, exists, INFINITE)
    cost = tl.load(own_cost + p * columns + q, exists, 0.0).to(tl.float64)
    cost = tl.where(cost < INFINITE, cost, 0.0)  # where it is not, neither is the sum
    some = exists & (following < INFINITE) & (here < INFINITE)
    after, before = tl.where(some, following - cost, 0.0), tl.where(some, here, 0.0)
    share = tl.exp((after - before) / gamma)
    return tl.where(some, share * tl.load(expected + p * columns + q, exists, 0.0), 0.0)


@triton.jit
def _backward(cost, lengths, gammas, totals, expected, rows, columns, BLOCK: tl.constexpr):
    """``expected`` is (B, T, U), 0."""
    b = tl.program_id(0).to(tl.int64)
    rows, columns, gamma = rows + b * 0, columns + b * 0, tl.load(gammas)
    own_rows, own_columns = tl.load(lengths + 2 * b).to(tl.int32), tl.load(lengths + 2 * b + 1).to(tl.int32)
    own_cost, own, shares = (
        cost + b * rows * columns,
        totals + b * (rows + 1) * (columns + 1),
        expected + b * rows * columns,
    )
    for back in range(0, own_rows + own_columns - 1):
        k = own_rows + own_columns - 2 - back
        last = tl.minimum(k, own_rows - 1)
        for top in range(tl.maximum(k - own_columns + 1, 0), last + 1, BLOCK):
            i = top + tl.arange(0, BLOCK)
            j = k - i
            real = i <= last
            here = tl.load(own + (i + 1) * (columns + 1) + j + 1, real, INFINITE)
            summed = tl.where(real & (back == 0), 1.0, tl.zeros((BLOCK,), tl.float64))
            summed += _share(
                own_cost, own, shares, i, j, 1, 0, here, real, own_rows, own_columns, columns, gamma
            )
            summed += _share(
                own_cost, own, shares, i, j, 1, 1, here, real, own_rows, own_columns, columns, gamma
            )
            summed += _share(
                own_cost, own, shares, i, j, 0, 1, here, real, own_rows, own_columns, columns, gamma
            )
            tl.store(shares + i * columns + j, summed, real)
        tl.debug_barrier()


def forward(cost: Tensor, lengths: Tensor, gamma: float) -> tuple[Tensor, Tensor]:
    """Sums (B, T + 1, U + 1) of all cells, and of the last (B,)."""
    batch, rows, columns = cost.shape
    totals = torch.full((batch, rows + 1, columns + 1), torch.inf, dtype=torch.float64, device=cost.device)
    totals[:, 0, 0] = 0.0
    counts = lengths.contiguous().to(cost.device)
    _forward[(batch,)](
        cost.contiguous(), counts, _gamma(gamma, cost), totals, rows, columns, BLOCK=BLOCK, num_warps=4
    )
    return totals, totals[torch.arange(batch, device=cost.device), counts[:, 0], counts[:, 1]]


def backward(cost: Tensor, lengths: Tensor, gamma: float, totals: Tensor) -> Tensor:
    """Expected alignments (B, T, U), by `forward`'s sums (Cuturi & Blondel 2017, algorithm 2)."""
    batch, rows, columns = cost.shape
    expected = torch.zeros(cost.shape, dtype=torch.float64, device=cost.device)
    _backward[(batch,)](
        cost.contiguous(),
        lengths.contiguous().to(cost.device),
        _gamma(gamma, cost),
        totals,
        expected,
        rows,
        columns,
        BLOCK=BLOCK,
        num_warps=4,
    )
    return expected


def _gamma(gamma: float, cost: Tensor) -> Tensor:
    """In memory: an argument would be rounded to float32."""
    return torch.tensor([gamma], dtype=torch.float64, device=cost.device)
