"""Thresholds of suspicion: from where on an alignment looks wrong, and why from there.

Each limit lies beyond the worst that intact speech gave (`INTACT`), and within what the same recordings give
when their transcripts are swapped, shortened or lengthened, or their sound is damaged: ``recipes/damage.py``
counts how much of that is found.  The limits of margins lie 5 to 32 % beyond the worst of intact speech.
The tests themselves are in `aligner.refine.suspect` and
`aligner.refine.outliers`; they take every limit from `THRESHOLDS`.

``python -m aligner.refine.thresholds`` prints the table in Markdown, for the documentation; `markdown` is the
same in Python.  Nothing heavy is imported here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

INTACT = "80 sentences of 8 speakers of TIMIT"  # whose worst values stand beside the limits
WHOLE_RECORDING = 1e6  # s; a window longer than any recording


class Test(StrEnum):
    """A test of suspicion, by the name that `Suspicion.test` has."""

    __test__ = False  # pytest takes classes of this name for its own

    MISFIT = "misfit"
    """What is heard over some stretch does not fit what is written there."""
    LONG_PHONE = "long-phone"
    """A phone goes on for too long."""
    LONG_WORD = "long-word"
    """A word goes on for too long."""
    CRAMMED = "crammed"
    """Many phones in a row are as short as the model lets them be."""
    CRAMMED_EDGE = "crammed-edge"
    """Phones at an edge of the speech are that short; words that are not said pile up there."""
    CRAMMED_SHARE = "crammed-share"
    """A great part of all phones is as short as the model lets them be."""
    UNEVEN = "uneven"
    """The phones differ in length more than those of speech do."""
    LITTLE_SPEECH = "little-speech"
    """Most of the utterance is taken for silence."""
    NOISY = "noisy"
    """Speech is hardly stronger than what is taken for pauses."""
    CLIPPED = "clipped"
    """The peaks of the recording are cut off."""
    UNLIKELY = "unlikely"
    """An utterance fits the model far worse than the rest of its corpus."""
    ODD_LENGTHS = "odd-lengths"
    """An utterance's phones are unlike in length what they are in the rest of its corpus."""
    UNTRANSCRIBED = "untranscribed"
    """Something is heard that the transcript lacks."""
    STAR = "star"
    """With sound that the transcript lacks it fits better, but as much looks wrong."""
    UNHEARD = "unheard"
    """A sentence of a long recording's transcript is not heard."""
    UNALIGNED = "unaligned"
    """A stretch of a long recording could not be aligned."""
    SHORT_WORD = "short-word"
    """A word whose times are known is shorter than its phones take; they share it evenly."""
    UNKNOWN_PHONES = "unknown-phones"
    """A pronunciation in the transcript has phones that the model lacks, and was not taken."""


class Scores(StrEnum):
    """What scores a backend's frames, which says what a margin is worth."""

    GAUSSIANS = "gaussians"
    """Mixtures or a network over the states of an HMM; limits widen with the model's own spread."""
    POSTERIORS = "posteriors"
    """A CTC network's labels."""
    DISTANCES = "distances"
    """Distances to other speech."""
    TRAJECTORIES = "trajectories"
    """Distances to the means of a model."""


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """A limit of a test of suspicion, and the reason for it."""

    test: Test
    """Whose limit it is."""
    limit: float
    """An alignment is suspect beyond it."""
    below: bool = False
    """Whether suspect is what lies below the limit, not what lies above it."""
    unit: str
    """Unit of the limit, and what is measured in it."""
    worst: float
    """The worst value of intact speech (see `INTACT`)."""
    why: str
    """What the limit finds, and why it has this value: one sentence."""
    scores: Scores | None = None
    """The kind of scores that it is for; None where it is for all of them."""
    seconds: float | None = None
    """Length of the window over which a margin is averaged."""
    phones: int | None = None
    """The length of the window, in spoken phones in a row."""

    def exceeded(self, value: float) -> bool:
        """Return whether a value lies beyond the limit."""
        return value < self.limit if self.below else value > self.limit

    @property
    def over(self) -> str:
        """The window of a margin, in words; empty where there is none."""
        if self.phones is not None:
            return f"{self.phones} phones"
        if self.seconds is None:
            return ""
        return "the whole" if self.seconds == WHOLE_RECORDING else f"{self.seconds:g} s"


def _margin(scores: Scores, limit: float, worst: float, why: str, **window: float) -> Threshold:
    return Threshold(
        test=Test.MISFIT,
        limit=limit,
        below=True,
        unit="mean margin, nats a frame",
        worst=worst,
        why=why,
        scores=scores,
        seconds=window.get("seconds"),
        phones=int(window["phones"]) if "phones" in window else None,
    )


