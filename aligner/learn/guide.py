"""The guide of a training: where something that aligns already finds the words of the corpus.

A flat start cuts an utterance into equal pieces, which is wrong wherever a speaker pauses, and wrong
throughout where something is heard that the transcript lacks. A guide knows better: a model of the language,
where there is one, or the warping of synthesised speech, of this language or of a related one. Its wildcard
finds what is not transcribed, and that is left out of what is learnt from; so are utterances that do not fit
their transcripts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, cast

import numpy as np

from aligner.backends.base import AnyBackend
from aligner.backends.calls import FLAT, WARPING, is_model
from aligner.backends.choose import chosen
from aligner.backends.options import Compute, Options
from aligner.learn.pronouncing import Text
from aligner.refine.outliers import widened
from aligner.refine.thresholds import Test
from aligner.run.align import align
from aligner.text.lexicon import SpokenWord
from aligner.text.phones import SILENCE, unstressed
from aligner.train.em import GuidedPhone
from aligner.types import (
    SILENCE_LABEL,
    STAR_LABEL,
    Alignment,
    Clock,
    DataError,
    Failure,
    Fault,
    Interval,
    ModelError,
    Result,
    Utterance,
)

LEAST_UNTRANSCRIBED = 0.3  # s; what is shorter may be a cough or the edge of a word
MANY_UNTRANSCRIBED = 0.25  # share of utterances with such sound, from which it is looked for in all
LEAST_GUIDED = 0.5  # share of the utterances; where fewer fit, it is the guide that is of other speech
# suspicions of a guide's alignment for which an utterance is not learnt from; a recording may well be noisy,
# and what the transcript lacks is left out
UNFIT = frozenset(
    [
        Test.MISFIT,
        Test.LONG_PHONE,
        Test.LONG_WORD,
        Test.CRAMMED,
        Test.CRAMMED_EDGE,
        Test.CRAMMED_SHARE,
        Test.UNEVEN,
        Test.STAR,
    ]
)


@dataclass(frozen=True, kw_only=True)
class Guide:
    """Alignments that a training starts from."""

    about: str
    """What aligned: a phrase."""
    alignments: Mapping[str, Alignment]
    """Those that fit, by the ids of their utterances; of some only a piece (see `piece_of`)."""
    failures: tuple[Failure, ...]
    """What cannot be aligned or does not fit, and so is not learnt from."""
    untranscribed: tuple[Utterance, ...] = ()
    """Stretches of sound that the transcripts lack, from which noise is learnt; without transcripts."""

    @property
    def doubt(self) -> str | None:
        """Why the guide is not to be followed, in a user's words; None where it fits the corpus."""
        count, total = len(self.alignments), len(self.alignments) + len(self.failures)
        if count >= LEAST_GUIDED * total:
            return None
        first = self.failures[0]
        return (
            f"begun flat, for {count} of {total} utterances fit {self.about} ({first.utterance.id}: "
            f"{first.message}): name what fits them better (--start)"
        )


def guide_of(start: str | None, text: Text, compute: Compute) -> AnyBackend | None:
    """Return what aligns a corpus before it is learnt from; None begins flat.

    Parameters
    ----------
    start : str or None
        'flat'; 'dtw' for the synthesised speech of the language; the name or folder of a model; the code of
        another language that eSpeak speaks; None for what `align` takes, if it is to be had.
    text : Text
        How the transcripts are read.
    compute : Compute

    Raises
    ------
    DataError
        If eSpeak does not speak the language.
    ModelError
        If there is no such model, or eSpeak is needed and missing.
    """
    if start == FLAT:
        return None
    if start is None:
        try:
            return chosen(None, _options(text, text.language), compute)
        except (DataError, ModelError):
            return None
    if start == WARPING:
        return chosen(None, _options(text, text.language, WARPING), compute)
    if is_model(start):
        return chosen(start, _options(text, None if text.english else text.language), compute)
    return chosen(None, _options(text, start, WARPING), compute)


def _options(text: Text, language: str | None, backend: str | None = None) -> Options:
    return Options(language=language, backend=backend, conventions=text.conventions)


def guided(
    utterances: Sequence[Utterance],
    backend: AnyBackend,
    on_aligned: Callable[[int], None] = lambda _: None,
) -> Guide:
    """Align the utterances of a corpus before they are learnt from.

    Parameters
    ----------
    utterances : sequence of Utterance
    backend : AnyBackend
        What aligns them.
    on_aligned : callable
        Called after each utterance with the number of those that are done.
    """
    results = _aligned(utterances, backend, on_aligned)
    if _many_untranscribed(results):
        results = _aligned(utterances, _opened(backend), on_aligned)
    aligned = [r for r in results if isinstance(r, Alignment)]
    wider = widened([a.quality.misfit for a in aligned], backend.traits.limits.leeway)
    doubts = {a.utterance.id: reason for a in aligned if (reason := _unfit(a, wider)) is not None}
    failures = [r for r in results if isinstance(r, Failure)]
    left_out = [
        left_out_for(a.utterance, doubts[a.utterance.id]) for a in aligned if a.utterance.id in doubts
    ]
    found = {a.utterance.id: piece_of(a) for a in aligned if a.utterance.id not in doubts}
    return Guide(
        about=backend.traits.about,
        alignments=found,
        failures=(*failures, *left_out),
        untranscribed=tuple(u for a in aligned if a.utterance.id in found for u in untranscribed_in(a)),
    )


