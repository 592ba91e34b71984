"""MAP adaptation: a model is moved towards other speech, its old parameters counting as some frames.

Gauvain & Lee 1994, "Maximum a posteriori estimation for multivariate Gaussian mixture observations of Markov
chains". Speakers' transforms are in `aligner.train.transforms`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from aligner.models.gmm import GaussianMixtures
from aligner.models.markov import MarkovModel
from aligner.train.em import Example, Map, SpeakerTransforms, e_step, gaussians_of
from aligner.train.statistics import Statistics, StreamSums

SMALLEST_VARIANCE = 1e-4


@dataclass(frozen=True)
class PriorCounts:
    """The frames that the parameters learnt before count for, as the prior of MAP."""

    means: float = 20.0
    """Frames that the prior mean of each Gaussian counts for."""
    weights: float = 20.0
    """Frames that the prior weights of each mixture count for."""
    variances: float = float("inf")
    """Frames that the prior variance of each Gaussian counts for; infinity leaves variances as they are."""

    def __post_init__(self) -> None:
        if not min(self.means, self.weights, self.variances) >= 0:
            raise ValueError(f"{self}: nothing may be below 0")


def map_update(
    mixtures: GaussianMixtures, sums: Sequence[StreamSums], belief: PriorCounts
) -> GaussianMixtures:
    """Interpolate mixtures with the statistics of new frames; a Gaussian without frames stays as it is.

    Works for codebooks that several pdfs draw on, too: these move as a whole.
    """
    codebook = torch.from_numpy(mixtures.codebook)
    means, variances, weights = [], [], []
    for stream, s in zip(mixtures.streams, sums, strict=True):
        occupancy = s.counts.new_zeros(stream.means.shape[:2]).index_add_(
            0, codebook.to(s.counts.device), s.counts
        )
        n = occupancy[..., None]
        mean = (belief.means * stream.means + s.first) / (belief.means + n).clamp(min=1e-10)
        mean = torch.where(n > 0, mean, stream.means.double())
        means.append(mean.float())
        variances.append(_variances(stream.covariances, mean, n, s, belief.variances))
        weights.append(_weights(stream.weights, s.counts, belief.weights))
    return GaussianMixtures.of_tensors(means, variances, weights, mixtures.codebook)


def _variances(old: Tensor, mean: Tensor, n: Tensor, s: StreamSums, belief: float) -> Tensor:
    if belief == float("inf"):
        return old
    around = s.second - 2 * mean * s.first + n * mean.square()  # of the frames, about the new mean
    new = (belief * old + around) / (belief + n).clamp(min=1e-10)
    return torch.where(n > 0, new, old.double()).clamp(min=SMALLEST_VARIANCE).float()


def _weights(old: Tensor, counts: Tensor, belief: float) -> Tensor:
    total = counts.sum(1, keepdim=True)
    new = (belief * old + counts) / (belief + total).clamp(min=1e-10)
    return torch.where(total > 0, new, old.double()).float()


def map_rounds(
    model: MarkovModel,
    shards: Sequence[Sequence[Example]],
    voices: SpeakerTransforms,
    belief: PriorCounts,
    number: int,
    spread: Map[Any] = map,
) -> Iterator[tuple[MarkovModel, Statistics]]:
    """Yield the model after every round of MAP, with the statistics of the round.

    Every round aligns anew, and draws towards the model that it all began with.
    """
    first = gaussians_of(model)
    for _ in range(number):
        s, _ = e_step(model, shards, voices, spread=spread)
        model = replace(model, mixtures=map_update(first, s.streams, belief))
        yield model, s
