"""Finds in the sound itself where one phone ends and the next begins.

A method that knows roughly where its boundaries are (a network's spikes, a warped reference) leaves
the rest to the recording: of all ways to cut it near those places, the one whose segments are most alike
inside is taken, each boundary being held by where it is expected.  This is maximum-likelihood segmentation
(Svendsen & Soong 1987, "On the automatic segmentation of speech signals") with a Gaussian prior.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from aligner.features import SphinxFrontend
from aligner.refine.offsets import SHORTEST, moved
from aligner.types import Interval

FINE = SphinxFrontend(frate=200, wlen=0.015, nfilt=26, lowerf=0.0, upperf=8000.0, transform="dct", varnorm=True)
SPREAD = 0.025  # s; how far a boundary usually is from where it is expected
HOLD = 30.0  # of the prior, against squared distances of features of unit variance
REACH = 0.06  # s from where it is expected, beyond which a boundary is not looked for
IMPOSSIBLE = 1e6


def cut(phones: Sequence[Interval], wave: Tensor) -> tuple[Interval, ...]:
    """Phones with the boundaries between them where the sound changes.

    Parameters
    ----------
    phones : sequence of Interval
        Without gaps; where they are expected.
    wave : Tensor
        (N,) at 16 kHz; it begins where the first phone does.

    Returns
    -------
    tuple of Interval
        The same labels in the same order, from the same start to the same end.
    """
    frames = fine_features(wave)
    if len(phones) < 2 or len(frames) < len(phones):
        return tuple(phones)
    start, clock = phones[0].start, FINE.clock
    step, zero = clock.hop / clock.rate, clock.boundary(0)
    expected = np.array([(p.start - start - zero) / step for p in phones[1:]])
    found = segments(frames, expected, SPREAD / step, round(REACH / step), round(SHORTEST / step))
    return moved(phones, [start + clock.boundary(int(t)) for t in found])


def fine_features(wave: Tensor) -> np.ndarray:
    """Cepstra (T, 13) every 5 ms, each of unit variance times a weight that falls with its number."""
    cepstra = FINE.normalise(FINE.cepstra(wave))
    weights = (1.0 + torch.arange(FINE.ncep)).rsqrt()
    scaled: np.ndarray = (cepstra * weights / weights.square().mean().sqrt()).numpy()
    return scaled


def segments(frames: np.ndarray, expected: np.ndarray, spread: float, reach: int, shortest: int) -> np.ndarray:
    """Boundaries that cut ``frames`` into segments which are alike inside, near where they are expected.

    Minimised are the squared distances of all frames to the mean of their segment, plus `HOLD` times the squared
    distance of each boundary from where it is expected, in units of ``spread``.

    Parameters
    ----------
    frames : ndarray
        (T, D) of about unit variance.
    expected : ndarray
        (N,) boundaries in frames, ascending; a boundary t stands before frame t.
    spread : float
        In frames.
    reach : int
        Frames from the expected place within which a boundary is looked for.
    shortest : int
        Frames that a segment between two boundaries has; fewer only where there is no room.

    Returns
    -------
    ndarray
        (N,) frames.

    Examples
    --------
    >>> frames = np.repeat([[0.0], [3.0], [-1.0]], [10, 10, 10], 0)
    >>> segments(frames, np.array([7.0, 22.0]), 5.0, 6, 2)
    array([10, 20])
    """
    from aligner.refine.segments_numba import best_edges  # numba is slow to import

    x = frames.astype(np.float64)
    sums = np.concatenate([np.zeros((1, x.shape[1])), np.cumsum(x, 0)])
    squares = np.concatenate([[0.0], np.cumsum(np.square(x).sum(1))])
    found: np.ndarray = best_edges(sums, squares, np.asarray(expected, np.float64), spread, reach, shortest, HOLD,
                                   IMPOSSIBLE)
    return found


def reference(frames: np.ndarray, expected: np.ndarray, spread: float, reach: int, shortest: int) -> np.ndarray:
    """`segments` in plain numpy."""
    inside = _Scatter(frames)
    total, before = np.zeros(1), np.zeros(1, np.int64)
    tried, choices = [], []
    for k, place in enumerate(expected.tolist()):
        lowest, highest = (min(max(round(place) + d, 0), len(frames)) for d in (-reach, reach))
        now = np.arange(lowest, highest + 1)
        crammed = np.maximum((shortest if k else 0) - (now - before[:, None]), 0) * IMPOSSIBLE
        joined = total[:, None] + inside(before, now) + crammed
        choice = joined.argmin(0)
        total = joined[choice, np.arange(len(now))] + HOLD * np.square((now - place) / spread)
        choices.append(choice)
        tried.append(now)
        before = now
    state = int((total + inside(before, np.array([len(frames)]))[:, 0]).argmin())
    found = []
    for choice, now in zip(reversed(choices), reversed(tried), strict=True):
        found.append(int(now[state]))
        state = int(choice[state])
    return np.array(found[::-1])


class _Scatter:
    """Sum of squared distances to their mean of the frames from each of ``first`` to each of ``last``."""

    def __init__(self, frames: np.ndarray) -> None:
        x = frames.astype(np.float64)
        self._sums = np.concatenate([np.zeros((1, x.shape[1])), np.cumsum(x, 0)])
        self._norms = np.square(self._sums).sum(1)
        self._squares = np.concatenate([[0.0], np.cumsum(np.square(x).sum(1))])

    def __call__(self, first: np.ndarray, last: np.ndarray) -> np.ndarray:
        a, b = first[:, None], last
        between = self._norms[a] + self._norms[b] - 2 * self._sums[first] @ self._sums[last].T
        scatter: np.ndarray = self._squares[b] - self._squares[a] - between / np.maximum(b - a, 1)
        return scatter
