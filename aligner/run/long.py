"""Long recordings, and loose transcripts: first where each sentence is, then each stretch of them by itself.

The first pass knows phones without context and three of ten frames' worth of sound, and goes through a chain
of the transcript's phones.  Between two sentences it may hear anything at all, and it may leave sentences
out, each at a price; so music, other talk, and text that is not read cost their own stretch and nothing
beyond (as the garbage models of keyword spotting do: Rose and Paul 1990, *A hidden Markov model based keyword
recognition system*).  Then the recording is cut in pauses between sentences, and the stretches are aligned as
any utterance is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from aligner.backends.base import Backend
from aligner.backends.hmm import HmmBackend
from aligner.corpus import audio
from aligner.graph import NONE
from aligner.parallel.pool import Submit, map_tasks
from aligner.refine.thresholds import Test
from aligner.search.arcs import Arcs, NoPath
from aligner.search.long import long_path
from aligner.text.normalise import normalise
from aligner.text.sentences import sentences
from aligner.types import (
    DECIMALS,
    NOISE_LABEL,
    SAMPLE_RATE,
    SILENCE_LABEL,
    STAR_LABEL,
    Alignment,
    DataError,
    Failure,
    Fault,
    Interval,
    Quality,
    Result,
    Suspicion,
    Utterance,
)

LONG = 120.0  # s; a longer utterance is cut
LEAST_RATE = 8000  # bytes a second of a .wav, at least
PATIENCE, SLOWEST = (
    120.0,
    20.0,
)  # s, and s a second of audio, for which a process may work without a sign of life
STRIDE = 3  # frames from one that the first pass hears to the next: no phone is shorter
PIECE = 30.0  # s that are heard at once, and whose mean is taken out; the stride divides their frames
BAND = 4096  # phones that the first pass considers at once: some minutes of speech
# Nats.  Against the best of all phones a frame of a right sentence loses 1.4 on the average (of 80, the worst
# 2.4), of a wrong one 5.0 (the best 3.1).  In an hour with 48 sentences too many in the text, 48 too few and
# 12 interludes of music or speech backwards 46 are left out and 2 of 867 others; in an hour without any, none
# of 983
ANYTHING = 4.0  # a frame that is heard as anything
STAYING = 0.5  # another frame in a phone: none lasts for seconds
PAUSING = (
    15.0  # a pause within a sentence: a word that sounds like the end of what came before must not go there
)
BEGINNING = 20.0  # beginning to hear anything
LEAVING_OUT = 20.0  # leaving out a sentence
STRETCH = 15.0  # s of speech from which the next good pause ends a stretch
PAUSE = 0.2  # s that a good pause lasts
DOOR = 3  # states before a sentence: silence, anything, and silence behind that
EDGE = 0.2  # s of what is heard as anything that go to the sentence beside it: the first pass is not so exact
SHORTEST_STAR = 0.5  # s; what is shorter counts as a pause
OPENING = 5  # words by which a sentence that is left out is named

Span = tuple[float, float]
Work = Callable[[Backend, Sequence[Utterance]], Sequence[Result]]


class Chain(NamedTuple):
    """The states of the first pass, one a phone; before every sentence and at the end stands a door (`DOOR`).

    Attributes
    ----------
    phone : ndarray
        (S,) int32: the column of the scores; the last column is anything.
    sentence : ndarray
        (S,) int32: which sentence each belongs to, or stands before.
    word : ndarray
        (S,) bool: whether it is a phone of a word.
    doors : ndarray
        (sentences + 1,): the first state of each door.
    """

    phone: np.ndarray
    sentence: np.ndarray
    word: np.ndarray
    doors: np.ndarray


class Stretch(NamedTuple):
    """Sentences that are aligned together, and where they are, in seconds from the utterance's start."""

    start: float
    end: float
    sentences: tuple[int, ...]


class Plan(NamedTuple):
    """What the first pass found: stretches of speech; sentences that are not heard, each with the time before
    it.
    """

    stretches: tuple[Stretch, ...]
    missing: tuple[tuple[int, float], ...]


