"""The best path of an utterance, and how well each frame fits it: where models and search meet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
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

SCORES = (
    2**26
)  # scores of an utterance (256 MB) up to which they are all made at once: some four minutes of speech
STRIDE = 3  # frames from one comparison with phones that are not in the transcript to the next
PIECE = 1365 * STRIDE  # frames that are compared at once, where an utterance has too many for all at once
SHORT = 100 * STRIDE  # of a path that is known: fewer frames use fewer pdfs


def best_path(
    frames: Tensor, graph: Graph, model: HmmModel, kernel: str, spans: np.ndarray | None = None
) -> tuple[Path, Evidence]:
    """The best path of an utterance, and what each frame says about it.

    All at once; or in little memory where the scores alone would fill it.

    Parameters
    ----------
    frames : Tensor
        (T, D)
    graph : Graph
    model : HmmModel
    kernel : {'auto', 'numba', 'triton', 'reference'}
    spans : ndarray, optional
        (S, 2) first frame and last + 1 of where the path may be in each state; anywhere unless given.

    Raises
    ------
    NoPath
        If no path is possible.
    """
    if spans is not None:  # every state has scores of its own then
        states = np.arange(len(graph.pdf), dtype=np.int32)
        graph = replace(graph, pdf=states, pdfs=graph.pdfs[graph.pdf])
    arcs, pdfs = Arcs.of(graph), graph.pdfs
    numbers, asked = _asked(graph, model)
    if len(frames) * max(len(asked), len(pdfs)) <= SCORES or kernel not in ("auto", "numba"):
        with stage("scores"):
            scores = model.score(frames, asked)
        with stage("search"):
            path = viterbi(*_columns(arcs, scores, np.searchsorted(asked, pdfs), spans), kernel=kernel)
        with stage("evidence"):
            states = path.states[0].numpy()
            phones = PathPhones.of(graph.node[states], numbers)
            return path, _compared(frames, graph, phones, numbers, model, states, scores.numpy(), asked)

    def score(first: int, last: int, columns: np.ndarray) -> Tensor:
        of = None if spans is None else spans[columns]
        with stage("scores"):
            return _within(model.score(frames[first:last], pdfs[columns]), of, first)

    with stage("search"):
        path = long_path(arcs, score, len(frames))
    with stage("evidence"):
        return path, compared(frames, graph, model, path.states[0].numpy())


def compared(
    frames: Tensor, graph: Graph, model: HmmModel, states: np.ndarray, size: int = PIECE
) -> Evidence:
    """What each of ``frames`` (T, D) says about a path that is known, ``states`` (T,); so many frames at
    once.
    """
    numbers, _ = _asked(graph, model)
    phones, alone, parts = (
        PathPhones.of(graph.node[states], numbers),
        model.topology.alone[np.unique(numbers)],
        [],
    )
    for k in range(0, len(frames), size):
        piece = slice(k, k + size)
        asked = np.union1d(graph.pdfs[graph.pdf[states[piece]]], alone)
        scores = model.score(frames[piece], asked)
        parts.append(
            _compared(
                frames[piece],
                graph,
                phones.within(piece),
                numbers,
                model,
                states[piece],
                scores.numpy(),
                asked,
            )
        )
    return Evidence.concatenated(parts)


def along(frames: Tensor, graph: Graph, model: HmmModel, states: np.ndarray) -> np.ndarray:
    """Scores (T,) of ``frames`` (T, D) under the ``states`` (T,) of a path."""
    parts = []
    for k in range(0, len(frames), SHORT):
        asked, column = np.unique(graph.pdf[states[k : k + SHORT]], return_inverse=True)
        parts.append(
            model.score(frames[k : k + SHORT], graph.pdfs[asked]).numpy()[np.arange(len(column)), column]
        )
    return np.concatenate(parts)


def best_paths(
    frames: Sequence[Tensor], graphs: Sequence[Graph], model: HmmModel, kernel: str
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
    """
    scored = [_scored(x, graph, model) for x, graph in zip(frames, graphs, strict=True)]
    lengths = torch.tensor([len(x) for x in frames])
    width = max(len(s.asked) for s in scored)
    padded = frames[0].new_zeros(len(frames), int(lengths.max()), width, dtype=torch.float32)
    for target, s in zip(padded, scored, strict=True):
        target[: len(s.scores), : len(s.asked)] = s.scores
    arcs = Arcs.of(
        [
            replace(g, pdf=np.searchsorted(s.asked, g.pdfs)[g.pdf].astype(np.int32))
            for g, s in zip(graphs, scored, strict=True)
        ],
        padded.device,
    )
    try:
        path = viterbi(arcs, padded, lengths, kernel)
    except NoPath as error:
        lost = set(error.utterances)
        kept = [k for k in range(len(frames)) if k not in lost]
        rest = iter(
            best_paths([frames[k] for k in kept], [graphs[k] for k in kept], model, kernel) if kept else ()
        )
        return [None if k in lost else next(rest) for k in range(len(frames))]
    states, totals = path.states.cpu(), path.score.cpu()
    found: list[tuple[Path, Evidence] | None] = []
    for b, (x, graph, s, length) in enumerate(zip(frames, graphs, scored, lengths.tolist(), strict=True)):
        own = states[b : b + 1, :length]
        phones = PathPhones.of(graph.node[own[0].numpy()], s.numbers)
        seen = _compared(x, graph, phones, s.numbers, model, own[0].numpy(), s.scores.cpu().numpy(), s.asked)
        found.append((Path(own, totals[b : b + 1]), seen))
    return found


