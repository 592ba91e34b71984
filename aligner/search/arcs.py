"""The graphs of a batch as padded tensors: all that a search needs to know of them.

Shapes, everywhere in this room:

===  ================================================================================
B    utterances in the batch, padded to T frames; ``lengths`` says how many each has
G    graphs: 1 where the batch shares one, otherwise B
S    states, padded; a padded state has no arcs, and neither starts nor ends a path
K    predecessors of a state, padded with -1
U    1 where arcs weigh the same in every frame, otherwise T: row t is for arcs into frame t
P    columns of the scores
===  ================================================================================

Everything is in the log domain, -inf for impossible.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from aligner.graph.flat import NONE, Graph
from aligner.search.fitting import misfit

Scorer = Callable[[int, int, np.ndarray], Tensor]
"""Gives the scores of frames from a first to a last, which is left out, under some columns."""


class NoPath(ValueError):
    """Some utterances of a batch have no path from a start to a final state.

    Attributes
    ----------
    utterances : tuple of int
        Their places in the batch.
    """

    def __init__(self, utterances: Sequence[int]) -> None:
        self.utterances = tuple(utterances)
        listed = ", ".join(map(str, self.utterances[:5])) + ("..." if len(self.utterances) > 5 else "")
        super().__init__(
            f"no path from a start to a final state for utterance {listed} of the batch: its graph takes "
            "more frames (or, with durations, fewer), or every path meets a score or weight of -inf"
        )


class Path(NamedTuple):
    """The best path of each utterance."""

    states: Tensor
    """(B, T) int64: the graph's state in each frame; -1 beyond an utterance's length."""
    score: Tensor
    """(B,): log weight, scores and arcs together."""


class Arcs(NamedTuple):
    """The graphs of a batch, as padded tensors.

    Examples
    --------
    Two states, from left to right:

    >>> arcs = Arcs.dense(torch.tensor([[0.9, 0.1], [0.0, 1.0]]).log(), torch.tensor([1.0, 0.0]).log())
    >>> arcs.predecessors.tolist()
    [[[0, -1], [0, 1]]]
    """

    pdf: Tensor
    """(G, S) int32: each state's column in the scores."""
    predecessors: Tensor
    """(G, S, K) int32: where each state may be reached from; -1 fills the row."""
    weights: Tensor
    """(G, U, S, K): log weights of those arcs; what stands where there is no predecessor is not read."""
    start: Tensor
    """(G, S): log weight of beginning in each state."""
    final: Tensor
    """(G, S): log weight of ending in each state."""

    @classmethod
    def of(cls, graphs: Graph | Sequence[Graph], device: torch.device | str = "cpu") -> Arcs:
        """Make arcs from one graph for a whole batch, or one for each utterance.

        Predecessors near a state come first: of paths that weigh the same, and real speech has them where
        two pronunciations share their pdfs, every kernel then finds the same.
        """
        if isinstance(graphs, Graph):
            graphs = [graphs]
        width = max(g.predecessors.shape[1] for g in graphs)
        states = max(len(g.pdf) for g in graphs)

        def padded(rows: list[np.ndarray], shape: tuple[int, ...], fill: float) -> Tensor:
            whole = np.full((len(rows), *shape), fill, rows[0].dtype)
            for target, row in zip(whole, rows, strict=True):
                target[tuple(map(slice, row.shape))] = row
            return torch.from_numpy(whole).to(device)

        order = [_near_first(g.predecessors) for g in graphs]
        predecessors = [np.take_along_axis(g.predecessors, o, 1) for g, o in zip(graphs, order, strict=True)]
        weights = [np.take_along_axis(g.weights, o, 1) for g, o in zip(graphs, order, strict=True)]
        return cls(
            padded([g.pdf for g in graphs], (states,), 0),
            padded(predecessors, (states, width), NONE),
            padded(weights, (states, width), -np.inf)[:, None],
            padded([g.start for g in graphs], (states,), -np.inf),
            padded([g.final for g in graphs], (states,), -np.inf),
        )

    @classmethod
    def dense(cls, transitions: Tensor, start: Tensor, final: Tensor | None = None) -> Arcs:
        """Make arcs from a matrix (S, S) of log weights, from row to column; impossible arcs are left out."""
        missing = torch.isneginf(transitions.T)
        most = max(1, int((~missing).sum(1).max()))
        order = torch.argsort(missing.int(), dim=1, stable=True)[:, :most]
        exists = ~missing.gather(1, order)
        weights = transitions.T.gather(1, order)
        final = torch.zeros_like(start) if final is None else final
        pdf = torch.arange(len(start), dtype=torch.int32, device=start.device)
        return cls(
            pdf[None],
            torch.where(exists, order, NONE).int()[None],
            weights[None, None],
            start[None],
            final[None],
        )

    @property
    def states(self) -> int:
        """The number of states S, padding included."""
        return self.pdf.shape[1]

    def to(self, like: Tensor) -> Arcs:
        """The same arcs on the device of ``like`` and with weights in its floating type."""
        return Arcs(
            self.pdf.to(like.device),
            self.predecessors.to(like.device),
            self.weights.to(like),
            self.start.to(like),
            self.final.to(like),
        )

    def detached(self) -> Arcs:
        """The same arcs, whose weights carry no gradients."""
        return self._replace(
            weights=self.weights.detach(), start=self.start.detach(), final=self.final.detach()
        )

    def of_utterance(self, b: int) -> Arcs:
        """The graph of utterance ``b`` alone."""
        return self if len(self.pdf) == 1 else Arcs(*(tensor[b : b + 1] for tensor in self))

    def arriving(self, values: Tensor, t: int) -> Tensor:
        """``values`` (B, S) of the frame before, carried along every arc into frame ``t``: (B, S, K)."""
        batch = len(values)
        before = self.predecessors.long().expand(batch, -1, -1)
        weights = self.weights[:, min(t, self.weights.shape[1] - 1)]
        carried = values.gather(1, before.clamp(min=0).flatten(1)).view_as(before)
        return torch.where(before == NONE, -torch.inf, carried + weights)

    def emitted(self, scores: Tensor) -> Tensor:
        """Scores (B, T, P) as each state sees them: (B, T, S)."""
        return scores.gather(2, self.pdf.long()[:, None].expand(*scores.shape[:2], -1))


