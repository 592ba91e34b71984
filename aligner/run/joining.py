"""The alignments of the stretches of a long recording as one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from aligner.refine.suspect import untranscribed
from aligner.refine.thresholds import Test
from aligner.run.first_pass import Layout, Span, gaps
from aligner.types import (
    DECIMALS,
    NOISE_LABEL,
    SILENCE_LABEL,
    STAR_LABEL,
    Alignment,
    Failure,
    Interval,
    Quality,
    Result,
    Suspicion,
    Utterance,
)

OPENING_WORDS = 5  # by which a sentence that is not heard is named


def joined(utterance: Utterance, found: Layout, results: Sequence[Result], texts: Sequence[str]) -> Result:
    """The alignments of the stretches as one; between them something is heard that the transcript lacks.

    Parameters
    ----------
    utterance : Utterance
        The whole.
    found : Layout
        Where the stretches are.
    results : sequence of Result
        What became of each stretch.
    texts : sequence of str
        The sentences.

    Returns
    -------
    Alignment or Failure
        The first failure where no stretch could be aligned.
    """
    parts = [r for r in results if isinstance(r, Alignment)]
    if not parts:
        return next(r for r in results if isinstance(r, Failure))
    start = utterance.start
    end = parts[-1].duration if utterance.end is None else utterance.end
    spans = [(p.phones[0].start, p.phones[-1].end) for p in parts]
    suspicions = [*_layout_suspicions(found, start, end, texts)]
    suspicions += [_unaligned(r) for r in results if isinstance(r, Failure)]
    suspicions += [suspicion for part in parts for suspicion in part.suspicions]
    return Alignment(
        replace(utterance, end=end),
        _tiled([p.words for p in parts], gaps(spans, start, end), STAR_LABEL),
        _tiled([p.phones for p in parts], gaps(spans, start, end), NOISE_LABEL),
        duration=parts[0].duration,
        quality=quality_of(parts, end - start),
        oovs=tuple(oov for part in parts for oov in part.oovs),
        suspicions=tuple(suspicions),
        characters=_tiled([p.characters for p in parts], gaps(spans, start, end), STAR_LABEL)
        if parts[0].characters
        else (),
        edges=tuple(edge for part in parts for edge in part.edges),
    )


def _layout_suspicions(found: Layout, start: float, end: float, texts: Sequence[str]) -> Iterator[Suspicion]:
    """What is heard from ``start`` to ``end`` and not in the transcript, and what is in it and not heard."""
    for a, b in gaps([(start + s.start, start + s.end) for s in found.stretches], start, end):
        yield untranscribed(a, b)
    for k, after in found.missing:
        text = f"{_opening(texts[k])!r} is not heard, after {start + after:.2f} s"
        yield Suspicion(test=Test.UNHEARD, text=text, at=round(start + after, DECIMALS))


def _unaligned(failure: Failure) -> Suspicion:
    """The suspicion that a stretch which could not be aligned amounts to."""
    start, said = failure.utterance.start, _opening(failure.utterance.transcript)
    text = f"from {start:.2f} s on {said!r} could not be aligned: {failure.rule}"
    return Suspicion(test=Test.UNALIGNED, text=text, at=round(start, DECIMALS))


def _opening(text: str) -> str:
    """The first words of a sentence, by which it is named."""
    words = text.split()
    return " ".join(words[:OPENING_WORDS]) + (" ..." if len(words) > OPENING_WORDS else "")


def _tiled(parts: Sequence[Sequence[Interval]], between: Sequence[Span], label: str) -> tuple[Interval, ...]:
    """The intervals of all parts, one after the other, with what lies ``between`` under a label.

    Silences that touch become one.
    """
    found: list[Interval] = []
    free = iter(between)
    gap = next(free, None)
    for intervals in parts:
        if gap is not None and gap[0] < intervals[0].start:
            found.append(Interval(gap[0], gap[1], label))
            gap = next(free, None)
        for interval in intervals:
            if found and found[-1].label == interval.label == SILENCE_LABEL:
                interval = Interval(found.pop().start, interval.end, SILENCE_LABEL)
            found.append(interval)
    return (*found, Interval(gap[0], gap[1], label)) if gap is not None else tuple(found)


def quality_of(parts: Sequence[Alignment], seconds: float) -> Quality:
    """The figures of all parts together: the mean, weighed by what each figure is of, or the worst.

    Means are weighed by time, by speech or by the number of words; ``seconds`` is the length of the whole.
    """
    q = [p.quality for p in parts]
    time = np.array([p.phones[-1].end - p.phones[0].start for p in parts])
    speech = time * [x.speech for x in q]
    words = np.array([sum(w.label != SILENCE_LABEL for w in p.words) for p in parts])
    snr = [(x.snr, t) for x, t in zip(q, time, strict=True) if x.snr is not None]

    def mean(values: Iterable[float], weights: np.ndarray) -> float:
        return float(np.average(list(values), weights=weights))

    return Quality(
        log_likelihood=mean((x.log_likelihood for x in q), time),
        margin=mean((x.margin for x in q), speech),
        worst_margin=min(x.worst_margin for x in q),
        misfit=max(x.misfit for x in q),
        confidence=mean((x.confidence for x in q), words),
        crammed_run=max(x.crammed_run for x in q),
        speech=float(speech.sum() / seconds),
        longest_word=max(x.longest_word for x in q),
        snr=mean((s for s, _ in snr), np.array([t for _, t in snr])) if snr else None,
        clipped=mean((x.clipped for x in q), time),
    )
