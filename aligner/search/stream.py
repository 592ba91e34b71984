"""The best path while its frames are still coming in.

A frame's state is told when it is certain, that is when the paths to all states that are still
possible have merged there (Brown, Spohrer, Hochschild and Baker 1982, *Partial traceback and dynamic
programming*): the states told are then those of the offline search.  In a graph that is passed from
left to right a path may wait in an early state for ever, and nothing would be certain before the end;
a beam drops paths that have fallen so far behind the best that they will not catch up.  Or, with a
fixed lag, states are told at the latest when so many later frames were heard, by the best path of the
moment.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from aligner.search.arcs import Arcs, NoPath, arrays, check

FIRST = 64  # rows of backpointers to begin with; more are made as they are needed


class Stream:
    """The search through one graph for one utterance, frame after frame.

    Parameters
    ----------
    arcs : Arcs
        One graph, whose arcs weigh the same in every frame.
    lag : int, optional
        States are told at the latest by the call to `advance` that brings so many later frames (those of the
        same call count: longer chunks hear more).  Unless given, states are told as soon as they are certain
        and not before.
    beam : float, optional
        How far a state may fall behind the best one, in log weight, before it is dropped; none is unless
        given.

    Examples
    --------
    >>> arcs = Arcs.dense(torch.tensor([[0.5, 0.5], [0.0, 1.0]]).log(), torch.tensor([1.0, 0.0]).log())
    >>> stream = Stream(arcs)
    >>> stream.advance(torch.tensor([[0.0, -9.0], [0.0, -1.0]])).tolist()
    [0]
    >>> stream.finish().tolist()
    [0]
    >>> round(stream.score, 3)
    -0.693
    """

    def __init__(self, arcs: Arcs, lag: int | None = None, beam: float | None = None) -> None:
        from aligner.search.kernels.layout import backpointer_bits, layout  # numba is slow to import
        from aligner.search.kernels.viterbi_numba import PAD, new_rows

        if len(arcs.pdf) != 1 or arcs.weights.shape[1] != 1:
            raise ValueError("a stream needs one graph whose arcs weigh the same in every frame")
        if lag is not None and lag < 0:
            raise ValueError(f"a lag of {lag} frames; it cannot be negative")
        if beam is not None and not beam > 0:
            raise ValueError(f"a beam of {beam}; it must be above 0")
        check(arcs, torch.zeros(1, 1, int(arcs.pdf.max()) + 1), None)
        self.arcs, self.lag, self.beam = arcs, lag, beam
        given = arrays(
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
        self._pdf, predecessors, self._weights, self._start, self._final = given
        self._graph = layout(predecessors)
        self._width = backpointer_bits(self._graph)
        self._now, self._spare = (np.full(PAD + arcs.states, -np.inf, np.float32) for _ in range(2))
        self._rows = new_rows(FIRST, arcs.states, self._width)
        self.score = -np.inf
        self.heard = self.told = 0
        self._level, self._ended = 0.0, False

    def advance(self, scores: Tensor) -> Tensor:
        """Hear more frames.

        Parameters
        ----------
        scores : Tensor
            (n, P) log-likelihoods of the next n frames, n from 0.

        Returns
        -------
        Tensor
            (m,) int64: the states of the next m frames that were not yet told.

        Raises
        ------
        NoPath
            If no path is left.
        ValueError
            If a score is NaN or their shape does not fit.
        """
        if self._ended:
            raise ValueError("the stream has ended: begin a new one")
        if scores.ndim == 2 and not len(scores):
            return torch.empty(0, dtype=torch.int64)
        self._check(scores)
        self._hear(scores.detach().float().contiguous().cpu().numpy())
        settled = self._merged()
        if self.lag is not None and settled < self.heard - self.lag:
            return self._tell(self.heard - self.lag, self._best())
        return self._tell(settled, None)

    def finish(self) -> Tensor:
        """There are no more frames: the states of those not yet told, and `score` is the path's.

        Raises
        ------
        NoPath
            If no path has reached a final state (or, with a lag, none from the states already told).
        """
        from aligner.search.kernels.viterbi_numba import ended

        if self._ended:
            raise ValueError("the stream has ended: begin a new one")
        self._ended = True
        if not self.heard:
            raise NoPath([0])
        state, total = ended(self._now, self._final)
        if total == -np.inf:
            raise NoPath([0])
        self.score = float(total + self._level)
        return self._tell(self.heard, int(state))

    def _hear(self, scores: np.ndarray) -> None:
        from aligner.search.kernels.viterbi_numba import PAD, advance

        waiting = self.heard - self.told
        while waiting + len(scores) > len(self._rows):
            self._rows = np.concatenate([self._rows, np.empty_like(self._rows)])
        first = 0
        if not self.heard:
            self._now[PAD:] = self._start + scores[0, self._pdf]
            first = 1
        rows = self._rows[waiting + first : waiting + len(scores)]
        self._now, self._spare, level = advance(
            self._now,
            self._spare,
            first,
            len(scores),
            scores,
            self._pdf,
            0,
            self.arcs.states,
            self._graph,
            self._weights,
            rows,
            self._width,
        )
        self._level += level
        self.heard += len(scores)
        most = self._now.max()
        if most == -np.inf:
            raise NoPath([0])
        self._now[PAD:] -= most  # chunks may be shorter than the kernel's own interval
        self._level += float(most)
        if self.beam is not None:
            self._now[self._now < -self.beam] = -np.inf

    def _check(self, scores: Tensor) -> None:
        """Of new scores only: the graph was looked at in the beginning."""
        if scores.ndim != 2 or not scores.is_floating_point() or scores.shape[1] <= self._pdf.max():
            raise ValueError(
                f"scores of shape {tuple(scores.shape)} and type {scores.dtype}; floating numbers (n, P) "
                f"are needed, P above {self._pdf.max()}"
            )
        if bool((scores.isnan() | (scores == torch.inf)).any()):
            raise ValueError("NaN or +inf among the scores")

    def _best(self) -> int:
        from aligner.search.kernels.viterbi_numba import PAD

        return int(self._now.argmax()) - PAD

    def _merged(self) -> int:
        """Up to which frame all paths agree."""
        from aligner.search.kernels.viterbi_numba import PAD, merged

        alive = np.flatnonzero(self._now[PAD:] > -np.inf)
        return self.told + int(
            merged(
                alive,
                self._rows[: self.heard - self.told],
                int(self.told == 0),
                self.arcs.states,
                self._width,
                self._graph,
            )
        )

    def _tell(self, until: int, state: int | None) -> Tensor:
        """States of the frames before ``until``, on the path that is in ``state`` now (any path: they
        agree)."""
        from aligner.search.kernels.viterbi_numba import PAD, coming_from, trace

        if until <= self.told:
            return torch.empty(0, dtype=torch.int64)
        forced = state is not None
        if state is None:
            state = int(np.flatnonzero(self._now[PAD:] > -np.inf)[0])
        waiting = self.heard - self.told
        path = np.empty(waiting, np.int64)
        opening = int(self.told == 0)  # the very first frame has no backpointers, its row holds nothing
        trace(
            state, self._rows[opening:waiting], opening, path, 0, self.arcs.states, self._width, self._graph
        )
        new = path[: until - self.told]
        rest = self._rows[len(new) : waiting]
        if forced:  # what does not come from there is no longer possible
            kept = coming_from(int(new[-1]), self._now, rest, self.arcs.states, self._width, self._graph)
            self._now[PAD:][~kept] = -np.inf
        self._rows[: len(rest)] = rest.copy()
        self.told = until
        return torch.from_numpy(new)


def stream(arcs: Arcs, chunks: Sequence[Tensor], lag: int | None = None, beam: float | None = None) -> Tensor:
    """All states (T,) of a search through ``chunks`` of scores, as `Stream` tells them."""
    search = Stream(arcs, lag, beam)
    return torch.cat([*(search.advance(c) for c in chunks), search.finish()])
