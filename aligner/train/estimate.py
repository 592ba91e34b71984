"""The M-step: from statistics to parameters, with mixtures that grow where there is speech for it.

P pdfs of up to M Gaussians over D dimensions; N phones of up to K states.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from aligner.models.gmm import GaussianMixtures
from aligner.models.markov import MarkovModel
from aligner.models.tree import LEAF, Forest, TreeTopology, left_to_right
from aligner.text.phones import kind
from aligner.train.statistics import Statistics, StreamSums

LEAST_GAUSSIAN_FRAMES = 3.0  # frames that a Gaussian must account for; one with fewer keeps mean and variance
LEAST_MIXTURE_WEIGHT = 1e-5  # least weight of a Gaussian in its mixture, unless it is absent
SPLIT_OFFSET = 0.2  # standard deviations between a Gaussian that is split and its halves
# Gaussians are allocated by the number of frames to this power: rare sounds get their share
ALLOCATION_POWER = 0.25
FRAMES_TO_SPLIT = 20.0  # least frames for each Gaussian of a pdf when they are allocated
POOLING_FRAMES = 15.0  # frames below which a pdf also learns from its kind (vowels, stops, ...)
# prior probability of a state's self-loop, and the frames that it counts for
STAY_PRIOR, STAY_COUNT = 0.75, 5.0
STAY_LEAST, STAY_MOST = 0.05, 0.98


@dataclass(frozen=True)
class VarianceFloor:
    """The least variances of Gaussians, as shares of the variance of all speech."""

    variances: Tensor
    """(D,): least variance of each dimension."""

    @classmethod
    def of(cls, variances: Tensor, share: float = 0.01) -> VarianceFloor:
        """Make a floor that is a ``share`` of ``variances`` (D,)."""
        return cls(share * variances)


def m_step(model: MarkovModel, statistics: Statistics, floors: VarianceFloor) -> MarkovModel:
    """Re-estimate a model to maximise the likelihood (Rabiner 1989, eqs. 40 and 52-54).

    Gaussians that hardly any frame belongs to stay as they are; pdfs that hardly any frame belongs to learn
    from all phones of their kind, too.

    Parameters
    ----------
    model : MarkovModel
        A model with a `TreeTopology` and `GaussianMixtures`.
    statistics : Statistics
    floors : VarianceFloor
    """
    topology, mixtures = model.topology, model.mixtures
    assert isinstance(topology, TreeTopology)
    assert isinstance(mixtures, GaussianMixtures)
    [stream] = mixtures.streams
    [own] = statistics.streams
    helped = with_pooled_frames(own, pools_of_pdfs(topology))
    means, variances, weights = _parameters(stream.means, stream.covariances, stream.weights, helped, floors)
    return replace(
        model,
        topology=replace(topology, transitions=_transitions(topology, statistics)),
        mixtures=GaussianMixtures.of_tensors([means], [variances], [weights], mixtures.codebook),
    )


def reestimated(mixtures: GaussianMixtures, s: StreamSums, floors: VarianceFloor) -> GaussianMixtures:
    """Estimate mixtures in a new feature space from sums that were weighted in the old one.

    A Gaussian that hardly any frame belongs to gets what its pdf has on the whole.
    """
    [stream] = mixtures.streams
    n, first, second = s.counts.sum(1), s.first.sum(1), s.second.sum(1)
    safe = n.clamp(min=1.0)[:, None]
    seen = n > 0
    mean = torch.where(seen[:, None], first / safe, first.sum(0) / n.sum())
    spread = torch.where(
        seen[:, None], second / safe - mean.square(), second.sum(0) / n.sum() - mean.square()
    )
    most = s.counts.shape[1]
    wide = [
        v[:, None].expand(-1, most, -1) for v in (mean, torch.maximum(spread, floors.variances.to(spread)))
    ]
    means, variances, weights = _parameters(wide[0], wide[1], stream.weights, s, floors)
    return GaussianMixtures.of_tensors([means], [variances], [weights], mixtures.codebook)


def _parameters(
    means: Tensor, variances: Tensor, weights: Tensor, s: StreamSums, floors: VarianceFloor
) -> tuple[Tensor, Tensor, Tensor]:
    counts = s.counts[..., None]
    seen = counts >= LEAST_GAUSSIAN_FRAMES
    safe = counts.clamp(min=LEAST_GAUSSIAN_FRAMES)
    new = s.first / safe
    spread = torch.maximum(s.second / safe - new.square(), floors.variances.to(new))
    there = weights > 0
    shares = (s.counts / s.counts.sum(1, keepdim=True).clamp(min=1e-10)).clamp(
        min=LEAST_MIXTURE_WEIGHT
    ) * there
    shares = torch.where(
        s.counts.sum(1, keepdim=True) > 0, shares / shares.sum(1, keepdim=True), weights.double()
    )
    return (
        torch.where(seen, new, means.double()).float(),
        torch.where(seen, spread, variances.double()).float(),
        shares.float(),
    )


def _transitions(topology: TreeTopology, s: Statistics) -> np.ndarray:
    if not s.stays.any():  # nothing was searched for
        return topology.transitions
    stay = (s.stays + STAY_PRIOR * STAY_COUNT) / (s.stays + s.leaves + STAY_COUNT)
    return left_to_right(np.clip(stay, STAY_LEAST, STAY_MOST), topology.forest.sizes)


def phone_states_of_pdfs(forest: Forest) -> np.ndarray:
    """Phone and state (P, 2) that each pdf belongs to."""
    found = np.zeros((forest.pdfs, 2), np.int64)
    for (phone, state), root in np.ndenumerate(forest.roots):
        waiting = [int(root)] if root >= 0 else []
        while waiting:
            node = waiting.pop()
            if forest.asked[node] == LEAF:
                found[forest.yes[node]] = phone, state
            else:
                waiting += [int(forest.yes[node]), int(forest.no[node])]
    return found


def pools_of_pdfs(topology: TreeTopology) -> np.ndarray:
    """Number (P,) of the pool of each pdf: the same state of phones of the same kind.

    Silence and noise are pools of their own.
    """
    names = {phone: f"{kind(phone)}" if k >= 2 else phone for k, phone in enumerate(topology.phones)}
    labels = [
        (names[topology.phones[phone]], state)
        for phone, state in phone_states_of_pdfs(topology.forest).tolist()
    ]
    numbers = {label: k for k, label in enumerate(dict.fromkeys(labels))}
    return np.array([numbers[label] for label in labels])


def with_pooled_frames(s: StreamSums, pools: np.ndarray) -> StreamSums:
    """Sums in which pdfs with fewer than `POOLING_FRAMES` frames are filled up with their pool's mean frames.

    Every pdf needs Gaussians of its own, and one that lacks frames must have a single Gaussian.
    """
    pool = torch.from_numpy(pools).to(s.counts.device)
    have = s.counts.sum(1)
    lack = (POOLING_FRAMES - have).clamp(min=0)
    if not bool((lack > 0).any()):
        return s
    size = int(pools.max()) + 1
    total = have.new_zeros(size).index_add_(0, pool, have)
    share = torch.where(total[pool] > 0, lack / total[pool].clamp(min=1e-10), 0.0)
    first, second = (
        have.new_zeros(size, v.shape[2]).index_add_(0, pool, v.sum(1)) for v in (s.first, s.second)
    )
    more = [torch.zeros_like(v) for v in s]
    more[0][:, 0] = share * total[pool]
    more[1][:, 0], more[2][:, 0] = share[:, None] * first[pool], share[:, None] * second[pool]
    return s.plus(StreamSums(*more))


def split_gaussians(
    mixtures: GaussianMixtures, occupancy: Tensor, total: int, seed: int = 0
) -> GaussianMixtures:
    """Mixtures with up to ``total`` Gaussians: the heaviest ones are split in two.

    Pdfs get Gaussians by the number of their frames to the power of `ALLOCATION_POWER`, and none gets more
    than it has frames for.

    Parameters
    ----------
    mixtures : GaussianMixtures
        A codebook a pdf.
    occupancy : Tensor
        (P,) frames of each pdf.
    total : int
    seed : int
        Seed of the directions in which halves part.
    """
    [stream] = mixtures.streams
    have = (stream.weights > 0).sum(1).cpu().numpy()
    wanted = allocate_gaussians(occupancy.cpu().numpy(), have, total)
    if (wanted == have).all():
        return mixtures
    generator = torch.Generator().manual_seed(seed)
    width = max(int(wanted.max()), stream.means.shape[1])
    means, variances, weights = (
        padded_gaussians(v.cpu(), width) for v in (stream.means, stream.covariances, stream.weights)
    )
    for p in np.flatnonzero(wanted > have):
        for m in range(have[p], wanted[p]):
            k = int(weights[p].argmax())
            step = SPLIT_OFFSET * variances[p, k].sqrt() * torch.randn(means.shape[2], generator=generator)
            means[p, m], means[p, k] = means[p, k] - step, means[p, k] + step
            variances[p, m] = variances[p, k]
            weights[p, m] = weights[p, k] = weights[p, k] / 2
    made = GaussianMixtures.of_tensors([means], [variances], [weights], mixtures.codebook)
    return made.to(stream.means.device)


def padded_gaussians(values: Tensor, width: int) -> Tensor:
    """Pad (P, M, ...) to (P, width, ...) with copies of the first Gaussian, of weight 0."""
    more = width - values.shape[1]
    if values.ndim == 2:
        return torch.nn.functional.pad(values, (0, more))
    return torch.cat([values, values[:, :1].expand(-1, more, -1)], 1)


def allocate_gaussians(occupancy: np.ndarray, have: np.ndarray, total: int) -> np.ndarray:
    """Number of Gaussians (P,) for each pdf, given one by one to where there is most speech for each.

    Examples
    --------
    >>> allocate_gaussians(np.array([1000.0, 1000.0, 10.0]), np.array([1, 1, 1]), 6).tolist()
    [3, 2, 1]
    """
    wanted = have.copy()
    weight = np.maximum(occupancy, 0) ** ALLOCATION_POWER
    waiting = [(-weight[p] / wanted[p], p) for p in range(len(wanted))]
    heapq.heapify(waiting)
    left = total - int(wanted.sum())
    while left > 0 and waiting:
        _, p = heapq.heappop(waiting)
        if occupancy[p] < FRAMES_TO_SPLIT * (wanted[p] + 1):
            continue
        wanted[p] += 1
        left -= 1
        heapq.heappush(waiting, (-weight[p] / wanted[p], p))
    return wanted


def single_gaussians(
    counts: Sequence[float] | np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    floors: VarianceFloor,
    device: torch.device | str = "cpu",
) -> GaussianMixtures:
    """Make mixtures of one Gaussian each, from frame counts (P,), sums and sums of squares (P, D)."""
    n = np.maximum(np.asarray(counts, np.float64), 1e-10)[:, None]
    means = first / n
    variances = np.maximum(second / n - means**2, floors.variances.cpu().numpy())
    of = [torch.from_numpy(v[:, None].astype(np.float32)).to(device) for v in (means, variances)]
    return GaussianMixtures.of_tensors(
        of[:1], of[1:], [torch.ones(len(n), 1, device=device)], np.arange(len(n))
    )
