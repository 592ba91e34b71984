"""The HMM whose states are Gaussian mixtures, and the EM that fits it and its relatives.

The expected counts are the gradients of the log-likelihood with respect to scores and weights, so one
E step serves them all (Eisner 2016, *Inside-outside and forward-backward algorithms are just backprop*).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from aligner.hmm.base import (
    CACHE_NUMBERS,
    HMM,
    Batch,
    batches,
    check_positive,
    fit_by_gradient,
    real_frames,
    repeatable,
)
from aligner.hmm.mixtures import Mixtures, clusters
from aligner.hmm.potentials import Potentials, likelihood
from aligner.hmm.transitions import ArcWeights, Transitions, checked
from aligner.search.arcs import within


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """Expected counts of EM; those of two sets of recordings add up to those of both."""

    log_likelihood: float
    """Log-likelihood of all sequences."""
    frames: int
    """Number of frames."""
    start: Tensor
    """(S,): expected number of paths that begin in each state."""
    arcs: Tensor
    """(S, K): expected number of passages of each arc."""
    occupancy: Tensor
    """(N, M): frames that each Gaussian accounts for."""
    first: Tensor
    """(N, M, D): sums of those frames."""
    second: Tensor
    """(N, M, D) sums of their squares, or (N, M, D, D) of their products."""
    durations: Tensor
    """(S, D): expected number of segments of each duration; empty where the model has no durations."""

    def __add__(self, other: Statistics) -> Statistics:
        return Statistics(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)})


class MixtureGaussianHMM(HMM):
    """A hidden Markov model with a mixture of Gaussians for each state.

    Parameters
    ----------
    num_states, obs_dim, num_components : int
    covariance : {'diag', 'full'}
    transitions : Transitions, optional
        `left_to_right`, `skip`, `ergodic` (the default) or your own.
    min_variance : float
        Variance floor in `fit`, in the observations' own units.
    checkpoint_segments, kernel
        Parameters of `HMM`.

    Examples
    --------
    >>> model = MixtureGaussianHMM(2, 3)
    >>> history = model.fit(torch.randn(4, 30, 3, generator=torch.Generator().manual_seed(0)), iterations=5)
    >>> history == sorted(history)
    True
    """

    def __init__(
        self,
        num_states: int,
        obs_dim: int,
        num_components: int = 1,
        covariance: str = "diag",
        transitions: Transitions | None = None,
        min_variance: float = 1e-3,
        checkpoint_segments: int = 1,
        kernel: str = "auto",
    ) -> None:
        super().__init__(num_states, obs_dim, checkpoint_segments, kernel)
        transitions = checked(transitions, num_states)
        self.transitions = ArcWeights(self._arranged(transitions))
        self.emissions = Mixtures(
            num_states * self._regions, num_components, obs_dim, covariance, min_variance
        )

    _regions = 1  # mixtures of a state

    def _arranged(self, transitions: Transitions) -> Transitions:
        return transitions

    def potentials(self, observations: Tensor) -> Potentials:
        """Compute arcs and scores of a batch (B, T, D)."""
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
        check_positive(num_frames, batch)
        states = self._walk(num_frames, batch, generator)
        return self.emissions.draw(states.flatten(), generator).view(batch, num_frames, -1), states

    def _walk(self, num_frames: int, batch: int, generator: torch.Generator | None) -> Tensor:
        """Draw states (B, T) by the transitions alone."""
        start, follow = self._probabilities()
        states = [torch.multinomial(start.expand(batch, -1), 1, generator=generator).squeeze(1)]
        while len(states) < num_frames:
            states.append(torch.multinomial(follow[states[-1]], 1, generator=generator).squeeze(1))
        return torch.stack(states, 1)

    def _probabilities(self) -> tuple[Tensor, Tensor]:
        """Probabilities of the start (S,), and of transitions from row to column (S, S)."""
        arcs = self.transitions()
        follow = torch.zeros(
            self.num_states, self.num_states, device=arcs.start.device, dtype=arcs.start.dtype
        )
        target, column = torch.nonzero(arcs.predecessors[0] >= 0, as_tuple=True)
        follow[arcs.predecessors[0][target, column].long(), target] = arcs.weights[0, 0][target, column].exp()
        nowhere = follow.sum(1) == 0
        follow[nowhere, nowhere.nonzero().flatten()] = 1.0
        return arcs.start[0].exp(), follow

    def fit(
        self,
        data: Tensor | Iterable[Batch],
        lengths: Tensor | None = None,
        iterations: int = 10,
        tolerance: float = 0.0,
        method: str = "em",
        initialise: bool = True,
        learning_rate: float = 1e-2,
        seed: int = 0,
    ) -> list[float]:
        """Learn from observations; returns mean log-likelihoods per frame, before each iteration and last.

        Parameters
        ----------
        data : Tensor or iterable of (Tensor, Tensor)
            (B, T, D); or batches with their lengths, such as a DataLoader with `collate` gives.
        lengths : Tensor, optional
            (B,) where ``data`` is a tensor.
        iterations : int
        tolerance : float
            Least gain of an iteration, in log-likelihood per frame, to go on.
        method : {'em', 'gradient'}
        initialise : bool
            Whether the first batch places the Gaussians: by k-means or, from left to right, in equal parts.
        learning_rate : float
            For 'gradient' (Adam).
        seed : int
            Seed of k-means: another may lead to another local maximum.
        """
        if method not in ("em", "gradient") or iterations < 0:
            raise ValueError(
                f"method {method!r}, {iterations} iterations; 'em' or 'gradient', and at least 0"
            )
        data = repeatable(data)
        if initialise:
            first, counts = next(iter(batches(data, lengths)))
            self.initialise(first, self._checked(first, counts), seed)
        if method == "em":
            return self._em(data, lengths, iterations, tolerance)
        return fit_by_gradient(self, data, lengths, iterations, learning_rate)

    def _em(
        self, data: Tensor | Iterable[Batch], lengths: Tensor | None, iterations: int, tolerance: float
    ) -> list[float]:
        history: list[float] = []
        while True:
            parts = [self.statistics(observations, counts) for observations, counts in batches(data, lengths)]
            total = sum(parts[1:], parts[0])
            history.append(total.log_likelihood / total.frames)
            done = len(history) > iterations or (
                len(history) > 1 and tolerance > 0 and history[-1] - history[-2] < tolerance
            )
            if done:
                return history
            self.update(total)

    def statistics(self, observations: Tensor, lengths: Tensor | None = None) -> Statistics:
        """Compute the expected counts of a batch (the E step)."""
        lengths = self._checked(observations, lengths)
        real = within(lengths, observations.shape[1], observations.device)
        observations = observations.masked_fill(~real[..., None], 0.0)
        with torch.no_grad():
            frame_scores = self._frame_scores(observations)
        leaf = frame_scores.requires_grad_()
        with torch.enable_grad():
            arcs, scores, durations = self._potentials_of(leaf)
            # leaves of their own: the counts are wanted whether or not the parameters are frozen
            weights, start = (v.detach().requires_grad_() for v in (arcs.weights, arcs.start))
            arcs = arcs._replace(weights=weights, start=start)
            if durations is not None and not durations.requires_grad:
                durations.requires_grad_()
            wanted = [leaf, weights, start] + ([] if durations is None else [durations])
            total = likelihood(Potentials(arcs, scores, durations), lengths, self.kernel)
            occupied, crossed, begun, *lasted = torch.autograd.grad(total.sum(), wanted, allow_unused=True)
        occupancy, first, second = self._moments(observations, occupied.detach(), real)
        arcs_seen = torch.zeros_like(arcs.weights[0, 0]) if crossed is None else crossed[0].sum(0)
        spans = lasted[0].sum((0, 1)) if lasted else torch.zeros(0)
        return Statistics(
            log_likelihood=float(total.detach().sum()),
            frames=int(lengths.sum()),
            start=begun[0].double(),
            arcs=arcs_seen.double(),
            occupancy=occupancy,
            first=first,
            second=second,
            durations=spans.double(),
        )

    @torch.no_grad()
    def _moments(self, observations: Tensor, occupied: Tensor, real: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Counts (N, M), sums and sums of squares of frames, weighted by the Gaussians' posteriors."""
        frames, shares = observations[real], occupied[real]
        mixtures, ready = self.emissions, self.emissions.ready()
        sums: list[Any] = [0.0, 0.0, 0.0]
        length = max(1, 16 * CACHE_NUMBERS // mixtures.means.numel())
        for first in range(0, len(frames), length):
            x = frames[first : first + length]
            weighted = ready.components(x)
            each = (weighted - weighted.logsumexp(2, keepdim=True)).exp() * shares[
                first : first + length, :, None
            ]
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
        """Set the parameters to those that maximise the expected likelihood (the M step)."""
        self.transitions.update(statistics.arcs, statistics.start)
        self.emissions.update(statistics.occupancy, statistics.first, statistics.second)

    @torch.no_grad()
    def initialise(self, observations: Tensor, lengths: Tensor, seed: int = 0) -> None:
        """Place the Gaussians by the data (see `fit`)."""
        if not bool(torch.isfinite(real_frames(observations, lengths)).all()):
            raise ValueError("NaN or infinity among the observations")
        frames, mixture = self._assigned(observations.double(), lengths, seed)
        components, means = self.emissions.means.shape[1], self.emissions.means
        occupancy = torch.zeros(means.shape[:2], dtype=torch.float64, device=frames.device)
        first = torch.zeros(means.shape, dtype=torch.float64, device=frames.device)
        second = torch.zeros(self.emissions.covariances.shape, dtype=torch.float64, device=frames.device)
        for n in range(len(means)):
            mine = frames[mixture == n]
            if not len(mine):
                continue
            label = clusters(mine, components, seed)
            for m in range(components):
                x = mine[label == m]
                occupancy[n, m], first[n, m] = len(x), x.sum(0)
                second[n, m] = x.T @ x if self.emissions.full else x.square().sum(0)
        self.emissions.update(occupancy, first, second)

    def _assigned(self, observations: Tensor, lengths: Tensor, seed: int) -> tuple[Tensor, Tensor]:
        """Frames (n, D), and the mixture (n,) that each is assigned to at first."""
        frames, count = real_frames(observations, lengths), len(self.emissions.means)
        if not self._onward:
            return frames, clusters(frames, count, seed)
        return frames, torch.cat([torch.arange(t) * count // t for t in lengths.tolist()]).to(frames.device)

    @property
    def _onward(self) -> bool:
        """Whether states can only be passed from left to right."""
        arcs = self.transitions()
        back = arcs.predecessors[0] > torch.arange(self.num_states, device=arcs.pdf.device)[:, None]
        return self.num_states > 1 and not bool(back.any())
