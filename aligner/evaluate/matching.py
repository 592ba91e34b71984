"""Which phone and which word of an alignment is which of the reference.

Labels are made comparable first (`aligner.text.phones.PhoneMap`): folded to the 39 classes of Lee & Hon
(1989), closures joined to their bursts, glottal stops dropped, silences left out.  Then the sequences are
matched label first (edit distance, time breaks ties).  Everything is in (reference, estimate) order.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aligner.search.kernels import compiled
from aligner.text.phones import CLOSURES, FLAP, GLOTTAL_STOP, SILENCE, VOWELS, PhoneMap, fold
from aligner.types import Interval

OTHER_KIND = 1.6  # cost of matching a vowel with a consonant; of the same kind 1, of the same label 0
UNLIKE_WORDS = 2.5  # cost of matching two different words: dearer than leaving both unmatched
TIME_COST, LONGEST_TIME = 1e-3, 5.0  # cost a second of distance, and the seconds from which it is constant

Pairs = list[tuple[int, int]]


def scored_phones(labels: Sequence[Interval], phone_map: PhoneMap | None = None) -> list[Interval]:
    """Phones by their classes, without silences; closures joined to their bursts, a glottal stop to what follows."""
    to_class = phone_map or PhoneMap()
    joined = _joined(labels) if to_class.folded else labels
    return [Interval(i.start, i.end, label) for i in joined if (label := to_class(i.label)) != SILENCE]


def _joined(labels: Sequence[Interval]) -> list[Interval]:
    """TIMIT's closures and bursts as one phone."""
    phones: list[Interval] = []
    start: float | None = None  # where a closure or glottal stop before this label began
    closure: tuple[str, ...] = ()
    last_end = 0.0
    for i in labels:
        if closure and i.label not in closure:
            phones.append(Interval(start or 0.0, last_end, closure[0]))
            start = None
        begun = i.start if start is None else start
        closure = CLOSURES.get(i.label, ())
        start = begun if closure or i.label == GLOTTAL_STOP else None
        last_end = i.end
        if start is None:
            phones.append(Interval(begun, i.end, i.label))
    if closure:
        phones.append(Interval(start or 0.0, last_end, closure[0]))
    return phones


def scored_words(labels: Sequence[Interval]) -> list[Interval]:
    """Words in lower case, without silences."""
    return [Interval(w.start, w.end, w.label.lower()) for w in labels if w.label.strip() and fold(w.label) != SILENCE]


def same(a: str, b: str) -> bool:
    """Whether two classes count as one: a flap is a t or a d."""
    return a == b or {a, b} in ({FLAP, "t"}, {FLAP, "d"})


def phone_costs(reference: Sequence[Interval], estimate: Sequence[Interval]) -> np.ndarray:
    """What it costs to match each pair of phones, (len(reference), len(estimate)); see `match`."""
    costs = {(a, b): 0.0 if same(a, b) else 1.0 if (a in VOWELS) == (b in VOWELS) else OTHER_KIND
             for a in {r.label for r in reference} for b in {e.label for e in estimate}}
    table = np.array([[costs[r.label, e.label] for e in estimate] for r in reference])
    return table.reshape(len(reference), len(estimate))


def word_costs(reference: Sequence[Interval], estimate: Sequence[Interval]) -> np.ndarray:
    """The same for words."""
    costs = [[0.0 if r.label == e.label else UNLIKE_WORDS for e in estimate] for r in reference]
    return np.array(costs).reshape(len(reference), len(estimate))


def match(reference: Sequence[Interval], estimate: Sequence[Interval], costs: np.ndarray) -> Pairs:
    """Pairs (i, j) on the cheapest edit path; an unmatched interval costs 1.

    Parameters
    ----------
    reference, estimate : sequence of Interval
    costs : ndarray
        (len(reference), len(estimate)): of matching two labels; their distance in time only breaks ties.
    """
    if not reference or not estimate:
        return []
    apart = np.abs(np.subtract.outer([r.start for r in reference], [e.start for e in estimate]))
    return [(int(i), int(j)) for i, j in _edit_path(costs + TIME_COST * np.minimum(apart, LONGEST_TIME))]


@compiled
def _edit_path(costs):  # type: ignore[no-untyped-def]
    n, m = costs.shape
    total = np.zeros((n + 1, m + 1))
    for i in range(n + 1):
        for j in range(m + 1):
            if i == 0 or j == 0:
                total[i, j] = i + j
            else:
                total[i, j] = min(total[i - 1, j] + 1, total[i, j - 1] + 1, total[i - 1, j - 1] + costs[i - 1, j - 1])
    pairs, i, j = [(0, 0) for _ in range(0)], n, m
    while i and j:
        slack = 1e-9 + 1e-5 * total[i, j]
        if abs(total[i, j] - total[i - 1, j - 1] - costs[i - 1, j - 1]) <= slack:
            i, j = i - 1, j - 1
            pairs.append((i, j))
        elif abs(total[i, j] - total[i - 1, j] - 1) <= slack:
            i -= 1
        else:
            j -= 1
    return pairs[::-1]
