"""A hidden Markov model that has a phone for whatever is heard: for noises, and what nobody understood.

Such a phone is scored as the best of all phones without context, less a loss, so that words that fit go
before it, and what no word fits costs nothing beyond its own stretch (as the garbage models of keyword
spotting do: Rose and Paul 1990, *A hidden Markov model based keyword recognition system*).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from aligner.graph import Topology
from aligner.graph.pronunciations import Position, Unit
from aligner.models.base import Scorer
from aligner.models.markov import MarkovModel
from aligner.text.lexicon import SpokenWord
from aligner.text.noises import is_unclear
from aligner.text.normalise import BRACKETED
from aligner.types import Pronunciation

WILD = "<wild>"  # the label of the phone in a graph
WILD_PDF = 2**30  # no model has as many
# nats that a frame loses against the best of all phones: frames of right sentences lose 1.4 on the average,
# of wrong ones 5.0
WILD_LOSS = 3.5


@dataclass(frozen=True)
class WildTopology:
    """The phones of a model and one more, which has the transitions of silence."""

    inner: Topology
    """The phones of the model."""

    def knows(self, label: str) -> bool:
        """Whether a dictionary may use this phone."""
        return self.inner.knows(label)

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
        return (*self.inner.noises, WILD)

    @cached_property
    def alone(self) -> np.ndarray:
        """Pdfs (phones + 1, states) of every phone without context."""
        alone = self.inner.alone
        return np.concatenate([alone, np.full_like(alone[:1], WILD_PDF)])

    @property
    def transitions(self) -> np.ndarray:
        """Log probabilities (matrices, states, states + 1)."""
        return self.inner.transitions

    def number(self, label: str) -> int:
        """Row of `alone` that a phone has."""
        return len(self.inner.alone) if label == WILD else self.inner.number(label)

    def unit(self, phone: str, left: str, right: str, position: Position) -> Unit:
        """States and transitions of a phone between two others; beside the one more as beside silence."""
        silence = self.inner.silence
        if phone == WILD:
            own = self.inner.unit(silence, silence, silence, Position.SINGLE)
            return Unit((WILD_PDF,) * len(own.pdfs), own.transitions)
        left, right = (silence if beside == WILD else beside for beside in (left, right))
        return self.inner.unit(phone, left, right, position)


@dataclass(frozen=True)
class WildScorer:
    """Scores frames as another scorer does, and under `WILD_PDF`."""

    inner: Scorer
    """The other scorer."""
    alone: np.ndarray
    """Pdfs (phones, states) of every phone without context."""

    def score(self, frames: Tensor, pdfs: np.ndarray) -> Tensor:
        """Log-likelihoods (T, P) of frames (T, D) under ascending ``pdfs``."""
        wild = np.asarray(pdfs) == WILD_PDF
        if not wild.any():
            return self.inner.score(frames, pdfs)
        scores = frames.new_empty(len(frames), len(wild), dtype=torch.float32)
        best = self.inner.score(frames, np.unique(self.alone)).amax(1, keepdim=True)
        scores[:, torch.from_numpy(~wild)] = self.inner.score(frames, np.asarray(pdfs)[~wild]).float()
        scores[:, torch.from_numpy(wild)] = best.float() - WILD_LOSS
        return scores


def with_wild(model: MarkovModel) -> MarkovModel:
    """The model with one phone more, `WILD`, for whatever is heard."""
    scorer = WildScorer(model.mixtures, model.topology.alone)
    return replace(model, topology=WildTopology(model.topology), mixtures=scorer)


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


def is_wild(spoken: Sequence[SpokenWord]) -> bool:
    """Whether some word may be whatever is heard."""
    return any(p.phones == (WILD,) for s in spoken for p in s.pronunciations)
