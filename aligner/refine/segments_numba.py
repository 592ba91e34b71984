"""The kernel of `aligner.refine.segments`."""

from __future__ import annotations

from typing import Any

import numpy as np

from aligner.search.kernels import compiled

NOWHERE = -1e300  # log-probability of a place outside the recording


@compiled
def forward_backward(sums: Any, squares: Any, middle: Any, prior: Any, shortest: Any, likeness: Any,
                     crammed: Any) -> Any:
    """Probabilities (N, W) of the places of boundaries, by cumulated sums (T + 1, D) and squares (T + 1,) of frames."""
    frames, count, width = len(sums) - 1, len(middle), prior.shape[1]
    reach = width // 2
    joint = np.empty((width, width))
    forward, backward = np.empty((count, width)), np.empty((count, width))
    for k in range(count):
        _pairs(sums, squares, middle, k, reach, shortest, likeness, crammed, joint)
        for j in range(width):
            t = middle[k] + j - reach
            if t < 0 or t > frames:
                forward[k, j] = NOWHERE
            elif k == 0:
                forward[k, j] = joint[0, j] + prior[k, j]
            else:
                most = NOWHERE
                for i in range(width):
                    most = max(most, forward[k - 1, i] + joint[i, j])
                total = 0.0
                for i in range(width):
                    total += np.exp(forward[k - 1, i] + joint[i, j] - most)
                forward[k, j] = most + np.log(total) + prior[k, j]
    for i in range(width):
        t = middle[count - 1] + i - reach
        backward[count - 1, i] = -likeness * _scatter(sums, squares, min(max(t, 0), frames), frames)
    for k in range(count - 1, 0, -1):
        _pairs(sums, squares, middle, k, reach, shortest, likeness, crammed, joint)
        for i in range(width):
            most = NOWHERE
            for j in range(width):
                if forward[k, j] > NOWHERE:
                    most = max(most, joint[i, j] + prior[k, j] + backward[k, j])
            total = 0.0
            for j in range(width):
                if forward[k, j] > NOWHERE:
                    total += np.exp(joint[i, j] + prior[k, j] + backward[k, j] - most)
            backward[k - 1, i] = most + np.log(total)
    for k in range(count):
        most = NOWHERE
        for j in range(width):
            forward[k, j] = max(forward[k, j] + backward[k, j], NOWHERE)
            most = max(most, forward[k, j])
        total = 0.0
        for j in range(width):
            forward[k, j] = np.exp(forward[k, j] - most)
            total += forward[k, j]
        for j in range(width):
            forward[k, j] /= total
    return forward


@compiled
def _pairs(sums: Any, squares: Any, middle: Any, k: Any, reach: Any, shortest: Any, likeness: Any, crammed: Any,
           joint: Any) -> None:
    """Log-probabilities (W, W) of segment ``k`` between the places of the boundaries around it."""
    frames, width = len(sums) - 1, 2 * reach + 1
    for i in range(width if k else 1):
        a = middle[k - 1] + i - reach if k else 0
        for j in range(width):
            b = middle[k] + j - reach
            first, last = min(max(a, 0), frames), min(max(b, 0), frames)
            joint[i, j] = -likeness * _scatter(sums, squares, first, last) if last > first else 0.0
            if k and b - a < shortest:
                joint[i, j] -= (shortest - (b - a)) * crammed


@compiled
def _scatter(sums: Any, squares: Any, first: Any, last: Any) -> Any:
    between = 0.0
    for d in range(sums.shape[1]):
        between += (sums[last, d] - sums[first, d]) ** 2
    return squares[last] - squares[first] - between / max(last - first, 1)
