"""Aligning with a network that finds the words, and a hidden Markov model that finds the phones inside."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from aligner.backends import ctc, hmm
from aligner.backends.base import NO_OWNER, Found, Heard, Prepared, Traits
from aligner.backends.ctc import CtcBackend, spikes_of
from aligner.backends.hmm import HmmBackend
from aligner.backends.options import Compute, Options
from aligner.graph import NONE
from aligner.graph.ctc import STAR
from aligner.models.base import Model
from aligner.models.boundary import BoundaryModel
from aligner.models.ctc import CtcModel
from aligner.text.lexicon import Pronouncer
from aligner.text.normalise import BRACKETED, Token
from aligner.text.spelling import Speller
from aligner.types import NOISE_LABEL, DataError

NAME = "ctc+hmm"
WILDCARD = Token(STAR, (STAR,))
STAR_EDGE = 0.1  # s that a word may reach into a wildcard: a phone goes on after it is heard
WORD_SLACK = 0.2  # s around where the network hears a word, within which the model looks for its boundaries


@dataclass(frozen=True)
class WordsPlaced:
    """An utterance whose words the network has heard, prepared for the model inside them."""

    inside: Prepared
    """The utterance, with the words that were heard, as the hidden Markov model prepares it."""

    times: tuple[tuple[float, float], ...]
    """Seconds from the utterance's start at which each token's labels begin and end."""

    order: tuple[int, ...] = ()
    """The place in ``spellings`` of each word; what the transcript lacks stands behind its own words."""

    spellings: tuple[str, ...] = ()
    """The words as they are written."""

    def named(self, found: Found) -> Found:
        """What was found in the words that were heard, by their places in ``spellings``."""
        owners = [self.order[k] if k != NO_OWNER else k for k in found.owners]
        return replace(found, owners=owners, spellings=self.spellings)


@dataclass(frozen=True)
class CtcHmmBackend:
    """A backend that finds words by a network, and phones by a hidden Markov model inside each word.

    The model may be in a word only near where the network hears it, so that a loose transcript, or speech
    that is not in it, cannot pull the neighbours along (see `aligner.backends.base.Backend`).
    """

    ctc: CtcBackend
    """The backend that finds the words."""

    hmm: HmmBackend
    """The backend that finds the phones."""

    @cached_property
    def traits(self) -> Traits:
        """The traits of the backend that finds the phones, with the names of both."""
        words, phones = self.ctc.traits, self.hmm.traits
        return replace(
            phones,
            name=NAME,
            model_name=f"{words.model_name} + {phones.model_name}",
            about=f"words by {words.about}, phones by {phones.about}",
            boundaries_of=phones.name,
        )

    @property
    def options(self) -> Options:
        """The options that both backends were made with."""
        return self.hmm.options

    @property
    def compute(self) -> Compute:
        """How both backends compute: in which processes, on which device."""
        return self.hmm.compute

    @property
    def pronounce(self) -> Pronouncer | Speller:
        """Gives words the pronunciations among which the phones are found."""
        return self.hmm.pronounce

    def with_taught(self, taught: BoundaryModel | None) -> CtcHmmBackend:
        """The same backend with what was learnt from corrections, or with nothing (see `Teachable`)."""
        return replace(self, hmm=self.hmm.with_taught(taught))

    def prepare(self, heard: Heard) -> WordsPlaced:
        """Let the network hear where the words are, and build the model's graph of them and of what is
        between.
        """
        if heard.bounds is not None:  # there is nothing to find for the network
            return WordsPlaced(self.hmm.prepare(heard), ())
        by_network = self.ctc.prepare(heard)
        spikes = spikes_of(self.ctc.path(by_network)[0], by_network)
        owners, spellings = self.ctc.owners(spikes, by_network)
        order = list(dict.fromkeys(owners))
        tokens = tuple(heard.tokens[k] if k < len(heard.tokens) else WILDCARD for k in order)
        heard_at = [[s for s, owner in zip(spikes, owners, strict=True) if owner == k] for k in order]
        times = [
            (self.ctc.model.clock.boundary(of[0].first), self.ctc.model.clock.boundary(of[-1].last + 1))
            for of in heard_at
        ]
        inside = self.hmm.prepare(replace(heard, tokens=tokens, loose=False))
        return WordsPlaced(inside, tuple(times), tuple(order), tuple(spellings))

    def find(self, prepared: WordsPlaced) -> Found:
        """Search for the model's best path near the network's words; where there is none, less near."""
        if prepared.inside.heard.bounds is not None:
            return self.hmm.find(prepared.inside)
        slack = WORD_SLACK
        while slack < prepared.inside.heard.seconds:
            with suppress(DataError):
                found = self.hmm.find(prepared.inside, self._spans(prepared, slack))
                return prepared.named(_unjudged(found))
            slack *= 2
        return prepared.named(_unjudged(self.hmm.find(prepared.inside)))

    def _spans(self, prepared: WordsPlaced, slack: float) -> np.ndarray:
        """The first frame, and the last + 1, that each state (S, 2) may be in.

        They are those of its word, ``slack`` seconds wider, or of the words around a silence.

        Neither words nor silences go far into what the network hears as a wildcard, for which there is no
        model.
        """
        graph, spoken = prepared.inside.graph, prepared.inside.spoken
        word = graph.word[graph.node]
        known = np.array([(-np.inf, -np.inf), *(prepared.times[s.token] for s in spoken), (np.inf, np.inf)])
        wild = np.array([False, *(bool(BRACKETED.fullmatch(s.word)) for s in spoken), False])
        left = np.maximum.accumulate(word) + 1  # in `known`; a silence stands behind its word
        right = left + (word == NONE)
        begins, ends = known[left, 0] - slack, known[right, 1] + slack
        before, after = (
            np.maximum(np.where(word == NONE, left, left - 1), 0),
            np.where(word == NONE, right, right + 1),
        )
        begins = np.where(wild[before], np.maximum(begins, known[before, 1] - STAR_EDGE), begins)
        ends = np.where(wild[after], np.minimum(ends, known[after, 0] + STAR_EDGE), ends)
        spans = np.stack([begins, ends], 1)
        frames = np.nan_to_num(
            self.hmm.model.clock.frame(spans), neginf=0, posinf=len(prepared.inside.frames)
        )
        first_last: np.ndarray = frames.round().clip(0, len(prepared.inside.frames)).astype(np.int64)
        return first_last


def _unjudged(found: Found) -> Found:
    """What was found, with margins of 0 in the frames of wildcards: whatever is heard fits them."""
    sizes = np.diff([*found.firsts, len(found.evidence.margin)])
    wild = np.repeat(
        [o != NO_OWNER and p.label == NOISE_LABEL for o, p in zip(found.owners, found.phones, strict=True)],
        sizes,
    )
    return replace(found, evidence=found.evidence._replace(margin=np.where(wild, 0.0, found.evidence.margin)))


def make(model: Model | None, options: Options, compute: Compute) -> CtcHmmBackend:
    """The backend with a model that was named as one of the two, and one that comes with the package.

    Raises
    ------
    DataError
        If the dictionary is at fault, or the device cannot be used.
    ModelError
        If a model is of another language.
    """
    if model is not None and not isinstance(model, CtcModel):
        return CtcHmmBackend(ctc.make(None, options, compute), hmm.make(model, options, compute))
    inside = hmm.make(None, options, compute)
    if model is not None:  # what was taught of both is with the one that was named
        inside = inside.with_taught(model.taught)
    return CtcHmmBackend(ctc.make(model, options, compute), inside)
