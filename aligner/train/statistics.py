"""Sufficient statistics of EM: sums that add up over frames, utterances, processes and machines.

P pdfs drawing on C codebooks of M Gaussians; streams of D dimensions; N phones of up to K states.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from aligner.models.gmm import Diagonal, GaussianMixtures
from aligner.search.arcs import arrays


class Occupancies(NamedTuple):
    """Posterior probabilities of pdfs: n pairs of a frame and a pdf."""

    frames: Tensor
    """(n,) int64: frame of each pair."""
    pdfs: Tensor
    """(n,) int64: pdf of each pair."""
    weights: Tensor
    """(n,) float64: posterior probability of the pair; 1 on a best path."""


class StreamSums(NamedTuple):
    """Sums of one feature stream, in float64."""

    counts: Tensor
    """(P, M): summed posteriors of each Gaussian of each pdf."""
    first: Tensor
    """(C, M, D): weighted sums of the frames."""
    second: Tensor
    """(C, M, D): weighted sums of the squared frames."""

    def plus(self, other: StreamSums) -> StreamSums:
        """Add the sums of other frames."""
        return StreamSums(*(a + b for a, b in zip(self, other, strict=True)))


SpokenForm = tuple[str, tuple[str, ...]]  # a word and its phones
START: SpokenForm = ("<s>", ())  # what stands before the first word, and behind the last


@dataclass(frozen=True)
class PronunciationCounts:
    """Counts of how words were said; they add up."""

    pairs: Counter[tuple[SpokenForm, SpokenForm, bool]] = field(default_factory=Counter)
    """How often a word stands behind another, with silence between them or without."""

    def __add__(self, other: PronunciationCounts) -> PronunciationCounts:
        return PronunciationCounts(self.pairs + other.pairs)


@dataclass(frozen=True, kw_only=True, eq=False)
class Statistics:
    """The sufficient statistics of one step of EM."""

    streams: tuple[StreamSums, ...]
    """Sums of each stream."""
    stays: np.ndarray
    """(N, K): how often each phone's state follows itself."""
    leaves: np.ndarray
    """(N, K): how often each phone's state is left."""
    log_likelihood: float = 0.0
    """Log-likelihood of all frames."""
    frames: int = 0
    """Number of frames that were learnt from."""
    utterances: int = 0
    """Number of utterances that were learnt from."""
    unaligned: tuple[str, ...] = ()
    """Ids of the utterances without a path."""
    pronunciations: PronunciationCounts = field(default_factory=PronunciationCounts)
    """Counts of words as they were said; empty where no path was searched for."""

    def __add__(self, other: Statistics) -> Statistics:
        streams = tuple(a.plus(b) for a, b in zip(self.streams, other.streams, strict=True))
        return Statistics(
            streams=streams,
            stays=self.stays + other.stays,
            leaves=self.leaves + other.leaves,
            log_likelihood=self.log_likelihood + other.log_likelihood,
            frames=self.frames + other.frames,
            utterances=self.utterances + other.utterances,
            unaligned=self.unaligned + other.unaligned,
            pronunciations=self.pronunciations + other.pronunciations,
        )

    @property
    def occupancy(self) -> Tensor:
        """Number of frames (P,) of each pdf."""
        return self.streams[0].counts.sum(1)


def accumulate(
    mixtures: GaussianMixtures, frames: Tensor, occupancies: Occupancies, seen: Tensor | None = None
) -> tuple[tuple[StreamSums, ...], Tensor]:
    """Accumulate the sums of frames (T, D), and the log-likelihood (n,) of each pair of a frame and its pdf.

    The frames of a codebook are one product with its Gaussians; each Gaussian's share of a frame is its
    posterior among those of the pdf.  With ``seen`` (T, E) it is these that are added up, by the shares of
    ``frames``: what a model of other features begins with (single-pass retraining); ``mixtures`` have one
    stream then.

    Examples
    --------
    >>> means, variances, weights = np.zeros((1, 1, 2)), np.ones((1, 1, 2)), np.ones((1, 1))
    >>> one = GaussianMixtures.of([means], [variances], [weights], np.zeros(1, int))
    >>> both = torch.tensor([0, 1]), torch.tensor([0, 0]), torch.ones(2)
    >>> accumulate(one, torch.tensor([[1.0, 2.0], [3.0, 4.0]]), Occupancies(*both))[0][0].first.tolist()
    [[[4.0, 6.0]]]
    """
    if frames.device.type == "cpu" and all(
        isinstance(stream.gaussians, Diagonal) for stream in mixtures.streams
    ):
        return _by_numba(mixtures, frames, occupancies, seen)
    return reference(mixtures, frames, occupancies, seen)


