"""How far an alignment is from hand labels.

The rules: labels are folded to the 39 classes of Lee & Hon (1989); a closure and its burst are one
phone; glottal stops are dropped; silences are not scored.  Phone sequences are matched label first
(edit distance, time breaks ties), and each boundary of a matched phone counts once.  What has no
match is in the phone error rate, files without an alignment are in ``missing``: neither is hidden in
the averages.  Every function takes (reference, estimate) in this order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from aligner.search.kernels import compiled
from aligner.types import Interval

TOLERANCES_MS = (5, 10, 15, 20, 25, 50, 100)
SILENCE = "sil"
FOLDED = {  # TIMIT's 61 and ARPAbet, upper case without stress -> class; others are their own
    "AO": "aa", "AX": "ah", "AX-H": "ah", "AXR": "er", "IX": "ih", "UX": "uw", "HV": "hh", "EL": "l", "EM": "m",
    "EN": "n", "NX": "n", "ENG": "ng", "ZH": "sh",
    **dict.fromkeys(["H#", "PAU", "EPI", "SIL", "SP", "", "<EPS>", "<SIL>", "+NSN+"], SILENCE)}
CLOSURES = {"bcl": ("b",), "dcl": ("d", "jh"), "gcl": ("g",), "pcl": ("p",), "tcl": ("t", "ch"), "kcl": ("k",)}
GLOTTAL_STOP = "q"
VOWELS = frozenset(["aa", "ae", "ah", "aw", "ay", "eh", "er", "ey", "ih", "iy", "ow", "oy", "uh", "uw"])
FLAP = "dx"  # counts as a t or a d
OTHER_KIND = 1.6  # cost of matching a vowel with a consonant; of the same kind 1, of the same label 0
UNLIKE_WORDS = 2.5  # cost of matching two different words: dearer than leaving both unmatched
TIME_COST, LONGEST_TIME = 1e-3, 5.0  # cost a second of distance, and the seconds from which it is constant


@dataclass(frozen=True)
class Summary:
    """Figures of a set of boundary errors.

    Attributes
    ----------
    count : int
    mae, median, bias : float
        Mean and median absolute error and mean error (late is positive), in ms.
    within : dict of int to float
        Share in percent within each of `TOLERANCES_MS`.
    """

    count: int
    mae: float
    median: float
    bias: float
    within: dict[int, float]


class BoundaryError(NamedTuple):
    """How late a boundary is, and where the estimate has it; both in seconds."""

    late: float
    at: float


@dataclass(frozen=True)
class FileErrors:
    """What one file contributes: signed errors in seconds and edit counts."""

    phones: tuple[float, ...]
    words: tuple[float, ...]
    substitutions: int
    deletions: int
    insertions: int
    reference_phones: int


@dataclass(frozen=True)
class Report:
    """Accuracy over a set of files.

    Attributes
    ----------
    files, missing : int
        References, and those without an alignment.
    phones, words : Summary or None
        None where there is nothing to compare.
    phone_error_rate : float
        In percent; a missing file's phones count as deleted.
    """

    files: int
    missing: int
    phones: Summary | None
    words: Summary | None
    phone_error_rate: float


def fold(label: str) -> str:
    """The class of a label.

    Examples
    --------
    >>> fold("AH0"), fold("axr"), fold("h#")
    ('ah', 'er', 'sil')
    """
    base = label.strip().rstrip("0123456789").upper()
    return FOLDED.get(base, base.lower())


def scored_phones(labels: Sequence[Interval]) -> list[Interval]:
    """Folded phones without silences; closures joined to their bursts, a glottal stop to what follows."""
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
            phones.append(Interval(begun, i.end, fold(i.label)))
    if closure:
        phones.append(Interval(start or 0.0, last_end, closure[0]))
    return [p for p in phones if p.label != SILENCE]


def compare(reference: tuple[Sequence[Interval], Sequence[Interval]],
            estimate: tuple[Sequence[Interval], Sequence[Interval]]) -> FileErrors:
    """Compare the (phones, words) of one file."""
    phones = scored_phones(reference[0]), scored_phones(estimate[0])
    pairs = match(*phones, phone_costs(*phones))
    wrong = sum(not _same(phones[0][i].label, phones[1][j].label) for i, j in pairs)
    words = [[Interval(w.start, w.end, w.label.lower()) for w in side if w.label.strip() and fold(w.label) != SILENCE]
             for side in (reference[1], estimate[1])]
    word_errors = [error for i, j in match(words[0], words[1], _word_costs(words[0], words[1]))
                   for error in (words[1][j].start - words[0][i].start, words[1][j].end - words[0][i].end)]
    errors = tuple(e.late for e in boundary_errors(*phones, pairs))
    return FileErrors(errors, tuple(word_errors), wrong, len(phones[0]) - len(pairs),
                      len(phones[1]) - len(pairs), len(phones[0]))


def absent(reference: Sequence[Interval]) -> FileErrors:
    """What a file without an alignment contributes."""
    count = len(scored_phones(reference))
    return FileErrors((), (), 0, count, 0, count)


def summarise(files: Iterable[FileErrors], missing: int = 0) -> Report:
    """Sum over files; those that are missing are among them (see `absent`)."""
    rows = list(files)
    edits = sum(f.substitutions + f.deletions + f.insertions for f in rows)
    phones = summary([e for f in rows for e in f.phones])
    words = summary([e for f in rows for e in f.words])
    return Report(len(rows), missing, phones, words, 100 * edits / max(1, sum(f.reference_phones for f in rows)))


def summary(errors: Sequence[float]) -> Summary | None:
    """Figures of signed errors in seconds; None where there are none."""
    if not errors:
        return None
    e = 1000 * np.asarray(errors)
    a = np.abs(e)
    within = {t: 100 * float((a <= t + 1e-6).mean()) for t in TOLERANCES_MS}
    return Summary(len(e), float(a.mean()), float(np.median(a)), float(e.mean()), within)


def boundary_errors(reference: Sequence[Interval], estimate: Sequence[Interval],
                    pairs: Sequence[tuple[int, int]]) -> list[BoundaryError]:
    """Errors of the boundaries of matched phones; one that two matched neighbours share counts once."""
    matched = set(pairs)
    errors = []
    for i, j in pairs:
        errors.append(BoundaryError(estimate[j].start - reference[i].start, estimate[j].start))
        shared = (i + 1, j + 1) in matched and _touch(reference, i) and _touch(estimate, j)
        if not shared:
            errors.append(BoundaryError(estimate[j].end - reference[i].end, estimate[j].end))
    return errors


def _touch(intervals: Sequence[Interval], k: int) -> bool:
    return abs(intervals[k + 1].start - intervals[k].end) < 1e-6


def _same(a: str, b: str) -> bool:
    return a == b or {a, b} in ({FLAP, "t"}, {FLAP, "d"})


def phone_costs(reference: Sequence[Interval], estimate: Sequence[Interval]) -> np.ndarray:
    """What it costs to match each pair of phones, (len(reference), len(estimate)); see `match`."""
    costs = {(a, b): 0.0 if _same(a, b) else 1.0 if (a in VOWELS) == (b in VOWELS) else OTHER_KIND
             for a in {r.label for r in reference} for b in {e.label for e in estimate}}
    table = np.array([[costs[r.label, e.label] for e in estimate] for r in reference])
    return table.reshape(len(reference), len(estimate))


def _word_costs(reference: Sequence[Interval], estimate: Sequence[Interval]) -> np.ndarray:
    costs = [[0.0 if r.label == e.label else UNLIKE_WORDS for e in estimate] for r in reference]
    return np.array(costs).reshape(len(reference), len(estimate))


def match(reference: Sequence[Interval], estimate: Sequence[Interval], costs: np.ndarray) -> list[tuple[int, int]]:
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
