"""From the last state of a training to a model that aligns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from aligner.models.gmm import GaussianMixtures
from aligner.models.markov import MarkovModel
from aligner.train.em import cepstral_frontend, gaussians_of, trees_of
from aligner.train.estimate import padded_gaussians, phone_states_of_pdfs
from aligner.train.stages import TrainingSet, TrainingState, single_pass_retrained
from aligner.train.tree import FeatureSpace

MONOPHONE_GAUSSIANS = 8  # most Gaussians of a phone's state without context
KMEANS_ITERATIONS = 8  # iterations of k-means


def finished_model(speech: TrainingSet, state: TrainingState) -> MarkovModel:
    """Make the model of a training's last state, complete with what only aligning needs.

    After speaker-adaptive training these are mixtures for speakers of whom nothing is known yet, learnt from
    the same paths in frames that are not transformed; and for models of phones in context, the phones
    without, by which the quality of an alignment is judged.
    """
    model = state.model
    if any(voice.transform is not None for voice in state.voices.values()):
        plain = single_pass_retrained(speech, state, FeatureSpace(cepstral_frontend(model), {}))
        model = replace(model, mixtures=plain, adapted=model.mixtures)
    trees = trees_of(model)
    if int(trees.alone.max()) < trees.forest.pdfs:
        return model
    assert state.occupancy is not None
    occupancy = state.occupancy.cpu().numpy()
    adapted = model.adapted
    assert adapted is None or isinstance(adapted, GaussianMixtures)
    return replace(
        model,
        mixtures=with_monophones(model, gaussians_of(model), occupancy),
        adapted=None if adapted is None else with_monophones(model, adapted, occupancy),
    )


def with_monophones(
    model: MarkovModel, mixtures: GaussianMixtures, occupancy: np.ndarray
) -> GaussianMixtures:
    """Append mixtures of phones without context, in the order of `TreeTopology.alone`.

    Each is made of the Gaussians of all leaves of its phone's state, those that are alike joined to one.

    Parameters
    ----------
    model : MarkovModel
    mixtures : GaussianMixtures
        Mixtures of the leaves.
    occupancy : ndarray
        (P,) frames of each leaf.
    """
    [stream] = mixtures.streams
    own = phone_states_of_pdfs(trees_of(model).forest)
    sizes = trees_of(model).forest.sizes
    states = [(phone, state) for phone, size in enumerate(sizes.tolist()) for state in range(size)]
    width = max(MONOPHONE_GAUSSIANS, stream.means.shape[1])
    made = [
        merged_mixture(
            stream.means, stream.covariances, stream.weights, np.flatnonzero((own == pair).all(1)), occupancy
        )
        for pair in states
    ]
    means, variances, weights = (
        torch.cat(
            [
                padded_gaussians(old, width),
                torch.stack([padded_gaussians(m[k][None], width)[0] for m in made]).to(old),
            ]
        )
        for k, old in enumerate((stream.means, stream.covariances, stream.weights))
    )
    return GaussianMixtures.of_tensors([means], [variances], [weights], np.arange(len(means)))


def merged_mixture(
    means: Tensor,
    variances: Tensor,
    weights: Tensor,
    leaves: Sequence[int] | np.ndarray,
    occupancy: np.ndarray,
) -> tuple[Tensor, Tensor, Tensor]:
    """Merge the mixtures of several leaves into one with the same mean and variance.

    Returns
    -------
    tuple of Tensor
        Means (M, D), variances (M, D) and weights (M,) of up to `MONOPHONE_GAUSSIANS` Gaussians.
    """
    chosen = torch.as_tensor(np.asarray(leaves))
    heavy = weights[chosen].double() * torch.from_numpy(np.maximum(occupancy[leaves], 1.0))[:, None].to(
        weights.device
    )
    there = (weights[chosen] > 0).flatten()
    n = heavy.flatten()[there].cpu()
    mu, var = (v[chosen].double().flatten(0, 1)[there].cpu() for v in (means, variances))
    group = _clusters(mu, n, (n[:, None] * var).sum(0) / n.sum())
    count = int(group.max()) + 1
    total = n.new_zeros(count).index_add_(0, group, n)
    mean = mu.new_zeros(count, mu.shape[1]).index_add_(0, group, n[:, None] * mu) / total[:, None]
    second = (
        mu.new_zeros(count, mu.shape[1]).index_add_(0, group, n[:, None] * (var + mu.square()))
        / total[:, None]
    )
    return mean.float(), (second - mean.square()).float(), (total / total.sum()).float()


def _clusters(means: Tensor, weights: Tensor, scale: Tensor) -> Tensor:
    """The k-means cluster (n,) of each of ``means`` (n, D), by distance in units of ``scale`` (D,)."""
    if len(means) <= MONOPHONE_GAUSSIANS:
        return torch.arange(len(means))
    x = means / scale.sqrt()
    centres = x[weights.argmax()][None]
    while len(centres) < MONOPHONE_GAUSSIANS:  # the farthest from all there are
        centres = torch.cat([centres, x[torch.cdist(x, centres).amin(1).argmax()][None]])
    group = torch.cdist(x, centres).argmin(1)
    for _ in range(KMEANS_ITERATIONS):
        total = weights.new_zeros(MONOPHONE_GAUSSIANS).index_add_(0, group, weights)
        new = x.new_zeros(MONOPHONE_GAUSSIANS, x.shape[1]).index_add_(0, group, weights[:, None] * x)
        centres = torch.where(total[:, None] > 0, new / total.clamp(min=1e-10)[:, None], centres)
        group = torch.cdist(x, centres).argmin(1)
    numbered: Tensor = torch.unique(group, return_inverse=True)[1]
    return numbered
