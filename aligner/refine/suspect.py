"""Tests of suspicion: why a person should look at an alignment.

Exact search always finds the best path; these tests find when even the best is not good.  Where each limit
lies, and why, stands in `aligner.refine.thresholds`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from math import log, log10

import numpy as np

from aligner.corpus.cuts import AS_HEARD, Restored
from aligner.corpus.sustained import NOTHING_HELD, Sustained
from aligner.features import INNER_REACH, sounding_levels
from aligner.refine.confidence import Evidence, means
from aligner.refine.thresholds import (
    LIMITS,
    NEVER_SPOKEN,
    SPOKEN,
    Limits,
    Longest,
    Scores,
    Test,
    threshold,
)
from aligner.text.phones import kind
from aligner.types import (
    DECIMALS,
    NOISE_LABEL,
    SILENCE_LABEL,
    STAR_LABEL,
    Clock,
    Interval,
    Quality,
    Suspicion,
)

WORST_WINDOW = 0.3  # s; of `Quality.worst_margin`
LEAST_MARGIN = -15.0  # nats; one phone counts for no less: a click in it must not condemn its neighbours
CRAMMED_FACTOR = 1.5  # times the model's shortest length, below which a phone is as short as can be
ENOUGH_PHONES = 10  # from which shares and deviations of an utterance's phones mean something
LOWEST_SNR = -20.0  # dB; lower ones mean the same


@dataclass(frozen=True, kw_only=True)
class Solved:
    """A path and the recording below it: all that the tests of suspicion look at."""

    words: Sequence[Interval]
    """The words as the search left them, before boundaries are refined."""
    phones: Sequence[Interval]
    """The phones as the search left them."""
    firsts: Sequence[int]
    """The frame that each phone begins with."""
    evidence: Evidence
    """How well each frame fits what is written, and what else it may be."""
    levels: np.ndarray
    """Power of the recording in each frame, shape (T,)."""
    clock: Clock
    """The clock of the frames."""
    shortest: float
    """The least time that a phone of the model takes, in seconds."""
    limits: Limits = LIMITS[Scores.GAUSSIANS]
    """The limits of the margins."""
    longest: Longest = SPOKEN
    """How long phones and words last at most."""
    sustained: Sustained = NOTHING_HELD
    """What was left out of held notes: all this is about what was heard."""
    restored: Restored = AS_HEARD
    """The way from these times, with what was left out of held notes, to those of the recording."""

    @cached_property
    def spoken(self) -> list[Interval]:
        """The phones that are not silence."""
        return [p for p in self.phones if p.label != SILENCE_LABEL]

    @cached_property
    def voiced(self) -> np.ndarray:
        """Whether each frame belongs to a spoken phone, shape (T,)."""
        sizes = np.diff([*self.firsts, len(self.levels)])
        return np.repeat([p.label != SILENCE_LABEL for p in self.phones], sizes)

    @cached_property
    def sound(self) -> float:
        """Seconds of the recording that are sound, or taken for speech."""
        heard = sounding_levels(np.log(self.levels + 1e-12), self.clock.rate / self.clock.hop, INNER_REACH)
        whole = self.phones[-1].end - self.phones[0].start
        return whole * float((heard | self.voiced).mean())

    def crammed(self, phone: Interval) -> bool:
        """Return whether a spoken phone is as short as the model lets it be."""
        return (
            phone.label not in (SILENCE_LABEL, NOISE_LABEL)
            and phone.duration < CRAMMED_FACTOR * self.shortest
        )

    def is_noise(self, word: Interval) -> bool:
        """Return whether a word is a noise, whatever is written for it: it has no other phone."""
        inside = [p.label for p in self.phones if p.start < word.end and p.end > word.start]
        return set(inside) <= {NOISE_LABEL}

    def time(self, heard: float) -> float:
        """When something is in the recording, in seconds."""
        return self.restored.time(self.sustained.time(heard))

    def lasts(self, heard: Interval) -> float:
        """How many seconds a phone or a word lasts, with what was left out of held notes in it."""
        return self.sustained.time(heard.end) - self.sustained.time(heard.start)

    def word_at(self, start: float, end: float) -> str:
        """Return the words that a stretch of time lies in or touches."""
        return " ".join(
            w.label for w in self.words if w.start < end and w.end > start and w.label != SILENCE_LABEL
        )


def measure(s: Solved, log_likelihood: float, clipped: float) -> Quality:
    """Measure the figures of an alignment.

    Parameters
    ----------
    s : Solved
    log_likelihood : float
        Log-likelihood of the path, per frame.
    clipped : float
        Share of the samples that are cut off.
    """
    words = [w for w in s.words if w.label not in (SILENCE_LABEL, STAR_LABEL)] or s.words
    run = max((len(r) for r in _crammed_runs(s)), default=0)
    margin = s.evidence.margin
    worst = _moving(margin, _frames(s, WORST_WINDOW)).min()
    confidence = sum(w.confidence or 0.0 for w in words) / len(words)
    speech = min(sum(p.duration for p in s.spoken) / s.sound, 1.0)
    return Quality(
        log_likelihood=log_likelihood,
        margin=float(margin[s.voiced].mean()),
        worst_margin=float(worst),
        confidence=confidence,
        crammed_run=run,
        speech=speech,
        longest_word=max(map(s.lasts, words)),
        snr=_snr(s),
        clipped=clipped,
        misfit=max((beyond for beyond, _, _ in _stretches(s)), default=0.0),
    )


def suspicions(s: Solved, q: Quality) -> tuple[Suspicion, ...]:
    """Return what looks wrong with an alignment; empty where nothing does."""
    return tuple(found for test in TESTS for found in test(s, q)[:1])


def untranscribed(start: float, end: float) -> Suspicion:
    """Sound that the transcript lacks, in seconds from the start of the recording."""
    text = f"from {start:.2f} to {end:.2f} s something is heard that the transcript lacks"
    return _suspicion(Test.UNTRANSCRIBED, text, start)


def _suspicion(test: Test, text: str, at: float | None = None) -> Suspicion:
    return Suspicion(test=test, text=text, at=None if at is None else round(at, DECIMALS))


def _misfit(s: Solved, q: Quality) -> list[Suspicion]:
    """Find stretches where speech and transcript disagree."""
    return [_disagree(s, start, end) for beyond, start, end in _stretches(s) if beyond > 0]


def _stretches(s: Solved) -> Iterator[tuple[float, float, float]]:
    """Yield for each limit of margins by how much the worst stretch lies beyond it, and where it is."""
    for seconds, least in s.limits.stretches:
        means_ = _moving(s.evidence.margin, _frames(s, seconds))
        start = s.phones[0].start + s.clock.boundary(int(means_.argmin()))
        yield least - float(means_.min()), start, min(start + seconds, s.phones[-1].end)
    spoken = [k for k, p in enumerate(s.phones) if p.label != SILENCE_LABEL]
    margins = np.maximum(means(s.evidence.margin, s.firsts), LEAST_MARGIN)[spoken]
    for count, least in s.limits.rows:
        means_ = _moving(margins, count)
        k = int(means_.argmin())
        last = min(k + count, len(spoken)) - 1
        yield least - float(means_.min()), s.phones[spoken[k]].start, s.phones[spoken[last]].end


def _disagree(s: Solved, start: float, end: float) -> Suspicion:
    words, at = s.word_at(start, end), s.time(start)
    if words:
        text = f"what is heard from {at:.2f} to {s.time(end):.2f} s does not fit {words!r}"
    else:
        text = f"something is heard at {at:.2f} s where the transcript has nothing"
    return _suspicion(Test.MISFIT, text, at)


def _long_phone(s: Solved, q: Quality) -> list[Suspicion]:
    """Find a phone that goes on for too long."""
    beyond = [p for p in s.spoken if p.label != NOISE_LABEL and s.lasts(p) > s.longest.phone(kind(p.label))]
    if not beyond:
        return []
    longest = max(beyond, key=s.lasts)
    word, at, seconds = s.word_at(longest.start, longest.end), s.time(longest.start), s.lasts(longest)
    text = f"phone {longest.label} of {word!r} lasts {seconds:.2f} s at {at:.2f} s"
    return [_suspicion(Test.LONG_PHONE, text + _advice(s, seconds), at)]


def _advice(s: Solved, seconds: float) -> str:
    """What a phone is that lasts longer than any that is spoken, or sung."""
    if s.longest is not SPOKEN:
        return ": nobody holds one so long; does the transcript lack what is sung there?"
    if seconds > NEVER_SPOKEN:
        return ": nobody speaks one so long; --star allows for other sound, --sung for singing"
    return ""


def _long_word(s: Solved, q: Quality) -> list[Suspicion]:
    """Find words that go on for too long."""
    return [
        _suspicion(
            Test.LONG_WORD,
            f"the word {w.label!r} lasts {s.lasts(w):.2f} s at {s.time(w.start):.2f} s",
            s.time(w.start),
        )
        for w in s.words
        if s.lasts(w) > s.longest.word and w.label != SILENCE_LABEL and not s.is_noise(w)
    ]


def _long(s: Solved, q: Quality) -> list[Suspicion]:
    """Find a phone that goes on for too long; or, where none does, a word."""
    return [*_long_phone(s, q), *_long_word(s, q)]


def _crammed_together(s: Solved, q: Quality) -> list[Suspicion]:
    """Find words that are squeezed in at the least that the model allows, for they are not said."""
    runs = _crammed_runs(s)
    run = max(runs, key=len, default=[])
    if threshold(Test.CRAMMED).exceeded(len(run)):
        at = s.time(run[0].start)
        text = (
            f"{len(run)} phones in a row are as short as can be at {at:.2f} s: "
            "the transcript may have words that are not said"
        )
        return [_suspicion(Test.CRAMMED, text, at)]
    limit, said = threshold(Test.CRAMMED_EDGE), s.spoken
    return [
        _at_the_edge(s, r, "beginning" if r[0] is said[0] else "end")
        for r in runs
        if limit.exceeded(len(r)) and (r[0] is said[0] or r[-1] is said[-1])
    ]


def _at_the_edge(s: Solved, run: Sequence[Interval], edge: str) -> Suspicion:
    words, at = s.word_at(run[0].start, run[-1].end), s.time(run[0].start)
    text = f"{words!r} is crammed at the {edge}, from {at:.2f} s: it may not be said"
    return _suspicion(Test.CRAMMED_EDGE, text, at)


def _too_many(s: Solved, q: Quality) -> list[Suspicion]:
    """Find a transcript with far too many words for its recording."""
    share = sum(map(s.crammed, s.spoken)) / len(s.spoken)
    if len(s.spoken) < ENOUGH_PHONES or not threshold(Test.CRAMMED_SHARE).exceeded(share):
        return []
    text = f"{100 * share:.0f} % of the phones are as short as can be: too many words for the recording"
    return [_suspicion(Test.CRAMMED_SHARE, text)]


def _uneven(s: Solved, q: Quality) -> list[Suspicion]:
    """Find phones some of which are crammed, and others cover much."""
    lengths = [log(p.duration) for p in s.spoken if p.label != NOISE_LABEL]
    if len(lengths) < ENOUGH_PHONES or not threshold(Test.UNEVEN).exceeded(float(np.std(lengths, ddof=1))):
        return []
    text = "the phones are very uneven in length: transcript and recording may differ"
    return [_suspicion(Test.UNEVEN, text)]


def _little_speech(s: Solved, q: Quality) -> list[Suspicion]:
    """Find an utterance most of which is taken for silence."""
    total = s.sound
    if not threshold(Test.LITTLE_SPEECH).exceeded(q.speech):
        return []
    text = f"only {q.speech * total:.1f} of {total:.1f} s are speech: the transcript may lack words"
    return [_suspicion(Test.LITTLE_SPEECH, text)]


def _noisy(s: Solved, q: Quality) -> list[Suspicion]:
    """Find speech that is hardly stronger than what is taken for pauses."""
    if q.snr is None or not threshold(Test.NOISY).exceeded(q.snr):
        return []
    if q.snr <= 0:
        text = "what is taken for pauses is as loud as the speech: it may be speech"
    else:
        text = (
            f"speech is only {q.snr:.0f} dB stronger than the pauses: the recording is noisy, or the pauses "
            "are speech"
        )
    return [_suspicion(Test.NOISY, text)]


def _cut_off(s: Solved, q: Quality) -> list[Suspicion]:
    """Find a recording whose peaks are cut off."""
    if not threshold(Test.CLIPPED).exceeded(q.clipped):
        return []
    text = f"{100 * q.clipped:.1f} % of the samples are clipped: the recording was too loud"
    return [_suspicion(Test.CLIPPED, text)]


TESTS: tuple[Callable[[Solved, Quality], list[Suspicion]], ...] = (
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
    """Return rows of phones that are as short as the model lets them be."""
    return [list(group) for yes, group in groupby(s.phones, s.crammed) if yes]


def _snr(s: Solved) -> float | None:
    """Return the power of speech without the noise below it, over the power in the pauses (dB)."""
    voiced = s.voiced
    if s.clock.seconds(int((~voiced).sum())) < s.limits.pauses:
        return None
    noise, both = float(s.levels[~voiced].mean()), float(s.levels[voiced].mean())
    noise = max(noise, 1e-12)  # of full scale squared: below 16 bits
    return 10 * log10(max(both / noise - 1, 10 ** (LOWEST_SNR / 10)))


def _frames(s: Solved, seconds: float) -> int:
    return max(1, round(seconds * s.clock.rate / s.clock.hop))


def _moving(values: np.ndarray, width: int) -> np.ndarray:
    """Return means over every ``width`` values in a row; of all of them where there are fewer."""
    width = min(width, len(values))
    sums = np.cumsum(np.concatenate([[0.0], values.astype(np.float64)]))
    average: np.ndarray = (sums[width:] - sums[:-width]) / width
    return average
