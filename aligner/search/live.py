"""The best path while its frames come in: told early, decided late.

`aligner.search.stream.Stream` tells what is certain and drops what contradicts it.  Here nothing that is
told binds the search.  A frame's state is told when the paths to all states that are near the best one have
merged there (partial traceback, Brown et al. 1982, with a beam for what may still win); states behind that
beam stay in the search all the same.  So in the end the path is the one of the offline search, and what was
told too early can be taken back.

In a long graph states that are hopelessly behind are dropped after all, by a beam that is many times as
wide; `Live.stray` says how near the path that won came to it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aligner.search.arcs import Arcs, NoPath, arrays, check

ROWS = 256  # frames of backpointers that are kept in one piece
CELL = 64  # states; the band that scores are asked for is rounded to such, so that it seldom changes


@dataclass
class _Block:
    """Backpointers of consecutive frames, each of a band of its own."""

    begin: int
    used: int
    rows: Any  # (ROWS, bytes)
    edges: Any  # (ROWS, 2) first state and last + 1


class Live:
    """The search through one graph for one utterance, frame after frame.

    Parameters
    ----------
    arcs : Arcs
        One graph, states in topological order, whose arcs weigh the same in every frame.
    sure : float, optional
        States are told when the paths to all states that are within so much of the best one, in log weight,
        agree on them.  Unless given, all possible states must agree, and what is told is never taken back.
    lag : int, optional
        States are told at the latest when so many later frames were heard, by the best path of the moment.
    beam : float, optional
        How far a state may fall behind the best one before it is dropped; none is unless given.

    Attributes
    ----------
    heard, told : int
        Frames.
    score : float
        Of the path, when it is finished.

    Examples
    --------
    >>> arcs = Arcs.dense(torch.tensor([[0.5, 0.5], [0.0, 1.0]]).log(), torch.tensor([1.0, 0.0]).log())
    >>> live = Live(arcs, sure=0.5)
    >>> live.advance(torch.tensor([[0.0, -9.0], [0.0, -0.6]])[:, live.columns(2)])
    0
    >>> live.states.tolist()                        # the second state is 0.6 behind
    [0, 0]
    >>> live.advance(torch.tensor([[-9.0, 0.0]])[:, live.columns(1)])   # the first frame that is told anew
    1
    >>> live.states.tolist()
    [0, 1, 1]
    """

    def __init__(
        self, arcs: Arcs, sure: float | None = None, lag: int | None = None, beam: float | None = None
    ) -> None:
        from aligner.search.kernels.layout import (
            DIAGONALS,
            backpointer_bits,
            layout,
            weigh,
        )  # numba is slow to import
        from aligner.search.kernels.viterbi_numba import PAD

        if len(arcs.pdf) != 1 or arcs.weights.shape[1] != 1:
            raise ValueError("a live search needs one graph whose arcs weigh the same in every frame")
        if lag is not None and lag < 0:
            raise ValueError(f"a lag of {lag} frames; it cannot be negative")
        for name, value in (("a beam", beam), ("sure at", sure)):
            if value is not None and not value > 0:
                raise ValueError(f"{name} of {value}; it must be above 0")
        check(arcs, torch.zeros(1, 1, int(arcs.pdf.max()) + 1), None)
        self.lag, self.sure = lag, math.inf if sure is None else sure
        self.beam = math.inf if beam is None else beam
        pdf, predecessors, weights, self._start, self._final = arrays(
            *(
                v[0]
                for v in (
                    arcs.pdf,
                    arcs.predecessors,
                    arcs.weights.float(),
                    arcs.start.float(),
                    arcs.final.float(),
                )
            )
        )
        states = len(pdf)
        self._pdf, self._graph = pdf, layout(predecessors)
        self._width = backpointer_bits(self._graph)
        self._ahead = _ahead(predecessors)
        self._weights = (
            np.empty((DIAGONALS, states), np.float32),
            np.empty(len(self._graph.target), np.float32),
        )
        weigh(self._graph, weights[0], 0, states, *self._weights)
        self._codes = np.empty(states, np.uint16 if self._width > 8 else np.uint8)
        self._now, self._spare = (np.full(PAD + states, -np.inf, np.float32) for _ in range(2))
        begins = np.flatnonzero(self._start > -np.inf)
        if not len(begins):
            raise NoPath([0])
        self._band = np.array([begins[0], begins[-1] + 1, 0, 0])
        self._asked, self._local = (0, 0), np.zeros(states, np.int32)
        self._columns = np.empty(0, np.int64)
        self._blocks: list[_Block] = []
        self._path = np.empty(ROWS, np.int64)
        self._tops = np.empty(ROWS)  # score of the best path to any state, in each frame
        self._seen, self._stamp = np.full(states, -1), 0
        self._some = np.empty(states, np.int64)
        self.score, self.heard, self.told, self._level = -math.inf, 0, 0, 0.0

    @property
    def states(self) -> np.ndarray:
        """(told,) int64: the states of the frames that were told, as they are held to be now."""
        return self._path[: self.told]

    @property
    def best(self) -> int:
        """The best state of the last frame."""
        from aligner.search.kernels.viterbi_numba import PAD

        lo, hi = self._band[:2]
        return int(lo + self._now[lo + PAD : hi + PAD].argmax())

    def leading(self) -> np.ndarray:
        """(heard,) int64: the path to the best state of the last frame, told or not."""
        from aligner.search.kernels.live_numba import retrace

        path, state, t = np.empty(self.heard, np.int64), self.best, self.heard - 1
        for block in reversed(self._blocks):
            state, t, _ = retrace(
                state, t, 0, path, block.begin, block.rows, block.edges, self._width, self._graph
            )
        return path

    def columns(self, frames: int) -> np.ndarray:
        """The columns of the scores that the next ``frames`` frames need: those of states that may be alive
        then.
        """
        lo, hi = int(self._band[0]), self._reach(frames)
        asked = lo // CELL * CELL, min(-(-hi // CELL) * CELL, len(self._pdf))
        if asked != self._asked:
            self._asked = asked
            self._columns, self._local[slice(*asked)] = np.unique(
                self._pdf[slice(*asked)], return_inverse=True
            )
        return self._columns

    def _reach(self, frames: int) -> int:
        """The last state, + 1, that may be alive after so many frames more."""
        hi = int(self._band[1])
        for _ in range(frames - (not self.heard)):
            hi = int(self._ahead[hi - 1]) + 1
        return hi

    def advance(self, scores: Tensor) -> int:
        """Hear more frames.

        Parameters
        ----------
        scores : Tensor
            (n, P) log-likelihoods of the next n frames under the `columns` for them.

        Returns
        -------
        int
            The first frame whose told state is new or another one than before: `told` as it was, as a rule.

        Raises
        ------
        NoPath
            If no path is left.
        ValueError
            If a score is NaN or their shape does not fit.
        """
        if not len(scores):
            return self.told
        columns = self.columns(len(scores))
        if scores.shape[1:] != columns.shape:
            raise ValueError(f"scores of shape {tuple(scores.shape)}; (n, {len(columns)}) is needed")
        values = scores.detach().float().contiguous().cpu().numpy()
        if not values.max() < np.inf:
            raise ValueError("NaN or +inf among the scores")
        self._hear(values)
        return self._tell()

    def _hear(self, scores: np.ndarray) -> None:
        from aligner.search.kernels.live_numba import hear

        while len(scores):
            block = self._room(len(scores))
            some, scores = scores[: ROWS - block.used], scores[ROWS - block.used :]
            first = block.used
            if not self.heard:
                self._begin(block, some[0])
                some, first = some[1:], 1
            place, until = slice(first, first + len(some)), block.begin + first + len(some)
            self._now, self._spare, self._level = hear(
                self._now,
                self._spare,
                some,
                self._local,
                self._band,
                self._ahead,
                self.beam,
                self._graph,
                *self._weights,
                self._codes,
                self._width,
                block.rows[place],
                block.edges[place],
                self._tops[until - len(some) : until],
                self._level,
            )
            block.used, self.heard = place.stop, until
            if self._tops[until - 1] == -np.inf:
                raise NoPath([0])

    def _begin(self, block: _Block, scores: np.ndarray) -> None:
        from aligner.search.kernels.viterbi_numba import PAD

        lo, hi = self._band[:2]
        self._now[lo + PAD : hi + PAD] = self._start[lo:hi] + scores[self._local[lo:hi]]
        block.edges[0], self._tops[0] = (lo, hi), self._now.max()
        if self._tops[0] == -np.inf:
            raise NoPath([0])

    def _room(self, frames: int) -> _Block:
        """The last block, or a new one where it is full or too narrow; and room for the path."""
        from aligner.search.kernels.viterbi_numba import new_rows, row_bytes

        for name in ("_path", "_tops"):
            while len(getattr(self, name)) < self.heard + frames:
                setattr(self, name, np.concatenate([getattr(self, name), np.empty_like(getattr(self, name))]))
        block = self._blocks[-1] if self._blocks else None
        states = self._reach(min(frames, ROWS)) - int(self._band[0])
        need = states if self._width > 8 else row_bytes(states, self._width)
        if block is None or block.used == ROWS or block.rows.shape[1] < need:
            room = min(2 * states, len(self._pdf))
            block = _Block(self.heard, 0, new_rows(ROWS, room, self._width), np.empty((ROWS, 2), np.int64))
            self._blocks.append(block)
        return block

    def _tell(self) -> int:
        """Tell what can be told; the first frame that is new or changed."""
        from aligner.search.kernels.viterbi_numba import PAD

        lo, hi = self._band[:2]
        now = self._now[lo + PAD : hi + PAD]
        near = np.flatnonzero(now > -np.inf if self.sure == math.inf else now >= now.max() - self.sure)
        self._some[: len(near)] = near + lo
        count, t = self._back(len(near), self.told - 1, 1)
        if count == 1 and t >= self.told:
            return self._settle(int(self._some[0]), t)
        if self.lag is not None and self.heard - self.lag > self.told:
            self._some[0] = self.best
            _, t = self._back(1, self.heard - self.lag - 1, 0)
            return self._settle(int(self._some[0]), t)
        return self.told

    def _back(self, count: int, until: int, enough: int) -> tuple[int, int]:
        """Follow ``_some[:count]`` back from the last frame; how many are left, and in which frame."""
        from aligner.search.kernels.live_numba import back

        t, until = self.heard - 1, max(until, 0)
        for block in reversed(self._blocks):
            count, t, self._stamp = back(
                self._some,
                count,
                t,
                max(until, block.begin - 1),
                enough,
                block.begin,
                block.rows,
                block.edges,
                self._width,
                self._graph,
                self._seen,
                self._stamp,
            )
            if t <= until or count <= enough:
                break
        return int(count), int(t)

    def _settle(self, state: int, t: int) -> int:
        """Tell the path that is in ``state`` at frame ``t``."""
        from aligner.search.kernels.live_numba import retrace

        known, self.told, met = self.told, t + 1, False
        for block in reversed(self._blocks):
            if t >= block.begin:
                state, t, met = retrace(
                    state,
                    t,
                    known,
                    self._path,
                    block.begin,
                    block.rows,
                    block.edges,
                    self._width,
                    self._graph,
                )
            if met:
                break
        return int(min(t + 1, known))

    @property
    def lacking(self) -> float:
        """How far the best path that has reached the end of the graph is behind the best one; infinite if
        none has.
        """
        from aligner.search.kernels.viterbi_numba import ended

        if not self.heard:
            return math.inf
        return float(self._tops[self.heard - 1] - self._level - ended(self._now, self._final)[1])

    def finish(self, anywhere: bool = False) -> int:
        """There are no more frames: tell the states of all.

        Parameters
        ----------
        anywhere : bool
            Take the best path of all, which need not have reached the end of the graph.

        Returns
        -------
        int
            The first frame whose told state is new or another one than before.

        Raises
        ------
        NoPath
            If no path has reached a final state.
        """
        from aligner.search.kernels.viterbi_numba import ended

        if not self.heard:
            raise NoPath([0])
        state, total = (self.best, 0.0) if anywhere else ended(self._now, self._final)
        if total == -np.inf:
            raise NoPath([0])
        self.score = float(self._tops[self.heard - 1]) if anywhere else float(total + self._level)
        return self._settle(int(state), self.heard - 1)

    def stray(self, emitted: np.ndarray) -> float:
        """How far behind the best path of the moment the one that is told ever was.

        Parameters
        ----------
        emitted : ndarray
            (told,) the scores of its states.
        """
        path = self.states
        gained = np.empty(self.told)
        gained[0] = self._start[path[0]]
        gained[1:] = [self._weight(a, b) for a, b in zip(path[:-1].tolist(), path[1:].tolist(), strict=True)]
        return float((self._tops[: self.told] - np.cumsum(gained + emitted)).max())

    def _weight(self, before: int, state: int) -> float:
        diagonals, others = self._weights
        arcs = range(self._graph.first[state], self._graph.first[state + 1])
        direct = [diagonals[state - before, state]] if 0 <= state - before < len(diagonals) else []
        return float(max(direct + [others[e] for e in arcs if self._graph.source[e] == before]))


def _ahead(predecessors: np.ndarray) -> np.ndarray:
    """(S,) the last state that any state up to each may lead to."""
    states, most = np.arange(len(predecessors)), np.arange(len(predecessors))
    targets = np.broadcast_to(states[:, None], predecessors.shape)
    np.maximum.at(most, predecessors[predecessors >= 0], targets[predecessors >= 0])
    return np.maximum.accumulate(most)
