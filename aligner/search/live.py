"""The best path while its frames are still coming in.

A frame's state is reported when it is certain, that is when the paths to all states that are still possible
have merged there (Brown, Spohrer, Hochschild and Baker 1982, *Partial traceback and dynamic programming*):
what is reported is then the path of the offline search.  In a graph that is passed from left to right a path
may wait in an early state for ever, and nothing would be certain before the end.  Three things help, alone
or together:

- a ``beam`` drops paths that have fallen so far behind the best that they will not catch up;
- an ``agreement_beam`` asks only the states near the best one to agree;
- with a ``lag``, states are reported at the latest when so many later frames were heard, by the best path of
  the moment.

What was reported too early either binds the search, which then forgets all that is settled and keeps little;
or the search is ``revisable``: nothing reported binds it, in the end its path is that of the offline search,
and where that differs from what was reported, it says so.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from aligner.search.arcs import Arcs, NoPath, check


class Reported(NamedTuple):
    """What a search can report after some frames.

    Examples
    --------
    >>> Reported(3, np.array([5, 5, 6])).states.tolist()      # of frames 3, 4 and 5
    [5, 5, 6]
    """

    first: int
    """The first frame whose state is new or another one than was reported before."""
    states: np.ndarray
    """(n,) int64: the states from that frame on."""


class LiveSearch:
    """The search through one graph for one utterance, frame after frame.

    Parameters
    ----------
    arcs : Arcs
        One graph, whose arcs weigh the same in every frame.
    lag : int, optional
        States are reported at the latest by the call to `advance` that brings so many later frames (those of
        the same call count: longer chunks hear more).  Unless given, there is no such limit.
    beam : float, optional
        How far a state may fall behind the best one, in log weight, before it is dropped at the end of a call
        to `advance`; none is unless given.
    agreement_beam : float, optional
        States are reported when the paths to all states that are within so much of the best one agree on
        them.  Unless given, the paths to all possible states must agree.
    revisable : bool
        Nothing reported binds the search, and what was reported can be revised; all backpointers are kept.

    Attributes
    ----------
    heard, reported : int
        Frames.
    score : float
        Log weight of the path, when it is finished; -inf before.

    Examples
    --------
    >>> arcs = Arcs.dense(torch.tensor([[0.5, 0.5], [0.0, 1.0]]).log(), torch.tensor([1.0, 0.0]).log())
    >>> search = LiveSearch(arcs)
    >>> search.advance(torch.tensor([[0.0, -9.0], [0.0, -1.0]])).states.tolist()      # one frame is certain
    [0]
    >>> search.finish().states.tolist()
    [0]
    >>> round(search.score, 3)
    -0.693

    >>> search = LiveSearch(arcs, agreement_beam=0.5, revisable=True)
    >>> search.advance(torch.tensor([[0.0, -9.0], [0.0, -0.6]])).states.tolist()
    [0, 0]
    >>> search.advance(torch.tensor([[-9.0, 0.0]]))      # the second state began in frame 1 after all
    Reported(first=1, states=array([1, 1]))
    """

    def __init__(
        self,
        arcs: Arcs,
        *,
        lag: int | None = None,
        beam: float | None = None,
        agreement_beam: float | None = None,
        revisable: bool = False,
    ) -> None:
        from aligner.search.band import LiveBand  # numba is slow to import
        from aligner.search.traceback import FrameValues, Traceback

        _check_settings(arcs, lag, {"beam": beam, "agreement beam": agreement_beam})
        self.lag, self.revisable = lag, revisable
        self._agreement_beam = math.inf if agreement_beam is None else agreement_beam
        self._band = LiveBand(arcs, math.inf if beam is None else beam)
        self._traceback = Traceback(self._band.graph, self._band.width)
        self._path = FrameValues(np.int64)
        self._tops = FrameValues(np.float64)  # log weight of the best path to any state, in each frame
        self._last_column = int(self._band.pdf.max())
        self.score, self.heard, self.reported, self._ended = -math.inf, 0, 0, False

    @property
    def states(self) -> np.ndarray:
        """(reported,) int64: the states that were reported, as they are held to be now; of a `revisable`
        search."""
        self._need_all()
        return self._path.between(0, self.reported)

    @property
    def best(self) -> int:
        """The best state of the last frame."""
        return self._band.best

    @property
    def kept(self) -> int:
        """Frames whose backpointers there is room for: what the search keeps in memory."""
        return self._traceback.frames

    @property
    def width(self) -> int:
        """States between the first and the last that may be alive."""
        return len(self._band.sums)

    @property
    def shortfall(self) -> float:
        """How far the best path that has reached the end of the graph is behind the best one; infinite if
        none has.
        """
        if not self.heard:
            return math.inf
        return float(self._top() - self._band.level - self._band.ended()[1])

    def columns(self, frames: int) -> np.ndarray:
        """The columns of the scores that the next ``frames`` frames need: those of states that may be alive
        then.
        """
        return self._band.columns(frames)

    def advance(self, scores: Tensor, columns: np.ndarray | None = None) -> Reported:
        """Hear the next frames, and report what can be reported.

        Parameters
        ----------
        scores : Tensor
            (n, P) log-likelihoods of the next n frames, n from 0.
        columns : ndarray, optional
            The `columns` for n frames, if ``scores`` holds only those.

        Returns
        -------
        Reported

        Raises
        ------
        NoPath
            If no path is left.
        ValueError
            If a score is NaN or their shape does not fit.
        """
        if self._ended:
            raise ValueError("the search has ended: begin a new one")
        if scores.ndim == 2 and not len(scores):
            return self._report(self.reported)
        self._hear(self._checked(scores, columns), columns is None)
        state, agreed = self._agreement()
        if self.lag is not None and max(agreed, self.reported) < self.heard - self.lag:
            until = self.heard - self.lag
            state = int(self._traceback.ancestors(np.array([self.best]), self.heard - 1, until - 1)[0])
            return self._settle(state, until, certain=False)
        if agreed <= self.reported:
            return self._report(self.reported)
        return self._settle(state, agreed, certain=self._agreement_beam == math.inf)

    def finish(self, anywhere: bool = False) -> Reported:
        """Report the states of all frames, for there are no more; `score` is then the path's.

        Parameters
        ----------
        anywhere : bool
            Take the best path of all, which need not have reached the end of the graph.

        Raises
        ------
        NoPath
            If no path has reached a final state (or, where what was reported binds, none that agrees with
            it).
        """
        if self._ended:
            raise ValueError("the search has ended: begin a new one")
        self._ended = True
        if not self.heard:
            raise NoPath([0])
        state, total = (self.best, 0.0) if anywhere else self._band.ended()
        if total == -np.inf:
            raise NoPath([0])
        self.score = self._top() if anywhere else total + self._band.level
        first = self._traceback.write(state, self.heard - 1, self.reported, self._path)
        self.reported = self.heard
        return self._report(first)

    def leading(self) -> np.ndarray:
        """(heard,) int64: the path to the best state of the last frame, reported or not; of a `revisable`
        search."""
        self._need_all()
        return self._traceback.path(self.best, self.heard - 1)

    def stray(self, emitted: np.ndarray) -> float:
        """How far behind the best path of the moment the reported one ever was; of a `revisable` search.

        Parameters
        ----------
        emitted : ndarray
            (reported,) the scores of its states.
        """
        path = self.states
        gained = np.empty(self.reported)
        gained[0] = self._band.start[path[0]]
        steps = zip(path[:-1].tolist(), path[1:].tolist(), strict=True)
        gained[1:] = [self._band.arc_weight(before, state) for before, state in steps]
        return float((self._tops.between(0, self.reported) - np.cumsum(gained + emitted)).max())

    def _checked(self, scores: Tensor, columns: np.ndarray | None) -> np.ndarray:
        """New scores as a float32 array; the graph was looked at in the beginning."""
        fits = scores.ndim == 2 and scores.is_floating_point()
        needed = f"P above {self._last_column}"
        if columns is None:
            fits = fits and scores.shape[1] > self._last_column
        else:
            fits = fits and columns is self.columns(len(scores)) and scores.shape[1] == len(columns)
            needed = "under the columns for n frames"
        if not fits:
            raise ValueError(
                f"scores of shape {tuple(scores.shape)} and type {scores.dtype}; floating numbers (n, P) "
                f"are needed, {needed}"
            )
        values: np.ndarray = scores.detach().float().contiguous().cpu().numpy()
        if not values.max() < np.inf:
            raise ValueError("NaN or +inf among the scores")
        return values

    def _hear(self, scores: np.ndarray, whole: bool) -> None:
        """Take the band through new frames, block by block of backpointers."""
        self._path.make_room(self.heard + len(scores))
        self._tops.make_room(self.heard + len(scores))
        while len(scores):
            lo, hi = self._band.reach(min(len(scores), self._traceback.block_frames))
            block = self._traceback.block(self.heard, hi - lo)
            some = scores[: len(block.rows) - block.used]
            scores, until = scores[len(some) :], self.heard + len(some)
            place = slice(block.used, block.used + len(some))
            tops = self._tops.between(self.heard, until)
            self._band.advance(some, whole, block.rows[place], block.edges[place], tops)
            block.used, self.heard = place.stop, until
        self._band.prune()

    def _top(self) -> float:
        """Log weight of the best path to any state of the last frame."""
        return float(self._tops.between(self.heard - 1, self.heard)[0])

    def _agreement(self) -> tuple[int, int]:
        """The state in which the paths that must agree have merged, and the number of frames that they agree
        on; 0 frames if none beyond the reported ones.
        """
        near = self._band.near(self._agreement_beam)
        states, frame = self._traceback.merge(near, self.heard - 1, self.reported - 1)
        return int(states[0]), frame + 1 if len(states) == 1 and frame >= self.reported else 0

    def _settle(self, state: int, until: int, certain: bool) -> Reported:
        """Report the path that is in ``state`` at frame ``until`` - 1.

        It is ``certain`` if all possible paths agree on it.
        """
        first = self._traceback.write(state, until - 1, self.reported, self._path)
        self.reported = until
        report = self._report(first)
        if not (self.revisable or certain):
            self._bind(state)
        if not self.revisable:
            self._forget()
        return report

    def _bind(self, state: int) -> None:
        """Drop the paths that were not in ``state`` at the last reported frame."""
        alive = self._band.near(math.inf)
        came_from = self._traceback.ancestors(alive, self.heard - 1, self.reported - 1)
        self._band.drop(alive[came_from != state])

    def _forget(self) -> None:
        """Drop what is kept of frames before the last reported one, a block at a time."""
        self._traceback.forget(self.reported)
        kept = min(self._traceback.begin, self.reported - 1)
        if kept > self._path.begin:
            self._path.forget(kept)
            self._tops.forget(kept)

    def _report(self, first: int) -> Reported:
        return Reported(first, self._path.between(first, self.reported).copy())

    def _need_all(self) -> None:
        """Refuse what needs all frames where those that are settled are forgotten."""
        if not self.revisable:
            raise ValueError("a search that is not revisable forgets the states that it has reported")


def _check_settings(arcs: Arcs, lag: int | None, beams: dict[str, float | None]) -> None:
    """Raise ValueError for a graph or settings that a live search cannot take."""
    if len(arcs.pdf) != 1 or arcs.weights.shape[1] != 1:
        raise ValueError("a live search needs one graph whose arcs weigh the same in every frame")
    if lag is not None and lag < 0:
        raise ValueError(f"a lag of {lag} frames; it cannot be negative")
    for name, beam in beams.items():
        if beam is not None and not beam > 0:
            raise ValueError(f"a {name} of {beam}; it must be above 0")
    check(arcs, torch.zeros(1, 1, int(arcs.pdf.max()) + 1), None)
