"""Long recordings, and loose transcripts: first where each sentence is, then each stretch of them alone.

A first pass (`aligner.run.first_pass`) finds the sentences, also where there is music, other talk, or text
that is not read.  Then the recording is cut in pauses between sentences, and the stretches are aligned as any
utterance is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from aligner.backends.abilities import Spotting
from aligner.backends.base import AnyBackend
from aligner.backends.spotting import Spotter
from aligner.corpus import audio
from aligner.corpus.samples import as_samples
from aligner.parallel.pool import Submit, map_tasks
from aligner.run.first_pass import TOUCHING, Layout, Stretch, first_pass, layout, sentence_chain
from aligner.run.joining import joined
from aligner.search.arcs import NoPath
from aligner.text.sentences import sentences
from aligner.types import (
    SAMPLE_RATE,
    DataError,
    Failure,
    Fault,
    Result,
    Utterance,
)

LONGEST_WHOLE = 120.0  # s; a longer utterance is cut
LEAST_WAV_RATE = 8000  # bytes a second of a .wav, at least
TIMEOUT = 120.0  # s for which a process may work at an utterance without a sign of life,
TIMEOUT_PER_SECOND = 20.0  # and s for each second of audio
# s that the first pass hears at once, and whose mean is taken out; its stride divides their frames
FIRST_PASS_PIECE = 30.0

Work = Callable[[AnyBackend, Sequence[Utterance]], Sequence[Result]]


def is_cut(utterance: Utterance, backend: AnyBackend) -> bool:
    """Whether an utterance is to be cut: it is long, or some of its sentences may not be said; not where the
    times of its words are known, nor a song.
    """
    options = backend.options
    if not isinstance(backend, Spotting) or options.star is False or utterance.known:
        return False
    if options.sung:  # the first pass knows no held notes
        return False
    if options.star and len(sentences(utterance.transcript)) > 1:
        return True  # of which some may not be said
    return is_long(utterance)


def is_long(utterance: Utterance) -> bool:
    """Whether an utterance is long enough that several workers should align it together."""
    return _at_most(utterance) > LONGEST_WHOLE


def timeout_of(utterance: Utterance) -> float:
    """Seconds for which a process may work at an utterance without a sign of life."""
    return TIMEOUT + TIMEOUT_PER_SECOND * _at_most(utterance)


def _at_most(utterance: Utterance) -> float:
    """How many seconds an utterance lasts; or for short .wav files a bound, which spares opening thousands of
    them twice.
    """
    path = utterance.audio
    if utterance.end is None and isinstance(path, Path) and path.suffix.lower() == ".wav" and path.is_file():
        most = path.stat().st_size / LEAST_WAV_RATE
        if most < LONGEST_WHOLE:
            return most
    if utterance.end is None and isinstance(path, Path):
        return audio.frames_in(path)[1] / SAMPLE_RATE - utterance.start
    return _seconds(utterance)


def _seconds(utterance: Utterance) -> float:
    """How many seconds an utterance claims to last; 0 where it cannot be read, as will be said when it is
    aligned.
    """
    if utterance.end is not None:
        return utterance.end - utterance.start
    if isinstance(utterance.audio, Path):
        return audio.seconds_of(utterance.audio) - utterance.start
    try:
        given = as_samples(utterance.audio, utterance.rate, utterance.id)
    except DataError:
        return 0.0
    return len(given.values) / given.rate - utterance.start


def pieces_of(utterance: Utterance) -> list[Utterance]:
    """The pieces of an utterance that the first pass hears one by one; each begins in a whole frame of its
    stride.
    """
    end = utterance.start + _seconds(utterance)
    begins = np.arange(utterance.start, end, FIRST_PASS_PIECE).tolist()
    return [replace(utterance, start=a, end=min(a + FIRST_PASS_PIECE, end)) for a in begins]


def score_piece(backend: AnyBackend, piece: Utterance) -> np.ndarray:
    """In a worker: the scores of a piece in the first pass (see `aligner.backends.spotting.Spotter`)."""
    assert isinstance(backend, Spotting)
    return backend.spotter().scores(piece)


def aligned_in_parts(utterance: Utterance, backend: AnyBackend, submit: Submit, work: Work) -> Result:
    """Align a long utterance, or one with a loose transcript.

    Parameters
    ----------
    utterance : Utterance
    backend : AnyBackend
        One that is `Spotting`.
    submit : Submit
        The function that submits tasks to a pool whose workers share the backend.
    work : callable
        Aligns utterances: ``work(backend, utterances)``.
    """
    assert isinstance(backend, Spotting)
    spotter = backend.spotter()
    texts = [text for text in sentences(utterance.transcript) if spotter.is_spoken(text, utterance.speaker)]
    try:
        found = _spotted(utterance, texts, spotter, submit)
    except DataError as error:
        return Failure.of(utterance, error)
    except NoPath:
        return Failure(
            utterance,
            "the transcript's phones take longer than the recording lasts",
            "is it the transcript of another recording?",
            fault=Fault.TOO_SHORT,
        )
    if not found.stretches:
        return Failure(
            utterance,
            "nothing of the transcript is heard in the recording",
            "is it the transcript of another recording?",
            fault=Fault.NOT_HEARD,
        )
    parts = [[_part(utterance, stretch, texts)] for stretch in found.stretches]
    aligned = map_tasks(submit, work, parts, lambda part: timeout_of(part[0]))
    return joined(utterance, found, [result for [result] in aligned], texts)


def _spotted(utterance: Utterance, texts: Sequence[str], spotter: Spotter, submit: Submit) -> Layout:
    """Where the first pass finds the sentences."""
    if not texts:
        raise DataError(
            utterance.file or utterance.id,
            "the transcript is empty",
            "write what is said",
            fault=Fault.EMPTY_TRANSCRIPT,
        )
    scored = map_tasks(submit, score_piece, pieces_of(utterance), timeout_of)
    silence, filler = spotter.silence, spotter.phones
    states = sentence_chain([spotter.pronounced(text, utterance.speaker) for text in texts], silence, filler)
    path = first_pass(np.concatenate(list(scored)), states, silence)
    return layout(path, states, filler, spotter.step, _seconds(utterance))


def _part(utterance: Utterance, stretch: Stretch, texts: Sequence[str]) -> Utterance:
    """A stretch as an utterance; the last ends where the whole does."""
    end = utterance.start + stretch.end
    last = stretch.end >= _seconds(utterance) - TOUCHING
    return replace(
        utterance,
        start=utterance.start + stretch.start,
        end=utterance.end if last else end,
        transcript=" ".join(texts[k] for k in stretch.sentences),
    )
