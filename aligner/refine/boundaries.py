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
from typing import NamedTuple

import numpy as np
from torch import Tensor

from aligner.models.boundary import REACH, BoundaryModel
from aligner.refine.confidence import Evidence
from aligner.refine.offsets import correct, moved
from aligner.refine.segments import (
    HOLD,
    LEANING,
    LEANING_PLAIN,
    STEP,
    ZERO,
    Leaning,
    Places,
    fine_energies,
    places,
)
from aligner.types import COVERAGE, DECIMALS, Clock, Edge, Interval

# how much wider than its distribution a model's intervals must be to hold `COVERAGE` of all hand labels
WIDTH = 1.7
WIDTH_NETWORK, WIDTH_CLOSE = (
    2.0,
    2.5,
)  # the same of networks, which hear phones as spikes, and of warped references
LEAST_WIDTH = (
    0.0025  # s that an interval reaches to either side at least: half of the way from place to place
)
POSSIBLE = 0.01  # probability that every place keeps, however unlikely the sound makes it
FEWEST = 160  # samples; what is shorter has no sound to look into


class Searched(NamedTuple):
    """What a search found in an utterance.

    Attributes
    ----------
    phones : tuple of Interval
        From its start to its end without gaps.
    firsts : sequence of int
        The frame that each begins with.
    evidence : Evidence
    clock : Clock
        Of the frames.
    """

    phones: tuple[Interval, ...]
    firsts: Sequence[int]
    evidence: Evidence
    clock: Clock


class Refined(NamedTuple):
    """The same phones with better boundaries, and how sure these are (empty where that was not looked
    into)."""

    phones: tuple[Interval, ...]
    edges: tuple[Edge, ...] = ()


@dataclass(frozen=True)
class Refinement:
    """How boundaries are refined.

    Attributes
    ----------
    how : {'full', 'offsets', 'none'}
    offsets : mapping of (str, str) to float
        See `aligner.refine.offsets`.
    hold : float
        How far off a boundary usually is after that, in seconds.
    width : float
        How much wider than the distributions of boundaries the intervals around them are.
    taught : BoundaryModel or None
        What was learnt from corrections.
    """

    how: str = "full"
    offsets: Mapping[tuple[str, str], float] = field(default_factory=dict)
    hold: float = HOLD
    width: float = WIDTH

    taught: BoundaryModel | None = None

    def __call__(self, found: Searched, wave: Tensor) -> Refined:
        """Refine what was found in a ``wave`` (N,) at 16 kHz.

        Labels and their order stay; intervals stay without gaps, and none is made shorter than
        `aligner.refine.offsets.SHORTEST` unless it was.
        """
        if self.how == "none":
            return Refined(found.phones)
        corrected = correct(found.phones, self.offsets)
        if self.how == "offsets" or len(corrected) < 2 or len(wave) < FEWEST:
            return Refined(corrected)
        energies = fine_energies(wave)
        likely = self.places(found, corrected, energies)
        if self.taught is None:
            return placed(corrected, likely, self.width)
        return placed(corrected, sharpened(likely, corrected, energies, self.taught), self.taught.width)

    def places(self, found: Searched, corrected: Sequence[Interval], energies: Tensor) -> Places:
        """How likely each boundary is at each place near where the table of offsets has it; seconds from the
        start.
        """
        starts, expected = (
            np.array([p.start - phones[0].start for p in phones[1:]]) for phones in (found.phones, corrected)
        )
        leaning = Leaning.of(
            found.evidence,
            found.firsts,
            starts - expected,
            found.clock,
            LEANING if self.offsets else LEANING_PLAIN,
        )
        return places(expected, energies, self.hold, leaning)


class Around(NamedTuple):
    """The places around the likeliest of each boundary.

    Attributes
    ----------
    middle : ndarray
        (N,) int64, the number of the middle place.
    likely : ndarray
        (N, W) log-probabilities up to a constant; what is beyond reach is not impossible.
    away : ndarray
        (N, W) how far each place is from the likeliest, in seconds.
    """

    middle: np.ndarray
    likely: np.ndarray
    away: np.ndarray

    @classmethod
    def of(cls, found: Places) -> Around:
        """Places around the medians of distributions."""
        median = found.quantile(0.5)
        middle = np.rint((median - ZERO) / STEP).astype(np.int64)
        grid = middle[:, None] + np.arange(-REACH, REACH + 1)
        column = grid - np.rint((found.first - ZERO) / STEP).astype(np.int64)[:, None]
        within = (column >= 0) & (column < found.probability.shape[1])
        own = np.take_along_axis(found.probability, np.where(within, column, 0), 1)
        return cls(
            middle, np.log(np.where(within, own, 0.0) + POSSIBLE), ZERO + STEP * grid - median[:, None]
        )

    @property
    def first(self) -> np.ndarray:
        """(N,) seconds of the first place of each."""
        return ZERO + STEP * (self.middle - REACH)

    def places(self, probability: np.ndarray) -> Places:
        """With other probabilities (N, W)."""
        return Places(self.first, STEP, probability)


def sharpened(likely: Places, phones: Sequence[Interval], energies: Tensor, taught: BoundaryModel) -> Places:
    """Distributions as what was learnt from corrections changes them.

    Parameters
    ----------
    likely : Places
        By the sound alone.
    phones : sequence of Interval
    energies : Tensor
        (T, 26) of their sound.
    taught : BoundaryModel
    """
    around = Around.of(likely)
    return around.places(
        taught(energies, around.middle, [p.label for p in phones], around.likely, around.away)
    )


def placed(phones: Sequence[Interval], likely: Places, width: float) -> Refined:
    """Phones with their boundaries at the medians of distributions in seconds from where the first begins.

    Parameters
    ----------
    phones : sequence of Interval
    likely : Places
    width : float
        How much wider than these distributions the intervals are.
    """
    start = phones[0].start
    low, middle, high = (likely.quantile(q) for q in ((1 - COVERAGE) / 2, 0.5, (1 + COVERAGE) / 2))
    found = moved(phones, [start + t for t in middle.tolist()])
    before, after = (width * part + LEAST_WIDTH for part in (middle - low, high - middle))
    edges = [
        Edge(
            p.start,
            max(round(p.start - a, DECIMALS), start),
            min(round(p.start + b, DECIMALS), phones[-1].end),
        )
        for p, a, b in zip(found[1:], before.tolist(), after.tolist(), strict=True)
    ]
    return Refined(found, tuple(edges))
