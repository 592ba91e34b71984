"""Why a person should look at an alignment, in words.

Exact search always finds the best path; these tell when even the best is not good.  Each threshold
lies outside what intact speech gave (the worst of 80 sentences of 8 speakers, the figure behind each,
and no more than rare cases of 160 studio prompts), and inside what the same recordings give when
transcripts are swapped, shortened or lengthened, or the audio is damaged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from math import log, log10
from statistics import stdev

import numpy as np

from aligner.refine.confidence import Evidence, means
from aligner.text.normalise import BRACKETED
from aligner.types import NOISE_LABEL, SILENCE_LABEL, Clock, Interval, Quality

# What is heard against what is written: mean margins, in nats a frame
WORST_WINDOW = 0.3  # s; of `Quality.worst_margin`
LEAST_MARGIN = -15.0  # one phone counts for no less: a click in it must not condemn its neighbours
# How long things are
LONGEST_PHONE = 0.8  # s; 0.45
LONGEST_WORD = 2.0  # s; 1.1
CRAMMED = 1.5  # times the model's shortest length, below which a phone is as short as can be
CRAMMED_RUN = 6  # phones in a row at the model's shortest length; 5
CRAMMED_EDGE = 5  # the same at the beginning or end of the speech, where words that are not said pile up; 3
CRAMMED_SHARE = 0.5  # of all phones at that length; 0.45
UNEVEN = 0.8  # standard deviation of the logarithm of the phones' lengths; 0.64
LEAST_SPEECH = 0.15  # share of an utterance; 0.67
ENOUGH = 10  # phones from which shares and deviations mean something
# The recording
LEAST_SNR = 3.0  # dB; speech is no stronger than what is taken for pauses
LOWEST_SNR = -20.0  # dB; lower ones mean the same
MOST_CLIPPED = 0.001  # share of samples; from here cut peaks are heard, and features suffer


@dataclass(frozen=True)
class Limits:
    """Mean margins below which something does not fit; what a margin is worth depends on what scores the
    frames.

    Attributes
    ----------
    stretches : tuple of (float, float)
        Over seconds of anything.
    rows : tuple of (int, float)
        Over phones of speech in a row.
    quiet : float
        Seconds of pauses from which their power can be told.
    """

    stretches: tuple[tuple[float, float], ...]
    rows: tuple[tuple[int, float], ...]
    quiet: float = 0.1

    def times(self, factor: float) -> Limits:
        """Limits of a model whose margins are so much wider.

        Examples
        --------
        >>> Limits(((0.3, -8.0),), ()).times(1.5).stretches
        ((0.3, -12.0),)
        """
        return replace(
            self,
            stretches=tuple((seconds, factor * least) for seconds, least in self.stretches),
            rows=tuple((count, factor * least) for count, least in self.rows),
        )


GAUSSIANS = Limits(((WORST_WINDOW, -7.75), (0.5, -5.0)), ((3, -9.25), (5, -6.5)))  # -7.1, -4.4; -8.7, -6.0


@dataclass(frozen=True)
class Solved:
    """A path and the recording below it, all that can be said of an alignment.

    Attributes
    ----------
    words, phones : sequence of Interval
        As the search left them, before boundaries are refined.
    firsts : sequence of int
        The frame that each phone begins with.
    evidence : Evidence
    levels : ndarray
        (T,) power of the recording in each frame.
    clock : Clock
    shortest : float
        The least time that a phone of the model takes, in seconds.
    limits : Limits
        Of the margins.
    """

    words: Sequence[Interval]
    phones: Sequence[Interval]
    firsts: Sequence[int]
    evidence: Evidence
    levels: np.ndarray
    clock: Clock
    shortest: float
    limits: Limits = GAUSSIANS

    @property
    def spoken(self) -> list[Interval]:
        """Phones that are not silence."""
        return [p for p in self.phones if p.label != SILENCE_LABEL]

    @property
    def voiced(self) -> np.ndarray:
        """(T,) whether a frame is one of a spoken phone."""
        sizes = np.diff([*self.firsts, len(self.levels)])
        return np.repeat([p.label != SILENCE_LABEL for p in self.phones], sizes)

    def crammed(self, phone: Interval) -> bool:
        """Whether a spoken phone is as short as the model lets it be."""
        return phone.label != SILENCE_LABEL and phone.duration < CRAMMED * self.shortest

    def word_at(self, start: float, end: float) -> str:
        """The words that a stretch of time lies in or touches."""
        return " ".join(
            w.label for w in self.words if w.start < end and w.end > start and w.label != SILENCE_LABEL
        )


def measure(s: Solved, log_likelihood: float, clipped: float) -> Quality:
    """The figures of an alignment.

    Parameters
    ----------
    s : Solved
    log_likelihood : float
        Of the path, per frame.
    clipped : float
        Share of samples.
    """
    words = [w for w in s.words if w.label != SILENCE_LABEL]
    total = s.phones[-1].end - s.phones[0].start
    run = max((len(r) for r in _crammed_runs(s)), default=0)
    margin = s.evidence.margin
    worst = _moving(margin, _frames(s, WORST_WINDOW)).min()
    confidence = sum(w.confidence or 0.0 for w in words) / len(words)
    speech = sum(p.duration for p in s.spoken) / total
    return Quality(
        log_likelihood,
        float(margin[s.voiced].mean()),
        float(worst),
        confidence,
        run,
        speech,
        max(w.duration for w in words),
        _snr(s),
        clipped,
    )


def suspicions(s: Solved, q: Quality) -> tuple[str, ...]:
    """What looks wrong, in a user's words; empty where nothing does."""
    return tuple(reason for test in TESTS for reason in test(s, q)[:1])