class _Scored(NamedTuple):
    """Scores (T, P) of the pdfs ``asked`` (P,), and the model's ``numbers`` (nodes,) of the phones of a
    graph.
    """

    scores: Tensor
    asked: np.ndarray
    numbers: np.ndarray


def _scored(frames: Tensor, graph: Graph, model: HmmModel) -> _Scored:
    """Of all states of a graph, and of its phones without context."""
    numbers, asked = _asked(graph, model)
    return _Scored(model.score(frames, asked), asked, numbers)


def _asked(graph: Graph, model: HmmModel) -> tuple[np.ndarray, np.ndarray]:
    """The model's number of each node's phone, and the pdfs of a graph and of its phones without context."""
    numbers = np.array([model.topology.number(phone) for phone in graph.phone])
    return numbers, np.union1d(graph.pdfs, model.topology.alone[np.unique(numbers)])


def _columns(
    arcs: Arcs, scores: Tensor, columns: np.ndarray, spans: np.ndarray | None
) -> tuple[Arcs, Tensor]:
    """Arcs and scores (1, T, P) of the graph's own ``columns``; the arcs are told of them, unless scores
    change.
    """
    if spans is not None:
        return arcs, _within(scores[:, columns], spans)[None]
    return arcs._replace(pdf=torch.from_numpy(columns.astype(np.int32))[arcs.pdf.long()]), scores[None]


def _within(scores: Tensor, spans: np.ndarray | None, first: int = 0) -> Tensor:
    """Scores (T, P) of the frames from ``first`` on, -inf where a column's span (P, 2) does not reach."""
    if spans is None:
        return scores
    frame, limits = torch.arange(first, first + len(scores))[:, None], torch.from_numpy(spans)
    return scores.masked_fill((frame < limits[:, 0]) | (frame >= limits[:, 1]), -torch.inf)


def _compared(
    frames: Tensor,
    graph: Graph,
    phones: PathPhones,
    numbers: np.ndarray,
    model: HmmModel,
    states: np.ndarray,
    scores: np.ndarray,
    asked: np.ndarray,
) -> Evidence:
    """Compare a path with all phones.

    Those of the transcript are compared in every frame, by the scores that the search needed anyway; the
    others in every third, for no phone is shorter, and they would double the work.

    Parameters
    ----------
    frames : Tensor
        (T, D): all of an utterance, or a piece of it.
    graph : Graph
    phones : PathPhones
        Of the path in these frames.
    numbers : ndarray
        (nodes,) the model's number of each phone of the graph.
    model : HmmModel
    states : ndarray
        (T,) of the path in these frames.
    scores, asked : ndarray
        (T, P) scores of these frames, and the pdfs (P,) of their columns.
    """
    topology, inside = model.topology, np.unique(numbers)
    others = np.setdiff1d(np.arange(len(topology.alone)), inside)
    rest = np.unique(topology.alone[others])
    rivals = np.empty((len(states), len(topology.alone)), scores.dtype)
    rivals[:, inside] = scores[:, np.searchsorted(asked, topology.alone[inside])].max(2)
    if len(others):
        heard = np.arange(min(1, len(states) - 1), len(states), STRIDE)
        best = (
            model.score(frames[heard], rest)
            .cpu()
            .numpy()[:, np.searchsorted(rest, topology.alone[others])]
            .max(2)
        )
        level = rivals[:, inside].max(1, keepdims=True)  # frames differ in what they give to all phones
        nearest = np.minimum(np.arange(len(states)) // STRIDE, len(heard) - 1)
        rivals[:, others] = (best - level[heard])[nearest] + level
    own = scores[np.arange(len(states)), np.searchsorted(asked, graph.pdfs[graph.pdf[states]])]
    return evidence(own, rivals, phones)
