"""How much of the time two alignments agree."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from aligner.evaluate.matching import Pairs
from aligner.text.phones import SILENCE
from aligner.types import Interval

FRAME_HOP = 0.010  # s between the frames of the frame accuracy


def intersection_over_union(
    reference: Sequence[Interval], estimate: Sequence[Interval], pairs: Pairs
) -> float:
    """Sum over the reference's intervals of what they share with their match, over what the two cover
    together.

    An interval without a match adds 0; divide by the reference's intervals for the mean.

    Examples
    --------
    >>> intersection_over_union([Interval(0, 2, "a"), Interval(2, 3, "b")], [Interval(1, 3, "a")], [(0, 0)])
    0.3333333333333333
    """
    total = 0.0
    for i, j in pairs:
        shared = min(reference[i].end, estimate[j].end) - max(reference[i].start, estimate[j].start)
        union = max(reference[i].end, estimate[j].end) - min(reference[i].start, estimate[j].start)
        total += max(shared, 0.0) / union if union > 0 else 0.0
    return total


def equal_frames(reference: Sequence[Interval], estimate: Sequence[Interval], end: float) -> tuple[int, int]:
    """Frames of 10 ms, by their middles, in which both have the same label; and how many there are.

    Parameters
    ----------
    reference, estimate : sequence of Interval
        Ascending; outside of them is silence.
    end : float
        Of the reference, in seconds.
    """
    middles = (np.arange(round(end / FRAME_HOP)) + 0.5) * FRAME_HOP
    labels = dict.fromkeys((SILENCE, *(i.label for side in (reference, estimate) for i in side)))
    codes = {label: number for number, label in enumerate(labels)}
    a, b = (_at(side, middles, codes) for side in (reference, estimate))
    return int((a == b).sum()), len(middles)


def _at(intervals: Sequence[Interval], middles: np.ndarray, codes: Mapping[str, int]) -> np.ndarray:
    """The label's code at each of ``middles``."""
    if not intervals:
        return np.zeros(len(middles), int)
    numbers = np.array([codes[i.label] for i in intervals])
    k = np.searchsorted([i.start for i in intervals], middles, side="right") - 1
    inside = (k >= 0) & (middles < np.array([i.end for i in intervals])[k])
    return np.where(inside, numbers[k], 0)


def shared_time(reference: Sequence[Interval], estimate: Sequence[Interval]) -> dict[tuple[str, str], float]:
    """Seconds that each pair of labels has in common."""
    found: dict[tuple[str, str], float] = defaultdict(float)
    j = 0
    for r in reference:
        while j < len(estimate) and estimate[j].end <= r.start:
            j += 1
        k = j
        while k < len(estimate) and estimate[k].start < r.end:
            found[r.label, estimate[k].label] += min(r.end, estimate[k].end) - max(r.start, estimate[k].start)
            k += 1
    return dict(found)
