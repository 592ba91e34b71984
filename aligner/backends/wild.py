"""A hidden Markov model that has phones for whatever is heard: for noises, what nobody understood, and what
is not in the transcript.

A noise is scored as the best of all phones without context, less a loss, so that words that fit go before
it, and what no word fits costs nothing beyond its own stretch (as the garbage models of keyword spotting do:
Rose and Paul 1990, *A hidden Markov model based keyword recognition system*).  What is not in the transcript
is scored as the few best phones in the mean (Bourlard, D'hoore and Boite 1994, *Optimizing recognition and
rejection performance in wordspotting systems*).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from aligner.graph import Graph, Topology
from aligner.graph.pronunciations import Position, Unit, Wildcard
from aligner.models.base import Scorer
from aligner.models.markov import MarkovModel
from aligner.text.lexicon import SpokenWord
from aligner.text.noises import is_unclear
from aligner.text.normalise import BRACKETED
from aligner.types import STAR_LABEL, Pronunciation

WILD = "<wild>"  # the label of the phone in a graph
WILD_PDF = 2**30  # no model has as many
# the same for the wildcard between words: pauses in what the transcript lacks cost it hardly anything
STAR_PDF = WILD_PDF + 1
# nats that a frame loses against the best of all phones: frames of right sentences lose 1.4 on the average,
# of wrong ones 5.0
WILD_LOSS = 3.5
# the wildcard is scored as the best three phones in the mean: where all fit badly, as in music, they are
# close together, and where words fit, they are not
STAR_BEST = 3
STAR_PAUSE_LOSS = 0.1  # nats that a frame of a pause loses in the wildcard: around it stand silences
STAR_WEIGHT = -60.0  # log weight of a wildcard that the transcript does not ask for
# the same in songs: what is sung fits worse than what is said, and music lasts for longer than a phrase said
# twice (of 24 lines with vowels of 0.5 to 4 s and music between them 94 % of the words' edges are within
# 0.1 s then, and 92 % at -60)
SUNG_STAR_WEIGHT = -160.0


PDFS = {WILD: WILD_PDF, STAR_LABEL: STAR_PDF}


@dataclass(frozen=True)
class WildTopology:
    """The phones of a model and two more, which have the transitions of silence."""

    inner: Topology
    """The phones of the model."""

    def knows(self, label: str) -> bool:
        """Whether a dictionary may use this phone."""
        return self.inner.knows(label)

    @property
    def labels(self) -> Sequence[str]:
        """Labels of the model's phones."""
        return self.inner.labels

    @property
    def shortest(self) -> int:
        """Least number of frames that a phone takes."""
        return self.inner.shortest

    @property
    def silence(self) -> str:
        """Label of the phone that stands for silence."""
        return self.inner.silence

    @property
    def noises(self) -> tuple[str, ...]:
        """Labels of noise phones."""
        return (*self.inner.noises, WILD, STAR_LABEL)

    @cached_property
    def alone(self) -> np.ndarray:
        """Pdfs (phones + 2, states) of every phone without context."""
        alone = self.inner.alone
        return np.concatenate([alone, *(np.full_like(alone[:1], pdf) for pdf in PDFS.values())])

    @property
    def transitions(self) -> np.ndarray:
        """Log probabilities (matrices, states, states + 1)."""
        return self.inner.transitions

    def number(self, label: str) -> int:
        """Row of `alone` that a phone has."""
        more = list(PDFS)
        return len(self.inner.alone) + more.index(label) if label in more else self.inner.number(label)

    def unit(self, phone: str, left: str, right: str, position: Position) -> Unit:
        """States and transitions of a phone between two others; beside the two more as beside silence."""
        silence = self.inner.silence
        if phone in PDFS:
            own = self.inner.unit(silence, silence, silence, Position.SINGLE)
            return Unit((PDFS[phone],) * len(own.pdfs), own.transitions)
        left, right = (silence if beside in PDFS else beside for beside in (left, right))
        return self.inner.unit(phone, left, right, position)


@dataclass(frozen=True)
class WildScorer:
    """Scores frames as another scorer does, and under `WILD_PDF` and `STAR_PDF`."""

    inner: Scorer
    """The other scorer."""
    alone: np.ndarray
    """Pdfs (phones, states) of every phone without context."""
    silence: np.ndarray
    """Pdfs (states,) of silence."""

    def score(self, frames: Tensor, pdfs: np.ndarray) -> Tensor:
        """Log-likelihoods (T, P) of frames (T, D) under ascending ``pdfs``."""
        pdfs = np.asarray(pdfs)
        own = pdfs < WILD_PDF
        if own.all():
            return self.inner.score(frames, pdfs)
        scores = frames.new_empty(len(frames), len(pdfs), dtype=torch.float32)
        scores[:, torch.from_numpy(own)] = self.inner.score(frames, pdfs[own]).float()
        phones = np.unique(self.alone)
        heard = self.inner.score(frames, phones).float()
        wild = heard.amax(1) - WILD_LOSS
        by_phone = heard[:, torch.from_numpy(np.searchsorted(phones, self.alone))].amax(2)
        star = by_phone.topk(min(STAR_BEST, by_phone.shape[1]), 1).values.mean(1)
        quiet = heard[:, torch.from_numpy(np.isin(phones, self.silence))].amax(1) - STAR_PAUSE_LOSS
        scores[:, torch.from_numpy(pdfs == WILD_PDF)] = wild[:, None]
        scores[:, torch.from_numpy(pdfs == STAR_PDF)] = torch.maximum(star, quiet)[:, None]
        return scores


def with_wild(model: MarkovModel) -> MarkovModel:
    """The model with two phones more: `WILD` for whatever is heard in place of a word, `STAR_LABEL` for what
    is heard between words.
    """
    topology = model.topology
    silence = topology.alone[topology.number(topology.silence)]
    scorer = WildScorer(model.mixtures, topology.alone, silence)
    return replace(model, topology=WildTopology(topology), mixtures=scorer)


def wildcard_of(spoken: Sequence[SpokenWord], sung: bool = False) -> Wildcard:
    """The wildcard between words, at both ends too, but not between those that one token is spoken with; it
    is dearer between words that are ``sung``.
    """
    between = (a.token != b.token for a, b in pairwise(spoken))
    return Wildcard(STAR_LABEL, SUNG_STAR_WEIGHT if sung else STAR_WEIGHT, (True, *between, True))


def opened(spoken: Sequence[SpokenWord], noises: Sequence[str]) -> list[SpokenWord]:
    """Words as they are said: `WILD` is one more way to make a noise, and the way of what nobody
    understood; but not of what the user's dictionary has with phones other than ``noises``.
    """
    return [replace(s, pronunciations=_ways(s)) if _is_noise(s, noises) else s for s in spoken]


def _is_noise(spoken: SpokenWord, noises: Sequence[str]) -> bool:
    heard = {phone for p in spoken.pronunciations for phone in p.phones}
    return BRACKETED.fullmatch(spoken.word) is not None and heard <= {*noises, WILD}


def _ways(noise: SpokenWord) -> tuple[Pronunciation, ...]:
    known = () if is_unclear(noise.word[1:-1]) else noise.pronunciations
    return (*known, Pronunciation((WILD,)))


def has_wild(graph: Graph) -> bool:
    """Whether a graph has one of the two phones."""
    return any(phone in PDFS for phone in graph.phone)


def is_wild(spoken: Sequence[SpokenWord]) -> bool:
    """Whether some word may be whatever is heard."""
    return any(p.phones == (WILD,) for s in spoken for p in s.pronunciations)
