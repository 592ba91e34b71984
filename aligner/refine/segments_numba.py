"""The kernel of `aligner.refine.segments`: sums over all ways to cut frames into segments."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from aligner.search.kernels import compiled

LOG_ZERO = -1e300  # log-probability of a place outside the recording
NEGLIGIBLE = -45.0  # log of what is lost beside 1 when it is added in float64


class Cuts(NamedTuple):
    """The frames to be cut, and the places where each boundary may be."""

    sums: Any
    """(T + 1, D): cumulated frames."""
    squares: Any
    """(T + 1,): cumulated squares of the frames' norms."""
    middle: Any
    """(N,): middle place of each boundary."""
    prior: Any
    """(N, W): log-probability of each place."""
    shortest: Any
    """Frames of the shortest segment between two boundaries."""
    distance_weight: Any
    """Log-probability that a squared distance to a segment's mean costs."""
    short_cost: Any
    """Log-probability that each frame costs which a segment lacks to be ``shortest``."""


@compiled
def forward_backward(cuts: Any) -> Any:
    """Probabilities (N, W) of the places of boundaries."""
    count, width = cuts.prior.shape
    joint = np.empty((width, width))
    left, right = np.empty((cuts.sums.shape[1], width)), np.empty((cuts.sums.shape[1], width))
    forward, backward = np.empty((count, width)), np.empty((count, width))
    for k in range(count):
        _pairs(cuts, k, left, right, joint)
        _forward(cuts, k, joint, forward)
    frames = len(cuts.sums) - 1
    for i in range(width):
        t = cuts.middle[count - 1] + i - width // 2
        backward[count - 1, i] = -cuts.distance_weight * _scatter(
            cuts.sums, cuts.squares, min(max(t, 0), frames), frames
        )
    for k in range(count - 1, 0, -1):
        _pairs(cuts, k, left, right, joint)
        _backward(cuts.prior, k, joint, forward, backward)
    for k in range(count):
        _normalise(forward[k], backward[k])
    return forward


@compiled
def _forward(cuts: Any, k: Any, joint: Any, forward: Any) -> None:
    """Row ``k`` of ``forward``: log-probability of all cuts up to each place of boundary ``k``."""
    frames, width = len(cuts.sums) - 1, cuts.prior.shape[1]
    for j in range(width):
        t = cuts.middle[k] + j - width // 2
        if t < 0 or t > frames:
            forward[k, j] = LOG_ZERO
        elif k == 0:
            forward[k, j] = joint[0, j] + cuts.prior[k, j]
        else:
            most = LOG_ZERO
            for i in range(width):
                most = max(most, forward[k - 1, i] + joint[i, j])
            total = 0.0
            for i in range(width):
                below = forward[k - 1, i] + joint[i, j] - most
                if below > NEGLIGIBLE:
                    total += np.exp(below)
            forward[k, j] = most + np.log(total) + cuts.prior[k, j]


@compiled
def _backward(prior: Any, k: Any, joint: Any, forward: Any, backward: Any) -> None:
    """Row ``k`` - 1 of ``backward``: log-probability of all cuts behind each place of boundary ``k`` - 1."""
    width = prior.shape[1]
    for i in range(width):
        most = LOG_ZERO
        for j in range(width):
            if forward[k, j] > LOG_ZERO:
                most = max(most, joint[i, j] + prior[k, j] + backward[k, j])
        total = 0.0
        for j in range(width):
            below = joint[i, j] + prior[k, j] + backward[k, j] - most
            if forward[k, j] > LOG_ZERO and below > NEGLIGIBLE:
                total += np.exp(below)
        backward[k - 1, i] = most + np.log(total)


@compiled
def _normalise(forward: Any, backward: Any) -> None:
    """Put the probabilities (W,) of a boundary's places where ``forward`` is."""
    most = LOG_ZERO
    for j in range(len(forward)):
        forward[j] = max(forward[j] + backward[j], LOG_ZERO)
        most = max(most, forward[j])
    total = 0.0
    for j in range(len(forward)):
        forward[j] = np.exp(forward[j] - most)
        total += forward[j]
    for j in range(len(forward)):
        forward[j] /= total


@compiled
def _pairs(cuts: Any, k: Any, left: Any, right: Any, joint: Any) -> None:
    """Log-probabilities (W, W) of segment ``k`` between the places of the boundaries around it.

    ``left`` and ``right`` (D, W) are room for the sums at these places: side by side, so that the processor
    subtracts several at once.
    """
    sums, squares, middle, width = cuts.sums, cuts.squares, cuts.middle, cuts.prior.shape[1]
    frames, reach, size = len(sums) - 1, width // 2, sums.shape[1]
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
            joint[i, j] = -cuts.distance_weight * scatter if last > first else 0.0
            if k and b - a < cuts.shortest:
                joint[i, j] -= (cuts.shortest - (b - a)) * cuts.short_cost


@compiled
def _scatter(sums: Any, squares: Any, first: Any, last: Any) -> Any:
    """Sum of squared distances of frames ``first`` to ``last`` - 1 to their mean."""
    between = 0.0
    for d in range(sums.shape[1]):
        between += (sums[last, d] - sums[first, d]) ** 2
    return squares[last] - squares[first] - between / max(last - first, 1)
