"""Where several ways of aligning put the same boundaries: their median.

Each way goes wrong elsewhere, so the median of three is far off where two are.  They may have chosen other
pronunciations and pauses; what one of them does not have in common with the first counts for nothing there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

import numpy as np

from aligner.refine.boundaries import Refined
from aligner.refine.offsets import with_starts
from aligner.text.phones import unstressed
from aligner.types import DECIMALS, SILENCE_LABEL, Edge, Interval


def median_boundaries(own: Refined, others: Sequence[Refined]) -> Refined:
    """The phones of the first, each boundary at the median of where all have it, its interval likewise.

    Parameters
    ----------
    own : Refined
        Whose phones these are.
    others : sequence of Refined
        Of the same utterance.

    Examples
    --------
    >>> first = Refined((Interval(0.0, 0.10, "AA"), Interval(0.10, 0.3, "T")))
    >>> second = Refined((Interval(0.0, 0.2, "AA"), Interval(0.2, 0.3, "T")))
    >>> third = Refined((Interval(0.0, 0.12, "AA"), Interval(0.12, 0.3, "T")))
    >>> median_boundaries(first, [second, third]).phones[1].start
    0.12
    """
    all_edges = np.array([_edges(own), *(_common(own, other) for other in others)])
    low, middle, high = np.nanmedian(all_edges, 0).T
    phones = with_starts(own.phones, middle.tolist())
    if not own.edges:
        return Refined(phones)
    # what `with_starts` shifted further takes its interval along
    edges = [
        Edge(p.start, round(min(p.start + a, p.start), DECIMALS), round(max(p.start + b, p.start), DECIMALS))
        for p, a, b in zip(phones[1:], (low - middle).tolist(), (high - middle).tolist(), strict=True)
    ]
    return Refined(phones, tuple(edges))


def _edges(of: Refined) -> list[tuple[float, float, float]]:
    """Low, middle and high of each boundary; all the same where nothing else is known."""
    if of.edges:
        return [(e.low, e.time, e.high) for e in of.edges]
    return [(p.start, p.start, p.start) for p in of.phones[1:]]


def _common(own: Refined, other: Refined) -> np.ndarray:
    """(N, 3) the other's edges at the first's boundaries; NaN where it has no such phone on either side."""
    theirs = np.array(_edges(other)).reshape(-1, 3)
    found = np.full((len(own.phones) - 1, 3), np.nan)
    for mine, its in _matched(own.phones, other.phones):
        for here, there in ((mine - 1, its - 1), (mine, its)):  # where the phone begins, and where it ends
            if 0 <= here < len(found) and 0 <= there < len(theirs):
                known = found[here]
                found[here] = theirs[there] if np.isnan(known).any() else (known + theirs[there]) / 2
    return found


def _matched(one: Sequence[Interval], other: Sequence[Interval]) -> Iterator[tuple[int, int]]:
    """Pairs of the same phones, and of as many others between these; silences are passed over."""
    mine, its = ([k for k, p in enumerate(phones) if p.label != SILENCE_LABEL] for phones in (one, other))
    left, right = (
        [unstressed(phones[k].label) for k in places] for phones, places in ((one, mine), (other, its))
    )
    for kind, a, b, c, d in SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        if kind == "equal" or (kind == "replace" and b - a == d - c):
            yield from zip((mine[k] for k in range(a, b)), (its[k] for k in range(c, d)), strict=True)
