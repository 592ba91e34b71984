"""Models with explicit durations of states: the HSMM, and the segment model."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import torch
from torch import Tensor, nn

from aligner.hmm.base import Batch, check_positive, unpadded
from aligner.hmm.gaussian import MixtureGaussianHMM, Statistics
from aligner.hmm.mixtures import clusters
from aligner.hmm.potentials import Potentials, likelihood
from aligner.hmm.transitions import Transitions
from aligner.models.durations import Durations
from aligner.search.arcs import within

INITIAL_STRETCHES = 400  # stretches of the observations that a segment model is initialised with


class HSMM(MixtureGaussianHMM):
    """A hidden semi-Markov model: states have explicit duration distributions.

    `sample` cuts its last segment off at the end; a state without arcs, as the last from left to right, then
    begins again, and what was drawn may be longer than any path.

    Parameters
    ----------
    num_states, obs_dim, num_components : int
    max_duration, min_duration : int
        Bounds of the durations, in frames.
    duration : {'gamma', 'poisson', 'lognormal', 'free'}
        The distribution of durations of each state, cut off at both ends.
    mean_duration : float, optional
        Initial mean of the durations, midway unless given; 'free' begins with all durations alike.
    self_loops : bool
        Whether a state may follow itself as a new segment.  Otherwise loops are taken out of ``transitions``.
    covariance, transitions, min_variance, checkpoint_segments, kernel
        Parameters of `MixtureGaussianHMM`.

    Examples
    --------
    >>> model = HSMM(3, 2, max_duration=10, duration="poisson")
    >>> observations, states = model.sample(40, generator=torch.Generator().manual_seed(1))
    >>> bool(model.viterbi(observations).begins[0, 0])
    True
    """

    def __init__(
        self,
        num_states: int,
        obs_dim: int,
        num_components: int = 1,
        max_duration: int = 60,
        min_duration: int = 1,
        duration: str = "gamma",
        mean_duration: float | None = None,
        self_loops: bool = False,
        covariance: str = "diag",
        transitions: Transitions | None = None,
        min_variance: float = 1e-3,
        checkpoint_segments: int = 1,
        kernel: str = "auto",
    ) -> None:
        self._self_loops = self_loops or (num_states == 1 and transitions is None)  # else it could not go on
        super().__init__(
            num_states,
            obs_dim,
            num_components=num_components,
            covariance=covariance,
            transitions=transitions,
            min_variance=min_variance,
            checkpoint_segments=checkpoint_segments,
            kernel=kernel,
        )
        self.durations = Durations(duration, num_states, max_duration, min_duration, mean_duration)

    def _arranged(self, transitions: Transitions) -> Transitions:
        return transitions if self._self_loops else transitions.without_loops()

    def _potentials_of(self, scores: Tensor) -> Potentials:
        return Potentials(self.transitions(), scores, self.durations()[None, None])

    def _walk(self, num_frames: int, batch: int, generator: torch.Generator | None) -> Tensor:
        return self._segments(num_frames, batch, generator)[0]

    def _segments(
        self, num_frames: int, batch: int, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor]:
        """Draw states and regions (B, T), segment after segment; the last is cut off at the end."""
        start, follow = self._probabilities()
        lasting = self.durations().exp()
        states = torch.empty(batch, num_frames, dtype=torch.long, device=start.device)
        regions = torch.zeros_like(states)
        for b in range(batch):
            t, state = 0, int(torch.multinomial(start, 1, generator=generator))
            while t < num_frames:
                frames = 1 + int(torch.multinomial(lasting[state], 1, generator=generator))
                states[b, t : t + frames] = state
                inside = torch.arange(frames, device=start.device) * self._regions // frames
                regions[b, t : t + frames] = inside[: num_frames - t]
                t, state = t + frames, int(torch.multinomial(follow[state], 1, generator=generator))
        return states, regions

    def update(self, statistics: Statistics) -> None:
        """Set the parameters to those that maximise the expected likelihood (the M step)."""
        super().update(statistics)
        self.durations.fit(statistics.durations)


class SemiMarkovHMM(HSMM):
    """A segment model: a segment's score depends on all of it, not on its frames one by one.

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
        Bounds of the durations, in frames.
    scorer : Module, optional
        Takes observations (B, T, D) and gives scores (B, T, S, max_duration): [b, t, s, d - 1] is that of a
        segment of state s whose d frames end with frame t.  Those of segments that would begin before frame 0
        are not looked at.
    duration, mean_duration, self_loops, covariance, transitions, min_variance, checkpoint_segments, kernel
        Parameters of `HSMM`.

    Examples
    --------
    >>> model = SemiMarkovHMM(3, 2, max_duration=10, num_regions=2)
    >>> model(torch.zeros(1, 20, 2)).shape
    torch.Size([1])
    """

    def __init__(
        self,
        num_states: int,
        obs_dim: int,
        num_components: int = 1,
        num_regions: int = 3,
        max_duration: int = 30,
        min_duration: int = 1,
        scorer: nn.Module | None = None,
        duration: str = "gamma",
        mean_duration: float | None = None,
        self_loops: bool = False,
        covariance: str = "diag",
        transitions: Transitions | None = None,
        min_variance: float = 1e-3,
        checkpoint_segments: int = 1,
        kernel: str = "auto",
    ) -> None:
        if num_regions < 1:
            raise ValueError(f"{num_regions} regions; at least 1 is needed")
        self._regions = num_regions
        super().__init__(
            num_states,
            obs_dim,
            num_components=num_components,
            max_duration=max_duration,
            min_duration=min_duration,
            duration=duration,
            mean_duration=mean_duration,
            self_loops=self_loops,
            covariance=covariance,
            transitions=transitions,
            min_variance=min_variance,
            checkpoint_segments=checkpoint_segments,
            kernel=kernel,
        )
        self.scorer = scorer

    def potentials(self, observations: Tensor) -> Potentials:
        """Compute arcs and segment scores of a batch (B, T, D); frames have no scores of their own."""
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
        check_positive(num_frames, batch)
        states, regions = self._segments(num_frames, batch, generator)
        mixture = states * self._regions + regions
        return self.emissions.draw(mixture.flatten(), generator).view(batch, num_frames, -1), states

    def _assigned(self, observations: Tensor, lengths: Tensor, seed: int) -> tuple[Tensor, Tensor]:
        """Assign frames as an HMM does; where states come in any order, by clusters of whole stretches.

        Stretches of the expected length are cut at random and known by the means of their parts: what lies at
        the centre of a cluster looks like a segment.
        """
        if self._onward or self._regions == 1:
            return super()._assigned(observations, lengths, seed)
        generator = torch.Generator().manual_seed(seed)
        length = max(self._regions, round(float(self.durations.means.mean())))
        long_enough = [(x, int(t)) for x, t in zip(observations, lengths, strict=True) if t >= length]
        if not long_enough:
            return super()._assigned(observations, lengths, seed)
        stretches = []
        for k in torch.randint(len(long_enough), (INITIAL_STRETCHES,), generator=generator).tolist():
            x, frames = long_enough[k]
            first = int(torch.randint(frames - length + 1, (1,), generator=generator))
            stretches.append(x[first : first + length])
        cut = torch.stack(stretches)
        region = torch.arange(length, device=cut.device) * self._regions // length
        parts = torch.stack([cut[:, region == r].mean(1) for r in range(self._regions)], 1)
        mixture = clusters(parts.flatten(1), self.num_states, seed)[:, None] * self._regions + region
        return cut.flatten(0, 1), mixture.flatten()

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
        """Learn from observations as `MixtureGaussianHMM.fit` does.

        Raises
        ------
        ValueError
            If the model has a scorer of its own: log Z has no greatest value then.  Train it on the
            likelihood of known segmentations instead (see `log_probability`).
        """
        if self.scorer is not None:
            raise ValueError(
                "a model with a scorer of its own is conditional: train it with log_probability, on "
                "known segmentations"
            )
        return super().fit(
            data,
            lengths,
            iterations=iterations,
            tolerance=tolerance,
            method=method,
            initialise=initialise,
            learning_rate=learning_rate,
            seed=seed,
        )

    def log_probability(self, observations: Tensor, states: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Log probability (B,) of known states given the observations; differentiable.

        Parameters
        ----------
        observations : Tensor
            (B, T, D)
        states : Tensor
            (B, T) whole numbers: each frame's state; padding is not looked at.  With ``self_loops`` all ways
            to cut a run of one state count.
        lengths : Tensor, optional
        """
        lengths = self._checked(observations, lengths)
        real = within(lengths, observations.shape[1], observations.device)
        if (
            states.shape != real.shape
            or states.is_floating_point()
            or not (0 <= int(states[real].min()) <= int(states[real].max()) < self.num_states)
        ):
            raise ValueError(
                f"states of shape {tuple(states.shape)} and type {states.dtype}; {tuple(real.shape)} "
                f"whole numbers from 0 to {self.num_states - 1} are needed"
            )
        arcs, scores, durations = self.potentials(unpadded(observations, lengths))
        wrong = states[..., None] != torch.arange(self.num_states, device=states.device)
        known = Potentials(arcs, scores.masked_fill(wrong, -torch.inf), durations)
        free = likelihood(Potentials(arcs, scores, durations), lengths, self.kernel)
        return likelihood(known, lengths, self.kernel) - free


