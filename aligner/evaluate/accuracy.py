"""Files -> figures: what one file contributes, and the report over all of them.

A file without an alignment contributes its reference and nothing else: its phones are deleted, its boundaries
not found, its frames wrong.  Nothing leaves a denominator.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from aligner.corpus.labels import Labels
from aligner.evaluate.boundaries import (
    TOLERANCES_MS,
    Boundary,
    Detection,
    Hits,
    Summary,
    detection,
    hits,
    phone_boundaries,
    summary,
    sums,
    times,
    word_boundaries,
)
from aligner.evaluate.durations import DurationSummary, duration_summary
from aligner.evaluate.matching import comparable, match_phones, match_words, same, scored_words
from aligner.evaluate.overlaps import equal_frames, intersection_over_union
from aligner.text.phones import SILENCE, PhoneMap, fold
from aligner.types import Interval

RESAMPLES, RESAMPLES_AT_ONCE = 1000, 50  # of the bootstrap: all, and those drawn at a time
UNMATCHED = ""  # in place of a label that has no match
NO_HITS = Hits(0, 0, 0)
LONGEST_OVERHANG = 0.1  # s that a reference may end behind its recording

Lengths = tuple[str, float, float]  # label, and its length in the reference and the estimate, in seconds


@dataclass(frozen=True, kw_only=True)
class FileResult:
    """What one speaker of one file contributes; all of it adds up."""

    file: str
    """Path of the file below its folder, without suffix."""
    speaker: str
    """The speaker whose labels these are."""
    found: bool
    """Whether there is an alignment."""
    phones: tuple[Boundary, ...] = ()
    """Boundaries of phones that reference and alignment both have."""
    words: tuple[Boundary, ...] = ()
    """Boundaries of words that both have."""
    confusions: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """How often each label of the reference is which of the alignment; `UNMATCHED` for unmatched ones."""
    hits: Hits = NO_HITS
    """Counts of phone boundaries found within the tolerance of detection."""
    overlap: float = 0.0
    """Sum over the reference's phones of their intersection over union."""
    word_overlap: float = 0.0
    """The same sum over the reference's words."""
    frames: tuple[int, int] = (0, 0)
    """Frames of the same phone class, and all frames."""
    lengths: tuple[Lengths, ...] = ()
    """Label and two durations of each pair of phones of the same class."""
    word_lengths: tuple[Lengths, ...] = ()
    """Label and two durations of each pair of matched words."""
    matched_words: int = 0
    """Number of the reference's words that the alignment has."""
    reference_words: int = 0
    """Number of words in the reference."""
    beyond: float = 0.0
    """Seconds by which the reference's labels end behind the alignment, that is, the recording."""
    several: bool = False
    """Whether the file has other speakers, too."""

    @property
    def title(self) -> str:
        """The file, and the speaker where it has several."""
        return f"{self.file} ({self.speaker})" if self.several else self.file

    @property
    def substitutions(self) -> int:
        """Number of phones that are taken for others."""
        return sum(n for (a, b), n in self.confusions.items() if a and b and not same(a, b))

    @property
    def deletions(self) -> int:
        """Number of the reference's phones that the alignment lacks."""
        return sum(n for (_, b), n in self.confusions.items() if b == UNMATCHED)

    @property
    def insertions(self) -> int:
        """Number of phones that the reference lacks."""
        return sum(n for (a, _), n in self.confusions.items() if a == UNMATCHED)

    @property
    def reference_phones(self) -> int:
        """Number of phones in the reference."""
        return sum(n for (a, _), n in self.confusions.items() if a != UNMATCHED)

    @property
    def phone_error_rate(self) -> float:
        """Substitutions, deletions and insertions in percent of the reference's phones."""
        return 100 * (self.substitutions + self.deletions + self.insertions) / max(1, self.reference_phones)


def compare(
    reference: Labels,
    estimate: Labels | None,
    phone_map: PhoneMap | None = None,
    *,
    file: str = "",
    speaker: str = "",
    several: bool = False,
) -> FileResult:
    """Compare the labels of one speaker of one file; ``estimate`` None is a file without an alignment.

    A tier that the reference lacks is not compared; one that only the alignment lacks is all deletions.
    """
    beyond = max(0.0, reference.end - estimate.end) if estimate is not None and _tiles(estimate) else 0.0
    result = _with_words(
        FileResult(
            file=file,
            speaker=speaker,
            found=estimate is not None,
            beyond=beyond if beyond > LONGEST_OVERHANG else 0.0,
            several=several,
        ),
        reference.words or (),
        (estimate and estimate.words) or (),
    )
    if reference.phones is None:
        return result
    a, b = comparable(reference.phones, (estimate and estimate.phones) or (), phone_map)
    pairs = match_phones(a, b)
    equal, frames = equal_frames(a, b, max(reference.end, a[-1].end if a else 0.0))
    return replace(
        result,
        phones=tuple(phone_boundaries(a, b, pairs)),
        confusions=_confusions(a, b, pairs),
        hits=hits(times(a), times(b)),
        overlap=intersection_over_union(a, b, pairs),
        frames=(equal if estimate is not None else 0, frames),
        lengths=tuple(
            (a[i].label, a[i].duration, b[j].duration) for i, j in pairs if same(a[i].label, b[j].label)
        ),
    )


