"""Boundaries after the search: from where a model puts them to where people do.

Three steps, each a room of its own: what the model is known to be off by between two classes of phones
(`aligner.refine.offsets`); how likely each place near there is, by the sound itself and by what the model
says of its frames (`aligner.refine.segments`); and, where somebody corrected boundaries by hand, what was
learnt of that (`aligner.refine.learning`).  The median of what comes out is the boundary, its quantiles are
how far off it may be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from torch import Tensor

from aligner.features import fine_energies
from aligner.models.boundary import CANDIDATE_REACH, BoundaryModel
from aligner.refine.confidence import Evidence
from aligner.refine.offsets import correct, with_starts
from aligner.refine.segments import (
    FIRST_PLACE,
    PLACE_STEP,
    PRIOR_DEVIATION,
    RATIO_WEIGHT,
    RATIO_WEIGHT_UNMEASURED,
    BoundaryDistributions,
    LikelihoodRatios,
    boundary_distributions,
)
from aligner.text.phones import phone_class
from aligner.types import COVERAGE, DECIMALS, Clock, Edge, Interval

# how much wider than its distribution a model's intervals must be to hold `COVERAGE` of all hand labels
INTERVAL_FACTOR = 1.7
# the same of networks, which hear phones as spikes, and of warped references
INTERVAL_FACTOR_NETWORK, INTERVAL_FACTOR_REFERENCE = 2.0, 2.5
# s that an interval reaches to either side at least: half of the way from place to place
LEAST_WIDTH = 0.0025
LEAST_PROBABILITY = 0.01  # probability that every place keeps, however unlikely the sound makes it
SHORTEST_WAVE = 160  # samples; what is shorter has no sound to look into


class Searched(NamedTuple):
    """What a search found in an utterance."""

    phones: tuple[Interval, ...]
    """Phones from the utterance's start to its end, without gaps."""
    firsts: Sequence[int]
    """The frame that each phone begins with."""
    evidence: Evidence
    """What each frame says about the path."""
    clock: Clock
    """Clock of the frames."""
    owners: Sequence[int] = ()
    """The word that each phone belongs to; empty where that is not known."""

    @property
    def word_edges(self) -> np.ndarray:
        """(N,) whether a word begins or ends at each boundary; all may, where words are not known."""
        owners = np.array(self.owners)
        edges: np.ndarray = owners[1:] != owners[:-1] if len(owners) else np.ones(len(self.phones) - 1, bool)
        return edges


class Refined(NamedTuple):
    """The phones of a search with better boundaries, and how sure these are."""

    phones: tuple[Interval, ...]
    """Phones with their better boundaries."""
    edges: tuple[Edge, ...] = ()
    """Each boundary with the interval around it; empty where that was not looked into."""


@dataclass(frozen=True, kw_only=True)
class Refinement:
    """How boundaries are refined after the search."""

    how: str = "full"
    """'full': by offsets and the sound; 'offsets': by the table alone; 'none': boundaries stay where they
    are."""
    offsets: Mapping[tuple[str, str], float] = field(default_factory=dict)
    """Table of offsets between classes of phones (see `aligner.refine.offsets`)."""
    deviation: float = PRIOR_DEVIATION
    """Standard deviation of boundaries around where they are after the table, in seconds."""
    width: float = INTERVAL_FACTOR
    """Factor by which the intervals around boundaries are wider than their distributions."""

    taught: BoundaryModel | None = None
    """Model of what was learnt from corrections; None if nothing was."""

    def __call__(self, found: Searched, wave: Tensor) -> Refined:
        """Refine what was found in a ``wave`` (N,) at 16 kHz.

        Labels and their order stay; intervals stay without gaps, and none is made shorter than
        `aligner.refine.offsets.SHORTEST_INTERVAL` unless it was.
        """
        if self.how == "none":
            return Refined(found.phones)
        corrected = correct(found.phones, self.offsets)
        if self.how == "offsets" or len(corrected) < 2 or len(wave) < SHORTEST_WAVE:
            return Refined(corrected)
        energies = fine_energies(wave)
        likely = self.distributions(found, corrected, energies)
        if self.taught is None:
            return place_at_medians(corrected, likely, self.width)
        taught = apply_boundary_model(likely, corrected, energies, self.taught)
        if self.taught.words_only:
            own, others = Quantiles.of(taught, self.taught.width), Quantiles.of(likely, self.width)
            return own.where(found.word_edges, others).placed(corrected)
        return place_at_medians(corrected, taught, self.taught.width)

    def distributions(
        self, found: Searched, corrected: Sequence[Interval], energies: Tensor
    ) -> BoundaryDistributions:
        """How likely each boundary is at each place near where the table of offsets has it; seconds from the
        start.
        """
        starts, expected = (
            np.array([p.start - phones[0].start for p in phones[1:]]) for phones in (found.phones, corrected)
        )
        weight = RATIO_WEIGHT if self.offsets else RATIO_WEIGHT_UNMEASURED
        late = starts - expected
        ratios = LikelihoodRatios.of(found.evidence, found.firsts, late, found.clock, weight=weight)
        return boundary_distributions(expected, energies, self.deviation, ratios)


