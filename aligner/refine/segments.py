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

from aligner.features import SphinxFrontend
from aligner.refine.confidence import Evidence
from aligner.refine.offsets import SHORTEST
from aligner.types import Clock

FINE = SphinxFrontend(
    frate=200, wlen=0.015, nfft=256, nfilt=26, lowerf=0.0, upperf=8000.0, transform="dct", varnorm=True
)
STEP, ZERO = FINE.clock.seconds(1), FINE.clock.boundary(0)  # s; from one place to the next, and the first
REACH = 12  # places on either side of where a boundary is expected that it may have
LIKENESS = (
    0.07  # log-probability that a squared distance costs; less than 1/2, for frames are not independent
)
HOLD = 0.015  # s; standard deviation of where a boundary is around where it is expected
HOLD_CLOSE = 0.0085  # s; the same where a warped reference expects it, which has boundaries of its own
LEANING = 0.1  # weight of a model's log-likelihoods, whose frames are not independent either
LEANING_PLAIN = 0.04  # the same where nobody has measured what the model is off by: it leans to that, too
CRAMMED = 1e6  # log-probability that each frame of a segment costs which it lacks to be `SHORTEST`


class Places(NamedTuple):
    """Where each boundary may be, and how likely.

    Attributes
    ----------
    first : ndarray
        (N,) seconds of the first place of each.
    step : float
        Seconds from one place to the next.
    probability : ndarray
        (N, W) of the places, which sum to 1.
    """

    first: np.ndarray
    step: float
    probability: np.ndarray

    def quantile(self, share: float) -> np.ndarray:
        """(N,) seconds before which ``share`` of each distribution lies; between places it is spread evenly.

        Examples
        --------
        >>> Places(np.array([1.0]), 0.1, np.array([[0.0, 1.0, 0.0]])).quantile(0.5).round(3)
        array([1.1])
        """
        total = np.cumsum(self.probability, 1)
        rows = np.arange(len(total))
        at = np.minimum((total < share).sum(1), total.shape[1] - 1)
        mass = self.probability[rows, at]
        within = (share - (total[rows, at] - mass)) / np.maximum(mass, 1e-12)
        found: np.ndarray = self.first + self.step * (at - 0.5 + np.clip(within, 0.0, 1.0))
        return found


def places(
    expected: np.ndarray, energies: Tensor, hold: float = HOLD, leaning: Leaning | None = None
) -> Places:
    """How likely each boundary is at each place near where it is expected.

    Parameters
    ----------
    expected : ndarray
        (N,) seconds from the start of the wave, ascending.
    energies : Tensor
        (T, 26), see `fine_energies`.
    hold : float
        Standard deviation around where they are expected, in seconds.
    leaning : Leaning, optional
        What a model says of the frames around each.
    """
    frames = features_of(energies)
    middle = np.clip(np.rint((expected - ZERO) / STEP), 0, len(frames)).astype(np.int64)
    grid = ZERO + STEP * (middle[:, None] + np.arange(-REACH, REACH + 1))
    prior = -np.square((grid - expected[:, None]) / hold) / 2
    if leaning is not None:
        prior += leaning.weight * leaning(grid)
    return Places(grid[:, 0], STEP, marginals(frames, middle, prior, round(SHORTEST / STEP)))


class Leaning(NamedTuple):
    """What a model's frames say for each boundary: for an earlier or a later one.

    Attributes
    ----------
    before : ndarray
        (T,) log-likelihood of the phone before each frame's own, less its own.
    after : ndarray
        (T,) of the phone after it.
    edges : ndarray
        (N + 2,) frames that the phones begin with, and the last + 1.
    late : ndarray
        (N,) how late the model is at each boundary, in seconds.
    clock : Clock
        Of the frames.
    weight : float
        Of the log-likelihoods.
    """

    before: np.ndarray
    after: np.ndarray
    edges: np.ndarray
    late: np.ndarray
    clock: Clock
    weight: float = LEANING

    @classmethod
    def of(
        cls, seen: Evidence, firsts: Sequence[int], late: np.ndarray, clock: Clock, weight: float = LEANING
    ) -> Leaning | None:
        """Of an utterance whose phones begin with the frames ``firsts``; None where the evidence has nothing
        to say.
        """
        if not seen.earlier.any() and not seen.later.any():
            return None
        return cls(seen.earlier, seen.later, np.array([*firsts, len(seen.later)]), late, clock, weight)

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


def fine_energies(wave: Tensor) -> Tensor:
    """Log energies (T, 26) of mel filters every 5 ms of a wave (N,) at 16 kHz."""
    return FINE.energies(wave)


def features_of(energies: Tensor) -> np.ndarray:
    """Log energies (T, 26) -> cepstra (T, 13), each of unit variance times a weight that falls with its
    number.
    """
    cepstra = FINE.normalise(FINE.transformed(energies))
    weights = (1.0 + torch.arange(FINE.ncep)).rsqrt()
    scaled: np.ndarray = (cepstra * weights / weights.square().mean().sqrt()).numpy()
    return scaled


def marginals(frames: np.ndarray, middle: np.ndarray, prior: np.ndarray, shortest: int) -> np.ndarray:
    """Probability of each place of each boundary, over all ways to cut ``frames`` into segments.

    The log-probability of a way is, up to a constant, what the ``prior`` gives its boundaries, less
    `LIKENESS` times the squared distances of all frames to the mean of their segment.

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
    from aligner.refine.segments_numba import forward_backward  # numba is slow to import

    x = frames.astype(np.float64)
    sums = np.concatenate([np.zeros((1, x.shape[1])), np.cumsum(x, 0)])
    squares = np.concatenate([[0.0], np.cumsum(np.square(x).sum(1))])
    found: np.ndarray = forward_backward(
        sums, squares, middle, np.ascontiguousarray(prior, np.float64), shortest, LIKENESS, CRAMMED
    )
    return found


def reference(frames: np.ndarray, middle: np.ndarray, prior: np.ndarray, shortest: int) -> np.ndarray:
    """`marginals` in plain numpy."""
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
                found[i, j] = -LIKENESS * np.square(inside - inside.mean(0)).sum()
            found[i, j] -= CRAMMED * max(shortest - (b - a), 0)
    return found