def reference(
    mixtures: GaussianMixtures, frames: Tensor, occupancies: Occupancies, seen: Tensor | None = None
) -> tuple[tuple[StreamSums, ...], Tensor]:
    """Do as `accumulate` in plain torch, on any device."""
    found = zero_sums(mixtures) if seen is None else zero_sums(mixtures, seen.shape[1])
    emitted = occupancies.weights.new_zeros(len(occupancies.frames))
    y = frames if seen is None else seen
    for book, rows in by_group(
        torch.from_numpy(mixtures.codebook).to(occupancies.pdfs.device)[occupancies.pdfs]
    ):
        at, pdfs, weights = occupancies.frames[rows], occupancies.pdfs[rows], occupancies.weights[rows, None]
        for stream, own, joint in zip(
            mixtures.streams, found, log_joints(mixtures, frames[at], pdfs, book), strict=True
        ):
            total = joint.logsumexp(1, keepdim=True)
            emitted[rows] += total[:, 0]
            gammas = (joint - total).exp_() * weights
            own.counts.index_add_(0, pdfs, gammas)
            x = (y[at][:, stream.columns] if seen is None else y[at]).double()
            own.first[book] += gammas.T @ x
            own.second[book] += gammas.T @ x.square()
    return found, emitted


def _by_numba(
    mixtures: GaussianMixtures, frames: Tensor, occupancies: Occupancies, seen: Tensor | None
) -> tuple[tuple[StreamSums, ...], Tensor]:
    from aligner.train.sums_numba import add_up  # numba is slow to import

    found = zero_sums(mixtures) if seen is None else zero_sums(mixtures, seen.shape[1])
    emitted = torch.zeros(len(occupancies.frames), dtype=torch.float64)
    pairs = arrays(*occupancies)
    for stream, own in zip(mixtures.streams, found, strict=True):
        x = frames[:, stream.columns]
        precisions = stream.covariances.double().reciprocal()
        constants = -0.5 * (math.log(2 * math.pi) * x.shape[1] - precisions.log().sum(2))
        add_up(
            *arrays(x.double(), (x if seen is None else seen).double()),
            *pairs,
            mixtures.codebook,
            *arrays(stream.means.double(), precisions, constants, stream.weights.double().log()),
            *arrays(*own),
            *arrays(emitted),
        )
    return found, emitted


def log_joints(mixtures: GaussianMixtures, x: Tensor, pdfs: Tensor, book: int) -> Iterator[Tensor]:
    """Yield per stream the weighted log densities (n, M), float64, of codebook ``book`` in frames (n, D)."""
    for stream in mixtures.streams:
        densities = stream.gaussians.take(torch.tensor([book]))(x[:, stream.columns])[:, 0].double()
        yield densities + stream.weights[pdfs].double().log()


def by_group(groups: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Yield each number in ``groups`` (n,) with the places where it stands."""
    order = torch.argsort(groups, stable=True)
    numbers, counts = torch.unique_consecutive(groups[order], return_counts=True)
    yield from zip(numbers.tolist(), torch.split(order, counts.tolist()), strict=True)


def zero_sums(mixtures: GaussianMixtures, size: int | None = None) -> tuple[StreamSums, ...]:
    """Make sums of no frames; ``size`` is that of the frames where it differs from the mixtures'."""

    def empty(like: Tensor, *shape: int) -> Tensor:
        return like.new_zeros(shape, dtype=torch.float64)

    return tuple(
        StreamSums(
            empty(s.weights, *s.weights.shape),
            *(empty(s.means, *s.means.shape[:2], size or s.means.shape[2]) for _ in range(2)),
        )
        for s in mixtures.streams
    )


def total(parts: Iterable[Statistics]) -> Statistics:
    """Add up at least one set of statistics, holding no more than two at a time."""
    return reduce(add, parts)