def left_out_for(utterance: Utterance, reason: str) -> Failure:
    """Return why an utterance is not learnt from whose alignment looks wrong."""
    return Failure(
        utterance,
        f"it was not learnt from, for {reason}",
        "is what is written what is said?",
        fault=Fault.NO_PATH,
    )


def _aligned(
    utterances: Sequence[Utterance], backend: AnyBackend, on_aligned: Callable[[int], None]
) -> list[Result]:
    results: list[Result] = []
    for result in align(utterances, backend):
        results.append(result)
        on_aligned(len(results))
    return results


def _opened(backend: AnyBackend) -> AnyBackend:
    """The same backend with a wildcard in every utterance, and not only where it is sure to help."""
    opened: AnyBackend = replace(cast(Any, backend), options=replace(backend.options, star=True))
    return opened


def _many_untranscribed(results: Sequence[Result]) -> bool:
    """Whether sound that the transcript lacks is what is usual in a corpus.

    There a wildcard finds more of it; elsewhere it would take pauses and dim words for such sound.
    """
    found = [
        isinstance(r, Alignment) and any(s.test in (Test.UNTRANSCRIBED, Test.STAR) for s in r.suspicions)
        for r in results
    ]
    return sum(found) > MANY_UNTRANSCRIBED * len(found)


def untranscribed_in(alignment: Alignment) -> Iterator[Utterance]:
    """Yield the stretches of sound that a transcript lacks, those of `LEAST_UNTRANSCRIBED` and more."""
    stars = [w for w in alignment.words if w.label == STAR_LABEL and w.duration >= LEAST_UNTRANSCRIBED]
    for number, star in enumerate(stars, 1):
        whole = alignment.utterance
        yield replace(
            whole, id=f"{whole.id}{STAR_LABEL}{number}", start=star.start, end=star.end, transcript=""
        )


def _unfit(alignment: Alignment, wider: float) -> str | None:
    """Why an alignment is not learnt from; None where it fits, in a corpus whose limits are ``wider``."""
    usual = {Test.MISFIT, Test.STAR} if alignment.quality.misfit <= wider else set()
    return next((s.text for s in alignment.suspicions if s.test in UNFIT - usual), None)


def piece_of(alignment: Alignment) -> Alignment:
    """The longest row of words between sound that the transcript lacks, as an alignment of that piece alone.

    Parameters
    ----------
    alignment : Alignment

    Returns
    -------
    Alignment
        Its utterance is the piece; it is what was given where nothing is untranscribed.
    """
    words = alignment.words
    rows = [list(of) for star, of in groupby(words, lambda w: w.label == STAR_LABEL) if not star]
    best = max(rows, key=lambda row: sum(w.label != SILENCE_LABEL for w in row), default=[])
    if len(best) in (0, len(words)):
        return alignment
    start, end = best[0].start, best[-1].end
    said = " ".join(w.label for w in best if w.label != SILENCE_LABEL)
    return replace(
        alignment,
        utterance=replace(alignment.utterance, start=start, end=end, transcript=said),
        words=tuple(best),
        phones=tuple(p for p in alignment.phones if start <= (p.start + p.end) / 2 <= end),
    )


def placed(
    alignment: Alignment, said: Sequence[SpokenWord], *, tokens: int, clock: Clock, frames: int
) -> tuple[GuidedPhone, ...]:
    """Return the phones that an alignment finds in an utterance's frames; none where its words are others.

    Where a word's phones are one of its pronunciations, they are where they were found; otherwise those of
    the first pronunciation share the time of the word evenly.

    Parameters
    ----------
    alignment : Alignment
    said : sequence of SpokenWord
        The pronunciations of the words, as they are going to be learnt.
    tokens : int
        Number of the words as they are written, each of which may be spoken as several.
    clock : Clock
        That of the frames.
    frames : int
        Number of the utterance's frames.
    """
    spoken = {token: list(of) for token, of in groupby(said, key=lambda word: word.token)}
    if len([w for w in alignment.words if w.label != SILENCE_LABEL]) != tokens or len(spoken) != tokens:
        return ()
    of_words = iter(spoken[k] for k in range(tokens))
    segments: list[tuple[float, str]] = []
    for word in alignment.words:
        silent = word.label == SILENCE_LABEL
        segments += [(word.end, SILENCE)] if silent else _segments(word, alignment.phones, next(of_words))
    return _on_frames(segments, alignment.words[0].start, clock, frames)


def _segments(
    word: Interval, phones: Sequence[Interval], said: Sequence[SpokenWord]
) -> Iterator[tuple[float, str]]:
    """Yield the phones of a word, each with its end."""
    own = [p for p in phones if word.start <= (p.start + p.end) / 2 <= word.end]
    labels = tuple(unstressed(p.label) for p in own)
    [first, *others] = said
    known = {tuple(map(unstressed, p.phones)) for p in first.pronunciations} if not others else set()
    if labels in known:
        yield from ((p.end, label) for p, label in zip(own, labels, strict=True))
        return
    written = [unstressed(phone) for part in said for phone in part.pronunciations[0].phones]
    for k, label in enumerate(written, 1):
        yield word.start + word.duration * k / len(written), label


def _on_frames(
    segments: Sequence[tuple[float, str]], start: float, clock: Clock, frames: int
) -> tuple[GuidedPhone, ...]:
    ends = clock.frame(np.array([end for end, _ in segments]) - start).round(3)  # not 10.000000001
    owner = np.searchsorted(ends, np.arange(frames), side="right").clip(max=len(segments) - 1)
    counts = np.bincount(owner, minlength=len(segments)).tolist()
    return tuple(
        GuidedPhone(label, count) for (_, label), count in zip(segments, counts, strict=True) if count
    )