# why a margin is looked at over a stretch of this length
WHY_SYLLABLE = (
    "Finds a syllable or two that is not what is written; a shorter stretch is at the mercy of chance."
)
WHY_WORD = "Finds a word or two, at a smaller margin than a single syllable needs."
WHY_WORDS = "Finds several words, or a sound that goes on, at the smallest margin."
WHY_THREE_PHONES = (
    "Finds quick phones that fill no window in seconds; each counts alike, so a click spoils one of them."
)
WHY_FIVE_PHONES = "Finds a quick word, at a smaller margin than three phones need."
WHY_TEN_PHONES = "Finds a few quick words, at the smallest margin."
WHY_SECOND = (
    "Finds another word or two; a template is so coarse that shorter stretches of intact speech fit badly."
)
WHY_TWO_SECONDS = "Finds a few other words, at a smaller margin than a second needs."
WHY_ALL_OF_IT = "Finds the transcript of another recording, of which no stretch alone stands out."

THRESHOLDS: tuple[Threshold, ...] = (
    _margin(Scores.GAUSSIANS, -7.75, -6.5, WHY_SYLLABLE, seconds=0.3),
    _margin(Scores.GAUSSIANS, -5.0, -3.8, WHY_WORD, seconds=0.5),
    _margin(Scores.GAUSSIANS, -9.25, -8.1, WHY_THREE_PHONES, phones=3),
    _margin(Scores.GAUSSIANS, -6.5, -6.2, WHY_FIVE_PHONES, phones=5),
    _margin(Scores.POSTERIORS, -2.3, -2.0, WHY_SYLLABLE, seconds=0.3),
    _margin(Scores.POSTERIORS, -1.5, -1.3, WHY_WORD, seconds=0.5),
    _margin(Scores.POSTERIORS, -0.9, -0.8, WHY_WORDS, seconds=1.0),
    _margin(Scores.POSTERIORS, -3.0, -2.7, WHY_THREE_PHONES, phones=3),
    _margin(Scores.POSTERIORS, -2.5, -2.2, WHY_FIVE_PHONES, phones=5),
    _margin(Scores.POSTERIORS, -1.4, -1.2, WHY_TEN_PHONES, phones=10),
    _margin(Scores.DISTANCES, -3.0, -2.8, WHY_SECOND, seconds=1.0),
    _margin(Scores.DISTANCES, -2.3, -2.1, WHY_TWO_SECONDS, seconds=2.0),
    _margin(Scores.DISTANCES, -1.5, -1.4, WHY_ALL_OF_IT, seconds=WHOLE_RECORDING),
    _margin(Scores.TRAJECTORIES, -1.4, -1.28, WHY_SECOND, seconds=1.0),
    _margin(Scores.TRAJECTORIES, -0.95, -0.81, WHY_TWO_SECONDS, seconds=2.0),
    _margin(Scores.TRAJECTORIES, -0.75, -0.66, WHY_ALL_OF_IT, seconds=WHOLE_RECORDING),
    Threshold(
        test=Test.LONG_PHONE,
        limit=0.8,
        unit="s, the longest phone",
        worst=0.45,
        why="Finds a phone that covers other sounds; nearly twice the longest of intact speech.",
    ),
    Threshold(
        test=Test.LONG_WORD,
        limit=2.0,
        unit="s, the longest word",
        worst=1.08,
        why="Finds a word that covers speech which the transcript lacks; nearly twice the longest one said.",
    ),
    Threshold(
        test=Test.CRAMMED,
        limit=5,
        unit="phones in a row as short as can be",
        worst=5,
        why="Finds words that are not said; intact speech slurs up to five in a row.",
    ),
    Threshold(
        test=Test.CRAMMED_EDGE,
        limit=4,
        unit="phones in a row as short as can be, at an edge of the speech",
        worst=3,
        why="Finds words that are not said before or after the rest, where people slur less.",
    ),
    Threshold(
        test=Test.CRAMMED_SHARE,
        limit=0.5,
        unit="share of all phones that are as short as can be",
        worst=0.45,
        why="Finds transcripts far too long for their recordings.",
    ),
    Threshold(
        test=Test.UNEVEN,
        limit=0.8,
        unit="standard deviation of the logarithm of the phones' lengths",
        worst=0.64,
        why="Finds transcripts that cannot keep in step: some phones are crammed, and others cover the rest.",
    ),
    Threshold(
        test=Test.LITTLE_SPEECH,
        limit=0.15,
        below=True,
        unit="share of the utterance that is speech",
        worst=0.65,
        why="Finds transcripts that lack words; so low because recordings of single words are mostly pause.",
    ),
    Threshold(
        test=Test.NOISY,
        limit=1.0,
        below=True,
        unit="dB, the speech over the pauses",
        worst=22.0,
        why="Finds pauses that are speech, and noise as loud as it; down to there boundaries are told well.",
    ),
    Threshold(
        test=Test.CLIPPED,
        limit=0.001,
        unit="share of the samples that are cut off",
        worst=0.0,
        why="Finds recordings that were too loud: from here on cut peaks are heard, and features suffer.",
    ),
    Threshold(
        test=Test.UNLIKELY,
        limit=-5.0,
        below=True,
        unit="robust deviations of the log-likelihood from the corpus's median",
        worst=-2.56,
        why="Finds another language or microphone; twice as far off as any intact sentence.",
    ),
    Threshold(
        test=Test.ODD_LENGTHS,
        limit=1.6,
        unit="mean deviation of the phones' lengths from those of the corpus",
        worst=1.13,
        why="Finds another rate of speech, and transcripts that fit nowhere; 40 % beyond any intact one.",
    ),
)


