"""Aligning with a network's log posteriors (CTC), alone or with a hidden Markov model inside its words."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from aligner.backends.base import NO_OWNER, Found, Heard, Prepared, taught_for, too_short
from aligner.backends.hmm import HmmBackend, dictionary
from aligner.backends.options import Compute, Options
from aligner.graph import NONE
from aligner.graph.ctc import BLANK, STAR, build
from aligner.models.ctc import CtcModel
from aligner.refine.boundaries import WIDTH_NETWORK, Refinement
from aligner.refine.confidence import Evidence, PathPhones, evidence
from aligner.refine.pauses import Pauses
from aligner.refine.thresholds import LIMITS, Limits, Scores
from aligner.search.arcs import Arcs, NoPath
from aligner.search.viterbi import viterbi
from aligner.text.lexicon import Pronouncer
from aligner.text.normalise import BRACKETED, Token
from aligner.text.spelling import Speller
from aligner.tracing import stage
from aligner.types import NOISE_LABEL, SILENCE_LABEL, Clock, DataError

LEAST = 0.25  # frames that a phone has at the edge of an utterance
WILDCARD = Token(STAR, (STAR,))
EDGE = 0.1  # s that a word may reach into a wildcard: a phone goes on after it is heard
SLACK = 0.2  # s around where the network hears a word, within which the model looks for its boundaries


class Spike(NamedTuple):
    """Where the network hears a label.

    Attributes
    ----------
    state : int
        Of the graph.
    first, last : int
        Frames.
    """

    state: int
    first: int
    last: int


@dataclass(frozen=True)
class CtcBackend:
    """A network's labels with blanks between them (see `aligner.backends.base.Backend`)."""

    model: CtcModel
    options: Options = field(default_factory=Options)
    compute: Compute = field(default_factory=Compute)
    name: str = "ctc"
    english: bool = True
    limits: Limits = LIMITS[Scores.POSTERIORS]
    pronounce: Pronouncer | Speller = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "pronounce", _pronouncer(self.model, self.options))

    @property
    def refinement(self) -> Refinement:
        """What makes its boundaries better."""
        return Refinement(
            how=self.options.refine,
            offsets=self.model.offsets,
            width=WIDTH_NETWORK,
            taught=taught_for(self.model, self.name),
        )

    @property
    def model_name(self) -> str:
        """Of the model."""
        return self.model.name

    @property
    def about(self) -> str:
        """What scores the frames."""
        return f"CTC network {self.model.name!r}"

    @property
    def clock(self) -> Clock:
        """Of its frames."""
        return self.model.clock

    @property
    def shortest(self) -> float:
        """Seconds that a phone lasts at least: a frame."""
        return self.clock.seconds(1)

    def prepare(self, heard: Heard) -> Prepared:
        """Let the network hear it and build the graph."""
        with stage("graph"):
            spoken, oovs = self.pronounce(heard.tokens)
            # a wildcard between tokens, not between the words that one of them is spoken with
            between = [a.token != b.token for a, b in pairwise(spoken)]
            stars = [True, *between, True] if self.options.star else ()
            graph = build([w.pronunciations for w in spoken], self.model.alphabet, stars)
        with stage("features"):
            frames = self.model.frontend(heard.wave)
        return Prepared(heard, spoken, tuple(oovs), graph, frames)

    def path(self, prepared: Prepared) -> tuple[np.ndarray, float]:
        """States (T,) of the best path, and its score."""
        with stage("scores"):
            scores = self.model.score(prepared.frames, prepared.graph.pdfs)
        try:
            with stage("search"):
                path = viterbi(Arcs.of(prepared.graph), scores[None], kernel=self.compute.kernel)
        except NoPath:
            raise too_short(prepared, self.clock) from None
        return path.states[0].numpy(), float(path.score)

    def find(self, prepared: Prepared) -> Found:
        """The best path, and the boundaries between its spikes."""
        graph, heard = prepared.graph, prepared.heard
        states, score = self.path(prepared)
        spikes = spikes_of(states, prepared)
        owners, spellings = self.owners(spikes, prepared)
        pieces = self._tiled(spikes, owners, prepared)
        firsts = [p.frame for p in pieces]
        labels = [SILENCE_LABEL if p.spike is None else _label(graph.phone[p.spike.state]) for p in pieces]
        phones = self.clock.tile(self._apart([p.edge for p in pieces], heard), labels, heard.start, heard.end)
        with stage("evidence"):
            seen = self._evidence(states, pieces, prepared)
        return Found(phones, [p.owner for p in pieces], spellings, firsts, seen, score / len(states))

    def owners(self, spikes: Sequence[Spike], prepared: Prepared) -> tuple[list[int], list[str]]:
        """The word of each spike, and the spellings of all words; a wildcard that was not asked for is one
        more.
        """
        spellings = [t.spelling for t in prepared.heard.tokens]
        owners = []
        for spike in spikes:
            word = int(prepared.graph.word[spike.state])
            owners.append(prepared.spoken[word].token if word != NONE else len(spellings))
            if word == NONE:
                spellings.append(STAR)
        return owners, spellings

    def _tiled(self, spikes: Sequence[Spike], owners: Sequence[int], prepared: Prepared) -> list[Piece]:
        """Phones between the middles of the blanks, with silences at both ends and where there are pauses."""
        phone, pauses = prepared.graph.phone, Pauses.of(prepared.heard.wave)

        def heard(frame: int) -> float:
            return self.clock.boundary(frame + 0.5)

        begin = self._frame(pauses.onset(heard(spikes[0].first), phone[spikes[0].state]), 0, spikes[0].first)
        pieces = [_piece(begin, spikes[0], owners[0])]
        if pieces[0].frame > 0:
            pieces.insert(0, _piece(0.0, None, NO_OWNER))
        for a, b, before, after in zip(spikes, spikes[1:], owners, owners[1:], strict=False):
            pause = None
            if before != after:
                pause = pauses.between(heard(a.last), heard(b.first), phone[a.state], phone[b.state])
            start, stop = (self._frame(t, a.last + 1, b.first) for t in pause or (0.0, 0.0))
            if np.ceil(start) < np.ceil(stop):
                pieces += [_piece(start, None, NO_OWNER), _piece(stop, b, after)]
            else:
                pieces.append(_piece((a.last + 1 + b.first) / 2, b, after))
        end = self._frame(pauses.end(heard(spikes[-1].last)), spikes[-1].last + 1, len(prepared.frames))
        if np.ceil(end) < len(prepared.frames):
            pieces.append(_piece(end, None, NO_OWNER))
        return pieces

    def _apart(self, edges: Sequence[float], heard: Heard) -> list[float]:
        """Edges in frames within the utterance, at least `LEAST` apart at its ends: a delay may lead beyond
        them.
        """
        order, count = np.arange(len(edges)), len(edges)
        first, last = (self.clock.frame(t) for t in (0.0, heard.end - heard.start))
        least = min(LEAST, (last - first) / count)
        inside = np.minimum(np.maximum(edges, first + least * order), last - least * (count - order))
        return [float(t) for t in inside]

    def _frame(self, time: float, least: int, most: int) -> float:
        return float(min(max(self.clock.frame(time), least), most))

    def _evidence(self, states: np.ndarray, pieces: Sequence[Piece], prepared: Prepared) -> Evidence:
        """How well each frame fits the path's label; all of a phone has the posterior of its spike."""
        graph, columns = prepared.graph, np.arange(prepared.frames.shape[1] - 1)
        scores = self.model.score(prepared.frames, columns).numpy()
        on = graph.pdfs[graph.pdf[states]]
        anything = on == self.model.alphabet.star
        own = np.where(anything, scores.max(1), scores[np.arange(len(states)), np.where(anything, 0, on)])
        seen = evidence(own, scores, PathPhones.without_neighbours(np.where(anything, scores.argmax(1), on)))
        posterior = seen.posterior.copy()
        for piece, last in zip(pieces, [*(p.frame for p in pieces[1:]), len(states)], strict=True):
            if piece.spike is not None:
                posterior[piece.frame : last] = seen.posterior[
                    piece.spike.first : piece.spike.last + 1
                ].mean()
        return seen._replace(posterior=posterior)


