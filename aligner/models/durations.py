"""Distributions of the durations of states, over 1 to D frames.

Gamma, Poisson and log-normal densities are taken at the whole numbers of frames from the shortest to
the longest and made to sum to 1 there; ``free`` has a probability for each (Levinson 1986,
*Continuously variable duration hidden Markov models*; Yu 2010, *Hidden semi-Markov models*).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

# the least probability that counts may give a duration: none is ever ruled out by the data
LEAST_PROBABILITY = 1e-12
OPTIMISER_STEPS = 200  # most steps of the optimiser that fits two numbers a state


class Durations(nn.Module):
    """Duration distributions of S states.

    Parameters
    ----------
    kind : {'gamma', 'poisson', 'lognormal', 'free'}
    num_states : int
    longest, shortest : int
        Bounds of the durations, in frames.
    mean : float, optional
        Initial mean, in frames; midway unless given.

    Examples
    --------
    >>> durations = Durations("gamma", num_states=1, longest=20, mean=5.0)
    >>> table = durations().exp().detach()
    >>> table.shape, round(float(table.sum()), 3), int(table.argmax()) + 1
    (torch.Size([1, 20]), 1.0, 4)
    """

    def __init__(
        self, kind: str, num_states: int, longest: int, shortest: int = 1, mean: float | None = None
    ) -> None:
        super().__init__()
        if not 1 <= shortest <= longest:
            raise ValueError(
                f"durations from {shortest} to {longest} frames; 1 <= shortest <= longest is needed"
            )
        if kind not in _LOG_DENSITIES:
            raise ValueError(f"durations {kind!r}; one of {', '.join(_LOG_DENSITIES)} is needed")
        self.kind, self.longest, self.shortest = kind, longest, shortest
        mean = (shortest + longest) / 2 if mean is None else float(mean)
        if not shortest <= mean <= longest:
            raise ValueError(f"a mean of {mean:g} frames; it must lie between {shortest} and {longest}")
        start = _start(kind, mean, longest)
        self.parameters_ = nn.Parameter(start.repeat(num_states, 1))
        frames = torch.arange(1, longest + 1)
        self.register_buffer("frames", frames.to(start.dtype), persistent=False)
        self.register_buffer("allowed", frames >= shortest, persistent=False)
        self.frames: Tensor
        self.allowed: Tensor

    def forward(self) -> Tensor:
        """Log probabilities (S, D); column d - 1 is that of d frames."""
        return self._table(self.parameters_, self.frames.to(self.parameters_))

    def _table(self, parameters: Tensor, frames: Tensor) -> Tensor:
        density = _LOG_DENSITIES[self.kind](parameters, frames)
        return density.masked_fill(~self.allowed, -torch.inf).log_softmax(1)

    def get_extra_state(self) -> dict[str, str | int]:
        """What the parameters alone do not say, stored beside them in ``state_dict``."""
        return {"kind": self.kind, "shortest": self.shortest, "longest": self.longest}

    def set_extra_state(self, state: dict[str, str | int]) -> None:
        """Refuse the parameters of other distributions."""
        if state != self.get_extra_state():
            raise ValueError(f"the durations saved were {state}, these are {self.get_extra_state()}")

    @property
    def means(self) -> Tensor:
        """Expected duration of each state (S,), in frames."""
        return (self.forward().exp() * self.frames.to(self.parameters_)).sum(1)

    @torch.no_grad()
    def fit(self, counts: Tensor) -> None:
        """Maximise the likelihood of expected counts (S, D) of durations; it never falls.

        States never seen stay as they are, and so do parameters that are frozen (``requires_grad_(False)``).
        """
        counts = counts.to(self.parameters_.device, torch.float64) * self.allowed
        seen = counts.sum(1) > 0
        if not bool(seen.any()) or not self.parameters_.requires_grad:
            return
        shares = counts[seen] / counts[seen].sum(1, keepdim=True)
        if self.kind == "free":
            self.parameters_[seen] = shares.clamp(min=LEAST_PROBABILITY).log().to(self.parameters_)
            return
        old = self.parameters_[seen].double()
        new = self._climb(old, shares)
        gain = self._likelihood(new, shares) - self._likelihood(old, shares)
        self.parameters_[seen] = torch.where((gain > 0)[:, None], new, old).to(self.parameters_)

    def _likelihood(self, parameters: Tensor, shares: Tensor) -> Tensor:
        table = self._table(parameters, self.frames.double())
        return (shares * table.masked_fill(~self.allowed, 0.0)).sum(1)

    @torch.enable_grad()
    def _climb(self, old: Tensor, shares: Tensor) -> Tensor:
        """The parameters of greatest likelihood near ``old``; it is concave in the families' natural
        parameters.
        """
        new = old.clone().requires_grad_()
        optimiser = torch.optim.LBFGS(
            [new],
            max_iter=OPTIMISER_STEPS,
            history_size=20,
            tolerance_grad=1e-9,
            tolerance_change=1e-12,
            line_search_fn="strong_wolfe",
        )

        def loss() -> Tensor:
            optimiser.zero_grad()
            total = -self._likelihood(new, shares).sum()
            total.backward()  # type: ignore[no-untyped-call]
            return total

        optimiser.step(loss)  # type: ignore[no-untyped-call]
        return torch.nan_to_num(new.detach(), nan=0.0)


def _gamma(parameters: Tensor, frames: Tensor) -> Tensor:
    """Unnormalised gamma log densities, with parameters (log shape, log scale)."""
    shape, scale = parameters.exp()[:, :1], parameters.exp()[:, 1:]
    return (shape - 1) * frames.log() - frames / scale


def _poisson(parameters: Tensor, frames: Tensor) -> Tensor:
    """Unnormalised Poisson log probabilities, with the parameter (log rate,)."""
    return frames * parameters - torch.lgamma(frames + 1)


def _lognormal(parameters: Tensor, frames: Tensor) -> Tensor:
    """Unnormalised log-normal log densities, with (mean, log standard deviation) of the logarithm."""
    z = (frames.log() - parameters[:, :1]) / parameters[:, 1:].exp()
    return -0.5 * z.square() - frames.log()


def _free(parameters: Tensor, frames: Tensor) -> Tensor:
    """Free log probabilities: the parameters are a logit for each number of frames."""
    return parameters


def _start(kind: str, mean: float, longest: int) -> Tensor:
    """Initial parameters (1, ...) of a distribution with this mean."""
    values = {
        "gamma": [math.log(4.0), math.log(mean / 4.0)],
        "poisson": [math.log(mean)],
        "lognormal": [math.log(mean), math.log(0.5)],
        "free": [0.0] * longest,
    }
    return torch.tensor([values[kind]])


_LOG_DENSITIES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "gamma": _gamma,
    "poisson": _poisson,
    "lognormal": _lognormal,
    "free": _free,
}
