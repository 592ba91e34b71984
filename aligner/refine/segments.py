"""Finds in the sound itself where one phone ends and the next begins, and how surely.

A search knows roughly where its boundaries are; the rest is left to the recording.  Of all ways to cut it
near those places, those are likely whose segments are alike inside, each boundary being held by where it is
expected: this is maximum-likelihood segmentation (Svendsen & Soong 1987, "On the automatic segmentation of
speech signals") with a prior.  Not the one best way is taken but all of them, each as likely as it is (the
forward-backward sums of a semi-Markov model): so every boundary has a distribution, whose median is the place
that is least far off on the average, and whose quantiles tell how far off it may be.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from aligner.features import FINE_FRONTEND
from aligner.refine.confidence import Evidence
from aligner.refine.offsets import SHORTEST_INTERVAL
from aligner.types import Clock

CEPSTRAL_WEIGHTS = (1.0 + torch.arange(FINE_FRONTEND.ncep)).rsqrt()  # of each cepstrum in distances
PLACE_STEP = FINE_FRONTEND.clock.seconds(1)  # s from one place to the next
FIRST_PLACE = FINE_FRONTEND.clock.boundary(0)  # s; the first place
PLACES_EACH_SIDE = 12  # places on either side of where a boundary is expected that it may have
# log-probability that a squared distance costs; less than 1/2, for frames are not independent
DISTANCE_WEIGHT = 0.07
NEAR = 30  # frames (0.15 s) on either side of a boundary that say where it is
PRIOR_DEVIATION = 0.015  # s; standard deviation of where a boundary is around where it is expected
# s; the same where a warped reference expects it, which has boundaries of its own
PRIOR_DEVIATION_REFERENCE = 0.0085
RATIO_WEIGHT = 0.1  # weight of a model's log-likelihoods, whose frames are not independent either
# the same where nobody has measured what the model is off by: its ratios are biased, too
RATIO_WEIGHT_UNMEASURED = 0.04
# log-probability that each frame of a segment costs which it lacks to be `SHORTEST_INTERVAL`
SHORT_SEGMENT_COST = 1e6


class BoundaryDistributions(NamedTuple):
    """Where each boundary may be, and how likely."""

    first: np.ndarray
    """(N,) seconds of each boundary's first place."""
    step: float
    """Seconds from one place to the next."""
    probability: np.ndarray
    """(N, W) probability of each place; rows sum to 1."""

    def quantile(self, share: float) -> np.ndarray:
        """(N,) seconds before which ``share`` of each distribution lies; between places it is spread evenly.

        Examples
        --------
        >>> BoundaryDistributions(np.array([1.0]), 0.1, np.array([[0.0, 1.0, 0.0]])).quantile(0.5).round(3)
        array([1.1])
        """
        total = np.cumsum(self.probability, 1)
        rows = np.arange(len(total))
        at = np.minimum((total < share).sum(1), total.shape[1] - 1)
        mass = self.probability[rows, at]
        within = (share - (total[rows, at] - mass)) / np.maximum(mass, 1e-12)
        found: np.ndarray = self.first + self.step * (at - 0.5 + np.clip(within, 0.0, 1.0))
        return found


def boundary_distributions(
    expected: np.ndarray,
    energies: Tensor,
    deviation: float = PRIOR_DEVIATION,
    ratios: LikelihoodRatios | None = None,
) -> BoundaryDistributions:
    """How likely each boundary is at each place near where it is expected.

    Parameters
    ----------
    expected : ndarray
        (N,) seconds from the start of the wave, ascending.
    energies : Tensor
        (T, 26), see `aligner.features.fine_energies`.
    deviation : float
        Standard deviation around where they are expected, in seconds.
    ratios : LikelihoodRatios, optional
        What a model says of the frames around each.
    """
    frames = features_of(energies)
    middle = np.clip(np.rint((expected - FIRST_PLACE) / PLACE_STEP), 0, len(frames)).astype(np.int64)
    grid = FIRST_PLACE + PLACE_STEP * (middle[:, None] + np.arange(-PLACES_EACH_SIDE, PLACES_EACH_SIDE + 1))
    prior = -np.square((grid - expected[:, None]) / deviation) / 2
    if ratios is not None:
        prior += ratios.weight * ratios(grid)
    kept = near(middle, len(frames))
    probability = marginals(
        frames[kept], np.searchsorted(kept, middle), prior, round(SHORTEST_INTERVAL / PLACE_STEP)
    )
    return BoundaryDistributions(grid[:, 0], PLACE_STEP, probability)