def _tiles(labels: Labels) -> bool:
    """Whether labels go on to the recording's end, as those of aligners do, by their last one being silence
    or not.
    """
    tiers = [t for t in (labels.phones, labels.words) if t]
    return any(abs(t[0].start) < 1e-6 and abs(t[-1].end - labels.end) < 1e-6 for t in tiers)


def _with_words(
    result: FileResult, reference: Sequence[Interval], estimate: Sequence[Interval]
) -> FileResult:
    a, b = scored_words(reference), scored_words(estimate)
    pairs = match_words(a, b)
    return replace(
        result,
        words=tuple(word_boundaries(a, b, pairs)),
        word_overlap=intersection_over_union(a, b, pairs),
        word_lengths=tuple((a[i].label, a[i].duration, b[j].duration) for i, j in pairs),
        matched_words=sum(a[i].label == b[j].label for i, j in pairs),
        reference_words=len(a),
    )


def _confusions(
    a: Sequence[Interval], b: Sequence[Interval], pairs: Sequence[tuple[int, int]]
) -> Counter[tuple[str, str]]:
    mine, theirs = {i for i, _ in pairs}, {j for _, j in pairs}
    return Counter(
        [
            *((a[i].label, b[j].label) for i, j in pairs),
            *((p.label, UNMATCHED) for i, p in enumerate(a) if i not in mine),
            *((UNMATCHED, p.label) for j, p in enumerate(b) if j not in theirs),
        ]
    )


@dataclass(frozen=True, kw_only=True)
class Report:
    """Accuracy over a set of files."""

    files: int
    """Number of references: speakers of files."""
    missing: int
    """Number of them without an alignment."""
    phones: Summary | None
    """Errors of phone boundaries; None where there are none to compare."""
    words: Summary | None
    """Errors of word boundaries; None where there are none to compare."""
    phone_error_rate: float
    """Substitutions, deletions and insertions in percent of the reference's phones."""
    per_interval: tuple[float, float] | None
    """95 % bootstrap interval over files of the phone error rate."""
    substitutions: int
    """Number of phones that are taken for others."""
    deletions: int
    """Number of the reference's phones that the alignments lack."""
    insertions: int
    """Number of phones that the references lack."""
    reference_phones: int
    """Number of phones in the references."""
    confusions: tuple[tuple[str, str, int], ...]
    """Reference, alignment and how often: the unlike labels, the most frequent first."""
    detection: Detection
    """Detection of phone boundaries within 20 ms."""
    overlap: float
    """Mean intersection over union of the reference's phones, in percent; unmatched ones are 0."""
    word_overlap: float
    """The same mean over the reference's words."""
    frame_accuracy: float
    """Share of 10 ms frames with the same phone class (silence is one), in percent."""
    durations: DurationSummary | None
    """Errors of phone durations; None where there are none to compare."""
    word_durations: DurationSummary | None
    """Errors of word durations; None where there are none to compare."""
    matched_words: int
    """Number of the references' words that the alignments have."""
    reference_words: int
    """Number of words in the references."""
    coverage: float
    """Share of the alignment's phones whose class is in the reference at all, in percent."""
    by_class: Mapping[str, Summary]
    """Errors of phone boundaries by the kinds of phones on both sides, such as ``stop-vowel``."""
    by_phone: Mapping[str, Summary]
    """Errors of phone boundaries by each phone that they bound."""
    by_speaker: Mapping[str, Summary]
    """Errors of phone boundaries by speaker."""
    by_file: Mapping[str, Summary]
    """Errors of phone boundaries by file."""
    per_by_file: Mapping[str, float]
    """Phone error rate by file, in percent."""


