"""An HMM whose emissions and transitions are predicted by a network from the frames before."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from aligner.hmm.base import HMM, Batch, check_positive, fit_by_gradient
from aligner.hmm.potentials import Potentials
from aligner.hmm.transitions import ArcWeights, Transitions, checked


class Causal(nn.Module):
    """A causal convolution over the last frames, (B, T, D) -> (B, T, H).

    Row t reads frames t - ``context`` + 1 to t.
    """

    def __init__(self, obs_dim: int, hidden: int, context: int) -> None:
        super().__init__()
        self.context = context
        self.convolution = nn.Conv1d(obs_dim, hidden, context)
        self.output = nn.Linear(hidden, hidden)

    def forward(self, frames: Tensor) -> Tensor:
        """Encode frames (B, T, D) as (B, T, H)."""
        padded = nn.functional.pad(frames.transpose(1, 2), (self.context - 1, 0))
        read: Tensor = self.output(torch.tanh(self.convolution(padded)).transpose(1, 2))
        return torch.tanh(read)


class NeuralHMM(HMM):
    """A hidden Markov model in which each state's Gaussian and each transition depend on the frames before.

    For frame t a network reads the frames before t; from what it says, linear maps give the means of all
    states and changes of all transition logits (Mehta, Székely, Beskow and Henter 2022, *Neural HMMs are all
    you need*; the likelihood is exact: nothing that t emits is known when it is emitted).

    Parameters
    ----------
    num_states, obs_dim : int
    hidden : int
        Size H of the network's output for each frame.
    context : int
        Frames that the network reads.
    network : Module, optional
        (B, T, obs_dim) -> (B, T, hidden), or a tuple that begins with it, where row t may depend on rows up
        to t and no later: ``nn.GRU(obs_dim, hidden, batch_first=True)``, for one.  A causal convolution over
        ``context`` frames unless given.
    transitions : Transitions, optional
        `left_to_right`, `skip`, `ergodic` (the default) or your own: the arcs, and where they begin.
    checkpoint_segments, kernel
        Parameters of `HMM`.

    Examples
    --------
    >>> model = NeuralHMM(3, 2, hidden=8)
    >>> model(torch.zeros(4, 20, 2)).shape
    torch.Size([4])
    """

    def __init__(
        self,
        num_states: int,
        obs_dim: int,
        hidden: int = 64,
        context: int = 5,
        network: nn.Module | None = None,
        transitions: Transitions | None = None,
        checkpoint_segments: int = 1,
        kernel: str = "auto",
    ) -> None:
        super().__init__(num_states, obs_dim, checkpoint_segments, kernel)
        if hidden < 1 or context < 1:
            raise ValueError(
                f"{hidden} hidden numbers, a context of {context} frames; at least 1 of each is needed"
            )
        transitions = checked(transitions, num_states)
        self.network = Causal(obs_dim, hidden, context) if network is None else network
        self.transitions = ArcWeights(transitions)
        self.means = nn.Linear(hidden, num_states * obs_dim)
        self.changes = nn.Linear(hidden, len(transitions.source))
        self.log_variances = nn.Parameter(torch.zeros(num_states, obs_dim))
        nn.init.normal_(self.means.bias)
        nn.init.zeros_(self.changes.bias)

    def potentials(self, observations: Tensor) -> Potentials:
        """Compute arcs that vary in time, and scores, of a batch (B, T, D)."""
        observations = observations.to(self.log_variances.dtype)
        encoded = self._encoded(observations)

        def score(observations: Tensor, first: int, last: int) -> Tensor:
            return self._score(observations[:, first:last], encoded[:, first:last])

        changes = self.changes(encoded).to(self.log_variances.dtype)
        scores = self._over_time(score, observations, self.num_states * self.obs_dim)
        return Potentials(self.transitions(changes), scores, None)

    def _encoded(self, observations: Tensor) -> Tensor:
        """Network output (B, T, H) for each frame, computed from the frames before it."""
        before = nn.functional.pad(observations, (0, 0, 1, 0))[:, :-1]
        output = self.network(before)
        encoded: Tensor = output[0] if isinstance(output, tuple) else output
        if encoded.shape != (*observations.shape[:2], self.means.in_features):
            raise ValueError(
                f"the network gave shape {tuple(encoded.shape)}; "
                f"{(*observations.shape[:2], self.means.in_features)} is needed"
            )
        return encoded

    def _score(self, observations: Tensor, encoded: Tensor) -> Tensor:
        """Log-likelihoods (B, T, S) of frames, given the network's output."""
        means = self.means(encoded).to(self.log_variances.dtype).unflatten(2, (self.num_states, self.obs_dim))
        precisions = (-self.log_variances).exp()
        distance: Tensor = ((observations[:, :, None] - means).square() * precisions).sum(3)
        constant = (self.log_variances + math.log(2 * math.pi)).sum(1)
        return -0.5 * (distance + constant)

    @torch.no_grad()
    def sample(self, num_frames: int, batch: int = 1, generator: torch.Generator | None = None) -> Batch:
        """Draw observations (B, T, D) frame by frame, and the states (B, T) behind them."""
        check_positive(num_frames, batch)
        device, dtype = self.log_variances.device, self.log_variances.dtype
        observations = torch.zeros(batch, num_frames, self.obs_dim, device=device, dtype=dtype)
        each = torch.arange(batch, device=device)
        begin = self.transitions().start[0].exp()
        state = torch.multinomial(begin.expand(batch, -1), 1, generator=generator).squeeze(1)
        states = [state]
        for t in range(num_frames):
            encoded = self._encoded(observations[:, : t + 1])[:, -1]
            if t > 0:
                logits = self.transitions.logits + self.changes(encoded)
                leaving = self.transitions.source == state[:, None]
                going = leaving.any(1)  # a state without arcs is kept
                odds = torch.where(going[:, None], logits.masked_fill(~leaving, -torch.inf), 0.0).softmax(1)
                arc = torch.multinomial(odds, 1, generator=generator).squeeze(1)
                state = torch.where(going, self.transitions.target[arc], state)
                states.append(state)
            means: Tensor = self.means(encoded).view(batch, self.num_states, -1)[each, state]
            noise = torch.randn(means.shape, generator=generator, device=device, dtype=dtype)
            observations[:, t] = means + noise * (0.5 * self.log_variances[state]).exp()
        return observations, torch.stack(states, 1)

    def fit(
        self,
        data: Tensor | Iterable[Batch],
        lengths: Tensor | None = None,
        iterations: int = 10,
        learning_rate: float = 1e-2,
    ) -> list[float]:
        """Learn from observations by gradient (Adam), a step for each batch; see `MixtureGaussianHMM.fit`.

        A NeuralHMM has no closed form for EM.
        """
        return fit_by_gradient(self, data, lengths, iterations, learning_rate)
