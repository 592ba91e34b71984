"""Soft-DTW on the CPU; must equal `aligner.search.soft_dtw.reference`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from aligner.search.arcs import arrays
from aligner.search.kernels import compiled, spread
from aligner.search.kernels.exponential import exp


@compiled
def _forward(cost: Any, rows: int, columns: int, gamma: float, total: Any) -> None:
    """Soft minima over all paths to each cell of ``cost`` into ``total``, which has a row and a column before
    them.

    Both are padded: of a part that is not one piece of memory numba would compile a second kernel.
    """
    for j in range(columns + 1):
        total[0, j] = np.inf
    total[0, 0] = 0.0
    for i in range(1, rows + 1):
        total[i, 0] = left = np.inf
        above, own, costs = total[i - 1], total[i], cost[i - 1]
        for j in range(1, columns + 1):
            a, b = above[j - 1], above[j]
            least = min(min(a, b), left)
            if least < np.inf:
                summed = exp((least - a) / gamma) + exp((least - b) / gamma) + exp((least - left) / gamma)
                left = costs[j - 1] + least - gamma * np.log(summed)
            else:
                left = np.inf
            own[j] = left


@compiled
def _backward(cost: Any, rows: int, columns: int, gamma: float, total: Any, expected: Any) -> None:
    """How much of all paths passes each cell, by `_forward`'s sums (Cuturi & Blondel 2017, algorithm 2)."""
    shares = np.empty((3, columns + 1))  # of a cell's paths that go on down, diagonally and right
    for i in range(rows - 1, -1, -1):
        own = total[i + 1]
        for k in range(3):
            shares[k, columns - 1] = 0.0
        if i + 1 < rows:
            below, costs = total[i + 2], cost[i + 1]
            _shares(own[1 : columns + 1], below[1:], costs, gamma, shares[0, :columns])
            _shares(own[1:columns], below[2:], costs[1:], gamma, shares[1, : columns - 1])
        _shares(own[1:columns], own[2:], cost[i, 1:], gamma, shares[2, : columns - 1])
        for j in range(columns - 1, -1, -1):
            summed = 1.0 if i == rows - 1 and j == columns - 1 else 0.0
            if i + 1 < rows:
                summed += shares[0, j] * expected[i + 1, j]
                if j + 1 < columns:
                    summed += shares[1, j] * expected[i + 1, j + 1]
            if j + 1 < columns:
                summed += shares[2, j] * expected[i, j + 1]
            expected[i, j] = summed


@compiled
def _shares(own: Any, following: Any, cost: Any, gamma: float, share: Any) -> None:
    """The share of the paths through cells of sums ``own`` that goes on to cells of sums ``following``."""
    for j in range(len(share)):
        some = following[j] < np.inf and own[j] < np.inf
        share[j] = exp(((following[j] - cost[j]) - own[j]) / gamma) if some else 0.0


def forward(cost: Tensor, lengths: Tensor, gamma: float) -> tuple[Tensor, Tensor]:
    """Sums (B, T + 1, U + 1) of all cells, and of the last (B,), in float64."""
    batch, rows, columns = cost.shape
    totals = torch.empty(batch, rows + 1, columns + 1, dtype=torch.float64)
    given, sums = arrays(cost, totals)

    def some(first: int, step: int) -> None:
        for b in range(first, batch, step):
            t, u = lengths[b].tolist()
            _forward(given[b], t, u, gamma, sums[b])

    spread(some, batch)
    return totals, totals[torch.arange(batch), lengths[:, 0], lengths[:, 1]]


def backward(cost: Tensor, lengths: Tensor, gamma: float, totals: Tensor) -> Tensor:
    """Expected alignments (B, T, U), by `forward`'s sums, in float64."""
    expected = torch.zeros(cost.shape, dtype=torch.float64)
    given, sums, shares = arrays(cost, totals, expected)

    def some(first: int, step: int) -> None:
        for b in range(first, len(cost), step):
            rows, columns = lengths[b].tolist()
            _backward(
                cost=given[b],
                rows=rows,
                columns=columns,
                gamma=gamma,
                total=sums[b],
                expected=shares[b],
            )

    spread(some, len(cost))
    return expected