def summarise(files: Iterable[FileResult], seed: int = 0) -> Report:
    """Summarise files; ``seed`` draws the bootstrap's resamples."""
    rows = list(files)
    intervals = _bootstrap(rows, seed)
    confusions: Counter[tuple[str, str]] = Counter()
    for f in rows:
        confusions.update(f.confusions)
    total = FileResult(file="", speaker="", found=True, confusions=confusions)
    unlike = [(a, b, n) for (a, b), n in confusions.most_common() if not same(a, b)]
    phones = [b for f in rows for b in f.phones]
    reference_words = sum(f.reference_words for f in rows)
    equal, frames = (sum(f.frames[k] for f in rows) for k in (0, 1))
    found = Hits(*(sum(f.hits[k] for f in rows) for k in range(3)))
    return Report(
        files=len(rows),
        missing=sum(not f.found for f in rows),
        phones=summary([b.late for b in phones], intervals.get("phones")),
        words=summary([b.late for f in rows for b in f.words], intervals.get("words")),
        phone_error_rate=total.phone_error_rate,
        per_interval=intervals.get("edits", {}).get("per"),
        substitutions=total.substitutions,
        deletions=total.deletions,
        insertions=total.insertions,
        reference_phones=total.reference_phones,
        confusions=tuple(unlike),
        detection=detection(found),
        overlap=100 * sum(f.overlap for f in rows) / max(1, total.reference_phones),
        word_overlap=100 * sum(f.word_overlap for f in rows) / max(1, reference_words),
        frame_accuracy=100 * equal / max(1, frames),
        durations=duration_summary([p[1:] for f in rows for p in f.lengths]),
        word_durations=duration_summary([p[1:] for f in rows for p in f.word_lengths]),
        matched_words=sum(f.matched_words for f in rows),
        reference_words=reference_words,
        coverage=_coverage(confusions),
        by_class=_grouped(phones, lambda b: (b.classes,)),
        by_phone=_grouped(phones, _bounded),
        by_speaker=_of_files(rows, lambda f: f.speaker),
        by_file=_of_files(rows, lambda f: f.title),
        per_by_file={f.title: f.phone_error_rate for f in rows},
    )


def _coverage(confusions: Mapping[tuple[str, str], int]) -> float:
    known = {a for a, _ in confusions}
    tokens = [(b, n) for (_, b), n in confusions.items() if b != UNMATCHED]
    return (
        100 * sum(n for b, n in tokens if any(same(a, b) for a in known)) / max(1, sum(n for _, n in tokens))
    )


def _bounded(b: Boundary) -> tuple[str, ...]:
    """The phones that a boundary bounds, silence not among them."""
    return tuple({label: None for label in (b.left, b.right) if fold(label) != SILENCE})


def _grouped(
    boundaries: Iterable[Boundary], names: Callable[[Boundary], Iterable[str]]
) -> dict[str, Summary]:
    groups: dict[str, list[float]] = defaultdict(list)
    for b in boundaries:
        for name in names(b):
            groups[name].append(b.late)
    return {name: s for name, late in sorted(groups.items()) if (s := summary(late)) is not None}


def _of_files(rows: Iterable[FileResult], name: Callable[[FileResult], str]) -> dict[str, Summary]:
    groups: dict[str, list[float]] = defaultdict(list)
    for f in rows:
        groups[name(f)] += [b.late for b in f.phones]
    return {key: s for key, late in sorted(groups.items()) if (s := summary(late)) is not None}


def _bootstrap(rows: Sequence[FileResult], seed: int) -> dict[str, dict[str, tuple[float, float]]]:
    """95 % percentile intervals (Efron & Tibshirani 1993, ch. 13): files are drawn, not boundaries, which
    depend on each other within a file.
    """
    found = {}
    for name, boundaries in (("phones", [f.phones for f in rows]), ("words", [f.words for f in rows])):
        table = np.array([sums([b.late for b in own]) for own in boundaries if own]).reshape(
            -1, 3 + len(TOLERANCES_MS)
        )
        if len(table) > 1:
            total = resampled(table, seed)
            mean = total[:, 1:] / total[:, :1]
            keys = ("mae", "bias", *(f"within_{t}" for t in TOLERANCES_MS))
            scales = (1, 1, *[100] * len(TOLERANCES_MS))
            columns = zip(keys, scales, mean.T, strict=True)
            found[name] = {key: percentiles_95(scale * column) for key, scale, column in columns}
    edits = np.array(
        [
            [f.substitutions + f.deletions + f.insertions, f.reference_phones]
            for f in rows
            if f.reference_phones
        ]
    ).reshape(-1, 2)
    if len(edits) > 1:
        total = resampled(edits, seed)
        found["edits"] = {"per": percentiles_95(100 * total[:, 0] / total[:, 1])}
    return found


def resampled(table: np.ndarray, seed: int) -> np.ndarray:
    """Sums over files, (N, K) -> (`RESAMPLES`, K), of files drawn with replacement; a few draws at a time."""
    random, count = np.random.default_rng(seed), len(table)
    return np.concatenate(
        [
            random.multinomial(count, np.full(count, 1 / count), RESAMPLES_AT_ONCE) @ table
            for _ in range(RESAMPLES // RESAMPLES_AT_ONCE)
        ]
    )


def percentiles_95(values: np.ndarray) -> tuple[float, float]:
    """The 2.5th and the 97.5th percentile of ``values``: 95 % lie between them."""
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)
