"""Backpointers of a search over bands of states, and the ways back through them.

A frame's backpointers are of the band of states that were alive in it.  They are kept in blocks of frames, so
that a band that grows needs no copy of what is there, and the earliest can be forgotten.

The kernels are called by position: they run with every frame that comes in, and names cost numba some
microseconds a call.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from aligner.search.kernels.layout import Layout
from aligner.search.kernels.live_numba import ancestors, merge_back, write_path
from aligner.search.kernels.viterbi_numba import new_rows, row_bytes

BLOCK_FRAMES = 256  # frames of backpointers that are kept in one piece


@dataclass
class Block:
    """Backpointers of consecutive frames, each of a band of its own."""

    begin: int
    """The first frame."""
    used: int
    """Frames that were heard; there may be room for more."""
    rows: Any
    """(frames, bytes) packed backpointers."""
    edges: Any
    """(frames, 2): the first state and the last + 1 of each band."""


class FrameValues:
    """A number for each frame from ``begin`` on; it grows, and the earliest can be forgotten.

    Parameters
    ----------
    dtype : dtype
        Of the numbers.
    """

    def __init__(self, dtype: Any) -> None:
        self.begin = 0
        self.values = np.empty(BLOCK_FRAMES, dtype)

    def make_room(self, until: int) -> None:
        """Make room for the frames before ``until``."""
        while len(self.values) < until - self.begin:
            self.values = np.concatenate([self.values, np.empty_like(self.values)])

    def between(self, first: int, until: int) -> np.ndarray:
        """A view of frames ``first`` to ``until`` - 1."""
        return self.values[first - self.begin : until - self.begin]

    def forget(self, frame: int) -> None:
        """Drop the numbers of frames before ``frame``."""
        self.values, self.begin = self.values[frame - self.begin :].copy(), frame


class Traceback:
    """Backpointers of the frames that a search has heard.

    Parameters
    ----------
    graph : Layout
        The arcs that the backpointers name.
    width : int
        Bits of a backpointer.
    """

    def __init__(self, graph: Layout, width: int) -> None:
        self._graph, self._width = graph, width
        self._blocks: list[Block] = []
        self._seen, self._stamp = np.full(graph.columns.shape[1], -1), 0
        self.block_frames = BLOCK_FRAMES

    @property
    def frames(self) -> int:
        """Frames whose backpointers there is room for."""
        return sum(len(block.rows) for block in self._blocks)

    @property
    def begin(self) -> int:
        """The first frame whose backpointers are kept."""
        return self._blocks[0].begin if self._blocks else 0

    def block(self, frame: int, states: int) -> Block:
        """The block that frame ``frame``, the next one, belongs into: it holds rows of ``states`` states."""
        block = self._blocks[-1] if self._blocks else None
        need = states if self._width > 8 else row_bytes(states, self._width)
        if block is None or block.used == len(block.rows) or block.rows.shape[1] < need:
            room = min(2 * states, len(self._seen))
            rows = new_rows(self.block_frames, room, self._width)
            block = Block(frame, 0, rows, np.empty((self.block_frames, 2), np.int64))
            self._blocks.append(block)
        return block

    def merge(self, states: np.ndarray, frame: int, until: int) -> tuple[np.ndarray, int]:
        """Follow the paths to ``states`` at ``frame`` back until they merge, or to ``until``; what is left of
        ``states``, which is overwritten, and the frame that it is of.
        """
        count, t, until = len(states), frame, max(until, 0)
        for block in reversed(self._blocks):
            count, t, self._stamp = merge_back(
                states,
                count,
                t,
                max(until, block.begin - 1),
                block.begin,
                block.rows,
                block.edges,
                self._width,
                self._graph,
                self._seen,
                self._stamp,
            )
            if t <= until or count <= 1:
                break
        return states[:count], int(t)

    def ancestors(self, states: np.ndarray, frame: int, until: int) -> np.ndarray:
        """(n,) where the path to each of ``states`` (n,) at ``frame`` was at frame ``until``."""
        found = states.copy()
        for block in reversed(self._blocks):
            frame = ancestors(
                found,
                frame,
                until,
                block.begin,
                block.rows,
                block.edges,
                self._width,
                self._graph,
            )
        return found

    def write(self, state: int, frame: int, known: int, path: FrameValues) -> int:
        """Write the path to ``state`` at ``frame`` into ``path``, whose frames before ``known`` hold one
        already; the first frame that was written, or ``known`` if that is earlier.
        """
        t, met, offset = frame - path.begin, False, path.begin
        for block in reversed(self._blocks):
            if t >= block.begin - offset:
                state, t, met = write_path(
                    state,
                    t,
                    known - offset,
                    path.values,
                    block.begin - offset,
                    block.rows,
                    block.edges,
                    self._width,
                    self._graph,
                )
            if met:
                break
        return int(min(t + offset + 1, known))

    def path(self, state: int, frame: int) -> np.ndarray:
        """(``frame`` + 1,) int64: the whole path to ``state`` at ``frame``."""
        path = FrameValues(np.int64)
        path.make_room(frame + 1)
        self.write(state, frame, 0, path)
        return path.between(0, frame + 1)

    def forget(self, frame: int) -> None:
        """Drop the blocks that hold only backpointers of frames before ``frame``."""
        while len(self._blocks) > 1 and self._blocks[0].begin + self._blocks[0].used <= frame:
            del self._blocks[0]
