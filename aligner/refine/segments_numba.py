"""The kernel of `aligner.refine.segments`."""

from __future__ import annotations

from typing import Any

import numpy as np

from aligner.search.kernels import compiled


@compiled
def best_edges(sums: Any, squares: Any, expected: Any, spread: Any, reach: Any, shortest: Any, hold: Any,
               impossible: Any) -> Any:
    """Cheapest boundaries (N,) int64, by cumulated sums (T + 1, D) and squares (T + 1,) of the frames."""
    frames, count, width = len(sums) - 1, len(expected), 2 * reach + 1
    lowest, sizes = np.empty(count, np.int64), np.empty(count, np.int64)
    choices = np.empty((count, width), np.int64)
    total, spare = np.empty(width), np.empty(width)
    for k in range(count):
        middle = int(np.rint(expected[k]))
        lowest[k] = min(max(middle - reach, 0), frames)
        sizes[k] = min(max(middle + reach, 0), frames) - lowest[k] + 1
        for j in range(sizes[k]):
            b = lowest[k] + j
            least, choice = np.inf, 0
            for i in range(sizes[k - 1] if k else 1):
                a = lowest[k - 1] + i if k else 0
                cost = (total[i] if k else 0.0) + _scatter(sums, squares, a, b)
                if k and b - a < shortest:
                    cost += (shortest - (b - a)) * impossible
                if cost < least:
                    least, choice = cost, i
            spare[j] = least + hold * ((b - expected[k]) / spread) ** 2
            choices[k, j] = choice
        total, spare = spare, total
    state, least = 0, np.inf
    for j in range(sizes[count - 1]):
        cost = total[j] + _scatter(sums, squares, lowest[count - 1] + j, frames)
        if cost < least:
            state, least = j, cost
    edges = np.empty(count, np.int64)
    for k in range(count - 1, -1, -1):
        edges[k] = lowest[k] + state
        state = choices[k, state]
    return edges


@compiled
def _scatter(sums: Any, squares: Any, first: Any, last: Any) -> Any:
    between = 0.0
    for d in range(sums.shape[1]):
        between += (sums[last, d] - sums[first, d]) ** 2
    return squares[last] - squares[first] - between / max(last - first, 1)