class MedianGrid(NamedTuple):
    """Places on a regular grid around the median of each boundary, as a boundary model reads them."""

    middle: np.ndarray
    """(N,) int64: the number of the middle place."""
    log_probability: np.ndarray
    """(N, W) up to a constant; what is beyond reach is not impossible."""
    distance: np.ndarray
    """(N, W) seconds of each place from the median."""

    @classmethod
    def around(cls, found: BoundaryDistributions) -> MedianGrid:
        """The grid around the medians of distributions."""
        median = found.quantile(0.5)
        middle = np.rint((median - FIRST_PLACE) / PLACE_STEP).astype(np.int64)
        grid = middle[:, None] + np.arange(-CANDIDATE_REACH, CANDIDATE_REACH + 1)
        column = grid - np.rint((found.first - FIRST_PLACE) / PLACE_STEP).astype(np.int64)[:, None]
        within = (column >= 0) & (column < found.probability.shape[1])
        own = np.take_along_axis(found.probability, np.where(within, column, 0), 1)
        return cls(
            middle,
            np.log(np.where(within, own, 0.0) + LEAST_PROBABILITY),
            FIRST_PLACE + PLACE_STEP * grid - median[:, None],
        )

    @property
    def first(self) -> np.ndarray:
        """(N,) seconds of the first place of each boundary."""
        return FIRST_PLACE + PLACE_STEP * (self.middle - CANDIDATE_REACH)

    def distributions(self, probability: np.ndarray) -> BoundaryDistributions:
        """Distributions that give these places other probabilities (N, W)."""
        return BoundaryDistributions(self.first, PLACE_STEP, probability)


def apply_boundary_model(
    likely: BoundaryDistributions, phones: Sequence[Interval], energies: Tensor, taught: BoundaryModel
) -> BoundaryDistributions:
    """Distributions as what was learnt from corrections changes them.

    Parameters
    ----------
    likely : BoundaryDistributions
        By the sound alone.
    phones : sequence of Interval
    energies : Tensor
        (T, 26) of their sound.
    taught : BoundaryModel
    """
    labels = [phone.label for phone in phones]
    if not taught.networks:
        return moved(likely, labels, taught.offsets)
    around = MedianGrid.around(likely)
    return around.distributions(
        taught(energies, around.middle, labels, around.log_probability, around.distance)
    )


def moved(
    likely: BoundaryDistributions, labels: Sequence[str], offsets: Mapping[tuple[str, str], float]
) -> BoundaryDistributions:
    """Distributions as much earlier as boundaries between these classes of phones are late.

    Parameters
    ----------
    likely : BoundaryDistributions
    labels : sequence of str
        (N + 1,) of the phones.
    offsets : mapping of (str, str) to float
        Seconds, by the classes before and after.
    """
    late = [offsets.get((phone_class(a), phone_class(b)), 0.0) for a, b in pairwise(labels)]
    return likely._replace(first=likely.first - np.array(late))


class Quantiles(NamedTuple):
    """Where boundaries are, and how far off they may be; in seconds."""

    middle: np.ndarray
    """(N,) medians, from where the first phone begins."""
    before: np.ndarray
    """(N,) how much earlier they may be."""
    after: np.ndarray
    """(N,) how much later they may be."""

    @classmethod
    def of(cls, likely: BoundaryDistributions, width: float) -> Quantiles:
        """Those of distributions, with intervals that are ``width`` times as wide."""
        low, middle, high = (likely.quantile(q) for q in ((1 - COVERAGE) / 2, 0.5, (1 + COVERAGE) / 2))
        return cls(middle, width * (middle - low) + LEAST_WIDTH, width * (high - middle) + LEAST_WIDTH)

    def where(self, own: np.ndarray, others: Quantiles) -> Quantiles:
        """These where ``own`` (N,) says so, and others elsewhere."""
        return Quantiles(*(np.where(own, a, b) for a, b in zip(self, others, strict=True)))

    def placed(self, phones: Sequence[Interval]) -> Refined:
        """Phones with their boundaries at the medians."""
        start = phones[0].start
        found = with_starts(phones, [start + t for t in self.middle.tolist()])
        edges = [
            Edge(
                p.start,
                max(round(p.start - a, DECIMALS), start),
                min(round(p.start + b, DECIMALS), phones[-1].end),
            )
            for p, a, b in zip(found[1:], self.before.tolist(), self.after.tolist(), strict=True)
        ]
        return Refined(found, tuple(edges))


def widened(edges: Sequence[Edge], factor: float, start: float, end: float) -> tuple[Edge, ...]:
    """Boundaries with intervals that are wider, but not beyond the utterance; what is known stays known.

    Parameters
    ----------
    edges : sequence of Edge
    factor : float
        How many times as wide, without the least width.
    start, end : float
        Of the utterance.

    Examples
    --------
    >>> widened([Edge(1.0, 0.99, 1.02), Edge(2.0, 2.0, 2.0)], 2.0, 0.0, 3.0)
    (Edge(time=1.0, low=0.9825, high=1.0375), Edge(time=2.0, low=2.0, high=2.0))
    """
    more = factor - 1.0
    return tuple(
        Edge(
            e.time,
            max(round(e.low - more * max(e.time - e.low - LEAST_WIDTH, 0.0), DECIMALS), min(start, e.low)),
            min(round(e.high + more * max(e.high - e.time - LEAST_WIDTH, 0.0), DECIMALS), max(end, e.high)),
        )
        for e in edges
    )


def place_at_medians(phones: Sequence[Interval], likely: BoundaryDistributions, width: float) -> Refined:
    """Phones with their boundaries at the medians of distributions in seconds from where the first begins.

    Parameters
    ----------
    phones : sequence of Interval
    likely : BoundaryDistributions
    width : float
        How much wider than these distributions the intervals are.
    """
    return Quantiles.of(likely, width).placed(phones)
