"""Models of random parameters."""

from __future__ import annotations

import numpy as np
import torch

from aligner.models.boundary import BoundaryModel, BoundaryNetwork
from aligner.models.gmm import GaussianMixtures


def random_mixtures(books: int, densities: int, pdfs: int, dims=(3, 2), seed: int = 0) -> GaussianMixtures:
    rng = np.random.default_rng(seed)
    means = [rng.normal(size=(books, densities, d)) for d in dims]
    variances = [rng.uniform(0.3, 2, size=(books, densities, d)) for d in dims]
    weights = [rng.dirichlet(np.ones(densities), size=pdfs) for _ in dims]
    return GaussianMixtures.of(means, variances, weights, np.arange(pdfs) * books // pdfs)


def random_model(
    seed: int,
    phones=("", "AA", "S"),
    share: float = 1.0,
    width: float = 1.0,
    size: float = 1.0,
    networks: int = 2,
) -> BoundaryModel:
    """A model whose weights are ``size`` times random ones."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = tuple(BoundaryNetwork(len(phones) + 1).eval() for _ in range(networks))
        for network in made:
            for parameter in network.parameters():
                parameter.data = size * torch.randn_like(parameter)
    return BoundaryModel(
        backend="hmm", phones=tuple(phones), networks=made, share=share, width=width, about={"boundaries": 9}
    )
