"""The flat start: the first model of a corpus, from nothing but its transcripts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from aligner.features import CepstralFrontend, Moments
from aligner.graph import Position
from aligner.models.markov import MarkovModel
from aligner.models.tree import SILENCE, TreeTopology
from aligner.train.em import Example, SpeakerTransforms, Unaligned, frames_of
from aligner.train.estimate import VarianceFloor, pools_of_pdfs, single_gaussians, with_pooled_frames
from aligner.train.statistics import StreamSums
from aligner.types import DataError


def flat_start(
    frontend: CepstralFrontend, labels: Sequence[str], examples: Sequence[Example], voices: SpeakerTransforms
) -> tuple[MarkovModel, VarianceFloor, tuple[Unaligned, ...]]:
    """Estimate one Gaussian a state from utterances cut into states of equal length.

    Silence stands at both ends, and of each word the first pronunciation; what is not so, the iterations that
    follow will find out.

    Parameters
    ----------
    frontend : CepstralFrontend
    labels : sequence of str
        The phones of the dictionary.
    examples : sequence of Example
    voices : mapping of str to SpeakerTransform

    Returns
    -------
    model : MarkovModel
    floors : VarianceFloor
        From the variance of all frames.
    left : tuple of Unaligned
        What is too short for its transcript.
    """
    topology = TreeTopology.of_phones(labels)
    pdfs = topology.forest.pdfs
    counts = torch.zeros(pdfs, 1, dtype=torch.float64)
    first, second = (torch.zeros(pdfs, 1, frontend.size, dtype=torch.float64) for _ in range(2))
    everything: Moments | None = None
    left = []
    blank = MarkovModel(name="flat", frontend=frontend, topology=topology, mixtures=_NoScorer())
    for example in examples:
        frames = frames_of(blank, example, voices).cpu()
        said = _states(example, topology)
        if len(frames) < len(said):
            left.append(Unaligned(example.id))
            continue
        own = torch.from_numpy(said[np.arange(len(frames)) * len(said) // len(frames)])
        x = frames.double()
        counts[:, 0].index_add_(0, own, torch.ones(len(own), dtype=torch.float64))
        first[:, 0].index_add_(0, own, x)
        second[:, 0].index_add_(0, own, x.square())
        moments = Moments.of(frames)
        everything = moments if everything is None else everything + moments
    if everything is None:
        raise DataError(
            "corpus",
            "no utterance is long enough for its transcript",
            "are these the transcripts of other recordings?",
        )
    floors = VarianceFloor.of(everything.deviation.square())
    helped = with_pooled_frames(StreamSums(counts, first, second), pools_of_pdfs(topology))
    lost = helped.counts[:, 0] < 1  # no phone of the kind is said at all: any sound will do
    helped.counts[lost] = everything.count
    helped.first[lost], helped.second[lost] = everything.first, everything.second
    device = examples[0].cepstra.device
    mixtures = single_gaussians(
        helped.counts[:, 0].numpy(), helped.first[:, 0].numpy(), helped.second[:, 0].numpy(), floors, device
    )
    return (
        MarkovModel(name="monophone", frontend=frontend, topology=topology, mixtures=mixtures),
        floors,
        tuple(left),
    )


class _NoScorer:
    """A scorer for the time before there are any mixtures."""

    def score(self, frames: torch.Tensor, pdfs: np.ndarray) -> torch.Tensor:
        raise NotImplementedError


def _states(example: Example, topology: TreeTopology) -> np.ndarray:
    """Pdfs of an utterance in a row: silence, the first pronunciation of every word, silence."""
    phones = [SILENCE, *(p for word in example.words for p in word[0].phones), SILENCE]
    return np.array([pdf for p in phones for pdf in topology.unit(p, SILENCE, SILENCE, Position.SINGLE).pdfs])
