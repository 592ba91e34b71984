"""Models whose frames come from mixtures of Gaussians: HMM, HSMM, and the segment model.

All are fitted by EM.  The expected counts are the gradients of the log-likelihood with respect to
scores and weights, so one page serves the three (Eisner 2016, *Inside-outside and forward-backward
algorithms are just backprop*).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from aligner.hmm.base import CACHE, HMM, Batch, Potentials, again, batches, climb, likelihood, real_frames
from aligner.hmm.transitions import ArcWeights, Transitions, ergodic
from aligner.models.durations import Durations
from aligner.models.gmm import Diagonal, Full
from aligner.search.arcs import within

SEEN = 1e-8  # frames that a Gaussian must account for, lest it stay as it is
SAMPLES = 20_000  # frames that k-means looks at


@dataclass(frozen=True)
class Statistics:
    """Expected counts; those of two sets of recordings add up to those of both.

    Attributes
    ----------
    log_likelihood : float
    frames : int
    start : Tensor
        (S,): paths that begin in each state.
    arcs : Tensor
        (S, K)
    occupancy : Tensor
        (N, M): frames that each Gaussian accounts for.
    first : Tensor
        (N, M, D): sums of those frames.
    second : Tensor
        (N, M, D), or (N, M, D, D): sums of their squares, or products.
    durations : Tensor
        (S, D); empty where the model has none.
    """

    log_likelihood: float
    frames: int
    start: Tensor
    arcs: Tensor
    occupancy: Tensor
    first: Tensor
    second: Tensor
    durations: Tensor

    def __add__(self, other: Statistics) -> Statistics:
        return Statistics(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


class Ready(NamedTuple):
    """`Mixtures` laid out for scoring: Gaussians, and log weights (N, M)."""

    gaussians: Diagonal | Full
    weights: Tensor

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

    def __init__(self, count: int, components: int, dims: int, covariance: str = "diag", floor: float = 1e-3) -> None:
        super().__init__()
        if covariance not in ("diag", "full"):
            raise ValueError(f"covariance {covariance!r}; 'diag' or 'full' is needed")
        if components < 1 or floor <= 0:
            raise ValueError(f"{components} components and a variance of at least {floor}; both must be above 0")
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
        """(N, M, D), or (N, M, D, D)."""
        return self.cholesky @ self.cholesky.mT if self.full else self.log_variances.exp()

    def ready(self) -> Ready:
        """What scores frames, made of the parameters once; differentiable."""
        with torch.autocast(self.means.device.type, enabled=False):
            return Ready(self.gaussians, self.weight_logits.log_softmax(1))

    def forward(self, frames: Tensor) -> Tensor:
        """Log-likelihoods (n, N) of ``frames`` (n, D)."""
        return self.ready().score(frames)

    def draw(self, mixture: Tensor, generator: torch.Generator | None) -> Tensor:
        """A frame (n, D) from each of the mixtures (n,)."""
        which = torch.multinomial(self.weight_logits.softmax(1)[mixture], 1, generator=generator).squeeze(1)
        noise = torch.randn(len(mixture), self.means.shape[2], generator=generator, device=self.means.device,
                            dtype=self.means.dtype)
        if self.full:
            return self.means[mixture, which] + (self.cholesky[mixture, which] @ noise[..., None]).squeeze(-1)
        return self.means[mixture, which] + noise * (0.5 * self.log_variances[mixture, which]).exp()

    @torch.no_grad()
    def update(self, occupancy: Tensor, first: Tensor, second: Tensor) -> None:
        """Means, covariances and weights from expected counts; a Gaussian that accounts for nothing stays."""
        seen = occupancy > SEEN
        count = occupancy.clamp(min=SEEN)[..., None]
        means = first / count
        keep = seen[..., None]
        if self.full:
            covariances = second / count[..., None] - means[..., :, None] * means[..., None, :]
            values, vectors = torch.linalg.eigh(covariances)
            floored = (vectors * values.clamp(min=self.floor)[..., None, :]) @ vectors.mT
            factors = torch.linalg.cholesky(floored)
            raw = factors.tril(-1) + torch.diag_embed(factors.diagonal(dim1=2, dim2=3).log())
            self.factors.copy_(torch.where(keep[..., None], raw, self.factors.double()))
        else:
            variances = (second / count - means.square()).clamp(min=self.floor)
            self.log_variances.copy_(torch.where(keep, variances.log(), self.log_variances.double()))
        self.means.copy_(torch.where(keep, means, self.means.double()))
        total = occupancy.sum(1, keepdim=True)
        shares = (occupancy / total.clamp(min=SEEN)).clamp(min=1e-30).log()
        self.weight_logits.copy_(torch.where(total > SEEN, shares, self.weight_logits.double()))


class MixtureGaussianHMM(HMM):
    """A hidden Markov model with a mixture of Gaussians for each state.

    Parameters
    ----------
    num_states, obs_dim, num_components : int
    covariance : {'diag', 'full'}
    transitions : Transitions, optional
        `left_to_right`, `skip`, `ergodic` (the default) or your own.
    min_variance : float
        What `fit` lets no variance fall below.
    checkpoint_segments, kernel
        As `HMM`.

    Examples
    --------
    >>> model = MixtureGaussianHMM(2, 3)
    >>> history = model.fit(torch.randn(4, 30, 3, generator=torch.Generator().manual_seed(0)), iterations=5)
    >>> history == sorted(history)
    True
    """

    def __init__(self, num_states: int, obs_dim: int, num_components: int = 1, covariance: str = "diag",
                 transitions: Transitions | None = None, min_variance: float = 1e-3, checkpoint_segments: int = 1,
                 kernel: str = "auto") -> None:
        super().__init__(num_states, obs_dim, checkpoint_segments, kernel)
        transitions = ergodic(num_states) if transitions is None else transitions
        if len(transitions.start) != num_states:
            raise ValueError(f"transitions of {len(transitions.start)} states for a model of {num_states}")
        self.transitions = ArcWeights(self._arranged(transitions))
        self.emissions = Mixtures(num_states * self._regions, num_components, obs_dim, covariance, min_variance)

    _regions = 1  # mixtures of a state

    def _arranged(self, transitions: Transitions) -> Transitions:
        return transitions

    def potentials(self, observations: Tensor) -> Potentials:
        """Arcs and scores of a batch (B, T, D)."""
        return self._potentials_of(self._frame_scores(observations))

    def _frame_scores(self, observations: Tensor) -> Tensor:
        """Log-likelihoods (B, T, N) under every mixture."""
        ready = self.emissions.ready()

        def score(observations: Tensor, first: int, last: int) -> Tensor:
            part = observations[:, first:last]
            return ready.score(part.reshape(-1, part.shape[2])).view(*part.shape[:2], -1)

        return self._over_time(score, observations, self.emissions.weight_logits.numel())

    def _potentials_of(self, scores: Tensor) -> Potentials:
        return Potentials(self.transitions(), scores, None)

    @torch.no_grad()
    def sample(self, num_frames: int, batch: int = 1, generator: torch.Generator | None = None) -> Batch:
        """Draw observations (B, T, D) and the states (B, T) behind them.

        Paths go on for ``num_frames`` frames wherever they are then, final state or not; a state without
        arcs is kept.
        """
        states = self._walk(num_frames, batch, generator)
        return self.emissions.draw(states.flatten(), generator).view(batch, num_frames, -1), states

    def _walk(self, num_frames: int, batch: int, generator: torch.Generator | None) -> Tensor:
        """States (B, T), by the transitions alone."""
        start, follow = self._probabilities()
        states = [torch.multinomial(start.expand(batch, -1), 1, generator=generator).squeeze(1)]
        while len(states) < num_frames:
            states.append(torch.multinomial(follow[states[-1]], 1, generator=generator).squeeze(1))
        return torch.stack(states, 1)

    def _probabilities(self) -> tuple[Tensor, Tensor]:
        """Of the start (S,), and of transitions from row to column (S, S)."""
        arcs = self.transitions()
        follow = torch.zeros(self.num_states, self.num_states, device=arcs.start.device, dtype=arcs.start.dtype)
        target, column = torch.nonzero(arcs.predecessors[0] >= 0, as_tuple=True)
        follow[arcs.predecessors[0][target, column].long(), target] = arcs.weights[0, 0][target, column].exp()
        nowhere = follow.sum(1) == 0
        follow[nowhere, nowhere.nonzero().flatten()] = 1.0
        return arcs.start[0].exp(), follow

    def fit(self, data: Tensor | Iterable[Batch], lengths: Tensor | None = None, iterations: int = 10,
            tolerance: float = 0.0, method: str = "em", initialise: bool = True,
            learning_rate: float = 1e-2) -> list[float]:
        """Learn from observations.

        Parameters
        ----------
        data : Tensor or iterable of (Tensor, Tensor)
            (B, T, D); or batches with their lengths, such as a DataLoader with `collate` gives.
        lengths : Tensor, optional
            (B,) where ``data`` is a tensor.
        iterations : int
        tolerance : float
            Stop when an iteration gains less than this, in log-likelihood per frame.
        method : {'em', 'gradient'}
        initialise : bool
            Whether the Gaussians are first placed by the data (the first batch): by k-means, or, where states
            can only be passed from left to right, by cutting each sequence into equal parts.
        learning_rate : float
            For 'gradient' (Adam).

        Returns
        -------
        list of float
            Mean log-likelihood per frame before each iteration, and after the last.
        """
        if method not in ("em", "gradient"):
            raise ValueError(f"method {method!r}; 'em' or 'gradient' is needed")
        data = again(data)
        if initialise:
            observations, counts = next(iter(batches(data, lengths)))
            self.initialise(observations, self._checked(observations, counts))
        if method == "gradient":
            return climb(self, data, lengths, iterations, learning_rate)
        return self._em(data, lengths, iterations, tolerance)

    def _em(self, data: Tensor | Iterable[Batch], lengths: Tensor | None, iterations: int,
            tolerance: float) -> list[float]:
        history: list[float] = []
        while True:
            parts = [self.statistics(observations, counts) for observations, counts in batches(data, lengths)]
            total = sum(parts[1:], parts[0])
            history.append(total.log_likelihood / total.frames)
            done = len(history) > iterations or (
                len(history) > 1 and tolerance > 0 and history[-1] - history[-2] < tolerance)
            if done:
                return history
            self.update(total)

    def statistics(self, observations: Tensor, lengths: Tensor | None = None) -> Statistics:
        """Expected counts of a batch under the model as it is (the E step)."""
        lengths = self._checked(observations, lengths)
        real = within(lengths, observations.shape[1], observations.device)
        observations = observations.masked_fill(~real[..., None], 0.0)
        with torch.no_grad():
            frame_scores = self._frame_scores(observations)
        leaf = frame_scores.requires_grad_()
        with torch.enable_grad():
            arcs, scores, durations = self._potentials_of(leaf)
            wanted = [leaf, arcs.weights, arcs.start] + ([] if durations is None else [durations])
            total = likelihood(Potentials(arcs, scores, durations), lengths, self.kernel)
            occupied, crossed, begun, *lasted = torch.autograd.grad(total.sum(), wanted, allow_unused=True)
        moments = self._moments(observations, occupied.detach(), real)
        arcs_seen = torch.zeros_like(arcs.weights[0, 0]) if crossed is None else crossed[0].sum(0)
        spans = lasted[0].sum((0, 1)) if lasted else torch.zeros(0)
        return Statistics(float(total.detach().sum()), int(lengths.sum()), begun[0].double(), arcs_seen.double(),
                          *moments, spans.double())

    @torch.no_grad()
    def _moments(self, observations: Tensor, occupied: Tensor, real: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Counts (N, M), sums and sums of squares of frames, each frame shared by the Gaussians of its mixtures."""
        frames, shares = observations[real], occupied[real]
        mixtures, ready = self.emissions, self.emissions.ready()
        sums: list[Any] = [0.0, 0.0, 0.0]
        length = max(1, 16 * CACHE // mixtures.means.numel())
        for first in range(0, len(frames), length):
            x = frames[first:first + length]
            weighted = ready.components(x)
            each = (weighted - weighted.logsumexp(2, keepdim=True)).exp() * shares[first:first + length, :, None]
            flat, wide = each.flatten(1).double(), x.double()
            sums[0] = sums[0] + flat.sum(0)
            sums[1] = sums[1] + flat.T @ wide
            if mixtures.full:
                sums[2] = sums[2] + torch.einsum("nc,nd,ne->cde", flat, wide, wide)
            else:
                sums[2] = sums[2] + flat.T @ wide.square()
        shape = mixtures.means.shape
        return sums[0].view(shape[:2]), sums[1].view(shape), sums[2].view(*shape[:2], *sums[2].shape[1:])

    def update(self, statistics: Statistics) -> None:
        """The parameters that make the expected counts most likely (the M step)."""
        self.transitions.update(statistics.arcs, statistics.start)
        self.emissions.update(statistics.occupancy, statistics.first, statistics.second)

    @torch.no_grad()
    def initialise(self, observations: Tensor, lengths: Tensor, seed: int = 0) -> None:
        """Place the Gaussians by the data; see `fit`."""
        frames = real_frames(observations, lengths).double()
        count, parts = len(self.emissions.means), self._parts(lengths)
        if parts is None:
            parts = clusters(frames, count, seed)
        components = self.emissions.means.shape[1]
        occupancy = torch.zeros(count, components, dtype=torch.float64, device=frames.device)
        first = torch.zeros(self.emissions.means.shape, dtype=torch.float64, device=frames.device)
        shape = (*first.shape, first.shape[2]) if self.emissions.full else first.shape
        second = torch.zeros(shape, dtype=torch.float64, device=frames.device)
        for n in range(count):
            mine = frames[parts == n]
            if not len(mine):
                continue
            label = clusters(mine, components, seed)
            for m in range(components):
                x = mine[label == m]
                occupancy[n, m], first[n, m] = len(x), x.sum(0)
                second[n, m] = x.T @ x if self.emissions.full else x.square().sum(0)
        self.emissions.update(occupancy, first, second)

    def _parts(self, lengths: Tensor) -> Tensor | None:
        """The mixture (n,) that each frame starts with, where states are passed from left to right; else None."""
        arcs = self.transitions()
        onward = arcs.predecessors[0] <= torch.arange(self.num_states, device=arcs.pdf.device)[:, None]
        if self.num_states == 1 or not bool(onward.all()):
            return None
        count = len(self.emissions.means)
        return torch.cat([torch.arange(t) * count // t for t in lengths.tolist()]).to(arcs.pdf.device)


def clusters(frames: Tensor, count: int, seed: int = 0) -> Tensor:
    """The k-means cluster (n,) of each of ``frames`` (n, D)."""
    from sklearn.cluster import KMeans  # slow to import

    if count == 1 or len(frames) <= count:
        return torch.arange(len(frames), device=frames.device) % count
    order = torch.randperm(len(frames), generator=torch.Generator().manual_seed(seed))[:SAMPLES]
    some = frames[order.to(frames.device)].cpu().numpy()
    means = KMeans(count, n_init=1, random_state=seed).fit(some)
    return torch.from_numpy(means.predict(frames.cpu().numpy())).long().to(frames.device)


class HSMM(MixtureGaussianHMM):
    """A hidden semi-Markov model: states say how long they last.

    Parameters
    ----------
    num_states, obs_dim, num_components : int
    max_duration, min_duration : int
        In frames.
    duration : {'gamma', 'poisson', 'lognormal', 'free'}
        The distribution of durations of each state, cut off at both ends.
    mean_duration : float, optional
        Where they begin; midway unless given.
    self_loops : bool
        Whether a state may follow itself as a new segment.  Otherwise loops are taken out of ``transitions``.
    covariance, transitions, min_variance, checkpoint_segments, kernel
        As `MixtureGaussianHMM`.

    Examples
    --------
    >>> model = HSMM(3, 2, max_duration=10, duration="poisson")
    >>> observations, states = model.sample(40, generator=torch.Generator().manual_seed(1))
    >>> bool(model.viterbi(observations).begins[0, 0])
    True
    """

    def __init__(self, num_states: int, obs_dim: int, num_components: int = 1, max_duration: int = 60,
                 min_duration: int = 1, duration: str = "gamma", mean_duration: float | None = None,
                 self_loops: bool = False, covariance: str = "diag", transitions: Transitions | None = None,
                 min_variance: float = 1e-3, checkpoint_segments: int = 1, kernel: str = "auto") -> None:
        self._self_loops = self_loops or (num_states == 1 and transitions is None)  # else it could not go on
        super().__init__(num_states, obs_dim, num_components, covariance, transitions, min_variance,
                         checkpoint_segments, kernel)
        self.durations = Durations(duration, num_states, max_duration, min_duration, mean_duration)

    def _arranged(self, transitions: Transitions) -> Transitions:
        return transitions if self._self_loops else transitions.without_loops()

    def _potentials_of(self, scores: Tensor) -> Potentials:
        return Potentials(self.transitions(), scores, self.durations()[None, None])

    def _walk(self, num_frames: int, batch: int, generator: torch.Generator | None) -> Tensor:
        return self._segments(num_frames, batch, generator)[0]

    def _segments(self, num_frames: int, batch: int, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """States and regions (B, T), segment after segment; the last is cut off at the end."""
        start, follow = self._probabilities()
        lasting = self.durations().exp()
        states = torch.empty(batch, num_frames, dtype=torch.long, device=start.device)
        regions = torch.zeros_like(states)
        for b in range(batch):
            t, state = 0, int(torch.multinomial(start, 1, generator=generator))
            while t < num_frames:
                frames = 1 + int(torch.multinomial(lasting[state], 1, generator=generator))
                states[b, t:t + frames] = state
                inside = torch.arange(frames, device=start.device) * self._regions // frames
                regions[b, t:t + frames] = inside[:num_frames - t]
                t, state = t + frames, int(torch.multinomial(follow[state], 1, generator=generator))
        return states, regions

    def update(self, statistics: Statistics) -> None:
        """The parameters that make the expected counts most likely (the M step)."""
        super().update(statistics)
        self.durations.fit(statistics.durations)


class SemiMarkovHMM(HSMM):
    """A segment model: what a segment scores depends on all of it, not on its frames one by one.

    Each state has ``num_regions`` mixtures, which a segment passes in equal parts however long it is: the
    beginning of a long vowel scores as the beginning of a short one (Ostendorf, Digalakis and Kimball 1996).
    The scores come from cumulated frame scores, in time T x S x D.  Or they are learnt: ``scorer`` is any
    module that scores all segments; the model is then conditional (a semi-Markov random field), `forward`
    gives log Z, and there is nothing to `sample`.

    Parameters
    ----------
    num_states, obs_dim, num_components : int
    num_regions : int
    max_duration, min_duration : int
        In frames.
    scorer : Module, optional
        Takes observations (B, T, D) and gives scores (B, T, S, max_duration): [b, t, s, d - 1] is that of a
        segment of state s whose d frames end with frame t.  Those of segments that would begin before frame 0 are
        not looked at.
    duration, mean_duration, self_loops, covariance, transitions, min_variance, checkpoint_segments, kernel
        As `HSMM`.

    Examples
    --------
    >>> model = SemiMarkovHMM(3, 2, max_duration=10, num_regions=2)
    >>> model(torch.zeros(1, 20, 2)).shape
    torch.Size([1])
    """

    def __init__(self, num_states: int, obs_dim: int, num_components: int = 1, num_regions: int = 3,
                 max_duration: int = 30, min_duration: int = 1, scorer: nn.Module | None = None,
                 duration: str = "gamma", mean_duration: float | None = None, self_loops: bool = False,
                 covariance: str = "diag", transitions: Transitions | None = None, min_variance: float = 1e-3,
                 checkpoint_segments: int = 1, kernel: str = "auto") -> None:
        if num_regions < 1:
            raise ValueError(f"{num_regions} regions; at least 1 is needed")
        self._regions = num_regions
        super().__init__(num_states, obs_dim, num_components, max_duration, min_duration, duration, mean_duration,
                         self_loops, covariance, transitions, min_variance, checkpoint_segments, kernel)
        self.scorer = scorer

    def potentials(self, observations: Tensor) -> Potentials:
        """Arcs, no scores of frames, and those of all segments, of a batch (B, T, D)."""
        if self.scorer is None:
            return super().potentials(observations)
        scores = self.scorer(observations)
        wanted = (*observations.shape[:2], self.num_states, self.durations.longest)
        if scores.shape != wanted:
            raise ValueError(f"the scorer gave scores of shape {tuple(scores.shape)}; {wanted} is needed")
        return self._of_segments(scores.to(self.durations.parameters_.dtype))

    def _potentials_of(self, scores: Tensor) -> Potentials:
        regions = scores.view(*scores.shape[:2], self.num_states, self._regions)
        return self._of_segments(segment_scores(regions, self.durations.longest))

    def _of_segments(self, segments: Tensor) -> Potentials:
        none = segments.new_zeros(*segments.shape[:3])
        return Potentials(self.transitions(), none, segments + self.durations())

    @torch.no_grad()
    def sample(self, num_frames: int, batch: int = 1, generator: torch.Generator | None = None) -> Batch:
        """Draw observations (B, T, D) and the states (B, T) behind them; the last segment is cut off."""
        if self.scorer is not None:
            raise ValueError("a model with a scorer of its own scores observations; it cannot draw them")
        states, regions = self._segments(num_frames, batch, generator)
        mixture = states * self._regions + regions
        return self.emissions.draw(mixture.flatten(), generator).view(batch, num_frames, -1), states

    def fit(self, data: Tensor | Iterable[Batch], lengths: Tensor | None = None, iterations: int = 10,
            tolerance: float = 0.0, method: str = "em", initialise: bool = True,
            learning_rate: float = 1e-2) -> list[float]:
        """As `MixtureGaussianHMM.fit`.

        Raises
        ------
        ValueError
            If the model has a scorer of its own: log Z has no greatest value then.  Train it on the likelihood of
            known segmentations instead (see `log_probability`).
        """
        if self.scorer is not None:
            raise ValueError("a model with a scorer of its own is conditional: train it with log_probability, on "
                             "known segmentations")
        return super().fit(data, lengths, iterations, tolerance, method, initialise, learning_rate)

    def log_probability(self, observations: Tensor, states: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Log probability (B,) of known states given the observations; differentiable.

        Parameters
        ----------
        observations : Tensor
            (B, T, D)
        states : Tensor
            (B, T) int64: each frame's state.  With ``self_loops`` all ways to cut a run of one state count.
        lengths : Tensor, optional
        """
        lengths = self._checked(observations, lengths)
        arcs, scores, durations = self.potentials(observations)
        wrong = torch.nn.functional.one_hot(states.clamp(min=0), self.num_states) == 0
        known = Potentials(arcs, scores.masked_fill(wrong, -torch.inf), durations)
        free = likelihood(Potentials(arcs, scores, durations), lengths, self.kernel)
        return likelihood(known, lengths, self.kernel) - free


def segment_scores(regions: Tensor, longest: int) -> Tensor:
    """Scores of all segments from those of frames in each region.

    Parameters
    ----------
    regions : Tensor
        (B, T, S, R): a frame's score in each of R regions; a segment of d frames has its frames from
        r * d // R on in region r.
    longest : int
        D.

    Returns
    -------
    Tensor
        (B, T, S, D): [b, t, s, d - 1] is that of the segment of s whose d frames end with frame t; -inf where
        it would begin before frame 0.
    """
    frames, count = regions.shape[1], regions.shape[3]
    # cumulated, and with a row of zeros first; in float64, for differences are taken of large sums
    total = torch.nn.functional.pad(regions.double().cumsum(1), (0, 0, 0, 0, 1, 0))
    found = []
    for d in range(1, min(longest, frames) + 1):
        edges = [-(-r * d // count) for r in range(count + 1)]  # the first i with i * R // d >= r
        starts = frames - d + 1
        parts = [total[:, b:b + starts, :, r] - total[:, a:a + starts, :, r]
                 for r, (a, b) in enumerate(pairwise(edges)) if b > a]
        score: Tensor = sum(parts[1:], parts[0]).to(regions.dtype)
        found.append(torch.nn.functional.pad(score, (0, 0, d - 1, 0), value=-torch.inf))
    scores = torch.stack(found, 3)
    return torch.nn.functional.pad(scores, (0, longest - scores.shape[3]), value=-torch.inf)
