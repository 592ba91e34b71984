"""The best path through a graph, exactly: no beam, nothing pruned.

`reference` is the recursion as the textbooks have it (Rabiner 1989, eqs. 32-35), never optimised;
the kernels must give the same paths and, to rounding, the same scores.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from aligner.graph import NONE, Graph


class Path(NamedTuple):
    """A path through a graph.

    Attributes
    ----------
    states : ndarray
        (T,) int32: the graph's state in each frame; empty where no path exists.
    score : float
        Its log weight, scores and arcs together; -inf where no path exists.
    """

    states: np.ndarray
    score: float


Kernel = Callable[[Graph, Tensor], Path]


def viterbi(graph: Graph, scores: Tensor, kernel: str = "numba") -> Path:
    """The best path.

    Parameters
    ----------
    graph : Graph
        Of S states.
    scores : Tensor
        (T, P) log-likelihoods of the frames under ``graph.pdfs``.
    kernel : {'numba', 'reference'}

    Returns
    -------
    Path
        Where no path exists (fewer frames than the graph's shortest, or impossible scores) it is
        empty and scores -inf.

    Raises
    ------
    ValueError
        If ``scores`` has another number of columns than the graph has pdfs, no frame, or a NaN.
    """
    _check(graph, scores)
    return KERNELS[kernel](graph, scores)


def reference(graph: Graph, scores: Tensor) -> Path:
    """`viterbi` in plain torch, in the floating type of ``scores``."""
    exists = torch.from_numpy(graph.predecessors) != NONE
    before = torch.from_numpy(graph.predecessors).long().clamp(min=0)
    weights = torch.from_numpy(graph.weights).to(scores.dtype)
    emitted = scores[:, torch.from_numpy(graph.pdf).long()]
    delta = torch.from_numpy(graph.start).to(scores.dtype) + emitted[0]
    choices = []
    for frame in emitted[1:]:
        arriving = torch.where(exists, delta[before] + weights, -torch.inf)
        best, choice = arriving.max(1)
        choices.append(choice)
        delta = best + frame
    ending = delta + torch.from_numpy(graph.final).to(scores.dtype)
    score, state = ending.max(0)
    if not torch.isfinite(score):
        return Path(np.empty(0, np.int32), -np.inf)
    states = [int(state)]
    for choice in reversed(choices):
        states.append(int(before[states[-1], choice[states[-1]]]))
    return Path(np.array(states[::-1], np.int32), float(score))


def _numba(graph: Graph, scores: Tensor) -> Path:
    from aligner.search.kernels.viterbi_numba import MOST_ARCS, best_path, block_length  # numba is slow to import

    if graph.predecessors.shape[1] > MOST_ARCS:
        raise ValueError(f"a state with {graph.predecessors.shape[1]} predecessors; the numba kernel takes {MOST_ARCS}")
    block = block_length(len(scores), len(graph.pdf))
    states, score = best_path(scores.float().contiguous().numpy(), graph.pdf, graph.predecessors, graph.weights,
                              graph.start, graph.final, block)
    return Path(states if np.isfinite(score) else states[:0], float(score))


KERNELS: dict[str, Kernel] = {"numba": _numba, "reference": reference}


def _check(graph: Graph, scores: Tensor) -> None:
    if scores.ndim != 2 or scores.shape[1] != len(graph.pdfs) or not len(scores):
        raise ValueError(f"scores of shape {tuple(scores.shape)}; the graph needs (at least 1, {len(graph.pdfs)})")
    if torch.isnan(scores).any():
        raise ValueError("NaN among the scores")