def _near_first(predecessors: np.ndarray) -> np.ndarray:
    """Columns (S, K) by how far before its state a predecessor stands: 0, 1, 2 states, then all others as
    they are.
    """
    away = np.arange(len(predecessors))[:, None] - predecessors
    far = (away < 0) | (away > 2) | (predecessors == NONE)
    return np.argsort(np.where(far, 3 + (predecessors == NONE), away), axis=1, kind="stable")


def check(arcs: Arcs, scores: Tensor, lengths: Tensor | Sequence[int] | None) -> Tensor:
    """Whether arcs, scores and lengths fit together; the lengths (B,) int64 on the CPU.

    Raises
    ------
    ValueError
        Naming what does not fit.
    """
    if scores.ndim != 3 or not all(scores.shape):
        raise ValueError(f"scores of shape {tuple(scores.shape)}; (B, T, P) is needed, none of them 0")
    if not scores.is_floating_point():
        raise ValueError(f"scores of type {scores.dtype}; a floating type is needed")
    batch, frames, columns = scores.shape
    _check_shapes(arcs)
    graphs, varying = arcs.weights.shape[:2]
    if graphs not in (1, batch):
        raise ValueError(f"{graphs} graphs for a batch of {batch}; 1 or {batch} are needed")
    if varying not in (1, frames):
        raise ValueError(f"arc weights for {varying} frames; 1 or {frames} are needed")
    if not 0 <= int(arcs.pdf.min()) <= int(arcs.pdf.max()) < columns:
        raise ValueError(
            f"scores of shape {tuple(scores.shape)}: the graph asks for columns {int(arcs.pdf.min())} to "
            f"{int(arcs.pdf.max())}"
        )
    if not NONE <= int(arcs.predecessors.min()) <= int(arcs.predecessors.max()) < arcs.states:
        raise ValueError(
            f"predecessors from {int(arcs.predecessors.min())} to {int(arcs.predecessors.max())} in a "
            f"graph of {arcs.states} states; {NONE} to {arcs.states - 1} are needed"
        )
    counts = checked_lengths(lengths, batch, frames)
    for name, values in (
        ("scores", scores),
        ("arc weights", arcs.weights),
        ("start or final weights", arcs.start),
        ("start or final weights", arcs.final),
    ):
        total = values.detach().sum()
        if torch.isnan(total) or total == torch.inf:
            read = (
                values
                if name != "arc weights"
                else values.masked_fill(arcs.predecessors[:, None] == NONE, 0.0)
            )
            _refuse_wrong(name, read.detach(), counts if name == "scores" else None)
    return counts


