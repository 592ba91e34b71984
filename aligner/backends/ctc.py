"""Aligning with a network's log posteriors of labels (connectionist temporal classification, CTC)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from torch import Tensor

from aligner.backends.base import (
    NO_OWNER,
    Found,
    Heard,
    Prepared,
    Traits,
    check_length,
    taught_for,
    too_short,
)
from aligner.backends.bounds import LEAST_PHONE, within_words
from aligner.backends.held import held
from aligner.backends.hmm import dictionary
from aligner.backends.loading import ctc_model, own_model
from aligner.backends.options import Compute, Options
from aligner.backends.path import scores_within
from aligner.graph import NONE, Graph
from aligner.graph.ctc import BLANK, STAR, build
from aligner.models.base import Model
from aligner.models.boundary import BoundaryModel
from aligner.models.ctc import CtcModel
from aligner.models.known import HAMA
from aligner.refine.boundaries import INTERVAL_FACTOR_NETWORK, Refinement
from aligner.refine.confidence import Evidence, PathPhones, evidence
from aligner.refine.pauses import Pauses
from aligner.refine.thresholds import LIMITS, Scores
from aligner.search.arcs import Arcs, NoPath, Path
from aligner.search.viterbi import viterbi
from aligner.text.alphabets import alphabet_of
from aligner.text.lexicon import Pronouncer
from aligner.text.normalise import spoken_english
from aligner.text.spelling import Speller
from aligner.tracing import stage
from aligner.types import NOISE_LABEL, SILENCE_LABEL

NAME = "ctc"
# s between two words of a song, without its held notes, that are music, and s of them that belong to either
LEAST_INTERLUDE, INTERLUDE_EDGE = 1.2, 0.12
LEAST_EDGE_PHONE = 0.25  # frames that a phone has at least at either end of an utterance


class Spike(NamedTuple):
    """The frames in which the network hears a label."""

    state: int
    """The state of the graph that stands for the label."""

    first: int
    """The first frame."""

    last: int
    """The last frame."""


class Piece(NamedTuple):
    """A phone or a silence of an utterance."""

    edge: float
    """Where it begins, in frames and parts of one."""

    spike: Spike | None
    """Where the network hears it; None for a silence."""

    owner: int
    """Its word, as `Found` numbers them."""

    @property
    def frame(self) -> int:
        """The first whole frame of the piece."""
        return int(np.ceil(self.edge))


@dataclass(frozen=True, kw_only=True)
class CtcBackend:
    """A backend by a network's labels with blanks between them (see `aligner.backends.base.Backend`)."""

    model: CtcModel
    """The network that scores labels, on the device where it computes."""

    options: Options = field(default_factory=Options)
    """What is wanted."""

    compute: Compute = field(default_factory=Compute)
    """How alignments are computed."""

    english: bool = True
    """Whether transcripts are read as English."""

    pronounce: Pronouncer | Speller = field(init=False)
    """Gives words their pronunciations, or their letters."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "pronounce", _pronouncer(self.model, self.options))

    @cached_property
    def traits(self) -> Traits:
        """The facts about the backend that are the same for every utterance."""
        taught = taught_for(self.model, NAME)
        return Traits(
            name=NAME,
            model_name=self.model.name,
            about=f"CTC network {self.model.name!r}",
            english=self.english,
            marks=self.options.conventions,
            entry=self.pronounce.entry,
            alphabet=None if isinstance(self.pronounce, Speller) else alphabet_of(self.model.classes),
            clock=self.model.clock,
            shortest=self.model.clock.seconds(1),
            wildcard=True,
            limits=LIMITS[Scores.POSTERIORS],
            refinement=Refinement(
                how=self.options.refine,
                offsets=self.model.offsets,
                width=INTERVAL_FACTOR_NETWORK,
                taught=taught,
            ),
        )

    def with_taught(self, taught: BoundaryModel | None) -> CtcBackend:
        """The same backend with what was learnt from corrections, or with nothing (see `Teachable`)."""
        return replace(self, model=replace(self.model, taught=taught))

    def prepare(self, heard: Heard) -> Prepared:
        """Let the network hear an utterance, and build the graph of its labels."""
        with stage("graph"):
            spoken, oovs = self.pronounce.of(heard.utterance.speaker)(heard.tokens)
            # a wildcard between tokens, not between the words that one of them is spoken with
            between = [a.token != b.token for a, b in pairwise(spoken)]
            stars = [True, *between, True] if heard.loose else ()
            graph = build([w.pronunciations for w in spoken], self.model.alphabet, stars)
        with stage("features"):
            frames = self.model.frontend(heard.wave)
        check_length(heard, graph, len(frames), self.model.clock)
        return Prepared(heard=heard, spoken=spoken, oovs=tuple(oovs), graph=graph, frames=frames)

    def path(self, prepared: Prepared) -> tuple[np.ndarray, float]:
        """States (T,) of the best path, and its log-likelihood; DataError if there is none."""
        graph, bounds = prepared.graph, prepared.heard.bounds
        with stage("scores"):
            scores = self.model.score(prepared.frames, graph.pdfs)
        with stage("search"):
            if bounds is None:
                path = self._best(graph, scores)
            else:
                tokens = np.array([*(s.token for s in prepared.spoken), NO_OWNER])[graph.word[graph.node]]
                choice = within_words(graph, tokens, bounds, self.model.clock, len(scores), silences=False)
                alone = replace(graph, pdf=np.arange(len(graph.pdf), dtype=np.int32))
                own = scores[:, graph.pdf]
                paths = (self._best(alone, scores_within(own, spans)) for spans in choice)
                path = next(filter(None, paths), None)
        if path is None:
            raise too_short(prepared.heard, graph, len(prepared.frames), self.model.clock)
        return path.states[0].numpy(), float(path.score)

    def _best(self, graph: Graph, scores: Tensor) -> Path | None:
        """The best path through ``scores`` (T, P); None if there is none."""
        try:
            return viterbi(Arcs.of(graph), scores[None], kernel=self.compute.kernel)
        except NoPath:
            return None

    def find(self, prepared: Prepared) -> Found:
        """Search for the best path, and place boundaries between its spikes."""
        graph, heard = prepared.graph, prepared.heard
        states, score = self.path(prepared)
        spikes = spikes_of(states, prepared)
        owners, spellings = self.owners(spikes, prepared)
        pieces = self._pieces(spikes, owners, prepared)
        firsts = [p.frame for p in pieces]
        labels = [SILENCE_LABEL if p.spike is None else _label(graph.phone[p.spike.state]) for p in pieces]
        phones = self.model.clock.tile(
            self._apart([p.edge for p in pieces], heard), labels, heard.start, heard.end
        )
        with stage("evidence"):
            seen = self._evidence(states, pieces, prepared)
        found = Found(
            phones=phones,
            owners=[p.owner for p in pieces],
            spellings=spellings,
            firsts=firsts,
            evidence=seen,
            log_likelihood=score / len(states),
            oovs=prepared.oovs,
        )
        return held(found, heard, self.model.clock, LEAST_PHONE)

    def owners(self, spikes: Sequence[Spike], prepared: Prepared) -> tuple[list[int], list[str]]:
        """The word of each spike, and the spellings of all words.

        A wildcard between the words of the transcript becomes a word behind these.
        """
        spellings = [t.spelling for t in prepared.heard.tokens]
        owners = []
        for spike in spikes:
            word = int(prepared.graph.word[spike.state])
            owners.append(prepared.spoken[word].token if word != NONE else len(spellings))
            if word == NONE:
                spellings.append(STAR)
        return owners, spellings

    def _pieces(self, spikes: Sequence[Spike], owners: Sequence[int], prepared: Prepared) -> list[Piece]:
        """Phones between the middles of the blanks, with silences at both ends and where there are pauses."""
        phone, pauses = prepared.graph.phone, Pauses.of(prepared.heard.wave)

        def heard(frame: int) -> float:
            return self.model.clock.boundary(frame + 0.5)

        begin = self._frame(pauses.onset(heard(spikes[0].first), phone[spikes[0].state]), 0, spikes[0].first)
        pieces = [Piece(begin, spikes[0], owners[0])]
        if pieces[0].frame > 0:
            pieces.insert(0, Piece(0.0, None, NO_OWNER))
        for a, b, before, after in zip(spikes, spikes[1:], owners, owners[1:], strict=False):
            pause = None
            if before != after:
                pause = pauses.between(heard(a.last), heard(b.first), phone[a.state], phone[b.state])
            if before != after and pause is None and prepared.heard.sung:
                pause = _interlude(heard(a.last), heard(b.first))
            start, stop = (self._frame(t, a.last + 1, b.first) for t in pause or (0.0, 0.0))
            if np.ceil(start) < np.ceil(stop):
                pieces += [Piece(start, None, NO_OWNER), Piece(stop, b, after)]
            else:
                pieces.append(Piece((a.last + 1 + b.first) / 2, b, after))
        end = self._frame(pauses.end(heard(spikes[-1].last)), spikes[-1].last + 1, len(prepared.frames))
        if np.ceil(end) < len(prepared.frames):
            pieces.append(Piece(end, None, NO_OWNER))
        return pieces

    def _apart(self, edges: Sequence[float], heard: Heard) -> list[float]:
        """Edges in frames, moved into the utterance, at least `LEAST_EDGE_PHONE` apart at its ends.

        A network's delay may lead beyond them.
        """
        order, count = np.arange(len(edges)), len(edges)
        first, last = (self.model.clock.frame(t) for t in (0.0, heard.end - heard.start))
        least = min(LEAST_EDGE_PHONE, (last - first) / count)
        inside = np.minimum(np.maximum(edges, first + least * order), last - least * (count - order))
        return [float(t) for t in inside]

    def _frame(self, time: float, least: int, most: int) -> float:
        return float(min(max(self.model.clock.frame(time), least), most))

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


def spikes_of(states: np.ndarray, prepared: Prepared) -> list[Spike]:
    """The runs of frames (T,) that a path spends in states that are not blanks."""
    begins = np.flatnonzero(np.diff(states, prepend=-1))
    ends = [*(begins[1:] - 1), len(states) - 1]
    return [
        Spike(int(states[a]), int(a), int(b))
        for a, b in zip(begins, ends, strict=True)
        if prepared.graph.phone[states[a]] != BLANK
    ]


def _interlude(first: float, last: float) -> tuple[float, float] | None:
    """The music between a phone that is heard at ``first`` and one at ``last``, in seconds, whether the
    network hears that or not; None where the phones may fill the time, of which held notes are no part.
    """
    if last - first < LEAST_INTERLUDE:
        return None
    return first + INTERLUDE_EDGE, last - INTERLUDE_EDGE


def _label(label: str) -> str:
    return NOISE_LABEL if label == STAR else label


def _pronouncer(model: CtcModel, options: Options) -> Pronouncer | Speller:
    if model.characters:
        return Speller(model.knows, model.case, (STAR,))
    return dictionary(model.name, model.dictionary, model.knows, (STAR,), options)


def make(model: Model | None, options: Options, compute: Compute) -> CtcBackend:
    """The backend with a network that was named, or the one of English that comes with the package.

    Raises
    ------
    DataError
        If the dictionary is at fault, or the device cannot be used.
    ModelError
        If the model is a hidden Markov model, or of another language.
    """
    network = ctc_model(model or own_model(HAMA, options))
    compute.check()
    english = spoken_english(options.language)
    there = network.on_device(compute.device)
    return CtcBackend(model=there, options=options, compute=compute, english=english)