def _misfit(s: Solved, q: Quality) -> list[str]:
    """Speech and transcript disagree over some stretch of time."""
    found = []
    for seconds, least in s.limits.stretches:
        means_ = _moving(s.evidence.margin, _frames(s, seconds))
        if means_.min() < least:
            start = s.phones[0].start + s.clock.boundary(int(means_.argmin()))
            found.append(_disagree(s, start, min(start + seconds, s.phones[-1].end)))
    spoken = [k for k, p in enumerate(s.phones) if p.label != SILENCE_LABEL]
    margins = np.maximum(means(s.evidence.margin, s.firsts), LEAST_MARGIN)[spoken]
    for count, least in s.limits.rows:
        means_ = _moving(margins, count)
        if means_.min() < least:
            k = int(means_.argmin())
            last = min(k + count, len(spoken)) - 1
            found.append(_disagree(s, s.phones[spoken[k]].start, s.phones[spoken[last]].end))
    return found


def _disagree(s: Solved, start: float, end: float) -> str:
    words = s.word_at(start, end)
    if not words:
        return f"something is heard at {start:.2f} s where the transcript has nothing"
    return f"what is heard from {start:.2f} to {end:.2f} s does not fit {words!r}"


def _long(s: Solved, q: Quality) -> list[str]:
    """A phone or a word goes on for too long."""
    longest = max((p for p in s.spoken if p.label != NOISE_LABEL), key=lambda p: p.duration, default=None)
    found = []
    if longest is not None and longest.duration > LONGEST_PHONE:
        word = s.word_at(longest.start, longest.end)
        found.append(
            f"phone {longest.label} of {word!r} lasts {longest.duration:.2f} s at {longest.start:.2f} s"
        )
    return found + [
        f"the word {w.label!r} lasts {w.duration:.2f} s at {w.start:.2f} s"
        for w in s.words
        if w.duration > LONGEST_WORD and w.label != SILENCE_LABEL and not BRACKETED.fullmatch(w.label)
    ]


def _crammed_together(s: Solved, q: Quality) -> list[str]:
    """Words that are not said are squeezed in at the least that the model allows."""
    runs = _crammed_runs(s)
    run = max(runs, key=len, default=[])
    said = s.spoken
    if len(run) >= CRAMMED_RUN:
        return [
            f"{len(run)} phones in a row are as short as can be at {run[0].start:.2f} s: "
            "the transcript may have words that are not said"
        ]
    edges = [r for r in runs if len(r) >= CRAMMED_EDGE and (r[0] is said[0] or r[-1] is said[-1])]
    return [
        f"{s.word_at(r[0].start, r[-1].end)!r} is crammed at the "
        f"{'beginning' if r[0] is said[0] else 'end'}, from "
        f"{r[0].start:.2f} s: it may not be said"
        for r in edges
    ]


def _too_many(s: Solved, q: Quality) -> list[str]:
    crammed = sum(map(s.crammed, s.spoken)) / len(s.spoken)
    if len(s.spoken) < ENOUGH or crammed <= CRAMMED_SHARE:
        return []
    return [f"{100 * crammed:.0f} % of the phones are as short as can be: too many words for the recording"]


def _uneven(s: Solved, q: Quality) -> list[str]:
    lengths = [log(p.duration) for p in s.spoken if p.label != NOISE_LABEL]
    if len(lengths) < ENOUGH or stdev(lengths) <= UNEVEN:
        return []
    return ["the phones are very uneven in length: transcript and recording may differ"]


def _little_speech(s: Solved, q: Quality) -> list[str]:
    total = s.phones[-1].end - s.phones[0].start
    if q.speech >= LEAST_SPEECH:
        return []
    return [f"only {q.speech * total:.1f} of {total:.1f} s are speech: the transcript may lack words"]


def _noisy(s: Solved, q: Quality) -> list[str]:
    if q.snr is None or q.snr >= LEAST_SNR:
        return []
    if q.snr <= 0:
        return ["what is taken for pauses is as loud as the speech: it may be speech"]
    return [
        f"speech is only {q.snr:.0f} dB stronger than the pauses: the recording is noisy, or the pauses "
        f"are speech"
    ]


def _cut_off(s: Solved, q: Quality) -> list[str]:
    if q.clipped <= MOST_CLIPPED:
        return []
    return [f"{100 * q.clipped:.1f} % of the samples are clipped: the recording was too loud"]


TESTS: tuple[Callable[[Solved, Quality], list[str]], ...] = (
    _misfit,
    _long,
    _crammed_together,
    _too_many,
    _uneven,
    _little_speech,
    _noisy,
    _cut_off,
)


def _crammed_runs(s: Solved) -> list[list[Interval]]:
    """Rows of phones that are as short as the model lets them be."""
    return [list(group) for yes, group in groupby(s.phones, s.crammed) if yes]


def _snr(s: Solved) -> float | None:
    """Power of speech without the noise below it, over the power in the pauses (dB)."""
    voiced = s.voiced
    if s.clock.seconds(int((~voiced).sum())) < s.limits.quiet:
        return None
    noise, both = float(s.levels[~voiced].mean()), float(s.levels[voiced].mean())
    noise = max(noise, 1e-12)  # of full scale squared: below 16 bits
    return 10 * log10(max(both / noise - 1, 10 ** (LOWEST_SNR / 10)))


def _frames(s: Solved, seconds: float) -> int:
    return max(1, round(seconds * s.clock.rate / s.clock.hop))


def _moving(values: np.ndarray, width: int) -> np.ndarray:
    """Means over every ``width`` values in a row; of all of them where there are fewer."""
    width = min(width, len(values))
    sums = np.cumsum(np.concatenate([[0.0], values.astype(np.float64)]))
    average: np.ndarray = (sums[width:] - sums[:-width]) / width
    return average
