"""The first model of a corpus: from nothing but its transcripts (a flat start), or from where a guide found
the phones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from aligner.features import CepstralFrontend, Moments
from aligner.graph import Position
from aligner.models.markov import MarkovModel
from aligner.models.tree import SILENCE, TreeTopology
from aligner.train.em import Example, SpeakerTransforms, Unaligned, cepstral_frontend, frames_of
from aligner.train.estimate import VarianceFloor, pools_of_pdfs, single_gaussians, with_pooled_frames
from aligner.train.statistics import StreamSums
from aligner.types import DataError


def flat_start(
    frontend: CepstralFrontend, labels: Sequence[str], examples: Sequence[Example], voices: SpeakerTransforms
) -> tuple[MarkovModel, VarianceFloor, tuple[Unaligned, ...]]:
    """Estimate one Gaussian a state from utterances cut into states of equal length.

    Where a guide found the phones of utterances, only these are counted, each phone cut into its states.
    Elsewhere silence stands at both ends, and of each word the first pronunciation. The iterations that
    follow will correct either.

    Returns
    -------
    model : MarkovModel
    floors : VarianceFloor
        Floors from the variance of all frames.
    unaligned : tuple of Unaligned
        Utterances that are too short for their transcript.
    """
    topology = TreeTopology.of_phones(labels)
    untrained = MarkovModel(name="flat", frontend=frontend, topology=topology, mixtures=_NoScorer())
    sums, moments, unaligned = _sums(untrained, topology, examples, voices)
    floors = VarianceFloor.of(moments.deviation.square())
    helped = with_pooled_frames(sums, pools_of_pdfs(topology))
    lost = helped.counts[:, 0] < 1  # no phone of the kind is said at all: any sound will do
    helped.counts[lost] = moments.count
    helped.first[lost], helped.second[lost] = moments.first, moments.second
    counts, first, second = (side[:, 0].numpy() for side in helped)
    mixtures = single_gaussians(counts, first, second, floors, examples[0].cepstra.device)
    return replace(untrained, name="monophone", mixtures=mixtures), floors, tuple(unaligned)


def _sums(
    model: MarkovModel, topology: TreeTopology, examples: Sequence[Example], voices: SpeakerTransforms
) -> tuple[StreamSums, Moments, list[Unaligned]]:
    """Sum the frames of each pdf and of all together, and list the utterances that are too short."""
    pdfs, size = topology.forest.pdfs, cepstral_frontend(model).size
    counts = torch.zeros(pdfs, 1, dtype=torch.float64)
    first, second = (torch.zeros(pdfs, 1, size, dtype=torch.float64) for _ in range(2))
    total: Moments | None = None
    unaligned = []
    for example in [e for e in examples if e.guide] or examples:
        frames = frames_of(model, example, voices).cpu()
        states = _pdfs_of_frames(example, topology, len(frames))
        if states is None:
            unaligned.append(Unaligned(example.id))
            continue
        own, x = torch.from_numpy(states), frames.double()
        counts[:, 0].index_add_(0, own, torch.ones(len(own), dtype=torch.float64))
        first[:, 0].index_add_(0, own, x)
        second[:, 0].index_add_(0, own, x.square())
        moments = Moments.of(frames)
        total = moments if total is None else total + moments
    if total is None:
        raise DataError(
            "corpus",
            "no utterance is long enough for its transcript",
            "are these the transcripts of other recordings?",
        )
    return StreamSums(counts, first, second), total, unaligned


class _NoScorer:
    """A scorer for the time before there are any mixtures."""

    def score(self, frames: torch.Tensor, pdfs: np.ndarray) -> torch.Tensor:
        raise NotImplementedError


def _pdfs_of_frames(example: Example, topology: TreeTopology, frames: int) -> np.ndarray | None:
    """The pdf (T,) of each frame; None where there are more states than frames.

    A guide's phone that has fewer frames than states goes through some of them.
    """
    if example.guide:
        parts = [_evenly(_pdfs([phone], topology), count) for phone, count in example.guide]
        return np.concatenate(parts)
    phones = [SILENCE, *(p for word in example.words for p in word[0].phones), SILENCE]
    pdfs = _pdfs(phones, topology)
    return None if frames < len(pdfs) else _evenly(pdfs, frames)


def _pdfs(phones: Sequence[str], topology: TreeTopology) -> np.ndarray:
    """Pdfs of phones in a row, one a state."""
    return np.array([pdf for p in phones for pdf in topology.unit(p, SILENCE, SILENCE, Position.SINGLE).pdfs])


def _evenly(pdfs: np.ndarray, frames: int) -> np.ndarray:
    """Pdfs (T,) of frames that are shared out evenly over ``pdfs`` (S,)."""
    shared: np.ndarray = pdfs[np.arange(frames) * len(pdfs) // frames]
    return shared