def near(middle: np.ndarray, frames: int) -> np.ndarray:
    """The numbers (M,) of the ``frames`` that lie near one of the places ``middle`` (N,), ascending.

    How long a pause is beyond them, and what happens there, must not move its ends.

    Examples
    --------
    >>> near(np.array([40, 50]), 500)[[0, -1]].tolist()
    [10, 79]
    """
    changes = np.zeros(frames + 1, np.int64)
    np.add.at(changes, np.maximum(middle - NEAR, 0), 1)
    np.add.at(changes, np.minimum(middle + NEAR, frames), -1)
    return np.flatnonzero(np.cumsum(changes[:-1]) > 0)


class LikelihoodRatios(NamedTuple):
    """Log-likelihood ratios of a model's frames, which speak for an earlier or a later boundary."""

    before: np.ndarray
    """(T,) log-likelihood of the phone before each frame's own, less that of its own."""
    after: np.ndarray
    """(T,) log-likelihood of the phone after each frame's own, less that of its own."""
    edges: np.ndarray
    """(N + 2,) frames that the phones begin with, and the last + 1."""
    late: np.ndarray
    """(N,) how late the model is at each boundary, in seconds."""
    clock: Clock
    """Clock of the frames."""
    weight: float = RATIO_WEIGHT
    """Weight of the log-likelihoods."""

    @classmethod
    def of(
        cls,
        seen: Evidence,
        firsts: Sequence[int],
        late: np.ndarray,
        clock: Clock,
        *,
        weight: float = RATIO_WEIGHT,
    ) -> LikelihoodRatios | None:
        """The ratios of an utterance whose phones begin with the frames ``firsts``.

        None where the evidence has nothing to say.
        """
        if not seen.earlier.any() and not seen.later.any():
            return None
        edges = np.array([*firsts, len(seen.later)])
        return cls(before=seen.earlier, after=seen.later, edges=edges, late=late, clock=clock, weight=weight)

    def __call__(self, grid: np.ndarray) -> np.ndarray:
        """(N, W) log-likelihood, up to a constant, of the frames around each boundary if it is at ``grid``
        (N, W) s.

        A frame before the boundary is one of the phone before it, and a frame behind it one of the phone
        after it; no farther than these phones reach.
        """
        begin, middle, end = (edges[:, None] for edges in (self.edges[:-2], self.edges[1:-1], self.edges[2:]))
        places = np.clip(self.clock.frame(grid + self.late[:, None]), begin, end)
        frames = np.arange(len(self.after) + 1)
        # an earlier boundary leaves frames to the phone after it, a later one to the phone before
        lost, gained = (
            np.concatenate([[0.0], np.cumsum(of, dtype=np.float64)]) for of in (self.after, self.before)
        )
        found = np.interp(np.maximum(places, middle), frames, gained) - np.interp(
            np.minimum(places, middle), frames, lost
        )
        relative: np.ndarray = found - found.max(1, keepdims=True)
        return relative


def features_of(energies: Tensor) -> np.ndarray:
    """Log energies (T, 26) -> cepstra (T, 13), each of unit variance times a weight that falls with its
    number.
    """
    cepstra = FINE_FRONTEND.normalise(FINE_FRONTEND.transformed(energies))
    scaled: np.ndarray = (cepstra * CEPSTRAL_WEIGHTS / CEPSTRAL_WEIGHTS.square().mean().sqrt()).numpy()
    return scaled