@dataclass(frozen=True)
class Placed(Prepared):
    """An utterance whose words have been heard: when each token's labels begin and end, in seconds from its
    start.
    """

    times: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class CtcHmmBackend:
    """Words from a network, phones from a hidden Markov model inside each (see
    `aligner.backends.base.Backend`).

    The model may be in a word only near where the network hears it, so that a loose transcript, untranscribed
    speech among them, cannot pull its neighbours along.
    """

    ctc: CtcBackend
    hmm: HmmBackend
    name: str = "ctc+hmm"

    @property
    def english(self) -> bool:
        """Whether transcripts are read as English."""
        return self.hmm.english

    @property
    def options(self) -> Options:
        """Of both."""
        return self.hmm.options

    @property
    def compute(self) -> Compute:
        """How it is computed."""
        return self.hmm.compute

    @property
    def refinement(self) -> Refinement:
        """That of the phones."""
        return self.hmm.refinement

    @property
    def model_name(self) -> str:
        """Of both models."""
        return f"{self.ctc.model_name} + {self.hmm.model_name}"

    @property
    def about(self) -> str:
        """What scores the frames."""
        return f"words by {self.ctc.about}, phones by {self.hmm.about}"

    @property
    def clock(self) -> Clock:
        """Of the phones' frames."""
        return self.hmm.clock

    @property
    def shortest(self) -> float:
        """Seconds that a phone lasts at least."""
        return self.hmm.shortest

    @property
    def limits(self) -> Limits:
        """Of what is suspect, as the model sees it."""
        return self.hmm.limits

    def prepare(self, heard: Heard) -> Prepared:
        """Let the network hear where the words are, and build the model's graph of these and what is between
        them.
        """
        by_network = self.ctc.prepare(heard)
        spikes = spikes_of(self.ctc.path(by_network)[0], by_network)
        owners, _ = self.ctc.owners(spikes, by_network)
        order = list(dict.fromkeys(owners))
        tokens = tuple(heard.tokens[k] if k < len(heard.tokens) else WILDCARD for k in order)
        heard_at = [[s for s, owner in zip(spikes, owners, strict=True) if owner == k] for k in order]
        times = [
            (self.ctc.clock.boundary(of[0].first), self.ctc.clock.boundary(of[-1].last + 1))
            for of in heard_at
        ]
        prepared = self.hmm.prepare(replace(heard, tokens=tokens))
        return Placed(
            prepared.heard, prepared.spoken, prepared.oovs, prepared.graph, prepared.frames, tuple(times)
        )

    def find(self, prepared: Prepared) -> Found:
        """The model's best path near the network's words; where there is none, not quite so near."""
        assert isinstance(prepared, Placed)
        slack = SLACK
        while slack < prepared.heard.end - prepared.heard.start:
            with suppress(DataError):
                return _unjudged(self.hmm.find(prepared, self._spans(prepared, slack)))
            slack *= 2
        return _unjudged(self.hmm.find(prepared))

    def _spans(self, prepared: Placed, slack: float) -> np.ndarray:
        """First frame and last + 1 (S, 2) of each state: those of its word, or of the words around a silence.

        Neither words nor silences go far into what the network hears as a wildcard, for which there is no
        model.
        """
        word = prepared.graph.word[prepared.graph.node]
        known = np.array(
            [(-np.inf, -np.inf), *(prepared.times[s.token] for s in prepared.spoken), (np.inf, np.inf)]
        )
        wild = np.array([False, *(bool(BRACKETED.fullmatch(s.word)) for s in prepared.spoken), False])
        left = np.maximum.accumulate(word) + 1  # in `known`; a silence stands behind its word
        right = left + (word == NONE)
        begins, ends = known[left, 0] - slack, known[right, 1] + slack
        before, after = (
            np.maximum(np.where(word == NONE, left, left - 1), 0),
            np.where(word == NONE, right, right + 1),
        )
        begins = np.where(wild[before], np.maximum(begins, known[before, 1] - EDGE), begins)
        ends = np.where(wild[after], np.minimum(ends, known[after, 0] + EDGE), ends)
        spans = np.stack([begins, ends], 1)
        frames = np.nan_to_num(self.clock.frame(spans), neginf=0, posinf=len(prepared.frames))
        first_last: np.ndarray = frames.round().clip(0, len(prepared.frames)).astype(np.int64)
        return first_last


