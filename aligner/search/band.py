"""The forward pass of a live search: sums of log weight over the band of states that are alive.

A path cannot be in a state before the arcs lead there, and with a beam, states far behind the best one are
dropped.  What is left lies between a first and a last state: only there is anything computed, and only there
are scores needed.
"""

from __future__ import annotations

import numpy as np

from aligner.search.arcs import Arcs, NoPath, arrays
from aligner.search.kernels.layout import DIAGONALS, backpointer_bits, layout, weigh
from aligner.search.kernels.live_numba import Record, WeighedGraph, advance_band, prune
from aligner.search.kernels.viterbi_numba import PAD, ended

COLUMN_STEP = 64  # states; the band that scores are asked for is rounded to such, so that it seldom changes


class LiveBand:
    """Sums of the best paths to the states that are alive.

    Parameters
    ----------
    arcs : Arcs
        One graph, whose arcs weigh the same in every frame.
    beam : float
        How far a state may fall behind the best one before it is dropped.

    Raises
    ------
    NoPath
        If no path begins anywhere.
    """

    def __init__(self, arcs: Arcs, beam: float) -> None:
        pdf, predecessors, weights, self.start, self._final = arrays(
            arcs.pdf[0],
            arcs.predecessors[0],
            arcs.weights[0].float(),
            arcs.start[0].float(),
            arcs.final[0].float(),
        )
        begins = np.flatnonzero(self.start > -np.inf)
        if not len(begins):
            raise NoPath([0])
        states = len(pdf)
        self.pdf, self.graph, self._beam = pdf, layout(predecessors), beam
        self.width = backpointer_bits(self.graph)
        diagonals = np.empty((DIAGONALS, states), np.float32)
        others = np.empty(len(self.graph.target), np.float32)
        weigh(graph=self.graph, weights=weights[0], lo=0, hi=states, diagonals=diagonals, others=others)
        self._weighed = WeighedGraph(self.graph, diagonals, others, *_reached(predecessors))
        self._codes = np.empty(states, np.uint16 if self.width > 8 else np.uint8)
        self._now, self._spare = (np.full(PAD + states, -np.inf, np.float32) for _ in range(2))
        self._edges = np.array([begins[0], begins[-1] + 1, 0, 0])
        self._begun, self.level = False, 0.0
        self._asked, self._local = (0, 0), np.zeros(states, np.int32)
        self._columns = np.empty(0, np.int64)

    @property
    def first(self) -> int:
        """The first state that may be alive."""
        return int(self._edges[0])

    @property
    def sums(self) -> np.ndarray:
        """Log weight of the best path to each state from `first` on, `level` aside."""
        return self._now[self._edges[0] + PAD : self._edges[1] + PAD]

    @property
    def best(self) -> int:
        """The best state of the last frame."""
        return self.first + int(self.sums.argmax())

    def near(self, beam: float) -> np.ndarray:
        """(n,) the states that are alive and at most ``beam`` behind the best one."""
        sums = self.sums
        near = np.flatnonzero(sums > -np.inf if beam == np.inf else sums >= sums.max() - beam)
        return near + self.first

    def reach(self, frames: int) -> tuple[int, int]:
        """The first state and the last + 1 that may be alive in the next ``frames`` frames."""
        lo, hi = int(self._edges[0]), int(self._edges[1])
        for _ in range(frames - (not self._begun)):
            lo, hi = int(self._weighed.lowest[lo]), int(self._weighed.highest[hi - 1]) + 1
        return lo, hi

    def columns(self, frames: int) -> np.ndarray:
        """The columns of the scores that the next ``frames`` frames need, and maybe some beside them."""
        lo, hi = self.reach(frames)
        asked = lo // COLUMN_STEP * COLUMN_STEP, min(-(-hi // COLUMN_STEP) * COLUMN_STEP, len(self.pdf))
        if asked != self._asked:
            self._asked = asked
            self._columns, self._local[slice(*asked)] = np.unique(
                self.pdf[slice(*asked)], return_inverse=True
            )
        return self._columns

    def advance(
        self, scores: np.ndarray, whole: bool, rows: np.ndarray, edges: np.ndarray, tops: np.ndarray
    ) -> None:
        """Take the sums through all frames of ``scores`` (n, P).

        Parameters
        ----------
        scores : ndarray
            Under all columns if ``whole``, otherwise under those that `columns` gave last.
        whole : bool
        rows, edges, tops : ndarray
            Receive what a traceback needs (see `aligner.search.kernels.live_numba.Record`).

        Raises
        ------
        NoPath
            If no path is left.
        """
        pdf, record = self.pdf if whole else self._local, Record(rows, edges, tops)
        if not self._begun:
            self._begin(scores[0], pdf, record)
            scores, record = scores[1:], Record(*(values[1:] for values in record))
        if not len(scores):
            return
        # by position: names cost numba some microseconds a call, and this runs with every frame
        self._now, self._spare, self.level = advance_band(
            self._now,
            self._spare,
            self._edges,
            scores,
            pdf,
            self._weighed,
            self._codes,
            self.width,
            record,
            self.level,
        )
        if record.tops[-1] == -np.inf:
            raise NoPath([0])

    def _begin(self, scores: np.ndarray, pdf: np.ndarray, record: Record) -> None:
        """Take in the first frame, which has no backpointers."""
        lo, hi = self._edges[:2]
        self._now[lo + PAD : hi + PAD] = self.start[lo:hi] + scores[pdf[lo:hi]]
        record.edges[0], record.tops[0] = (lo, hi), self.sums.max()
        if record.tops[0] == -np.inf:
            raise NoPath([0])
        self._begun = True

    def prune(self) -> None:
        """Drop the states that have fallen farther behind the best one than the beam."""
        if self._beam < np.inf:
            prune(self._now, self._edges, self._beam)

    def drop(self, states: np.ndarray) -> None:
        """Make ``states`` impossible from now on."""
        self._now[states + PAD] = -np.inf

    def ended(self) -> tuple[int, float]:
        """The best state that may end a path, and its sum with the weight of ending, `level` aside: -inf
        where there is none."""
        state, total = ended(self._now, self._final)
        return int(state), float(total)

    def arc_weight(self, before: int, state: int) -> float:
        """Log weight of the best arc from one state to another."""
        graph, diagonals, others = self.graph, self._weighed.diagonals, self._weighed.others
        arcs = range(graph.first[state], graph.first[state + 1])
        direct = [diagonals[state - before, state]] if 0 <= state - before < len(diagonals) else []
        return float(max(direct + [others[e] for e in arcs if graph.source[e] == before]))


def _reached(predecessors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(S,) the first state that those from each one on have arcs to, and the last for those up to each one;
    the state itself counts, too.
    """
    lowest, highest = np.arange(len(predecessors)), np.arange(len(predecessors))
    targets = np.broadcast_to(lowest[:, None].copy(), predecessors.shape)
    exists = predecessors >= 0
    np.minimum.at(lowest, predecessors[exists], targets[exists])
    np.maximum.at(highest, predecessors[exists], targets[exists])
    return np.minimum.accumulate(lowest[::-1])[::-1].copy(), np.maximum.accumulate(highest)
