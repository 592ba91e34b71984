"""How far the boundaries of an alignment are from those of the reference.

Each boundary of a matched phone counts once, and start and end of a matched word.  What has no match is in
the phone error rate and in recall; what has no alignment is missing: neither is hidden in the averages.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from aligner.evaluate.matching import Pairs
from aligner.text.phones import SILENCE, kind
from aligner.types import Interval

TOLERANCES_MS = (5, 10, 15, 20, 25, 50, 100)
ROUNDING_MS = 1e-6  # an error of a tolerance exactly is within it
DETECTION_TOLERANCE = 0.020  # s


class Boundary(NamedTuple):
    """A boundary of the reference that the alignment has, too."""

    left: str
    """The reference's label before the boundary; `SILENCE` where there is none."""
    right: str
    """The reference's label behind it; `SILENCE` where there is none."""
    reference: float
    """Where the reference has it, in seconds."""
    aligned: float
    """Where the alignment has it, in seconds."""

    @property
    def late(self) -> float:
        """How much later the alignment has it, in seconds."""
        return self.aligned - self.reference

    @property
    def classes(self) -> str:
        """The kinds of phones on both sides, such as ``stop-vowel``."""
        return f"{kind(self.left)}-{kind(self.right)}"


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Errors of a set of boundaries."""

    count: int
    """Number of boundaries."""
    mae: float
    """Mean absolute error in ms."""
    median: float
    """Median absolute error in ms."""
    bias: float
    """Mean error in ms; late is positive."""
    within: dict[int, float]
    """Share in percent within each of `TOLERANCES_MS`."""
    interval: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """95 % bootstrap intervals over files, of ``mae``, ``bias`` and ``within_5`` ...; empty where it was not
    asked for, or there are not two files."""


def phone_boundaries(
    reference: Sequence[Interval], estimate: Sequence[Interval], pairs: Pairs
) -> list[Boundary]:
    """Boundaries of matched phones; one that two matched neighbours share counts once."""
    matched = set(pairs)
    found = []
    for i, j in pairs:
        before = reference[i - 1].label if i and _touch(reference, i - 1) else SILENCE
        after = reference[i + 1].label if i + 1 < len(reference) and _touch(reference, i) else SILENCE
        found.append(Boundary(before, reference[i].label, reference[i].start, estimate[j].start))
        shared = (i + 1, j + 1) in matched and _touch(reference, i) and _touch(estimate, j)
        if not shared:
            found.append(Boundary(reference[i].label, after, reference[i].end, estimate[j].end))
    return found


def word_boundaries(
    reference: Sequence[Interval], estimate: Sequence[Interval], pairs: Pairs
) -> list[Boundary]:
    """Start and end of every matched word."""
    return [
        b
        for i, j in pairs
        for b in (
            Boundary("", reference[i].label, reference[i].start, estimate[j].start),
            Boundary(reference[i].label, "", reference[i].end, estimate[j].end),
        )
    ]


def _touch(intervals: Sequence[Interval], k: int) -> bool:
    return abs(intervals[k + 1].start - intervals[k].end) < 1e-6


def summary(
    late: Sequence[float] | np.ndarray,
    interval: Mapping[str, tuple[float, float]] | None = None,
) -> Summary | None:
    """Summarise signed errors in seconds; None where there are none.

    Examples
    --------
    >>> found = summary([0.010, -0.030])
    >>> found.mae, found.bias, found.within[10]
    (20.0, -10.0, 50.0)
    """
    e = 1000 * np.asarray(late, dtype=float)
    if not len(e):
        return None
    a = np.abs(e)
    within = {t: 100 * float((a <= t + ROUNDING_MS).mean()) for t in TOLERANCES_MS}
    return Summary(
        count=len(e),
        mae=float(a.mean()),
        median=float(np.median(a)),
        bias=float(e.mean()),
        within=within,
        interval=interval or {},
    )


def sums(late: Sequence[float]) -> np.ndarray:
    """(3 + tolerances,): count, sum of absolute and of signed errors (ms), and how many are within each
    tolerance.
    """
    e = 1000 * np.asarray(late, dtype=float)
    a = np.abs(e)
    return np.array([len(e), a.sum(), e.sum(), *((a <= t + ROUNDING_MS).sum() for t in TOLERANCES_MS)])


class Hits(NamedTuple):
    """Boundaries found within a tolerance, one to one; these add up over files."""

    hits: int
    """Number of boundaries that both have."""
    reference: int
    """Number of boundaries in the reference."""
    aligned: int
    """Number of boundaries in the alignment."""


def times(intervals: Iterable[Interval]) -> list[float]:
    """Where intervals begin and end, each place once, in seconds."""
    return sorted({round(t, 4) for i in intervals for t in (i.start, i.end)})


def hits(
    reference: Sequence[float], aligned: Sequence[float], tolerance: float = DETECTION_TOLERANCE
) -> Hits:
    """Match boundaries in ascending order, each at most once.

    Examples
    --------
    >>> hits([0.1, 0.2], [0.11, 0.115, 0.3])
    Hits(hits=1, reference=2, aligned=3)
    """
    found = j = 0
    for r in reference:
        while j < len(aligned) and aligned[j] < r - tolerance - 1e-9:
            j += 1
        if j < len(aligned) and abs(aligned[j] - r) <= tolerance + 1e-9:
            found, j = found + 1, j + 1
    return Hits(found, len(reference), len(aligned))


@dataclass(frozen=True)
class Detection:
    """Strict one-to-one detection of boundaries within `DETECTION_TOLERANCE`."""

    precision: float
    """Share of the alignment's boundaries that are in the reference, 0 to 1."""
    recall: float
    """Share of the reference's boundaries that the alignment has, 0 to 1."""
    f1: float
    """Harmonic mean of precision and recall, 0 to 1."""
    r_value: float
    """Rasanen, Laine & Altosaar (2009): 1 is perfect; over-segmentation does not pay as it does in F1."""


def detection(h: Hits) -> Detection:
    """Compute precision, recall, F1 and R-value from counts of boundaries found.

    Examples
    --------
    >>> detection(Hits(10, 10, 10)).r_value
    1.0
    """
    precision, recall = h.hits / max(h.aligned, 1), h.hits / max(h.reference, 1)
    over = h.aligned / max(h.reference, 1) - 1
    r1, r2 = np.hypot(1 - recall, over), (-over + recall - 1) / np.sqrt(2)
    f1 = 2 * precision * recall / max(precision + recall, 1e-9)
    return Detection(precision, recall, f1, float(1 - (abs(r1) + abs(r2)) / 2))