def is_cut(utterance: Utterance, backend: Backend) -> bool:
    """Whether an utterance is to be cut: it is long, or speech may be untranscribed in it."""
    if not isinstance(backend, HmmBackend) or backend.options.star is False:
        return False
    return bool(backend.options.star) or is_long(utterance)


def is_long(utterance: Utterance) -> bool:
    """Whether several may well work at an utterance."""
    return _at_most(utterance) > LONG


def patience(utterance: Utterance) -> float:
    """Seconds that a process may work at an utterance without a sign of life."""
    return PATIENCE + SLOWEST * _at_most(utterance)


def _at_most(utterance: Utterance) -> float:
    """Seconds, or for short .wav files a bound, which spares opening thousands of them twice."""
    path = utterance.audio
    if utterance.end is None and isinstance(path, Path) and path.suffix.lower() == ".wav" and path.is_file():
        most = path.stat().st_size / LEAST_RATE
        if most < LONG:
            return most
    return _seconds(utterance)


def _seconds(utterance: Utterance) -> float:
    """What an utterance promises to last; 0 where it cannot be read, which will be told when it is."""
    if utterance.end is not None:
        return utterance.end - utterance.start
    if isinstance(utterance.audio, Path):
        return audio.frames_in(utterance.audio)[1] / SAMPLE_RATE - utterance.start
    readable = utterance.audio.ndim and utterance.rate > 0
    return len(utterance.audio) / utterance.rate - utterance.start if readable else 0.0


def pieces_of(utterance: Utterance) -> list[Utterance]:
    """What is heard at once in the first pass; each piece begins in a whole frame of the stride."""
    end = utterance.start + _seconds(utterance)
    begins = np.arange(utterance.start, end, PIECE).tolist()
    return [replace(utterance, start=a, end=min(a + PIECE, end)) for a in begins]


