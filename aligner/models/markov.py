"""A hidden Markov model of phones: a front end, a topology, and a scorer of its states."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from aligner.features import CepstralFrontend, Moments, affine
from aligner.graph import Topology
from aligner.models.base import Scorer
from aligner.models.boundary import BoundaryModel
from aligner.models.gmm import GaussianMixtures
from aligner.models.head import Head, Weights
from aligner.types import Clock

G2PS = ("english", "espeak", "letters", "none")  # ways from letters to phones


class Frontend(Protocol):
    """Turns waveforms into frames."""

    @property
    def clock(self) -> Clock:
        """Clock of the frames."""
        ...

    def __call__(self, wave: Tensor, /) -> Tensor:
        """Compute the frames (T, D) of a waveform (N,)."""
        ...


@dataclass(frozen=True, eq=False)
class SpeakerTransform:
    """A speaker's normalisation: moments of the cepstra, and a transform of the frames."""

    cepstra: Moments | None = None
    """Moments of the speaker's cepstra, before normalisation."""
    transform: Tensor | None = None
    """(D, D + 1) fMLLR transform that brings the speaker's frames to the model."""

    def __call__(self, frames: Tensor) -> Tensor:
        """Apply the transform, if there is one, to frames (T, D)."""
        return frames if self.transform is None else affine(frames, self.transform.to(frames))

    @cached_property
    def log_determinant(self) -> float:
        """Term of a frame's log-likelihood for the transform, lest shrinking frames look like a good fit."""
        return 0.0 if self.transform is None else log_determinant(self.transform)


def log_determinant(transform: Tensor) -> float:
    """Logarithm of the absolute determinant of an affine transform (D, D + 1)."""
    return float(torch.linalg.slogdet(transform[:, : len(transform)].double())[1])


@dataclass(frozen=True, eq=False)
class HeadedScorer:
    """Scores a model's frames with a head's scores beside them (see `aligner.models.base.Scorer`)."""

    inner: Scorer
    """The scorer of the model's own frames."""
    columns: np.ndarray
    """(pdfs,) the head's column for each of the model's pdfs."""
    weights: Weights
    """How much of each counts."""
    phones: int
    """P, the number of the head's columns, which stand behind the model's own frames."""

    def score(self, frames: Tensor, pdfs: np.ndarray) -> Tensor:
        """Log-likelihoods (T, Q) of frames (T, D + P) under only the given ``pdfs`` (Q,)."""
        own = self.inner.score(frames[:, : -self.phones], pdfs)
        columns = torch.from_numpy(self.columns[np.asarray(pdfs)]).to(frames.device)
        heard = frames[:, -self.phones :].index_select(1, columns)
        combined: Tensor = self.weights.own * own + self.weights.head * heard
        return combined


@dataclass(frozen=True, kw_only=True, eq=False)
class MarkovModel:
    """A hidden Markov model of phones (see `aligner.models.base.HmmModel`)."""

    name: str
    """Name that the model goes by."""
    frontend: Frontend
    """Front end that turns waveforms into frames."""
    topology: Topology
    """Phones and their states in context."""
    mixtures: Scorer
    """Scorer of frames as the front end gives them."""
    adapted: Scorer | None = None
    """Scorer of frames that went through their speaker's transform, where the model was trained on such
    frames."""
    transform: Tensor | None = None
    """(D, D + 1) transform of all frames, where an adaptation brought other recordings to the model."""
    offsets: Mapping[tuple[str, str], float] = field(default_factory=dict)
    """Seconds by which boundaries between two classes of phones are late (see `aligner.refine.offsets`)."""
    dictionary: Path | None = None
    """The model's own dictionary, if it has one."""
    language: str | None = None
    """Language of its transcripts; None is English."""
    g2p: str = "english"
    """How words that no dictionary holds are pronounced: 'english' (ARPAbet), 'espeak', 'letters' or 'none'.
    """
    spread: float = 1.0
    """Factor by which its margins of confidence are wider than those of the English model."""
    head: Head | None = None
    """What hears phones through a pretrained network, and is asked beside the mixtures, if there is one; see
    `listening`, too."""
    taught: BoundaryModel | None = None
    """Boundary model learnt from corrections, if there is one."""
    about: Mapping[str, Any] = field(default_factory=dict)
    """Record of the training: schedule, corpus and figures."""

    @property
    def clock(self) -> Clock:
        """Clock of the front end's frames."""
        return self.frontend.clock

    @property
    def for_adapted(self) -> MarkovModel:
        """The model with the mixtures for frames that went through their speaker's transform."""
        return self if self.adapted is None else replace(self, mixtures=self.adapted)

    @property
    def listening(self) -> Head | None:
        """The head that is asked: as corrections tuned it, where they did."""
        return self.head if self.taught is None or self.taught.head is None else self.taught.head

    def with_head(self, head: Head | None) -> MarkovModel:
        """The model with another head, or without any, whatever corrections have taught."""
        taught = None if self.taught is None else replace(self.taught, head=None)
        return replace(self, head=head, taught=taught)

    @property
    def headed(self) -> MarkovModel:
        """The model with scores of its head added to its own, for frames as `headed_frames` has them."""
        head = self.listening
        if head is None:
            return self
        columns = head.columns_of(self.topology)
        plain, adapted = (
            m if m is None else HeadedScorer(m, columns, head.weights, len(head.phones))
            for m in (self.mixtures, self.adapted)
        )
        assert plain is not None
        return replace(self.with_head(None), mixtures=plain, adapted=adapted)

    def headed_frames(self, wave: Tensor, frames: Tensor) -> Tensor:
        """Frames (T, D) of a waveform (N,) with what the head makes of it beside them, (T, D + P); there,
        where the frames are.
        """
        if self.listening is None:
            return frames
        return torch.cat([frames, self.listening.at(wave, self.clock, len(frames)).to(frames)], 1)

    def to(self, device: torch.device | str) -> MarkovModel:
        """Copy the model with its mixtures and its head to another device."""
        plain, adapted = (
            m.to(device) if isinstance(m, GaussianMixtures) else m for m in (self.mixtures, self.adapted)
        )
        assert plain is not None
        head = None if self.listening is None else self.listening.on(device)
        return replace(self.with_head(head), mixtures=plain, adapted=adapted)

    def frames_of_wave(self, wave: Tensor, voice: SpeakerTransform | None = None) -> Tensor:
        """Compute the frames (T, D) of a speaker's waveform (N,)."""
        return self.frames(self.base_features(wave, voice), voice)

    def base_features(self, wave: Tensor, voice: SpeakerTransform | None = None) -> Tensor:
        """Speaker-normalised cepstra (T, C) of a waveform (N,), or whole frames where there are no
        cepstra.
        """
        if isinstance(self.frontend, CepstralFrontend):
            return self.frontend.normalise(self.frontend.cepstra(wave), voice.cepstra if voice else None)
        return self.frontend(wave)

    def frames(
        self, base: Tensor, voice: SpeakerTransform | None = None, lengths: Tensor | None = None
    ) -> Tensor:
        """Expand `base_features` to frames (T, D); ``lengths`` (B,) are those of concatenated recordings."""
        frames = self.frontend.expand(base, lengths) if isinstance(self.frontend, CepstralFrontend) else base
        if self.transform is not None:
            frames = affine(frames, self.transform.to(frames))
        return frames if voice is None else voice(frames)

    def score(self, frames: Tensor, pdfs: np.ndarray) -> Tensor:
        """Log-likelihoods (T, P) of ``frames`` (T, D) under ``pdfs``."""
        return self.mixtures.score(frames, pdfs)