def _check_shapes(arcs: Arcs) -> None:
    if arcs.predecessors.ndim != 3 or arcs.weights.ndim != 4:
        raise ValueError(
            f"predecessors of shape {tuple(arcs.predecessors.shape)} and weights of shape "
            f"{tuple(arcs.weights.shape)}; (G, S, K) and (G, U, S, K) are needed"
        )
    graphs, states, width = arcs.predecessors.shape
    wanted = {
        "pdf": (graphs, states),
        "weights": (graphs, arcs.weights.shape[1], states, width),
        "start": (graphs, states),
        "final": (graphs, states),
    }
    for name, shape in wanted.items():
        found = tuple(getattr(arcs, name).shape)
        if found != shape:
            raise ValueError(
                f"{name} of shape {found}; {shape} fits predecessors of shape "
                f"{tuple(arcs.predecessors.shape)}"
            )


def checked_lengths(lengths: Tensor | Sequence[int] | None, batch: int, frames: int) -> Tensor:
    """Lengths (B,) int64 on the CPU; T for all unless given.

    Raises
    ------
    ValueError
        If they are not so many whole numbers from 1 to T.
    """
    if lengths is None:
        return torch.full((batch,), frames)
    counts = torch.as_tensor(lengths).cpu()
    if (
        counts.shape != (batch,)
        or counts.is_floating_point()
        or counts.dtype == torch.bool
        or not 1 <= int(counts.min()) <= int(counts.max()) <= frames
    ):
        raise ValueError(f"lengths {counts.tolist()}; {batch} whole numbers from 1 to {frames} are needed")
    return counts.long()


def _refuse_wrong(name: str, values: Tensor, lengths: Tensor | None) -> None:
    """Raise where there is a NaN or +inf, padding aside (a sum may be one without: of -inf, or of large
    numbers).
    """
    wrong = torch.isnan(values) | (values == torch.inf)
    if lengths is not None:
        wrong &= within(lengths, values.shape[1], values.device)[..., None]
    if bool(wrong.any()):
        b, *place = torch.nonzero(wrong)[0].tolist()
        where = f" of utterance {b}, first in frame {place[0]}" if lengths is not None else ""
        raise ValueError(f"NaN or +inf among the {name}{where}")


def within(lengths: Tensor, frames: int, device: torch.device | None = None) -> Tensor:
    """(B, T) bool: whether a frame is the utterance's, or padding."""
    return torch.arange(frames, device=device) < lengths.to(device)[:, None]


def precise(scores: Tensor) -> Tensor:
    """``scores``, in float32 where they are of a lower precision: sums over frames would not fit into
    that."""
    return scores.float() if scores.is_floating_point() and scores.dtype != torch.float64 else scores


def require_paths(scores: Tensor) -> None:
    """Raise `NoPath` where the total score (B,) of an utterance is -inf."""
    lost = torch.nonzero(scores.detach() == -torch.inf).flatten().tolist()
    if lost:
        raise NoPath(lost)


def chosen_kernel(kernel: str, device: torch.device) -> str:
    """The kernel that 'auto' stands for on a device; a name otherwise.

    Raises
    ------
    ValueError
        If there is no such kernel, or it does not run on the device.
    """
    wrong = misfit(kernel, str(device))
    if wrong:
        raise ValueError(wrong)
    return {"cpu": "numba", "cuda": "triton"}.get(device.type, "reference") if kernel == "auto" else kernel


def arrays(*tensors: Tensor) -> tuple[Any, ...]:
    """Contiguous numpy arrays of tensors on the CPU."""
    return tuple(t.detach().contiguous().numpy() for t in tensors)