def _unjudged(found: Found) -> Found:
    """What was found, with nothing held against the frames of wildcards: whatever is heard fits them."""
    sizes = np.diff([*found.firsts, len(found.evidence.margin)])
    wild = np.repeat(
        [bool(o != NO_OWNER and BRACKETED.fullmatch(found.spellings[o])) for o in found.owners], sizes
    )
    return found._replace(evidence=found.evidence._replace(margin=np.where(wild, 0.0, found.evidence.margin)))


class Piece(NamedTuple):
    """A phone or a silence: its first frame, where it begins (in frames, exactly), its spike and its word."""

    frame: int
    edge: float
    spike: Spike | None
    owner: int


def _piece(edge: float, spike: Spike | None, owner: int) -> Piece:
    return Piece(int(np.ceil(edge)), edge, spike, owner)


def spikes_of(states: np.ndarray, prepared: Prepared) -> list[Spike]:
    """The runs of frames (T,) that a path spends in states that are not blanks."""
    begins = np.flatnonzero(np.diff(states, prepend=-1))
    ends = [*(begins[1:] - 1), len(states) - 1]
    return [
        Spike(int(states[a]), int(a), int(b))
        for a, b in zip(begins, ends, strict=True)
        if prepared.graph.phone[states[a]] != BLANK
    ]


def _label(label: str) -> str:
    return NOISE_LABEL if label == STAR else label


def _pronouncer(model: CtcModel, options: Options) -> Pronouncer | Speller:
    if model.characters:
        return Speller(model.knows, model.case, (STAR,))
    return dictionary(model.name, model.dictionary, model.knows, (STAR,), options)