def segment_scores(regions: Tensor, longest: int) -> Tensor:
    """Compute the scores of all segments from those of frames in each region.

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
    frames = regions.shape[1]
    # cumulated, with a row of zeros first; in float64, for differences are taken of large sums.  What is
    # impossible is counted instead: -inf cannot be taken off again
    impossible = regions == -torch.inf
    total, barred = (
        torch.nn.functional.pad(v.cumsum(1), (0, 0, 0, 0, 1, 0))
        for v in (regions.masked_fill(impossible, 0.0).double(), impossible.long())
    )
    found = []
    for d in range(1, min(longest, frames) + 1):
        score = _of_duration(total, d).to(regions.dtype)
        score = score.masked_fill(_of_duration(barred, d) > 0, -torch.inf)
        found.append(torch.nn.functional.pad(score, (0, 0, d - 1, 0), value=-torch.inf))
    scores = torch.stack(found, 3)
    return torch.nn.functional.pad(scores, (0, longest - scores.shape[3]), value=-torch.inf)


def _of_duration(cumulated: Tensor, d: int) -> Tensor:
    """Sums (B, T + 1 - d, S) over all segments of ``d`` frames, from cumulated numbers (B, T + 1, S, R)."""
    frames, count = cumulated.shape[1] - 1, cumulated.shape[3]
    edges = [-(-r * d // count) for r in range(count + 1)]  # the first i with i * R // d >= r
    starts = frames - d + 1
    parts = [
        cumulated[:, b : b + starts, :, r] - cumulated[:, a : a + starts, :, r]
        for r, (a, b) in enumerate(pairwise(edges))
        if b > a
    ]
    return sum(parts[1:], parts[0])