def hear_piece(backend: HmmBackend, piece: Utterance) -> np.ndarray:
    """Log-likelihoods (frames of the stride, phones) of the best state of every phone without context.

    A piece that is silent throughout is heard as silence.

    Raises
    ------
    DataError
        If it cannot be read.
    """
    topology, clock = backend.model.topology, backend.clock
    assert piece.end is not None
    count = -(-round((piece.end - piece.start) * clock.rate / clock.hop) // STRIDE)
    wave = audio.read(piece, clock.rate, silence=True).wave
    if np.abs(wave).max() < audio.SILENT:
        heard = np.full((count, len(topology.alone)), -2 * ANYTHING, np.float32)
        heard[:, topology.number(topology.silence)] = 0.0
        return heard
    frames = backend.model.hear(torch.from_numpy(wave), backend.voice_of(piece))[STRIDE // 2 :: STRIDE][
        :count
    ]
    pdfs, place = np.unique(topology.alone, return_inverse=True)
    scores = backend.model.score(frames, pdfs).numpy()[:, place.reshape(topology.alone.shape)].max(2)
    return np.pad(scores, ((0, count - len(scores)), (0, 0)), mode="edge")


def chain(phones: Sequence[Sequence[Sequence[int]]], silence: int, anything: int) -> Chain:
    """The states of sentences of words of phones; between words stands a silence that may be left out."""
    phone: list[int] = []
    sentence: list[int] = []
    word: list[bool] = []
    doors = []

    def add(column: int, of: int, spoken: bool = False) -> None:
        phone.append(column)
        sentence.append(of)
        word.append(spoken)

    for k, words in enumerate([*phones, []]):
        doors.append(len(phone))
        for column in (silence, anything, silence):
            add(column, k)
        for w, sounds in enumerate(words):
            if w:
                add(silence, k)
            for sound in sounds:
                add(sound, k, True)
    return Chain(np.array(phone, np.int32), np.array(sentence, np.int32), np.array(word), np.array(doors))


def arcs_of(states: Chain, silence: int) -> Arcs:
    """Stay, go on, pass over a silence; through each door with or without a pause, or leaving the sentence
    out.
    """
    order, doors = np.arange(len(states.phone)), states.doors
    stars, rests, opens = doors + 1, doors + 2, doors[:-1] + DOOR
    last = doors[1:] - 1  # phone before a door
    said, other = order[states.word], order[~states.word]
    pauses = np.setdiff1d(np.flatnonzero((states.phone == silence) & ~states.word), [doors, rests])
    steps = np.setdiff1d(order[1:], [*stars, *pauses])
    arcs = [
        (said, said, -STAYING),
        (other, other, 0.0),
        (steps - 1, steps, 0.0),
        (pauses - 1, pauses + 1, 0.0),
        (pauses - 1, pauses, -PAUSING),
        (doors, stars, -BEGINNING),
        (last, stars[1:], -BEGINNING),
        (doors[:-1], opens, 0.0),
        (stars[:-1], opens, 0.0),
        (last[:-1], opens[1:], 0.0),
    ]
    for before, begins in ((doors, True), (stars, False), (rests, True)):
        arcs += [
            (before[:-1], doors[1:], -LEAVING_OUT),
            (before[:-1], stars[1:], -LEAVING_OUT - (BEGINNING if begins else 0.0)),
        ]
    source, target = (np.concatenate([arc[k] for arc in arcs]) for k in (0, 1))
    weight = np.concatenate([np.full(len(arc[0]), arc[2], np.float32) for arc in arcs])
    rank = np.argsort(target, kind="stable")
    source, target, weight = source[rank], target[rank], weight[rank]
    column = np.arange(len(target)) - np.searchsorted(target, target)
    predecessors = np.full((len(order), column.max() + 1), NONE, np.int32)
    weights = np.full(predecessors.shape, -np.inf, np.float32)
    predecessors[target, column], weights[target, column] = source, weight
    start, final = (np.full(len(order), -np.inf, np.float32) for _ in range(2))
    start[[0, 1, DOOR]] = 0.0, -BEGINNING, 0.0
    final[doors[-1] - 1 :] = 0.0
    pdf, reached, weighed, beginning, ending = (
        torch.from_numpy(a)[None] for a in (states.phone, predecessors, weights, start, final)
    )
    return Arcs(pdf, reached, weighed[None], beginning, ending)


def first_pass(scores: np.ndarray, states: Chain, silence: int) -> np.ndarray:
    """The best path (T,) through the chain for ``scores`` (T, phones) of every phone.

    Raises
    ------
    NoPath
        If the recording is too short for it.
    """
    whole = torch.from_numpy(np.concatenate([scores, scores.max(1, keepdims=True) - ANYTHING], 1))
    arcs = arcs_of(states, silence)
    found = long_path(arcs, lambda a, b, columns: whole[a:b, torch.from_numpy(columns)], len(whole), BAND)
    return found.states[0].numpy()


def plan(path: np.ndarray, states: Chain, anything: int, step: float, end: float) -> Plan:
    """Cut at good pauses.

    Parameters
    ----------
    path : ndarray
        (T,) of the first pass.
    states : Chain
    anything : int
        The column of what may be anything.
    step : float
        Seconds from one frame of the path to the next.
    end : float
        Of the utterance, in seconds from its start.
    """
    begins = np.flatnonzero(np.diff(path, prepend=-1))
    edges = [*(begins * step).tolist(), end]
    runs = [(int(path[t]), a, b) for t, (a, b) in zip(begins, pairwise(edges), strict=True)]
    stars = [(a, b) for s, a, b in runs if states.phone[s] == anything and b - a >= SHORTEST_STAR]
    spoken: dict[int, list[float]] = {}
    for s, a, b in runs:
        if states.word[s]:
            spoken.setdefault(int(states.sentence[s]), [a, b])[1] = b
    times = [(k, a, b) for k, (a, b) in sorted(spoken.items())]
    count = len(states.doors) - 1
    before = [
        max((b for j, _, b in times if j < k), default=0.0) if k not in spoken else None for k in range(count)
    ]
    missing = tuple((k, t) for k, t in enumerate(before) if t is not None)
    return Plan(_stretches(times, stars, end), missing)


def _stretches(
    times: Sequence[tuple[int, float, float]], stars: Sequence[Span], end: float
) -> tuple[Stretch, ...]:
    """Sentences (number, first, last) in stretches that a good pause or anything divides."""
    found: list[Stretch] = []
    edges = [(0.0, 0.0), *((a, b) for _, a, b in times), (end, end)]
    start, members = 0.0, list[int]()
    for k, ((_, last), (first, _)) in enumerate(pairwise(edges)):
        between = [star for star in stars if star[0] >= last - 1e-6 and star[1] <= first + 1e-6]
        if between:
            left, right = _beside(last, *between[0]), -_beside(-first, -between[-1][1], -between[-1][0])
        elif k == len(times):
            left = right = end
        elif members and last - start >= STRETCH and first - last >= PAUSE:
            left = right = (last + first) / 2
        else:
            left = right = start
        if right > start:
            if members:
                found.append(Stretch(start, left, tuple(members)))
            start, members = right, []
        if k < len(times):
            members.append(times[k][0])
    return tuple(found)


def _beside(speech: float, star: float, end: float) -> float:
    """Where a stretch ends whose ``speech`` ends before a ``star`` begins: in a pause between them, or a bit
    behind.
    """
    return (speech + star) / 2 if star - speech >= PAUSE else min(star + EDGE, end)


def aligned_in_parts(utterance: Utterance, backend: HmmBackend, submit: Submit, work: Work) -> Result:
    """Align a long utterance, or one with a loose transcript.

    Parameters
    ----------
    utterance : Utterance
    backend : HmmBackend
    submit : Submit
        The function that submits tasks to a pool whose workers share the backend.
    work : callable
        Aligns utterances: ``work(backend, utterances)``.
    """
    texts = [text for text in sentences(utterance.transcript) if normalise(text, backend.english)]
    try:
        planned = _planned(utterance, texts, backend, submit)
    except DataError as error:
        return Failure.of(utterance, error)
    except NoPath:
        return Failure(
            utterance,
            "the transcript's phones take longer than the recording lasts",
            "is it the transcript of another recording?",
            fault=Fault.TOO_SHORT,
        )
    if not planned.stretches:
        return Failure(
            utterance,
            "nothing of the transcript is heard in the recording",
            "is it the transcript of another recording?",
            fault=Fault.NOT_HEARD,
        )
    parts = [_part(utterance, stretch, texts) for stretch in planned.stretches]
    results = [
        result
        for [result] in map_tasks(submit, work, [[part] for part in parts], lambda only: patience(only[0]))
    ]
    return joined(utterance, _seconds(utterance), planned, results, texts)


def _planned(utterance: Utterance, texts: Sequence[str], backend: HmmBackend, submit: Submit) -> Plan:
    """Where the sentences are."""
    topology, clock = backend.model.topology, backend.clock
    if not texts:
        raise DataError(
            utterance.file or utterance.id,
            "the transcript is empty",
            "write what is said",
            fault=Fault.EMPTY_TRANSCRIPT,
        )
    heard = map_tasks(submit, hear_piece, pieces_of(utterance), patience)
    silence, anything = topology.number(topology.silence), len(topology.alone)
    phones = []
    for text in texts:
        spoken, _ = backend.pronounce(normalise(text, backend.english))
        phones.append([[topology.number(p) for p in word.pronunciations[0].phones] for word in spoken])
    states = chain(phones, silence, anything)
    scores = np.concatenate(list(heard))
    return plan(
        first_pass(scores, states, silence), states, anything, clock.seconds(STRIDE), _seconds(utterance)
    )


def _part(utterance: Utterance, stretch: Stretch, texts: Sequence[str]) -> Utterance:
    """A stretch as an utterance; the last ends where the whole does."""
    end = utterance.start + stretch.end
    last = stretch.end >= _seconds(utterance) - 1e-6
    return replace(
        utterance,
        start=utterance.start + stretch.start,
        end=utterance.end if last else end,
        transcript=" ".join(texts[k] for k in stretch.sentences),
    )


def joined(
    utterance: Utterance, seconds: float, planned: Plan, results: Sequence[Result], texts: Sequence[str]
) -> Result:
    """The alignments of the stretches as one; between them something is heard that the transcript lacks."""
    parts = [r for r in results if isinstance(r, Alignment)]
    if not parts:
        return next(r for r in results if isinstance(r, Failure))
    start = utterance.start
    end = parts[-1].duration if utterance.end is None else utterance.end
    suspicions = [
        Suspicion(
            test=Test.UNTRANSCRIBED,
            text=f"from {a:.2f} to {b:.2f} s something is heard that the transcript lacks",
            at=round(a, DECIMALS),
        )
        for a, b in _between([(start + s.start, start + s.end) for s in planned.stretches], start, end)
    ]
    suspicions += [
        Suspicion(
            test=Test.UNHEARD,
            text=f"{_opening(texts[k])!r} is not heard, after {start + after:.2f} s",
            at=round(start + after, DECIMALS),
        )
        for k, after in planned.missing
    ]
    suspicions += [_unaligned(r) for r in results if isinstance(r, Failure)]
    suspicions += [suspicion for part in parts for suspicion in part.suspicions]
    spans = [(p.phones[0].start, p.phones[-1].end) for p in parts]
    words = _tiled([p.words for p in parts], spans, start, end, STAR_LABEL)
    phones = _tiled([p.phones for p in parts], spans, start, end, NOISE_LABEL)
    oovs = tuple(oov for part in parts for oov in part.oovs)
    return Alignment(
        replace(utterance, end=end),
        words,
        phones,
        parts[0].duration,
        _quality(parts, end - start),
        oovs,
        tuple(suspicions),
        edges=tuple(edge for part in parts for edge in part.edges),
    )


def _unaligned(failure: Failure) -> Suspicion:
    """What is to be told of a stretch that could not be aligned."""
    start, said = failure.utterance.start, _opening(failure.utterance.transcript)
    text = f"from {start:.2f} s on {said!r} could not be aligned: {failure.rule}"
    return Suspicion(test=Test.UNALIGNED, text=text, at=round(start, DECIMALS))


def _opening(text: str) -> str:
    words = text.split()
    return " ".join(words[:OPENING]) + (" ..." if len(words) > OPENING else "")


def _between(spans: Sequence[Span], start: float, end: float) -> list[Span]:
    """What spans leave over from ``start`` to ``end``."""
    edges = [start, *(t for span in spans for t in span), end]
    return [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a > SHORTEST_STAR / 2]


def _tiled(
    parts: Sequence[Sequence[Interval]], spans: Sequence[Span], start: float, end: float, label: str
) -> tuple[Interval, ...]:
    """The intervals of all parts from ``start`` to ``end``: silences that touch are one, gaps bear the
    label."""
    found: list[Interval] = []
    gaps = iter(_between(spans, start, end))
    gap = next(gaps, None)
    for intervals in parts:
        if gap is not None and gap[0] < intervals[0].start:
            found.append(Interval(gap[0], gap[1], label))
            gap = next(gaps, None)
        for interval in intervals:
            if found and found[-1].label == interval.label == SILENCE_LABEL:
                interval = Interval(found.pop().start, interval.end, SILENCE_LABEL)
            found.append(interval)
    return (*found, Interval(gap[0], gap[1], label)) if gap is not None else tuple(found)


def _quality(parts: Sequence[Alignment], seconds: float) -> Quality:
    """The figures of all parts: means by time, by speech or by words as each of them is one, else the
    worst."""
    q = [p.quality for p in parts]
    time = np.array([p.phones[-1].end - p.phones[0].start for p in parts])
    speech = time * [x.speech for x in q]
    words = np.array([sum(w.label != SILENCE_LABEL for w in p.words) for p in parts])
    snr = [(x.snr, t) for x, t in zip(q, time, strict=True) if x.snr is not None]

    def mean(values: Iterable[float], weights: np.ndarray) -> float:
        return float(np.average(list(values), weights=weights))

    return Quality(
        mean((x.log_likelihood for x in q), time),
        mean((x.margin for x in q), speech),
        min(x.worst_margin for x in q),
        mean((x.confidence for x in q), words),
        max(x.crammed_run for x in q),
        float(speech.sum() / seconds),
        max(x.longest_word for x in q),
        mean((s for s, _ in snr), np.array([t for _, t in snr])) if snr else None,
        mean((x.clipped for x in q), time),
    )
