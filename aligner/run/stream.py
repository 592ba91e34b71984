"""Aligning a recording while it comes in: samples go in piece by piece, words and phones come out as they
settle.

Samples become frames (`aligner.features.IncrementalFrontend`), and a search goes through the transcript's
graph (`aligner.run.stream_decoder`).  What is reported before the end is what all paths agree on that are
anywhere near the best one (`aligner.run.stream_events`).  When all was heard the recording is aligned as any
that is there from the beginning; where words or phones are somewhere else then, that is reported, too.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from aligner.backends.base import AnyBackend, Backend, Heard, Prepared, tokens_of
from aligner.backends.choose import chosen
from aligner.backends.hmm import HmmBackend
from aligner.backends.options import Compute, Options
from aligner.backends.path import path_scores
from aligner.corpus.audio import SILENT_PEAK
from aligner.corpus.samples import piece_of
from aligner.features import IncrementalFrontend, SphinxFrontend, levels
from aligner.graph import build
from aligner.graph.pronunciations import PAUSE_WEIGHT
from aligner.hmm.streaming import AdaptiveChunkProcessor, StreamingHMMProcessor
from aligner.models.base import Model
from aligner.refine.offsets import correct
from aligner.refine.pauses import quiet_frames
from aligner.run.align import completed
from aligner.run.cautions import cautions
from aligner.run.stream_decoder import (
    TRUSTED_SHORTFALL,
    GrowingPhones,
    TranscriptDecoder,
    TranscriptModel,
)
from aligner.run.stream_events import Event, Reported, as_aligned
from aligner.run.tasks import NO_SAMPLES
from aligner.run.written import Writer
from aligner.types import (
    SILENCE_LABEL,
    Alignment,
    Caution,
    DataError,
    Failure,
    Fault,
    Interval,
    ModelError,
    Utterance,
)

LONGEST_LAG = 1000  # frames (10 s) after which a state is decided at the latest
LATENCY = 0.05  # s that sound waits at most until it is processed


class StreamAligner:
    """Aligns a recording as it comes in.

    Parameters
    ----------
    text : str
        What is (going to be) said.
    model : Model, str, Path or Backend, optional
        A hidden Markov model, or what `aligner.load_model` takes.
    options : Options, optional
    chunk : int, optional
        Frames that are processed at once.  Unless given, so many that the first of them need not wait longer
        than ``latency`` until it is processed.
    latency : float
        In seconds.
    complete : bool
        Whether the text is spoken to its end, for sure.  Unless so, a recording that seems to stop before is
        not aligned with what was not spoken.

    Attributes
    ----------
    words, phones : tuple of Interval
        After `finish`: the result, without gaps.
    alignment : Alignment or None
        After `finish`: the same with figures; None where the text was not spoken to its end.

    Raises
    ------
    DataError
        If the text or the dictionary is at fault.
    ModelError
        If the model is at fault, or needs the whole recording.

    Examples
    --------
    >>> aligner = StreamAligner("hello")
    >>> [aligner.hear(piece) for piece in np.zeros((3, 1600), np.float32)]
    [[], [], []]
    >>> aligner.finish()
    Traceback (most recent call last):
    ...
    aligner.types.DataError: recording: the recording is silent throughout: check the channel and the level
    """

    def __init__(
        self,
        text: str,
        model: AnyBackend | Model | str | Path | None = None,
        options: Options | None = None,
        *,
        chunk: int | None = None,
        latency: float = LATENCY,
        complete: bool = False,
    ) -> None:
        self.complete = complete
        self._whole = _chosen(model, options)
        self._writer = Writer.of(self._whole)
        self.backend = streaming(self._whole)
        self.tokens = tokens_of(text, self.backend.traits, "text")
        self.spoken, oovs = self.backend.pronounce(self.tokens)
        self.oovs = tuple(oovs)
        model = self.backend.model
        self.graph = build([w.pronunciations for w in self.spoken], model.topology, PAUSE_WEIGHT)
        self._text, self._growing = text, GrowingPhones(self.backend, self.graph, self.spoken)
        assert isinstance(model.frontend, SphinxFrontend)
        transcript = TranscriptModel(model, self.graph)
        self._frontend = IncrementalFrontend(model.frontend)
        self._processor = _processor(transcript, chunk, latency)
        decoder = self._processor.decoder
        assert isinstance(decoder, TranscriptDecoder)
        self.decoder = decoder
        self._wave: list[Tensor] = []
        self._frames: list[Tensor] = []
        self._samples, self._began, self._over = 0, 0.0, False
        self._reported = Reported()
        self.words: tuple[Interval, ...] = ()
        self.phones: tuple[Interval, ...] = ()
        self.alignment: Alignment | None = None
        _warm_up(transcript)

    @property
    def cautions(self) -> tuple[Caution, ...]:
        """What the user should know of the dictionary and the text, though nothing failed for it; and, when
        phones were told, of their labels."""
        text = Utterance("text", np.zeros(0, np.float32), self._text)
        return (*cautions([text], self.backend), *self._writer.cautions)

    @property
    def rate(self) -> int:
        """Samples per second that `hear` takes."""
        return self.backend.traits.clock.rate

    @property
    def heard(self) -> float:
        """How many seconds of the recording have been heard."""
        return self._samples / self.rate

    @property
    def finished(self) -> bool:
        """Whether the text was spoken to its end, as is known after `finish`."""
        return self.decoder.finished

    @property
    def delays(self) -> Sequence[float]:
        """Seconds from the end of each word until it was reported, computing included."""
        return self._reported.delays

    @property
    def revised(self) -> int:
        """How many reports changed an earlier one."""
        return self._reported.revised

    def hear(self, samples: ArrayLike) -> list[Event]:
        """Take in more samples, and report what they settle.

        Parameters
        ----------
        samples : array_like
            (N,), mono, full scale 1 or of an integer type; channels beside them are mixed.

        Raises
        ------
        DataError
            If some are not numbers, or lie far above full scale.
        """
        self._began = time.perf_counter()
        wave = torch.from_numpy(piece_of(samples, "recording"))
        if not bool(torch.isfinite(wave).all()):
            raise DataError(
                "recording",
                "it holds samples that are not numbers (NaN or infinite)",
                "record it again",
                fault=Fault.UNREADABLE,
            )
        self._wave.append(wave)
        self._samples += len(wave)
        self._process(self._frontend.advance(wave))
        return self._settled()

    def _process(self, frames: Tensor) -> None:
        if len(frames):
            frames = self.backend.model.frames(frames)
            self._frames.append(frames)
            self._processor.process_chunk(frames)

    def _settled(self) -> list[Event]:
        """Report what the search has decided since last time."""
        growing, events = self._growing, []
        changed = self.decoder.take_changed()
        if changed == self.decoder.decided:
            return []
        for k in growing.grow(self.decoder.live.states, changed):
            token = growing.token(k)
            if token is not None:
                events += self._report("phones", k, growing.phone(k))
            if token is not None and growing.ends_token(k):
                word = Interval(*growing.token_span(k), self.tokens[token].spelling)
                events += self._report("words", token, word)
        return events

    def _report(self, tier: str, key: int, new: Interval | None) -> list[Event]:
        """Report a word or phone, if that is news."""
        heard, now = self.heard, self.heard + time.perf_counter() - self._began
        events = self._reported.report(tier, key, new, heard=heard, now=now)
        if tier == "words":
            return events
        return [replace(event, label=self._writer.label(event.label)) for event in events]

    def rest(self) -> list[Event]:
        """End the recording, and report what was not reported yet.

        Raises
        ------
        DataError
            If nothing was heard, or nothing but silence.
        """
        self._began = time.perf_counter()
        wave = torch.cat(self._wave) if self._wave else torch.empty(0)
        _check_sound(wave)
        self._process(self._frontend.finish())
        if not self.complete:
            clock, count = self.backend.traits.clock, sum(map(len, self._frames))
            self.decoder.quiet = quiet_frames(levels(wave, clock, count).numpy())
        self._processor.finish()
        self._wave, self._over = [wave], True
        return self._settled()

    def finish(self) -> list[Event]:
        """End the recording, and report what was not reported yet, what is revised, and the end.

        Raises
        ------
        DataError
            If nothing was heard, or nothing but silence.
        """
        events = [] if self._over else self.rest()
        reported = self._reported
        if self.finished:
            words, phones = self._searched()
            self.alignment = self._align()
            self.words, self.phones = self.alignment.words, self.alignment.phones
            words = as_aligned(words, self.words)
            phones = as_aligned(phones, self.phones)
        else:
            self._take_what_was_spoken()
            words, phones = dict(reported.words), dict(reported.phones)
        final = [("phones", k, phones.get(k)) for k in sorted({*phones, *reported.phones})]
        final += [("words", k, words.get(k)) for k in sorted({*words, *reported.words})]
        last = [event for news in final for event in self._report(*news)]
        self.phones = self._writer.tier(self.phones)
        if self.alignment is not None:
            self.alignment = self._writer.alignment(self.alignment)
        return [*events, *sorted(last, key=lambda e: (e.end or 0.0, e.tier)), self._end()]

    def _searched(self) -> tuple[dict[int, Interval], dict[int, Interval]]:
        """The words and phones of the best path through all that was heard, by their numbers.

        Their boundaries are corrected by the model's offsets alone: as they are reported while a recording
        comes in, for no more can be known then.
        """
        backend = self.backend
        offsets = {} if backend.options.refine == "none" else backend.model.offsets
        searched, owners = self._path()
        phones = {
            k: p for k, (p, o) in enumerate(zip(correct(searched, offsets), owners, strict=True)) if o >= 0
        }
        words: dict[int, Interval] = {}
        for k, phone in phones.items():
            token = int(owners[k])
            words[token] = Interval(words.get(token, phone).start, phone.end, self.tokens[token].spelling)
        return words, phones

    def _path(self) -> tuple[Sequence[Interval], Sequence[int]]:
        """The phones of the best path, and the token of each; another than was decided, if that may have been
        pruned.
        """
        backend, live, frames = self.backend, self.decoder.live, torch.cat(self._frames)
        heard = Heard(
            utterance=Utterance("recording", NO_SAMPLES, self._text, file="recording", end=self.heard),
            duration=self.heard,
            tokens=self.tokens,
            wave=self._wave[0],
            clipped=0.0,
        )
        prepared = Prepared(heard=heard, spoken=self.spoken, oovs=self.oovs, graph=self.graph, frames=frames)
        if self.decoder.pruned:
            scores = path_scores(frames, self.graph, backend.model, live.states)
            if live.stray(scores) > TRUSTED_SHORTFALL:
                found = backend.find(prepared)
                return found.phones, found.owners
        _, phones, owners = backend.phones_of(live.states, prepared)
        return phones, owners

    def _align(self) -> Alignment:
        """Align the recording as a whole, by the backend as it is."""
        [wave] = self._wave
        utterance = Utterance("recording", wave.numpy(), self._text, file="recording", rate=self.rate)
        [(_, result)] = completed([utterance], self._whole)
        if isinstance(result, Failure):
            raise result.error("recording")
        return result

    def _take_what_was_spoken(self) -> None:
        """Take the words and phones that are whole, of a text that was not spoken to its end."""
        growing, words = self._growing, self._reported.words
        last = growing.edges[growing.whole] if growing.edges else 0.0
        whole = [growing.phone(k) for k in range(growing.whole)]
        self.phones = (*whole, Interval(last, self.heard, SILENCE_LABEL))
        self.words = _tiled([words[k] for k in sorted(words)], self.heard)

    def _end(self) -> Event:
        """The event of the end, with what there is to say of the whole."""
        about: dict[str, Any] = {
            "finished": self.finished,
            "words": len(self._reported.words),
            "of": len(self.tokens),
            "revised": self.revised,
        }
        if self.delays:
            median, p95 = np.percentile(self.delays, [50, 95])
            about["delay"] = {"median": round(float(median), 4), "p95": round(float(p95), 4)}
        if self.alignment is not None:
            found = self.alignment.suspicions
            about |= {
                "status": self.alignment.status,
                "reasons": [s.text for s in found],
                "suspicions": [asdict(s) for s in found],
            }
        return Event(kind="end", heard=self.heard, start=0.0, end=self.heard, about=about)


def follow(pieces: Iterable[np.ndarray], aligner: StreamAligner) -> Iterator[Event]:
    """All events of a recording that comes in ``pieces`` (see `aligner.corpus.incoming`)."""
    for piece in pieces:
        yield from aligner.hear(piece)
    yield from aligner.rest()
    yield from aligner.finish()


@runtime_checkable
class Streaming(Protocol):
    """A backend that can align a recording while it comes in."""

    def streaming(self) -> HmmBackend:
        """The backend whose model scores the stream; ModelError if that needs the whole recording."""
        ...


def streaming(backend: AnyBackend) -> HmmBackend:
    """The backend by which a recording is aligned while it comes in.

    Raises
    ------
    ModelError
        If it needs the whole recording.
    """
    if not isinstance(backend, Streaming):
        raise ModelError(
            backend.traits.model_name,
            f"the backend {backend.traits.name!r} needs the whole recording",
            "take the backend hmm",
        )
    return backend.streaming()


def _chosen(model: AnyBackend | Model | str | Path | None, options: Options | None) -> AnyBackend:
    """The backend for a model, a hidden Markov model unless the options name another."""
    if isinstance(model, Backend):
        return chosen(model, options)
    options = options or Options()
    return chosen(model, replace(options, backend=options.backend or "hmm"), Compute(jobs=1))


def _processor(transcript: TranscriptModel, chunk: int | None, latency: float) -> StreamingHMMProcessor:
    """What feeds the decoder, in chunks of so many frames, or of as many as the latency allows."""
    if chunk is not None:
        return StreamingHMMProcessor(transcript, chunk, buffer_size=LONGEST_LAG + chunk)
    frame = transcript.model.clock.seconds(1)
    return AdaptiveChunkProcessor(transcript, latency, frame, 1, buffer_size=LONGEST_LAG)


def _check_sound(wave: Tensor) -> None:
    """Raise DataError where a recording (N,) is empty or silent."""
    if not len(wave):
        raise DataError(
            "recording",
            "the recording is empty",
            "is there a sound on this input?",
            fault=Fault.UNREADABLE,
        )
    if float(wave.abs().max()) < SILENT_PEAK:
        raise DataError(
            "recording",
            "the recording is silent throughout",
            "check the channel and the level",
            fault=Fault.SILENT,
        )


def _warm_up(transcript: TranscriptModel) -> None:
    """Decode a bit of silence: what is loaded at its first use then does not delay the first words."""
    assert isinstance(transcript.model.frontend, SphinxFrontend)
    clock = transcript.model.clock
    ear = IncrementalFrontend(transcript.model.frontend)
    frames = torch.cat([ear.advance(torch.zeros(clock.window + 4 * clock.hop)), ear.finish()])
    decoder = transcript.decoder()
    frames = transcript.model.frames(frames)
    for t in range(len(frames)):
        decoder.advance(frames[t : t + 1])


def _tiled(intervals: Sequence[Interval], end: float) -> tuple[Interval, ...]:
    """Intervals from 0 to ``end`` with silence in the gaps."""
    tiles, now = [], 0.0
    for i in intervals:
        tiles += [Interval(now, i.start, SILENCE_LABEL)] if i.start > now else []
        tiles.append(i)
        now = i.end
    return (*tiles, Interval(now, end, SILENCE_LABEL)) if now < end else tuple(tiles)
