"""Transitions between states: builders, and the module that holds their probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from aligner.graph import NONE
from aligner.search.arcs import Arcs

LEAST_PROBABILITY = 1e-30  # least probability that counts give an arc, so that it stays an arc


@dataclass(frozen=True, kw_only=True)
class Transitions:
    """The arcs of a model, and the states where paths begin and end.

    Examples
    --------
    >>> list(zip(*(t.tolist() for t in (left_to_right(2).source, left_to_right(2).target))))
    [(0, 0), (0, 1), (1, 1)]
    """

    source: Tensor
    """(E,) int64: state that each arc leaves."""
    target: Tensor
    """(E,) int64: state that each arc leads to."""
    probability: Tensor
    """(E,): initial probability of each arc; those out of a state sum to 1."""
    start: Tensor
    """(S,): probability of beginning in each state; 0 where none may."""
    final: Tensor
    """(S,) bool: whether a path may end there."""

    @classmethod
    def of(cls, matrix: Tensor, start: Tensor, final: Tensor | None = None) -> Transitions:
        """Make transitions of a matrix (S, S), from row to column, and start (S,); 0 is no arc, rows are
        normalised.
        """
        if matrix.shape != (len(start), len(start)):
            raise ValueError(
                f"a matrix of shape {tuple(matrix.shape)} and a start of {len(start)} states; (S, S) and "
                "(S,) are needed"
            )
        source, target = torch.nonzero(matrix, as_tuple=True)
        ends = torch.ones(len(start), dtype=torch.bool) if final is None else final.bool()
        return cls(source=source, target=target, probability=matrix[source, target], start=start, final=ends)

    def without_loops(self) -> Transitions:
        """Remove arcs from a state to itself, and share their probability among the others."""
        kept = self.source != self.target
        source, weight = self.source[kept], self.probability[kept]
        total = torch.zeros(len(self.start), dtype=weight.dtype).index_add(0, source, weight)
        share = torch.where(total[source] > 0, weight / total[source].clamp(min=LEAST_PROBABILITY), weight)
        return Transitions(
            source=source, target=self.target[kept], probability=share, start=self.start, final=self.final
        )


def left_to_right(num_states: int, stay: float = 0.5) -> Transitions:
    """Transitions of each state to itself or the next, from the first state to the last."""
    return skip(num_states, stay, 0.0)


def skip(num_states: int, stay: float = 0.5, skipping: float = 0.1) -> Transitions:
    """Transitions as `left_to_right`, and over the next state with probability ``skipping``."""
    if num_states < 1 or skipping < 0 or not 0 < stay < 1 - skipping:
        raise ValueError(
            f"{num_states} states that stay with probability {stay} and skip one with {skipping}: at "
            "least one state and something left for the next are needed"
        )
    arcs = []
    for s in range(num_states):
        targets = [(s, stay), (s + 1, 1 - stay - skipping), (s + 2, skipping)]
        inside = [(target, p) for target, p in targets if target < num_states and p > 0]
        total = sum(p for _, p in inside)
        arcs += [(s, target, p / total) for target, p in inside]
    source, target, probability = zip(*arcs, strict=True)
    start, final = torch.zeros(num_states), torch.zeros(num_states, dtype=torch.bool)
    start[0], final[-1] = 1.0, True
    return Transitions(
        source=torch.tensor(source),
        target=torch.tensor(target),
        probability=torch.tensor(probability),
        start=start,
        final=final,
    )


def ergodic(num_states: int, stay: float | None = None) -> Transitions:
    """Transitions of every state to every state; paths begin and end anywhere."""
    if num_states < 1 or (stay is not None and not 0 <= stay <= 1):
        raise ValueError(
            f"{num_states} states that stay with probability {stay}; at least one, and 0 to 1, are needed"
        )
    matrix = torch.full((num_states, num_states), 1.0 / num_states)
    if stay is not None and num_states > 1:
        matrix.fill_((1 - stay) / (num_states - 1)).fill_diagonal_(stay)
    return Transitions.of(matrix, torch.full((num_states,), 1.0 / num_states))


def checked(transitions: Transitions | None, num_states: int) -> Transitions:
    """Return transitions for ``num_states`` states, `ergodic` ones unless given.

    Raises
    ------
    TypeError, ValueError
        If they are none, or of another number of states.
    """
    if transitions is None:
        return ergodic(num_states)
    if not isinstance(transitions, Transitions):
        raise TypeError(
            f"transitions are {type(transitions).__name__}; left_to_right(n), skip(n), ergodic(n) or "
            "Transitions.of(matrix, start) is needed"
        )
    if len(transitions.start) != num_states:
        raise ValueError(f"transitions of {len(transitions.start)} states for a model of {num_states}")
    return transitions


def _check(t: Transitions) -> None:
    """Raise unless shapes, indices and probabilities are valid."""
    states = len(t.start)
    shapes = {len(t.source), len(t.target), len(t.probability)}
    if t.start.ndim != 1 or t.final.shape != t.start.shape or len(shapes) != 1:
        raise ValueError(
            f"transitions with start of shape {tuple(t.start.shape)}, final {tuple(t.final.shape)}, and "
            f"{sorted(shapes)} sources, targets and probabilities: they do not fit together"
        )
    for name, states_of in (("source", t.source), ("target", t.target)):
        if len(states_of) and not 0 <= int(states_of.min()) <= int(states_of.max()) < states:
            raise ValueError(f"transitions whose {name} is not among the {states} states")
    for name, values in (("arcs", t.probability), ("the start", t.start)):
        if not bool((values >= 0).all()) or not bool(torch.isfinite(values).all()):
            raise ValueError(f"probabilities of {name} that are negative, infinite or NaN")


class ArcWeights(nn.Module):
    """The log probabilities of arcs, normalised per state, and of the start, as parameters.

    Parameters
    ----------
    transitions : Transitions
    """

    def __init__(self, transitions: Transitions) -> None:
        super().__init__()
        _check(transitions)
        states = len(transitions.start)
        if not bool(transitions.final.any()) or not bool((transitions.start > 0).any()):
            raise ValueError("no state may begin a path, or none may end one")
        order = torch.argsort(transitions.target * states - transitions.source)
        source, target = transitions.source[order], transitions.target[order]
        if len(torch.unique(target * states + source)) < len(source):
            raise ValueError("an arc stands twice among the transitions")
        into = torch.bincount(target, minlength=states)
        place = torch.arange(len(target)) - torch.repeat_interleave(into.cumsum(0) - into, into)
        width = max(1, int(into.max()))
        number = torch.full((states, width), NONE)
        number[target, place] = torch.arange(len(target))
        self.logits = nn.Parameter(transitions.probability[order].clamp(min=LEAST_PROBABILITY).log())
        self.start_logits = nn.Parameter(transitions.start.clamp(min=LEAST_PROBABILITY).log())
        final = torch.zeros(states).masked_fill(~transitions.final, -torch.inf)
        predecessors = torch.where(
            number >= 0, source[number.clamp(min=0)] if len(source) else number, NONE
        ).int()
        for name, value in (
            ("source", source),
            ("target", target),
            ("number", number),
            ("predecessors", predecessors),
            ("final", final),
            ("begins", transitions.start > 0),
            ("pdf", torch.arange(states, dtype=torch.int32)),
        ):
            self.register_buffer(name, value)
        self.source: Tensor
        self.target: Tensor
        self.number: Tensor
        self.predecessors: Tensor
        self.final: Tensor
        self.begins: Tensor
        self.pdf: Tensor

    def forward(self, change: Tensor | None = None) -> Arcs:
        """Arcs of a batch: one graph; or one per sequence that varies in time, with ``change`` (B, T, E)."""
        logits = self.logits[None, None] if change is None else self.logits + change
        arcs = self.normalised(logits) if len(self.source) else logits.new_zeros(*logits.shape[:2], 1)
        arcs = arcs[..., self.number.clamp(min=0)].masked_fill(self.number < 0, -torch.inf)
        start = self.start_logits.masked_fill(~self.begins, -torch.inf).log_softmax(0)
        graphs = len(arcs)
        own = (
            v[None].expand(graphs, *v.shape)
            for v in (self.pdf, self.predecessors, start, self.final.to(start))
        )
        pdf, predecessors, start, final = own
        return Arcs(pdf, predecessors, arcs, start, final)

    def normalised(self, logits: Tensor) -> Tensor:
        """Normalise the logits (..., E) of arcs to log probabilities; those out of each state sum to 1."""
        shape = (*logits.shape[:-1], len(self.pdf))
        index = self.source.expand(logits.shape)
        most = torch.full(shape, -torch.inf, dtype=logits.dtype, device=logits.device).scatter_reduce(
            -1, index, logits.detach(), "amax"
        )
        total = torch.zeros(shape, dtype=logits.dtype, device=logits.device).scatter_add(
            -1, index, (logits - most.gather(-1, index)).exp()
        )
        return logits - most.gather(-1, index) - total.gather(-1, index).log()

    @torch.no_grad()
    def update(self, arcs: Tensor, start: Tensor) -> None:
        """Set the probabilities from expected counts of arcs (S, K) and beginnings (S,).

        What was never seen stays as it is: for want of counts no state loses its arcs.
        """
        filled = self.number >= 0
        counts = torch.zeros(len(self.logits), dtype=torch.float64, device=arcs.device)
        counts[self.number[filled]] = arcs.double()[filled]  # every arc has one cell
        total = torch.zeros(len(self.pdf), dtype=torch.float64, device=arcs.device).index_add(
            0, self.source, counts
        )
        seen = total[self.source] > 0
        shares = counts / total.clamp(min=LEAST_PROBABILITY)[self.source]
        if self.logits.requires_grad:
            self.logits.copy_(
                torch.where(seen, shares.clamp(min=LEAST_PROBABILITY).log(), self.logits.double())
            )
        if float(start.sum()) > 0 and self.start_logits.requires_grad:
            self.start_logits.copy_(
                (start.double() / start.double().sum()).clamp(min=LEAST_PROBABILITY).log()
            )
