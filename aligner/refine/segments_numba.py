"""The kernel of `aligner.refine.segments`."""

from __future__ import annotations

from typing import Any

import numpy as np

from aligner.search.kernels import compiled

NOWHERE = -1e300  # log-probability of a place outside the recording
NOTHING = -45.0  # log of what is lost beside 1 when it is added in float64


@compiled
def forward_backward(
    sums: Any, squares: Any, middle: Any, prior: Any, shortest: Any, likeness: Any, crammed: Any
) -> Any:
    """Probabilities (N, W) of the places of boundaries, by cumulated sums (T + 1, D) and squares (T + 1,) of
    frames.
    """
    frames, count, width = len(sums) - 1, len(middle), prior.shape[1]
    reach = width // 2
    joint, left, right = (
        np.empty((width, width)),
        np.empty((sums.shape[1], width)),
        np.empty((sums.shape[1], width)),
    )
    forward, backward = np.empty((count, width)), np.empty((count, width))
    for k in range(count):
        _pairs(sums, squares, middle, k, reach, shortest, likeness, crammed, left, right, joint)
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
                    below = forward[k - 1, i] + joint[i, j] - most
                    if below > NOTHING:
                        total += np.exp(below)
                forward[k, j] = most + np.log(total) + prior[k, j]
    for i in range(width):
        t = middle[count - 1] + i - reach
        backward[count - 1, i] = -likeness * _scatter(sums, squares, min(max(t, 0), frames), frames)
    for k in range(count - 1, 0, -1):
        _pairs(sums, squares, middle, k, reach, shortest, likeness, crammed, left, right, joint)
        for i in range(width):
            most = NOWHERE
            for j in range(width):
                if forward[k, j] > NOWHERE:
                    most = max(most, joint[i, j] + prior[k, j] + backward[k, j])
            total = 0.0
            for j in range(width):
                below = joint[i, j] + prior[k, j] + backward[k, j] - most
                if forward[k, j] > NOWHERE and below > NOTHING:
                    total += np.exp(below)
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
def _pairs(
    sums: Any,
    squares: Any,
    middle: Any,
    k: Any,
    reach: Any,
    shortest: Any,
    likeness: Any,
    crammed: Any,
    left: Any,
    right: Any,
    joint: Any,
) -> None:
    """Log-probabilities (W, W) of segment ``k`` between the places of the boundaries around it.

    ``left`` and ``right`` (D, W) are room for the sums at these places: side by side, so that the processor
    subtracts several at once.
    """
    frames, width, size = len(sums) - 1, 2 * reach + 1, sums.shape[1]
    for j in range(width):
        first = min(max(middle[k - 1] + j - reach, 0), frames) if k else 0
        last = min(max(middle[k] + j - reach, 0), frames)
        for d in range(size):
            left[d, j], right[d, j] = sums[first, d], sums[last, d]
    for i in range(width if k else 1):
        a = middle[k - 1] + i - reach if k else 0
        first = min(max(a, 0), frames)
        for j in range(width):
            joint[i, j] = 0.0
        for d in range(size):
            from_here = left[d, i]
            for j in range(width):
                joint[i, j] += (right[d, j] - from_here) ** 2
        for j in range(width):
            b = middle[k] + j - reach
            last = min(max(b, 0), frames)
            scatter = squares[last] - squares[first] - joint[i, j] / max(last - first, 1)
            joint[i, j] = -likeness * scatter if last > first else 0.0
            if k and b - a < shortest:
                joint[i, j] -= (shortest - (b - a)) * crammed


@compiled
def _scatter(sums: Any, squares: Any, first: Any, last: Any) -> Any:
    between = 0.0
    for d in range(sums.shape[1]):
        between += (sums[last, d] - sums[first, d]) ** 2
    return squares[last] - squares[first] - between / max(last - first, 1)
