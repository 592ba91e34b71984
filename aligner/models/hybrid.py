"""States scored by a network: posteriors over priors in place of Gaussian mixtures.

A hidden Markov model asks how likely a frame is, given its state; by Bayes's rule that is, but for what is
the same for all states, the network's posterior of the state divided by its prior (Bourlard & Morgan 1994,
*Connectionist speech recognition: a hybrid approach*).  It is what `aligner.hmm.NeuralHMM` is, for alignment.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from aligner.models.neural import CLOCK, TcnNetwork
from aligner.types import Clock


@dataclass(frozen=True, eq=False)
class HybridFrontend:
    """A network as a front end: its frames are log posteriors less log priors (T, P) of a model's P pdfs."""

    network: TcnNetwork
    """Network with a column for each pdf."""
    delay: float = 0.0
    """Delay, in seconds, of the frames that the network learnt from (see `aligner.types.Clock`)."""
    weight: float = 1.0
    """Weight of the log priors."""

    @cached_property
    def clock(self) -> Clock:
        """Clock of the frames, with the delay of the alignments it learnt from."""
        return replace(CLOCK, delay=self.delay)

    @property
    def size(self) -> int:
        """Number P of pdfs, which is the size of a frame."""
        return len(self.network.labels)

    def __call__(self, wave: Tensor) -> Tensor:
        """Scaled log-likelihoods (T, P) of a wave (N,)."""
        posteriors = self.network(wave)
        scores: Tensor = posteriors - self.weight * self.network.log_priors.to(posteriors)
        return scores


@dataclass(frozen=True)
class PrecomputedScores:
    """A scorer that takes a frame's own numbers for the scores (see `aligner.models.base.Scorer`)."""

    def score(self, frames: Tensor, pdfs: np.ndarray) -> Tensor:
        """Select the columns of ``pdfs``: (T, P) -> (T, Q)."""
        return frames[:, torch.from_numpy(np.asarray(pdfs, np.int64))]