def marginals(frames: np.ndarray, middle: np.ndarray, prior: np.ndarray, shortest: int) -> np.ndarray:
    """Probability of each place of each boundary, over all ways to cut ``frames`` into segments.

    The log-probability of a way is, up to a constant, what the ``prior`` gives its boundaries, less
    `DISTANCE_WEIGHT` times the squared distances of all frames to the mean of their segment.

    Parameters
    ----------
    frames : ndarray
        (T, D) of about unit variance.
    middle : ndarray
        (N,) int64, the middle place of each boundary, ascending; a boundary t stands before frame t.
    prior : ndarray
        (N, 2 R + 1) log-probabilities of the places from R frames before the middle to R behind it.
    shortest : int
        Frames that a segment between two boundaries has; fewer only where there is no room.

    Returns
    -------
    ndarray
        (N, 2 R + 1), rows sum to 1.

    Examples
    --------
    >>> frames = 20 * np.repeat([[0.0], [3.0], [-1.0]], [10, 10, 10], 0)
    >>> marginals(frames, np.array([7, 22]), np.zeros((2, 13)), 2).argmax(1) + [1, 16]
    array([10, 20])
    """
    from aligner.refine.segments_numba import Cuts, forward_backward  # numba is slow to import

    x = frames.astype(np.float64)
    sums = np.concatenate([np.zeros((1, x.shape[1])), np.cumsum(x, 0)])
    squares = np.concatenate([[0.0], np.cumsum(np.square(x).sum(1))])
    cuts = Cuts(
        sums=sums,
        squares=squares,
        middle=middle,
        prior=np.ascontiguousarray(prior, np.float64),
        shortest=shortest,
        distance_weight=DISTANCE_WEIGHT,
        short_cost=SHORT_SEGMENT_COST,
    )
    found: np.ndarray = forward_backward(cuts)
    return found


def reference(frames: np.ndarray, middle: np.ndarray, prior: np.ndarray, shortest: int) -> np.ndarray:
    """Compute `marginals` in plain numpy, as the formulas have it."""
    count, reach = len(middle), prior.shape[1] // 2
    at = [np.zeros(1, np.int64), *(m + np.arange(-reach, reach + 1) for m in middle), np.array([len(frames)])]
    joint = [_pairs(frames, a, b, shortest if 0 < k < count else 0) for k, (a, b) in enumerate(pairwise(at))]
    inside = np.array(
        [np.where((t >= 0) & (t <= len(frames)), p, -np.inf) for t, p in zip(at[1:-1], prior, strict=True)]
    )
    forward = [joint[0][0] + inside[0]]
    for k in range(1, count):
        forward.append(np.logaddexp.reduce(forward[-1][:, None] + joint[k], 0) + inside[k])
    backward = [joint[count][:, 0]]
    for k in range(count - 1, 0, -1):
        backward.append(np.logaddexp.reduce(joint[k] + inside[k] + backward[-1], 1))
    both = np.array(forward) + np.array(backward[::-1])
    found: np.ndarray = np.exp(both - np.logaddexp.reduce(both, 1)[:, None])
    return found


def _pairs(frames: np.ndarray, first: np.ndarray, last: np.ndarray, shortest: int) -> np.ndarray:
    """Log-probabilities (A, B) of a segment from each of ``first`` to each of ``last``."""
    found = np.zeros((len(first), len(last)))
    for i, a in enumerate(first):
        for j, b in enumerate(last):
            inside = frames[max(a, 0) : max(b, 0)]
            if len(inside):
                found[i, j] = -DISTANCE_WEIGHT * np.square(inside - inside.mean(0)).sum()
            found[i, j] -= SHORT_SEGMENT_COST * max(shortest - (b - a), 0)
    return found
