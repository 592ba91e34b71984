"""The best path of an utterance, and how well each frame fits it: where models and search meet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from aligner.graph import Graph
from aligner.models.base import HmmModel
from aligner.refine.confidence import Evidence, PathPhones, evidence
from aligner.search.arcs import Arcs, NoPath, Path
from aligner.search.long import long_path
from aligner.search.viterbi import viterbi
from aligner.tracing import stage

MOST_SCORES = 2**26  # of an utterance (256 MB) that are all made at once: some four minutes of speech
RIVAL_STRIDE = 3  # frames from one comparison with phones that are not in the transcript to the next
COMPARED_PIECE = 1365 * RIVAL_STRIDE  # frames that are compared at once, where there are too many for all
NO_COLUMNS = np.empty(0, np.int64)
SHORT_PIECE = 100 * RIVAL_STRIDE  # the same for who knows the path already: fewer frames use fewer pdfs


class ScoredFrames(NamedTuple):
    """Frames of an utterance with their scores under some pdfs."""

    frames: Tensor
    """(T, D) the frames."""

    scores: Tensor
    """(T, P) their log-likelihoods."""

    pdfs: np.ndarray
    """(P,) the pdfs of the columns of the scores, ascending."""


@dataclass(frozen=True)
class PhoneComparison:
    """Compares the path through a graph with all phones of a model, without context."""

    graph: Graph
    """The graph that paths go through."""

    model: HmmModel
    """The model that scores frames."""

    numbers: np.ndarray
    """(nodes,) the model's number of the phone of each node of the graph."""

    pdfs: np.ndarray
    """The pdfs of the graph and of its phones without context, ascending."""

    @classmethod
    def of(cls, graph: Graph, model: HmmModel) -> PhoneComparison:
        """The comparison for the paths through a graph."""
        number = {phone: model.topology.number(phone) for phone in set(graph.phone)}
        numbers = np.array([number[phone] for phone in graph.phone])
        return cls(graph, model, numbers, np.union1d(graph.pdfs, model.topology.alone[np.unique(numbers)]))

    def scored(self, frames: Tensor) -> ScoredFrames:
        """Frames (T, D) with their scores under all states of the graph, and its phones without context."""
        return ScoredFrames(frames, self.model.score(frames, self.pdfs), self.pdfs)

    def phones(self, states: np.ndarray) -> PathPhones:
        """The phones of a path through ``states`` (T,)."""
        return PathPhones.of(self.graph.node[states], self.numbers)

    def evidence(self, scored: ScoredFrames, states: np.ndarray, phones: PathPhones) -> Evidence:
        """What each frame says about a path, in all of an utterance or in a piece of it.

        The path is compared with the phones of the transcript in every frame, by the scores that the search
        needed anyway; with the others in every third, for no phone is shorter, and they would double the
        work.

        Parameters
        ----------
        scored : ScoredFrames
        states : ndarray
            (T,) of the path in these frames.
        phones : PathPhones
            Those of the path in these frames.
        """
        topology, graph = self.model.topology, self.graph
        inside, scores = np.unique(self.numbers), scored.scores.cpu().numpy()
        rivals = np.empty((len(states), len(topology.alone)), scores.dtype)
        rivals[:, inside] = scores[:, np.searchsorted(scored.pdfs, topology.alone[inside])].max(2)
        others = np.setdiff1d(np.arange(len(topology.alone)), inside)
        if len(others):
            rivals[:, others] = self._outside(scored.frames, others, rivals[:, inside].max(1, keepdims=True))
        own = scores[np.arange(len(states)), np.searchsorted(scored.pdfs, graph.pdfs[graph.pdf[states]])]
        return evidence(own, rivals, phones)

    def _outside(self, frames: Tensor, others: np.ndarray, level: np.ndarray) -> np.ndarray:
        """Scores of phones that are not in the transcript, each from the nearest frame that was compared.

        Frames differ in what they give to all phones, so it is taken from there relative to the ``level``
        (T, 1) of the best phone of the transcript.
        """
        alone = self.model.topology.alone
        rest = np.unique(alone[others])
        compared = np.arange(min(1, len(frames) - 1), len(frames), RIVAL_STRIDE)
        scores = self.model.score(frames[compared], rest).cpu().numpy()
        best = scores[:, np.searchsorted(rest, alone[others])].max(2)
        nearest = np.minimum(np.arange(len(frames)) // RIVAL_STRIDE, len(compared) - 1)
        outside: np.ndarray = (best - level[compared])[nearest] + level
        return outside


def best_path(
    frames: Tensor,
    graph: Graph,
    model: HmmModel,
    *,
    kernel: str,
    spans: np.ndarray | None = None,
    pause_cost: Tensor | None = None,
) -> tuple[Path, Evidence]:
    """The best path of an utterance, and what each frame says about it.

    All is computed at once; or in little memory where the scores alone would fill it.

    Parameters
    ----------
    frames : Tensor
        (T, D)
    graph : Graph
    model : HmmModel
    kernel : {'auto', 'numba', 'triton', 'reference'}
    spans : ndarray, optional
        (S, 2) the first frame, and the last + 1, in which the path may be in each state; any frame unless
        given.
    pause_cost : Tensor, optional
        (T,) what a frame costs that is taken for a pause between words (see `aligner.refine.pauses`).

    Raises
    ------
    NoPath
        If no path is possible.
    """
    graph, pauses = (
        pauses_apart(graph, model.topology.silence) if pause_cost is not None else (graph, NO_COLUMNS)
    )
    if spans is not None:  # every state has scores of its own then
        pauses = np.flatnonzero(np.isin(graph.pdf, pauses))
        states = np.arange(len(graph.pdf), dtype=np.int32)
        graph = replace(graph, pdf=states, pdfs=graph.pdfs[graph.pdf])
    comparison = PhoneComparison.of(graph, model)
    most = max(len(comparison.pdfs), len(graph.pdfs))
    if len(frames) * most > MOST_SCORES and kernel in ("auto", "numba"):
        return _long_path(frames, graph, model, spans=spans, pauses=pauses, pause_cost=pause_cost)
    with stage("scores"):
        scored = comparison.scored(frames)
    with stage("search"):
        scores, columns = _paused(scored, graph, pauses, pause_cost)
        path = viterbi(*_columns(Arcs.of(graph), scores, columns, spans), kernel=kernel)
    with stage("evidence"):
        states = path.states[0].numpy()
        return path, comparison.evidence(scored, states, comparison.phones(states))


def pauses_apart(graph: Graph, silence: str) -> tuple[Graph, np.ndarray]:
    """The graph with columns of scores that are the pauses' alone, and which they are, (Q,).

    A pause is a ``silence`` between two words: neither that before the first word nor that behind the last.
    """
    silent = np.array([label == silence for label in graph.phone])
    silent[graph.node[np.isfinite(graph.start) | np.isfinite(graph.final)]] = False
    between = np.flatnonzero(silent[graph.node])
    if not len(between):
        return graph, NO_COLUMNS
    own, place = np.unique(graph.pdf[between], return_inverse=True)
    pdf = graph.pdf.copy()
    pdf[between] = len(graph.pdfs) + place
    pauses = np.arange(len(graph.pdfs), len(graph.pdfs) + len(own))
    return replace(graph, pdf=pdf, pdfs=np.append(graph.pdfs, graph.pdfs[own])), pauses


def _paused(
    scored: ScoredFrames, graph: Graph, pauses: np.ndarray, cost: Tensor | None
) -> tuple[Tensor, np.ndarray]:
    """Scores (T, C), and the column of each of the graph's pdfs, (P,).

    The ``pauses`` among these have columns of their own, from which the ``cost`` (T,) is taken.
    """
    columns = np.searchsorted(scored.pdfs, graph.pdfs)
    if cost is None or not len(pauses):
        return scored.scores, columns
    free = torch.from_numpy(columns[pauses]).to(scored.scores.device)
    dearer = scored.scores.index_select(1, free) - cost.to(scored.scores)[:, None]
    columns[pauses] = scored.scores.shape[1] + np.arange(len(pauses))
    return torch.cat([scored.scores, dearer], 1), columns


def _long_path(
    frames: Tensor,
    graph: Graph,
    model: HmmModel,
    *,
    spans: np.ndarray | None,
    pauses: np.ndarray,
    pause_cost: Tensor | None,
) -> tuple[Path, Evidence]:
    """Find what `best_path` finds, in little memory."""

    def score(first: int, last: int, columns: np.ndarray) -> Tensor:
        own = None if spans is None else spans[columns]
        with stage("scores"):
            scores = model.score(frames[first:last], graph.pdfs[columns])
            if pause_cost is not None:
                scores[:, torch.from_numpy(np.isin(columns, pauses))] -= pause_cost[first:last, None]
            return scores_within(scores, own, first)

    with stage("search"):
        path = long_path(Arcs.of(graph), score, len(frames))
    with stage("evidence"):
        return path, path_evidence(frames, graph, model, path.states[0].numpy(), piece=COMPARED_PIECE)


def path_evidence(
    frames: Tensor, graph: Graph, model: HmmModel, states: np.ndarray, *, piece: int
) -> Evidence:
    """What each frame says about a path that is known already.

    Parameters
    ----------
    frames : Tensor
        (T, D)
    graph : Graph
    model : HmmModel
    states : ndarray
        (T,) of the path.
    piece : int
        How many frames are compared at once.
    """
    comparison = PhoneComparison.of(graph, model)
    phones, alone = comparison.phones(states), model.topology.alone[np.unique(comparison.numbers)]
    parts = []
    for k in range(0, len(frames), piece):
        some = slice(k, k + piece)
        pdfs = np.union1d(graph.pdfs[graph.pdf[states[some]]], alone)
        scored = ScoredFrames(frames[some], model.score(frames[some], pdfs), pdfs)
        parts.append(comparison.evidence(scored, states[some], phones.within(some)))
    return Evidence.concatenated(parts)


def path_scores(frames: Tensor, graph: Graph, model: HmmModel, states: np.ndarray) -> np.ndarray:
    """Scores (T,) of ``frames`` (T, D) under the ``states`` (T,) of a path."""
    parts = []
    for k in range(0, len(frames), SHORT_PIECE):
        some = slice(k, k + SHORT_PIECE)
        pdfs, column = np.unique(graph.pdf[states[some]], return_inverse=True)
        scores = model.score(frames[some], graph.pdfs[pdfs]).numpy()
        parts.append(scores[np.arange(len(column)), column])
    return np.concatenate(parts)


def best_paths(
    frames: Sequence[Tensor],
    graphs: Sequence[Graph],
    model: HmmModel,
    *,
    kernel: str,
    pause_costs: Sequence[Tensor | None] | None = None,
) -> list[tuple[Path, Evidence] | None]:
    """`best_path` of a batch, on the device of the model; None for an utterance that has no path.

    Parameters
    ----------
    frames : sequence of Tensor
        (T, D) of each utterance, on the device.
    graphs : sequence of Graph
    model : HmmModel
        On the same device.
    kernel : {'auto', 'numba', 'triton', 'reference'}
    pause_costs : sequence of Tensor or None, optional
        (T,) of each utterance, see `best_path`.
    """
    if not graphs:
        return []
    costs = pause_costs or [None] * len(graphs)
    apart = [
        (graph, NO_COLUMNS) if cost is None else pauses_apart(graph, model.topology.silence)
        for graph, cost in zip(graphs, costs, strict=True)
    ]
    comparisons = [PhoneComparison.of(graph, model) for graph, _ in apart]
    scored = [c.scored(x) for c, x in zip(comparisons, frames, strict=True)]
    priced = [
        _paused(s, graph, pauses, cost) for s, (graph, pauses), cost in zip(scored, apart, costs, strict=True)
    ]
    lengths = torch.tensor([len(x) for x in frames])
    try:
        path = viterbi(*_padded(priced, [graph for graph, _ in apart]), lengths, kernel)
    except NoPath as error:
        lost = set(error.utterances)
        kept = [k for k in range(len(frames)) if k not in lost]
        again = best_paths(
            [frames[k] for k in kept],
            [graphs[k] for k in kept],
            model,
            kernel=kernel,
            pause_costs=[costs[k] for k in kept],
        )
        rest = iter(again)
        return [None if k in lost else next(rest) for k in range(len(frames))]
    states, totals = path.states.cpu(), path.score.cpu()
    found: list[tuple[Path, Evidence] | None] = []
    for b, (comparison, one) in enumerate(zip(comparisons, scored, strict=True)):
        own = states[b : b + 1, : len(one.frames)]
        phones = comparison.phones(own[0].numpy())
        found.append((Path(own, totals[b : b + 1]), comparison.evidence(one, own[0].numpy(), phones)))
    return found


def _padded(priced: Sequence[tuple[Tensor, np.ndarray]], graphs: Sequence[Graph]) -> tuple[Arcs, Tensor]:
    """The arcs of several graphs, and the scores (B, T, C) of their utterances, filled up with zeros."""
    longest, width = (max(scores.shape[k] for scores, _ in priced) for k in (0, 1))
    padded = priced[0][0].new_zeros(len(priced), longest, width, dtype=torch.float32)
    for target, (scores, _) in zip(padded, priced, strict=True):
        target[: scores.shape[0], : scores.shape[1]] = scores
    moved = [
        replace(graph, pdf=columns[graph.pdf].astype(np.int32))
        for graph, (_, columns) in zip(graphs, priced, strict=True)
    ]
    return Arcs.of(moved, padded.device), padded


def _columns(
    arcs: Arcs, scores: Tensor, columns: np.ndarray, spans: np.ndarray | None
) -> tuple[Arcs, Tensor]:
    """Arcs and scores (1, T, P) of the graph's own ``columns``: the arcs point to them, unless spans change
    the scores.
    """
    if spans is not None:
        return arcs, scores_within(scores[:, columns], spans)[None]
    return arcs._replace(pdf=torch.from_numpy(columns.astype(np.int32))[arcs.pdf.long()]), scores[None]


def scores_within(scores: Tensor, spans: np.ndarray | None, first: int = 0) -> Tensor:
    """Scores (T, P) of the frames from ``first`` on, -inf where a column's span (P, 2) does not reach."""
    if spans is None:
        return scores
    frame, limits = torch.arange(first, first + len(scores))[:, None], torch.from_numpy(spans)
    return scores.masked_fill((frame < limits[:, 0]) | (frame >= limits[:, 1]), -torch.inf)