class Gain(NamedTuple):
    """What sound that the transcript lacks must gain for an alignment with it to be taken."""

    total: float
    """By how much its path is better than one without."""
    frame: float
    """The same for each frame of that sound: what it lacks is far from what it has."""
    margin: float
    """The least mean margin of all that is said: the rest fits."""

    def times(self, factor: float) -> Gain:
        """The gain of a model whose scores are ``factor`` times as wide."""
        return Gain(*(factor * value for value in self))


ANY_GAIN = Gain(0.0, 0.0, -math.inf)
ENOUGH_TO_PLACE = 5  # phones of words that are placed around sound that the transcript lacks, at least
# of music, repeated phrases and other speakers in 96 sentences the least gains were (151; 0.09), (26; 0.8)
# and (47; 0.3), and of words that are heard badly, in prompts of Spanish and Russian, with `DISTANCES`, up
# to (69; 0.27)
LEAST_GAINS = {
    Scores.GAUSSIANS: Gain(100.0, 0.04, -1.5),
    Scores.POSTERIORS: Gain(20.0, 0.5, -1.5),
    Scores.DISTANCES: Gain(45.0, 0.28, -0.9),
    Scores.TRAJECTORIES: Gain(15.0, 0.09, -0.4),
}
# nats a frame by which the limits of margins may be wider in a corpus of which much lies beyond them: a voice
# that is far from that of the reference, or noise.  Of swapped transcripts (TIMIT) the median lies 8.8 beyond
# with `GAUSSIANS` and 1.9 with `DISTANCES`, in intact corpora of other languages between -1.2 and 0.1
LEEWAYS = {
    Scores.GAUSSIANS: 2.0,
    Scores.POSTERIORS: 0.4,
    Scores.DISTANCES: 1.5,
    Scores.TRAJECTORIES: 0.3,
}
LEAST_PAUSES = {  # s of pauses from which their power can be measured, for `Test.NOISY`
    Scores.GAUSSIANS: 0.1,
    Scores.POSTERIORS: 0.1,
    Scores.DISTANCES: 0.3,  # a template's pauses reach into the speech beside them
    Scores.TRAJECTORIES: 0.3,
}
_SINGLE: Mapping[Test, Threshold] = {t.test: t for t in THRESHOLDS if t.test is not Test.MISFIT}


def threshold(test: Test) -> Threshold:
    """Return the threshold of a test that has one for all kinds of scores.

    Examples
    --------
    >>> threshold(Test.LONG_WORD).exceeded(2.1)
    True
    """
    return _SINGLE[test]


NEVER_SPOKEN = 2.0  # s; who drawls and hesitates holds a vowel for 0.7 s (28 s of labelled conversation)


@dataclass(frozen=True, kw_only=True)
class Longest:
    """How many seconds phones and words last at most."""

    vowel: float
    """A vowel, a nasal or a liquid, or a phone of a kind that is not known: a voice can hold them."""
    fricative: float
    """A fricative, which takes more breath."""
    other: float
    """A stop, or another phone that nobody can hold."""
    word: float
    """A word."""

    def phone(self, kind: str) -> float:
        """The most of a phone of a kind (see `aligner.text.phones.kind`).

        Examples
        --------
        >>> SUNG.phone("vowel"), SPOKEN.phone("stop")
        (15.0, 0.8)
        """
        if kind in ("fricative", "stop"):
            return self.fricative if kind == "fricative" else self.other
        return self.vowel


_SPOKEN_PHONE = threshold(Test.LONG_PHONE).limit
SPOKEN = Longest(
    vowel=_SPOKEN_PHONE,
    fricative=_SPOKEN_PHONE,
    other=_SPOKEN_PHONE,
    word=threshold(Test.LONG_WORD).limit,
)
"""Of speech: the limits of `THRESHOLDS`."""

