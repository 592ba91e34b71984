"""The graph of a transcript as flat arrays; `aligner.graph` explains its indices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aligner.types import Pronunciation

NONE = -1  # no predecessor, or no word


@dataclass(frozen=True, kw_only=True)
class Graph:
    """The graph of all ways in which a transcript may be said.

    S states, at most K predecessors each, N nodes, P pdfs.
    """

    pdf: np.ndarray
    """(S,) int32: each state's column in the scores."""
    predecessors: np.ndarray
    """(S, K) int32: where each state may be reached from, itself included; -1 fills the row."""
    weights: np.ndarray
    """(S, K) float32: log weights of those arcs; -inf fills the row."""
    start: np.ndarray
    """(S,) float32: log weight of beginning in each state."""
    final: np.ndarray
    """(S,) float32: log weight of ending in each state."""
    node: np.ndarray
    """(S,) int32: the node that each state belongs to."""
    phone: tuple[str, ...]
    """(N,): each node's phone."""
    word: np.ndarray
    """(N,) int32: the word that each node belongs to; -1 for silence."""
    pdfs: np.ndarray
    """(P,): the model's pdfs behind the columns of the scores."""

    @property
    def shortest(self) -> int:
        """Least number of frames that a path through the graph takes."""
        frames = np.where(np.isfinite(self.start), 1, np.iinfo(np.int64).max // 2)
        for s, row in enumerate(self.predecessors):  # one pass: the order is topological
            before = row[(row != NONE) & (row != s)]
            if len(before):
                frames[s] = min(frames[s], frames[before].min() + 1)
        return int(frames[np.isfinite(self.final)].min())


def check_pronounced(words: Sequence[Sequence[Pronunciation]], what: str) -> None:
    """Raise unless every word has a pronunciation with at least one ``what`` (phone, label)."""
    if not words or not all(words) or not all(p.phones for w in words for p in w):
        raise ValueError(f"every word needs a pronunciation with at least one {what}")


def padded(rows: Sequence[Sequence[tuple[int, float]]]) -> tuple[np.ndarray, np.ndarray]:
    """Turn ragged rows of arcs into two arrays, (S, K) int32 and float32."""
    sizes = np.array([len(r) for r in rows])
    filled = np.arange(sizes.max()) < sizes[:, None]
    predecessors = np.full(filled.shape, NONE, np.int32)
    weights = np.full(filled.shape, -np.inf, np.float32)
    predecessors[filled] = [a for row in rows for a, _ in row]
    weights[filled] = [w for row in rows for _, w in row]
    return predecessors, weights
