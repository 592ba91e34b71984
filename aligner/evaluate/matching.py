"""Which phone and which word of an alignment is which of the reference.

Labels are made comparable first (`aligner.text.phones.PhoneMap`): folded to the 39 classes of Lee & Hon
(1989), closures joined to their bursts, glottal stops dropped, silences left out.  Then the sequences are
matched label first (edit distance, time breaks ties).  Everything is in (reference, estimate) order.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence

import numpy as np

from aligner.search.kernels import compiled
from aligner.text.alphabets import ARPABET, IPA, Respelling, alphabet_of
from aligner.text.phones import CLOSURES, FLAP, GLOTTAL_STOP, SILENCE, VOWELS, PhoneMap
from aligner.types import Interval

OTHER_KIND_COST = 1.6  # cost of matching a vowel with a consonant; of the same kind 1, of the same label 0
TIE_SHARE = 1e-5  # share by which costs may differ and count as equal: matches win ties
COST_OF_LARGEST_TIE = 20.0  # cost from which that share grows no more
TIMIT_LABELS = frozenset(["h#", *CLOSURES])  # only beside these is a q a glottal stop
SILENT_WORDS = frozenset(["", "<eps>", "<sil>", "sil", "sp", "h#"])
UNLIKE_WORDS_COST = 2.5  # cost of matching two different words: dearer than leaving both unmatched
TIME_COST, FARTHEST_TIME = 1e-3, 5.0  # cost a second of distance, and the seconds from which it is constant

Pairs = list[tuple[int, int]]


def scored_phones(labels: Sequence[Interval], phone_map: PhoneMap | None = None) -> list[Interval]:
    """Phones by their classes, without silences; closures joined to their bursts, a glottal stop to what
    follows.
    """
    to_class = phone_map or PhoneMap()
    timit = not TIMIT_LABELS.isdisjoint(i.label for i in labels)
    joined = _joined(labels, to_class.renamed) if to_class.folded and timit else labels
    return [Interval(i.start, i.end, label) for i in joined if (label := to_class(i.label)) != SILENCE]


def comparable(
    reference: Sequence[Interval], estimate: Sequence[Interval], phone_map: PhoneMap | None = None
) -> tuple[list[Interval], list[Interval]]:
    """Phones of both sides by their classes (see `scored_phones`), those of two alphabets in one of them.

    Where one side is in ARPAbet (or TIMIT's) and the other in the IPA or X-SAMPA, that is English, and is
    compared in ARPAbet; the IPA and X-SAMPA are compared in the IPA.  Labels that the map renames, or that
    stay as they are (`PhoneMap.folded`), are left alone.

    Examples
    --------
    >>> sides = [Interval(0.0, 0.1, "tcl"), Interval(0.1, 0.2, "ch")], [Interval(0.0, 0.2, "t͡ʃʰ")]
    >>> [[phone.label for phone in side] for side in comparable(*sides)]
    [['ch'], ['ch']]
    """
    to_class = phone_map or PhoneMap()
    sides = [list(reference), list(estimate)]
    if to_class.folded:
        found = [alphabet_of(p.label for p in side) for side in sides]
        common = ARPABET if ARPABET in found else IPA
        if None not in found and found[0] != found[1]:
            sides = [
                _respelled(side, Respelling(own, common), to_class.renamed)
                for side, own in zip(sides, found, strict=True)
            ]
    a, b = (scored_phones(side, phone_map) for side in sides)
    return a, b


def written_alike(reference: Sequence[Interval], estimate: Sequence[Interval]) -> list[Interval]:
    """The phones of a reference in the alphabet of the estimate, where both are known.

    Examples
    --------
    >>> [p.label for p in written_alike([Interval(0, 1, "tS"), Interval(1, 2, "2")], [Interval(0, 1, "ʃ")])]
    ['tʃ', 'ø']
    """
    source, target = (alphabet_of(p.label for p in side) for side in (reference, estimate))
    return list(reference) if target is None else _respelled(reference, Respelling(source, target), ())


def _respelled(side: Sequence[Interval], spell: Respelling, renamed: Container[str]) -> list[Interval]:
    """Phones in another alphabet, but for those that a map renames."""
    return [p if p.label in renamed else Interval(p.start, p.end, spell(p.label)) for p in side]


def _joined(labels: Sequence[Interval], renamed: Container[str]) -> list[Interval]:
    """TIMIT's closures and bursts as one phone; labels that a map renames are left alone."""
    phones: list[Interval] = []
    start: float | None = None  # where a closure or glottal stop before this label began
    closure: tuple[str, ...] = ()
    last_end = 0.0
    for i in labels:
        if closure and i.label not in closure:
            phones.append(Interval(start or 0.0, last_end, closure[0]))
            start = None
        begun = i.start if start is None else start
        closure = CLOSURES.get(i.label, ()) if i.label not in renamed else ()
        start = begun if closure or (i.label == GLOTTAL_STOP and i.label not in renamed) else None
        last_end = i.end
        if start is None:
            phones.append(Interval(begun, i.end, i.label))
    if closure:
        phones.append(Interval(start or 0.0, last_end, closure[0]))
    return phones


def scored_words(labels: Sequence[Interval]) -> list[Interval]:
    """Words in lower case, without silences."""
    return [
        Interval(w.start, w.end, word)
        for w in labels
        if (word := w.label.strip().lower()) not in SILENT_WORDS
    ]


def same(a: str, b: str) -> bool:
    """Whether two classes count as one: a flap is a t or a d."""
    return a == b or {a, b} in ({FLAP, "t"}, {FLAP, "d"})


def match_phones(reference: Sequence[Interval], estimate: Sequence[Interval]) -> Pairs:
    """Pairs (i, j) of phones: matching those of one class costs 0, of one kind 1, of two kinds
    `OTHER_KIND_COST`."""
    return _match(
        reference,
        estimate,
        lambda a, b: 0.0 if same(a, b) else 1.0 if (a in VOWELS) == (b in VOWELS) else OTHER_KIND_COST,
    )


def match_words(reference: Sequence[Interval], estimate: Sequence[Interval]) -> Pairs:
    """Pairs (i, j) of words; unlike words are never matched."""
    return _match(reference, estimate, lambda a, b: 0.0 if a == b else UNLIKE_WORDS_COST)


def _match(
    reference: Sequence[Interval], estimate: Sequence[Interval], cost: Callable[[str, str], float]
) -> Pairs:
    """The cheapest edit path, where an unmatched interval costs 1; distance in time only breaks ties."""
    if not reference or not estimate:
        return []
    (a, a_codes, a_starts), (b, b_codes, b_starts) = _coded(reference), _coded(estimate)
    table = np.array([[cost(x, y) for y in b] for x in a])
    return [(int(i), int(j)) for i, j in _edit_path(a_codes, b_codes, table, a_starts, b_starts)]


def _coded(side: Sequence[Interval]) -> tuple[list[str], np.ndarray, np.ndarray]:
    """The labels that occur, and each interval's place among them and start."""
    labels = list(dict.fromkeys(i.label for i in side))
    place = {label: k for k, label in enumerate(labels)}
    return labels, np.array([place[i.label] for i in side]), np.array([i.start for i in side])


@compiled
def _edit_path(a, b, table, a_starts, b_starts):  # type: ignore[no-untyped-def]
    n, m = len(a), len(b)
    came = np.empty((n + 1, m + 1), np.uint8)  # 0 both, 1 from i - 1, 2 from j - 1; a byte each, however long
    total = np.empty(m + 1)
    for j in range(m + 1):
        total[j] = j
    for i in range(1, n + 1):
        corner, total[0] = total[0], float(i)
        for j in range(1, m + 1):
            apart = min(abs(a_starts[i - 1] - b_starts[j - 1]), FARTHEST_TIME)
            both = corner + table[a[i - 1], b[j - 1]] + TIME_COST * apart
            above, left, corner = total[j] + 1, total[j - 1] + 1, total[j]
            total[j] = min(both, above, left)
            slack = 1e-9 + TIE_SHARE * min(total[j], COST_OF_LARGEST_TIE)
            came[i, j] = 0 if both <= total[j] + slack else 1 if above <= total[j] + slack else 2
    pairs, i, j = [(0, 0) for _ in range(0)], n, m
    while i and j:
        step = came[i, j]
        i, j = i - (step != 2), j - (step != 1)
        if step == 0:
            pairs.append((i, j))
    return pairs[::-1]
