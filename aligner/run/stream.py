"""Aligning while a recording comes in: samples go in piece by piece, words and phones come out as they
settle.

Samples become frames (`aligner.features.IncrementalFrontend`), frames are scored under the states that are
alive, and one search goes through the transcript's graph (`aligner.search.live`): it is never pruned in a way
that could matter, so that the result is the one of aligning the whole recording with the same running
normalisation.
What is told before the end is what all paths agree on that are anywhere near the best one; if the end decides
otherwise, that is told, too.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from aligner.backends.base import AnyBackend, Backend, Found, Heard, Prepared, judge, refine, tokens_of
from aligner.backends.choose import chosen
from aligner.backends.hmm import HmmBackend
from aligner.backends.options import Compute, Options
from aligner.backends.path import SHORT_PIECE, path_evidence, path_scores
from aligner.corpus.audio import SILENT, clipped
from aligner.features import IncrementalFrontend, SphinxFrontend, levels
from aligner.graph import Graph, build
from aligner.hmm.streaming import AdaptiveChunkProcessor, StreamingHMMProcessor
from aligner.models.base import Model
from aligner.models.markov import MarkovModel
from aligner.refine.boundaries import Refinement
from aligner.refine.offsets import corrected_end
from aligner.refine.pauses import quiet_frames
from aligner.search.arcs import Arcs
from aligner.search.live import LiveSearch
from aligner.text.lexicon import SpokenWord
from aligner.types import (
    DECIMALS,
    SILENCE_LABEL,
    Alignment,
    DataError,
    Fault,
    Interval,
    ModelError,
    Utterance,
)

SURE = (
    100.0  # log likelihood: a path so far behind has never won in 80 sentences (40 once, 60 once, 80 never)
)
WHOLE = 4096  # states up to which the search drops nothing: nearly a minute of speech
BEAM = 2000.0  # in longer graphs, what falls so far behind is dropped
TRUSTED = (
    BEAM / 4
)  # where the path that won was ever farther behind than this, all is searched again without a beam
UNFINISHED = (
    100.0  # if the best path through the whole text is so far behind, it may not have been spoken to its end
)
# (13 at most in 45 whole sentences, 80 to 260 with one long word too many, above 320 with three)
QUIET = (
    0.9  # share of a pause that is quiet, and not speech in noise that looks like one: 0.4 to 0.9 of such is
)
BUFFER = 1000  # frames (10 s) after which a state is told at the latest
LATENCY = 0.05  # s


@dataclass(frozen=True)
class Event:
    """Something that is told.

    Attributes
    ----------
    kind : {'word', 'phone', 'revised', 'end'}
        'revised': a word or phone that was told is somewhere else after all, or (``start`` None) is not
        there.
    heard : float
        Seconds of the recording that were heard by then.
    start, end : float or None
        In seconds; of 'end', the recording's.
    label : str
    tier : str
        'words' or 'phones'; '' of 'end'.
    was : tuple of (float, float) or None
        Of 'revised': the start and end that were told before.
    delay : float or None
        Of a word: seconds from its end until it was told, computing included.
    about : mapping
        Of 'end': what there is to say of the whole.
    """

    kind: str
    heard: float
    start: float | None
    end: float | None
    label: str = ""
    tier: str = ""
    was: tuple[float, float] | None = None
    delay: float | None = None
    about: Mapping[str, Any] = field(default_factory=dict)

    def fields(self) -> dict[str, Any]:
        """As a line of JSON has it."""
        told: dict[str, Any] = {
            "event": self.kind,
            "start": self.start,
            "end": self.end,
            "label": self.label,
            "heard": round(self.heard, DECIMALS),
        }
        if self.was is not None:
            told |= {"tier": self.tier, "was": list(self.was)}
        if self.delay is not None:
            told["delay"] = round(self.delay, 4)
        return told | dict(self.about)


@dataclass(frozen=True, eq=False)
class Spoken:
    """A transcript's graph and the model that scores it: what a `StreamingHMMProcessor` drives.

    Attributes
    ----------
    model : MarkovModel
    graph : Graph
    """

    model: MarkovModel
    graph: Graph

    @property
    def obs_dim(self) -> int:
        """Numbers in a frame."""
        assert isinstance(self.model.frontend, SphinxFrontend)
        return self.model.frontend.size

    def decoder(self, lag: int | None = None) -> Attending:
        """Make the decoder of one recording."""
        return Attending(self, lag)


class Attending:
    """One recording on its way through a graph (see `aligner.hmm.streaming.StreamingDecoder`).

    Attributes
    ----------
    finished : bool
        Whether the recording went through the whole graph.
    quiet : ndarray or None
        (T,) which frames of the recording are quiet, to be known before `finish`; None if the text was spoken
        to its end for sure.
    """

    def __init__(self, spoken: Spoken, lag: int | None = None) -> None:
        self.model, self.graph, self.lag = spoken.model, spoken.graph, lag
        self.pruned = len(self.graph.pdf) > WHOLE
        self.finished = False
        self.quiet: np.ndarray | None = None
        self._changed = 0

    @cached_property
    def live(self) -> LiveSearch:
        """The search itself."""
        return LiveSearch(
            Arcs.of(self.graph),
            lag=self.lag,
            beam=BEAM if self.pruned else None,
            agreement_beam=SURE,
            revisable=True,
        )

    @property
    def decided(self) -> int:
        """The number of frames whose state has been given out."""
        return self.live.reported

    def changed(self) -> int:
        """The first frame whose told state is new or another one since this was last asked."""
        first, self._changed = self._changed, self.decided
        return first

    def advance(self, observations: Tensor) -> Tensor:
        """Hear frames (n, D); the states (m,) of those that can now be told."""
        told = self.decided
        columns = self.live.columns(len(observations))
        scores = self.model.score(observations, self.graph.pdfs[columns])
        self._changed = min(self._changed, self.live.advance(scores, columns).first)
        return torch.from_numpy(self.live.states[told:].copy())

    def finish(self) -> Tensor:
        """There is no more: the states of all frames not yet told."""
        told = self.decided
        lacking = self.live.shortfall
        self.finished = lacking <= UNFINISHED or (lacking < np.inf and not self._stopped())
        self._changed = min(self._changed, self.live.finish(anywhere=not self.finished).first)
        return torch.from_numpy(self.live.states[told:].copy())

    def _stopped(self) -> bool:
        """Whether the best path of all ends within a word, or in a pause that is one by the level of the
        sound, too.
        """
        node = self.graph.node
        last = int(node[self.live.best])
        if self.quiet is None or self.graph.word[last] >= 0:
            return self.quiet is not None
        others = np.flatnonzero(node[self.live.leading()] != last)
        return bool(self.quiet[int(others[-1]) + 1 if len(others) else 0 :].mean() >= QUIET)


class Line:
    """The phones of a path that grows, and changes at its end at times: their corrected boundaries, and the
    words.

    Parameters
    ----------
    backend : HmmBackend
    graph : Graph
    spoken : sequence of SpokenWord
    """

    def __init__(self, backend: HmmBackend, graph: Graph, spoken: Sequence[SpokenWord]) -> None:
        self.clock, self.graph, self.spoken = backend.traits.clock, graph, spoken
        self.offsets = {} if backend.options.refine == "none" else backend.model.offsets
        self.names = [backend.label(phone) for phone in graph.phone]
        self.firsts: list[int] = []  # frame that each phone begins with
        self.nodes: list[int] = []
        self.raw: list[float] = []  # where each begins, as the search has it
        self.edges: list[float] = []  # and corrected
        self.settled = 0  # phones that `grow` has told

    def grow(self, states: np.ndarray, changed: int) -> range:
        """Take in the ``states`` of a path (T,), which has changed from a frame on; the phones that are whole
        now.
        """
        while self.firsts and self.firsts[-1] >= changed:
            del self.firsts[-1], self.nodes[-1], self.raw[-1], self.edges[-1]
        first = min(self.settled, max(len(self.firsts) - 1, 0))  # the last that is left may end elsewhere now
        nodes = self.graph.node[states[changed:]]
        for t in np.flatnonzero(np.diff(nodes, prepend=self.nodes[-1] if self.nodes else -1)).tolist():
            self._add(changed + t, int(nodes[t]))
        self.settled = max(len(self.firsts) - 1, 0)
        return range(first, self.settled)

    def _add(self, frame: int, node: int) -> None:
        raw = max(round(self.clock.boundary(frame), DECIMALS), 0.0) if self.firsts else 0.0
        edge = raw
        if self.firsts:
            phone = Interval(self.raw[-1], raw, self.names[self.nodes[-1]])
            edge = corrected_end(self.edges[-1], phone, self.names[node], self.offsets)
        self.firsts.append(frame)
        self.nodes.append(node)
        self.raw.append(raw)
        self.edges.append(edge)

    def phone(self, k: int) -> Interval:
        """One that is whole."""
        return Interval(self.edges[k], self.edges[k + 1], self.names[self.nodes[k]])

    def token(self, k: int) -> int | None:
        """Which token of the transcript a phone belongs to; None of a silence."""
        word = int(self.graph.word[self.nodes[k]])
        return self.spoken[word].token if word >= 0 else None

    def ends(self, k: int) -> bool:
        """Whether a whole phone is the last one of its token."""
        word, then = (int(self.graph.word[self.nodes[j]]) for j in (k, k + 1))
        if word < 0 or word == then:
            return False
        after = then if then >= 0 else word + 1
        return after >= len(self.spoken) or self.spoken[after].token != self.spoken[word].token

    def begin(self, k: int) -> int:
        """The first phone of the token that phone ``k`` belongs to."""
        first, token = k, self.token(k)
        while k >= 0 and self.token(k) in (token, None):
            if self.token(k) == token:
                first = k
            k -= 1
        return first


class StreamAligner:
    """Aligns a recording as it comes in.

    Parameters
    ----------
    text : str
        What is (going to be) said.
    model : Model, str or Path, optional
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
        If the model is, or cannot hear piece by piece.

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
        model: HmmBackend | Model | str | Path | None = None,
        options: Options | None = None,
        chunk: int | None = None,
        latency: float = LATENCY,
        complete: bool = False,
    ) -> None:
        self.complete = complete
        self.backend = streaming(_chosen(model, options))
        model = self.backend.model
        how = (
            "none" if self.backend.options.refine == "none" else "offsets"
        )  # nothing else can be told at once
        self.telling = Refinement(how=how, offsets=model.offsets)
        self.tokens = tokens_of(text, self.backend.traits.english, "text")
        self.spoken, oovs = self.backend.pronounce(self.tokens)
        self.oovs = tuple(oovs)
        self.graph = build([w.pronunciations for w in self.spoken], model.topology)
        self._text, self._line = text, Line(self.backend, self.graph, self.spoken)
        assert isinstance(model.frontend, SphinxFrontend)
        self._ear, spoken = IncrementalFrontend(model.frontend), Spoken(model, self.graph)
        self._processor = (
            AdaptiveChunkProcessor(spoken, latency, model.clock.seconds(1), 1, buffer_size=BUFFER)
            if chunk is None
            else StreamingHMMProcessor(spoken, chunk, buffer_size=BUFFER + chunk)
        )
        search = self._processor.decoder
        assert isinstance(search, Attending)
        self.search = search
        self._wave: list[Tensor] = []
        self._frames: list[Tensor] = []
        self._samples, self._began, self._over = 0, 0.0, False
        self._told: dict[str, dict[int, Interval]] = {"words": {}, "phones": {}}
        self.delays: list[float] = []
        self.revised = 0
        self.words: tuple[Interval, ...] = ()
        self.phones: tuple[Interval, ...] = ()
        self.alignment: Alignment | None = None
        _practise(spoken)

    @property
    def rate(self) -> int:
        """Samples per second that `hear` takes."""
        return self.backend.traits.clock.rate

    @property
    def heard(self) -> float:
        """Seconds of the recording."""
        return self._samples / self.rate

    def hear(self, samples: np.ndarray) -> list[Event]:
        """What can be told when more samples (N,), mono, full scale 1, have come in.

        Raises
        ------
        DataError
            If some are not numbers.
        """
        self._began = time.perf_counter()
        wave = torch.from_numpy(np.ascontiguousarray(samples, np.float32))
        if not bool(torch.isfinite(wave).all()):
            raise DataError(
                "recording",
                "it holds samples that are not numbers (NaN or infinite)",
                "record it again",
                fault=Fault.UNREADABLE,
            )
        self._wave.append(wave)
        self._samples += len(wave)
        self._process(self._ear.advance(wave))
        return self._grown()

    def _process(self, frames: Tensor) -> None:
        if len(frames):
            frames = self.backend.model.frames(frames)
            self._frames.append(frames)
            self._processor.process_chunk(frames)

    def _grown(self) -> list[Event]:
        """What the search has told since last time."""
        line, events = self._line, []
        changed = self.search.changed()
        if changed == self.search.decided:
            return []
        for k in line.grow(self.search.live.states, changed):
            token = line.token(k)
            if token is not None:
                events += self._tell("phones", k, line.phone(k))
            if token is not None and line.ends(k):
                word = Interval(line.edges[line.begin(k)], line.edges[k + 1], self.tokens[token].spelling)
                events += self._tell("words", token, word)
        return events

    def _tell(self, tier: str, key: int, new: Interval | None) -> list[Event]:
        """Tell a word or phone, if that is news."""
        old = self._told[tier].get(key)
        if new is not None and (old is None or _place(old) != _place(new)):
            self._told[tier][key] = new
        if old is None and new is not None:
            delay = None
            if tier == "words":
                delay = self.heard + time.perf_counter() - self._began - new.end
                self.delays.append(delay)
            return [
                Event(tier.removesuffix("s"), self.heard, new.start, new.end, new.label, tier, delay=delay)
            ]
        if old is None or (new is not None and _place(old) == _place(new)):
            return []
        self.revised += 1
        was = old.start, old.end
        if new is None:
            del self._told[tier][key]
            return [Event("revised", self.heard, None, None, old.label, tier, was)]
        return [Event("revised", self.heard, new.start, new.end, new.label, tier, was)]

    def rest(self) -> list[Event]:
        """There is no more sound: what was not told yet.

        Raises
        ------
        DataError
            If nothing was heard, or nothing but silence.
        """
        self._began = time.perf_counter()
        wave = torch.cat(self._wave) if self._wave else torch.empty(0)
        if not len(wave):
            raise DataError(
                "recording",
                "the recording is empty",
                "is there a sound on this input?",
                fault=Fault.UNREADABLE,
            )
        if float(wave.abs().max()) < SILENT:
            raise DataError(
                "recording",
                "the recording is silent throughout",
                "check the channel and the level",
                fault=Fault.SILENT,
            )
        self._process(self._ear.finish())
        if not self.complete:
            self.search.quiet = quiet_frames(
                levels(wave, self.backend.traits.clock, sum(map(len, self._frames))).numpy()
            )
        self._processor.finish()
        self._wave, self._over = [wave], True
        return self._grown()

    def finish(self) -> list[Event]:
        """There is no more sound: what was not told yet, what is taken back, and the end.

        Raises
        ------
        DataError
            If nothing was heard, or nothing but silence.
        """
        events = [] if self._over else self.rest()
        [wave] = self._wave
        if self.search.finished:
            found = self._decide(wave)
            owners = [None if owner < 0 else owner for owner in found.owners]
            told = self.telling(found.searched(self.backend.traits.clock), wave).phones
            phones = {
                k: p for k, (p, owner) in enumerate(zip(told, owners, strict=True)) if owner is not None
            }
            words: dict[int, Interval] = {}
            for k, phone in phones.items():
                token = int(found.owners[k])
                words[token] = Interval(words.get(token, phone).start, phone.end, self.tokens[token].spelling)
        else:
            words, phones = self._known()
        final = [("phones", k, phones.get(k)) for k in sorted({*phones, *self._told["phones"]})]
        final += [("words", k, words.get(k)) for k in sorted({*words, *self._told["words"]})]
        events += sorted(
            (e for news in final for e in self._tell(*news)), key=lambda e: (e.end or 0.0, e.tier)
        )
        return [*events, self._end()]

    def _decide(self, wave: Tensor) -> Found:
        """The alignment of the whole, as if all had been there from the beginning."""
        backend, frames = self.backend, torch.cat(self._frames)
        states, score = self.search.live.states, self.search.live.score
        utterance = Utterance(
            "recording", wave.numpy(), self._text, file="recording", end=self.heard, rate=self.rate
        )
        heard = Heard(
            utterance=utterance,
            duration=self.heard,
            tokens=self.tokens,
            wave=wave,
            clipped=clipped(wave.numpy()),
        )
        prepared = Prepared(heard=heard, spoken=self.spoken, oovs=self.oovs, graph=self.graph, frames=frames)
        emitted = (
            path_scores(frames, self.graph, backend.model, states) if self.search.pruned else np.empty(0)
        )
        if self.search.pruned and self.search.live.stray(emitted) > TRUSTED:
            found = backend.find(prepared)
        else:
            seen = path_evidence(frames, self.graph, backend.model, states, piece=SHORT_PIECE)
            found = backend.found(prepared, states, seen, score)
        self.alignment = judge(heard, found, refine(heard, found, backend.traits), backend.traits)
        self.words, self.phones = self.alignment.words, self.alignment.phones
        return found

    def _known(self) -> tuple[dict[int, Interval], dict[int, Interval]]:
        """Words and phones of a text that was not spoken to its end, by their keys: those that are whole."""
        line = self._line
        words, phones = self._told["words"], self._told["phones"]
        last = line.edges[line.settled] if line.edges else 0.0
        whole = [line.phone(k) for k in range(line.settled)]
        self.phones = (*whole, Interval(last, self.heard, SILENCE_LABEL))
        self.words = _tiled([words[k] for k in sorted(words)], self.heard)
        return dict(words), dict(phones)

    def _end(self) -> Event:
        told = len(self._told["words"])
        about: dict[str, Any] = {
            "finished": self.search.finished,
            "words": told,
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
        return Event("end", self.heard, 0.0, self.heard, about=about)


def _chosen(model: AnyBackend | Model | str | Path | None, options: Options | None) -> AnyBackend:
    """The backend for a model, a hidden Markov model unless the options name another."""
    if isinstance(model, Backend):
        return chosen(model, options)
    options = options or Options()
    return chosen(model, replace(options, backend=options.backend or "hmm"), Compute(jobs=1))


@runtime_checkable
class Streaming(Protocol):
    """A backend that can align a recording while it comes in."""

    def streaming(self) -> HmmBackend:
        """The backend by whose model and frames that is done; ModelError if its model needs all of it."""
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


def _practise(spoken: Spoken) -> None:
    """Go through all of it once with silence: what is loaded at its first use then does not delay the first
    words.
    """
    assert isinstance(spoken.model.frontend, SphinxFrontend)
    clock = spoken.model.clock
    frames = IncrementalFrontend(spoken.model.frontend).advance(torch.zeros(clock.window + 4 * clock.hop))
    search = spoken.decoder()
    frames = spoken.model.frames(frames)
    for t in range(len(frames)):
        search.advance(frames[t : t + 1])


def follow(pieces: Iterable[np.ndarray], aligner: StreamAligner) -> Iterator[Event]:
    """All events of a recording that comes in ``pieces`` (see `aligner.corpus.incoming`)."""
    for piece in pieces:
        yield from aligner.hear(piece)
    yield from aligner.rest()
    yield from aligner.finish()


def _place(interval: Interval) -> tuple[float, float, str]:
    return interval.start, interval.end, interval.label


def _tiled(intervals: Sequence[Interval], end: float) -> tuple[Interval, ...]:
    """Intervals with silence in the gaps."""
    tiles, now = [], 0.0
    for i in intervals:
        tiles += [Interval(now, i.start, SILENCE_LABEL)] if i.start > now else []
        tiles.append(i)
        now = i.end
    return (*tiles, Interval(now, end, SILENCE_LABEL)) if now < end else tuple(tiles)
