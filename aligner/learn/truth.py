"""Where the boundaries of an alignment are by labels that somebody corrected: of phones, or of words alone.

Boundaries that the labels do not have, or that nobody corrected, have no place.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from aligner.evaluate.boundaries import Boundary, phone_boundaries, word_boundaries
from aligner.evaluate.matching import comparable, match_phones, match_words, scored_words, written_alike
from aligner.refine.offsets import SHORTEST_INTERVAL
from aligner.text.phones import PhoneMap
from aligner.types import Interval

# s that a boundary may lie outside a mark that is meant for it: it is in the middle of a gap that is shorter
# than `SHORTEST_INTERVAL`
MARK_REACH = SHORTEST_INTERVAL / 2


def true_places(reference: Sequence[Interval], phones: Sequence[Interval], english: bool) -> np.ndarray:
    """Return where the boundaries between phones are in a reference.

    Phones are matched by their labels first (see `aligner.evaluate.matching`), in whichever alphabet each
    side is written, so both may have some that the other lacks; of a boundary that the reference has a pause
    in, neither side is right.

    Parameters
    ----------
    reference : sequence of Interval
        The phones as somebody corrected them.
    phones : sequence of Interval
        The N + 1 phones that were aligned.
    english : bool
        Whether phones are compared in the 39 classes of English.

    Returns
    -------
    ndarray
        (N,) seconds; NaN where the reference does not have a boundary.

    Examples
    --------
    >>> found = [Interval(0.0, 0.1, ""), Interval(0.1, 0.2, "AA"), Interval(0.2, 0.4, "T")]
    >>> true_places([Interval(0.12, 0.23, "AA"), Interval(0.23, 0.4, "T")], found, True)
    array([0.12, 0.23])
    """
    labels = PhoneMap({}, folded=english)
    known, own = comparable(reference if english else written_alike(reference, phones), phones, labels)
    return _sure(phone_boundaries(known, own, match_phones(known, own)), phones)


def true_word_edges(
    reference: Sequence[Interval], words: Sequence[Interval], phones: Sequence[Interval]
) -> np.ndarray:
    """Return where those boundaries between phones are that are edges of words, in a reference of words.

    Of an edge between two words that the reference has a pause in, neither side is right.

    Parameters
    ----------
    reference : sequence of Interval
        The words as somebody corrected them.
    words : sequence of Interval
        The words that were aligned, which tile the utterance as the phones do.
    phones : sequence of Interval
        Their N + 1 phones.

    Returns
    -------
    ndarray
        (N,) seconds; NaN within words, and where the reference does not have the word.

    Examples
    --------
    >>> phones = [Interval(0.0, 0.1, ""), Interval(0.1, 0.2, "AA"), Interval(0.2, 0.4, "T")]
    >>> words = [Interval(0.0, 0.1, ""), Interval(0.1, 0.4, "at")]
    >>> true_word_edges([Interval(0.12, 0.37, "at")], words, phones)
    array([0.12,  nan])
    """
    known, own = scored_words(reference), scored_words(words)
    return _sure(word_boundaries(known, own, match_words(known, own)), phones)


def _sure(edges: Iterable[Boundary], phones: Sequence[Interval]) -> np.ndarray:
    """The place in the reference of each boundary between phones, where both sides have nearly the same."""
    places: dict[float, list[float]] = {}
    for edge in edges:
        places.setdefault(edge.aligned, []).append(edge.reference)
    sure = {
        at: float(np.mean(there))
        for at, there in places.items()
        if max(there) - min(there) <= SHORTEST_INTERVAL
    }
    return np.array([sure.get(p.start, np.nan) for p in phones[1:]])


def edges_of(intervals: Iterable[Interval]) -> np.ndarray:
    """Return the boundaries of intervals, each once, in ascending order.

    Examples
    --------
    >>> edges_of([Interval(0.1, 0.2, "AA"), Interval(0.2, 0.4, "T")])
    array([0.1, 0.2, 0.4])
    """
    return np.unique([t for i in intervals for t in (i.start, i.end)])


def apart(times: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return how far each of ``times`` (N,) is from the nearest of ``others``, which ascend; in seconds.

    Examples
    --------
    >>> apart(np.array([0.1, 0.35]), np.array([0.1, 0.3, 0.5])).round(3)
    array([0.  , 0.05])
    """
    if not len(others):
        return np.full(len(times), np.inf)
    behind = np.searchsorted(others, times).clip(1, max(len(others) - 1, 1))
    near = np.stack([others[behind - 1], others[np.minimum(behind, len(others) - 1)]])
    return np.asarray(np.abs(near - times).min(0))


def in_marks(times: np.ndarray, marks: Sequence[Interval]) -> np.ndarray:
    """Return which of ``times`` (N,) lie in one of some marked stretches, or `MARK_REACH` s beside it.

    Examples
    --------
    >>> in_marks(np.array([0.1, 0.2, np.nan]), [Interval(0.15, 0.3, "x")])
    array([False,  True, False])
    """
    found = np.zeros(len(times), bool)
    for mark in marks:
        found |= (mark.start - MARK_REACH <= times) & (times <= mark.end + MARK_REACH)
    return found
