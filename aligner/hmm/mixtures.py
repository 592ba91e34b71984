"""Gaussian mixtures as parameters: the emissions of most models."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from aligner.models.gmm import Diagonal, Full

LEAST_OCCUPANCY = 1e-8  # frames below which a Gaussian keeps its parameters
KMEANS_FRAMES = 20_000  # most frames that k-means learns from


class ScoringMixtures(NamedTuple):
    """Mixtures laid out for scoring."""

    gaussians: Diagonal | Full
    """Gaussians laid out for a product with frames."""
    weights: Tensor
    """(N, M): log weights."""

    def components(self, frames: Tensor) -> Tensor:
        """Weighted log densities (n, N, M) of ``frames`` (n, D)."""
        return self.gaussians(frames) + self.weights

    def score(self, frames: Tensor) -> Tensor:
        """Log-likelihoods (n, N) of ``frames`` (n, D)."""
        return torch.logsumexp(self.components(frames), 2)


class Mixtures(nn.Module):
    """N mixtures of M Gaussians over D dimensions, as parameters.

    Parameters
    ----------
    count, components, dims : int
    covariance : {'diag', 'full'}
    floor : float
        The least variance, or eigenvalue of a covariance, that `update` sets.
    """

    def __init__(
        self, count: int, components: int, dims: int, covariance: str = "diag", floor: float = 1e-3
    ) -> None:
        super().__init__()
        if covariance not in ("diag", "full"):
            raise ValueError(f"covariance {covariance!r}; 'diag' or 'full' is needed")
        if components < 1 or floor <= 0:
            raise ValueError(
                f"{components} components and a variance of at least {floor}; both must be above 0"
            )
        self.full, self.floor = covariance == "full", floor
        self.means = nn.Parameter(torch.randn(count, components, dims))
        self.weight_logits = nn.Parameter(torch.zeros(count, components))
        if self.full:
            self.factors = nn.Parameter(torch.zeros(count, components, dims, dims))
        else:
            self.log_variances = nn.Parameter(torch.zeros(count, components, dims))

    @property
    def gaussians(self) -> Diagonal | Full:
        """The Gaussians, ready for a product with frames; differentiable."""
        if self.full:
            return Full.of_cholesky(self.means, self.cholesky)
        return Diagonal.of(self.means, self.log_variances.exp())

    @property
    def cholesky(self) -> Tensor:
        """Lower Cholesky factors (N, M, D, D) of the covariances; their diagonals are kept as logarithms."""
        diagonal = self.factors.diagonal(dim1=2, dim2=3)
        return self.factors.tril(-1) + torch.diag_embed(diagonal.exp())

    @property
    def covariances(self) -> Tensor:
        """Covariances: (N, M, D) variances, or (N, M, D, D) matrices."""
        return self.cholesky @ self.cholesky.mT if self.full else self.log_variances.exp()

    def ready(self) -> ScoringMixtures:
        """Lay the parameters out for scoring; differentiable."""
        with torch.autocast(self.means.device.type, enabled=False):
            return ScoringMixtures(self.gaussians, self.weight_logits.log_softmax(1))

    def forward(self, frames: Tensor) -> Tensor:
        """Log-likelihoods (n, N) of ``frames`` (n, D)."""
        return self.ready().score(frames)

    def draw(self, mixture: Tensor, generator: torch.Generator | None) -> Tensor:
        """Draw a frame (n, D) from each of the mixtures (n,)."""
        which = torch.multinomial(self.weight_logits.softmax(1)[mixture], 1, generator=generator).squeeze(1)
        noise = torch.randn(
            len(mixture),
            self.means.shape[2],
            generator=generator,
            device=self.means.device,
            dtype=self.means.dtype,
        )
        if self.full:
            return self.means[mixture, which] + (self.cholesky[mixture, which] @ noise[..., None]).squeeze(-1)
        return self.means[mixture, which] + noise * (0.5 * self.log_variances[mixture, which]).exp()

    @torch.no_grad()
    def update(self, occupancy: Tensor, first: Tensor, second: Tensor) -> None:
        """Set means, covariances and weights from expected counts.

        A Gaussian that accounts for nothing stays as it is, and so do parameters that are frozen
        (``requires_grad_(False)``).
        """
        seen = occupancy > LEAST_OCCUPANCY
        count = occupancy.clamp(min=LEAST_OCCUPANCY)[..., None]
        means = first / count
        keep = seen[..., None]
        if self.full:
            covariances = second / count[..., None] - means[..., :, None] * means[..., None, :]
            values, vectors = torch.linalg.eigh(covariances)
            floored = (vectors * values.clamp(min=self.floor)[..., None, :]) @ vectors.mT
            factors = torch.linalg.cholesky(floored)
            raw = factors.tril(-1) + torch.diag_embed(factors.diagonal(dim1=2, dim2=3).log())
            _set(self.factors, torch.where(keep[..., None], raw, self.factors.double()))
        else:
            variances = (second / count - means.square()).clamp(min=self.floor)
            _set(self.log_variances, torch.where(keep, variances.log(), self.log_variances.double()))
        _set(self.means, torch.where(keep, means, self.means.double()))
        total = occupancy.sum(1, keepdim=True)
        shares = (occupancy / total.clamp(min=LEAST_OCCUPANCY)).clamp(min=1e-30).log()
        _set(self.weight_logits, torch.where(total > LEAST_OCCUPANCY, shares, self.weight_logits.double()))


def _set(parameter: nn.Parameter, value: Tensor) -> None:
    """Set a parameter unless it is frozen."""
    if parameter.requires_grad:
        parameter.copy_(value)


def clusters(frames: Tensor, count: int, seed: int = 0) -> Tensor:
    """Assign each of ``frames`` (n, D) to a k-means cluster (n,)."""
    from sklearn.cluster import KMeans  # slow to import

    if count == 1 or len(frames) <= count:
        return torch.arange(len(frames), device=frames.device) % count
    order = torch.randperm(len(frames), generator=torch.Generator().manual_seed(seed))[:KMEANS_FRAMES]
    some = frames[order.to(frames.device)].cpu().numpy()
    means = KMeans(count, n_init=1, random_state=seed).fit(some)
    return torch.from_numpy(means.predict(frames.cpu().numpy())).long().to(frames.device)