# healthy adults hold a vowel on one breath for 15 to 25 s, and a fricative for as long where they do nothing
# else; in a song notes of more than 15 s are records, and a hiss is an effect
SUNG = Longest(vowel=15.0, fricative=3.0, other=_SPOKEN_PHONE, word=20.0)
"""Of singing."""


class Widening(NamedTuple):
    """By which factor intervals around boundaries are wider than those of speech that fits.

    Of conversation, rooms and other languages fewer hand labels were within intervals than of read English,
    and the worse a stretch of an utterance fits, the fewer.
    """

    misfit: float = 0.0
    """The misfit (see `aligner.types.Quality`) from which on they are wider."""
    per_nat: float = 0.0
    """What the factor gains a nat of misfit."""

    def __call__(self, misfit: float) -> float:
        """Return the factor of an utterance.

        Examples
        --------
        >>> widening = Widening(misfit=-1.5, per_nat=0.4)
        >>> widening(-2.0), round(widening(0.5), 3), widening(50.0)
        (1.0, 1.8, 3.0)
        """
        return min(1.0 + self.per_nat * max(misfit - self.misfit, 0.0), WIDEST)

    def times(self, factor: float) -> Widening:
        """Return the same of a model whose margins are ``factor`` times as wide."""
        return Widening(self.misfit * factor, self.per_nat / factor)


NO_WIDENING = Widening()


@dataclass(frozen=True)
class Limits:
    """Mean margins below which something does not fit, of a kind of scores."""

    stretches: tuple[tuple[float, float], ...]
    """Seconds of anything, and the least mean margin over them."""
    rows: tuple[tuple[int, float], ...]
    """Spoken phones in a row, and the least mean margin of them."""
    pauses: float = 0.1
    """Seconds of pauses from which their power can be measured."""
    gain: Gain = ANY_GAIN
    """What sound that the transcript lacks must gain."""
    leeway: float = 0.0
    """By how much the limits may be wider in a corpus of which much lies beyond them."""
    widening: Widening = NO_WIDENING
    """How much wider intervals are where an utterance fits badly."""

    def times(self, factor: float) -> Limits:
        """Return the limits of a model whose margins are ``factor`` times as wide.

        Examples
        --------
        >>> Limits(((0.3, -8.0),), ()).times(1.5).stretches
        ((0.3, -12.0),)
        """
        return replace(
            self,
            stretches=tuple((seconds, factor * least) for seconds, least in self.stretches),
            rows=tuple((count, factor * least) for count, least in self.rows),
            gain=self.gain.times(factor),
            leeway=factor * self.leeway,
            widening=self.widening.times(factor),
        )


WIDEST = 3.0  # times as wide as the intervals of speech that fits
# measured on TIMIT, clean and spoilt, conversation, lab recordings, Finnish and Arabic: see the notes of the
# benchmarks
WIDENINGS: Mapping[Scores, Widening] = {
    Scores.GAUSSIANS: Widening(misfit=-4.0, per_nat=0.12),
    Scores.POSTERIORS: Widening(misfit=-0.6, per_nat=2.0),
    Scores.DISTANCES: Widening(misfit=-1.5, per_nat=0.4),
}


def _limits_of(scores: Scores) -> Limits:
    """Return the limits of margins that the table has of a kind of scores."""
    own = [t for t in THRESHOLDS if t.scores is scores]
    return Limits(
        tuple((t.seconds, t.limit) for t in own if t.seconds is not None),
        tuple((t.phones, t.limit) for t in own if t.phones is not None),
        LEAST_PAUSES[scores],
        LEAST_GAINS[scores],
        LEEWAYS[scores],
        WIDENINGS.get(scores, NO_WIDENING),
    )


LIMITS: Mapping[Scores, Limits] = {scores: _limits_of(scores) for scores in Scores}
"""The limits of margins, for each kind of scores."""


def worst_margin(scores: Scores, seconds: float) -> float:
    """Return the worst mean margin of intact speech over a window of so many seconds, in nats a frame.

    Examples
    --------
    >>> worst_margin(Scores.GAUSSIANS, 0.3)
    -6.5
    """
    return next(t.worst for t in THRESHOLDS if t.scores is scores and t.seconds == seconds)


def markdown() -> str:
    """Return the table of thresholds in Markdown, for the documentation."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield f"| test | measured | suspect | worst of {INTACT} | what it finds, and why this value |"
    yield "|---|---|---|---|---|"
    for t in THRESHOLDS:
        measured = f"{t.unit}, over {t.over}" if t.over else t.unit
        kind = f" (`{t.scores}`)" if t.scores else ""
        side = "below" if t.below else "above"
        yield f"| `{t.test}`{kind} | {measured} | {side} {_number(t.limit)} | {_number(t.worst)} | {t.why} |"


def _number(value: float) -> str:
    return f"{value:g}".replace("-", "−")


if __name__ == "__main__":
    print(markdown(), end="")
