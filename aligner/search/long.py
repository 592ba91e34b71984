"""The best path through long audio, in little memory: time in blocks, states in a moving band.

Two savings, of different standing:

- Blocks of time cost nothing but time.  Going forward, only the scores at the start of each block
  are kept; going back, each block's backpointers are made again (Grice, Hughey and Speck 1997,
  *Reduced space sequence alignment*).  Where all backpointers fit into the memory set aside for them,
  as those of a band do for hours, they are kept and nothing is made twice.
- A band of states around the best one so far leaves out paths that stray farther.  So the path that
  comes out is checked: where it comes near an edge, the band is doubled and all is done again, until
  it keeps away from the edges or the band holds the whole graph.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from aligner.search.arcs import Arcs, NoPath, Path

BAND_STATES = 2048  # states: nearly half a minute of speech, pronunciation variants included
KEPT_BYTES = 3 * 2**29  # bytes (1.5 GB) of backpointers up to which they are kept
EDGE_SHARE = 8  # a path that comes nearer to an edge than this part of the band is not trusted
LEAST_BLOCK_FRAMES = 512
FRAME_ROUNDING = 1e-4  # of a score a frame in float32: a path is not better for so little

Scorer = Callable[[int, int, np.ndarray], Tensor]


class _Block(NamedTuple):
    """What the forward pass leaves for the way back: frames first to last - 1, states lo to hi - 1.

    Either the scores of the band's states ``before`` frame ``first``, or the packed backpointers of all
    frames.
    """

    first: int
    """First frame."""
    last: int
    """Last frame + 1."""
    lo: int
    """First state."""
    hi: int
    """Last state + 1."""
    before: np.ndarray
    """Sums of the band's states before the first frame, where backpointers are not kept."""
    rows: np.ndarray
    """Packed backpointers of all frames, where they are kept."""


def long_path(
    arcs: Arcs, score: Scorer, frames: int, band: int | None = BAND_STATES, proven: bool = False
) -> Path:
    """The best path of one long utterance, whose scores are asked for piece by piece.

    Parameters
    ----------
    arcs : Arcs
        One graph, states in topological order; the search is in the floating type of its weights.
    score : callable
        ``score(first, last, columns)`` gives the log-likelihoods (last - first, len(columns)) of these frames
        under these columns; without a band every frame is asked for twice, with one about once.
    frames : int
        T.
    band : int or None
        States to begin with; None takes the whole graph, and the path is exact without a check.
    proven : bool
        Whether to prove that no path outside the band weighs more, by a forward pass over the whole graph
        (which needs as little memory, but time as without a band).

    Returns
    -------
    Path
        Of a batch of one.

    Raises
    ------
    NoPath
        If there is none.
    ValueError
        If a score is NaN.

    Examples
    --------
    >>> chain = torch.full((9, 9), -torch.inf)
    >>> chain[range(9), range(9)] = chain[range(8), range(1, 9)] = 0.0
    >>> ends = torch.full((2, 9), -torch.inf)
    >>> ends[0, 0] = ends[1, 8] = 0.0
    >>> scores = torch.eye(9).repeat_interleave(2, 0)
    >>> path = long_path(Arcs.dense(chain, *ends), lambda a, b, columns: scores[a:b, columns], 18)
    >>> path.states[0].tolist()
    [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8]
    """
    if frames < 1 or (band is not None and band < 1):
        raise ValueError(f"{frames} frames in a band of {band} states; at least 1 of each is needed")
    if len(arcs.pdf) != 1 or arcs.weights.shape[1] != 1:
        raise ValueError("a long search needs one graph whose arcs weigh the same in every frame")
    width = arcs.states if band is None else min(band, arcs.states)
    while True:
        search = _Search(arcs, score, frames, width)
        blocks, now, level = search.forward(keep=True)
        found = search.back(blocks, now)
        if found is None and width == arcs.states:
            raise NoPath([0])
        if found is not None and (
            width == arcs.states or not _near_an_edge(found[0], blocks, arcs.states, width)
        ):
            total = found[1] + level
            if (
                width == arcs.states
                or not proven
                or total >= _best_score(arcs, score, frames) - FRAME_ROUNDING * frames
            ):
                return Path(torch.from_numpy(found[0])[None], torch.tensor([total], dtype=torch.float64))
        width = min(2 * width, arcs.states)


def _best_score(arcs: Arcs, score: Scorer, frames: int) -> float:
    """Log weight of the best path through the whole graph."""
    from aligner.search.kernels.viterbi_numba import ended

    search = _Search(arcs, score, frames, arcs.states)
    _, now, level = search.forward(keep=False)
    return float(ended(now, search.final)[1] + level)


def _near_an_edge(path: np.ndarray, blocks: list[_Block], states: int, width: int) -> bool:
    """Whether the path comes near an edge of its band that is not an end of the graph."""
    margin = max(1, width // EDGE_SHARE)
    for block in blocks:
        part = path[block.first : block.last]
        if (block.lo > 0 and part.min() < block.lo + margin) or (
            block.hi < states and part.max() >= block.hi - margin
        ):
            return True
    return False


class _Search:
    """One attempt with a band of a given width."""

    def __init__(self, arcs: Arcs, score: Scorer, frames: int, width: int) -> None:
        from aligner.search.kernels.layout import backpointer_bits, layout  # numba is slow to import

        self.pdf, self.predecessors, self.weights, self.start, self.final = (
            tensor[0].detach().contiguous().numpy() for tensor in arcs
        )
        self.score, self.frames, self.width = score, frames, width
        self.graph = layout(self.predecessors)
        self.bits = backpointer_bits(self.graph)
        self.length = self._block_length()

    def _block_length(self) -> int:
        """Frames a block.  It must not outrun the band; and kept scores and backpointers weigh least together
        so.
        """
        least_memory = math.ceil(
            math.sqrt(32 * self.frames / self.bits)
        )  # 4 bytes a state a block, bits / 8 a frame
        inside = self.width // EDGE_SHARE if self.width < len(self.pdf) else self.frames
        return max(1, min(max(LEAST_BLOCK_FRAMES, least_memory), max(inside, 1), self.frames))

    def forward(self, keep: bool) -> tuple[list[_Block], Any, float]:
        """Block after block; (blocks, scores after the last frame, what was subtracted).

        ``keep`` says whether backpointers are kept if there is room.
        """
        from aligner.search.kernels.viterbi_numba import PAD, new_rows, row_bytes

        now, spare = (np.full(len(self.pdf) + PAD, -np.inf, self.weights.dtype) for _ in range(2))
        blocks, level, lo, hi = [], 0.0, 0, 0
        keep = keep and self.frames * row_bytes(self.width, self.bits) <= KEPT_BYTES
        for first in range(0, self.frames, self.length):
            last = min(first + self.length, self.frames)
            if first:
                center = lo + int(now[lo + PAD : hi + PAD].argmax())
                new_lo, new_hi = self._band(center, lo, hi)
                now[lo + PAD : new_lo + PAD] = -np.inf
                spare[: new_lo + PAD] = -np.inf
                lo, hi = new_lo, new_hi
            else:
                lo, hi = self._band(0, 0, 0)
            rows = new_rows(last - first if keep else 0, hi - lo, self.bits)
            block = _Block(
                first=first,
                last=last,
                lo=lo,
                hi=hi,
                before=now[lo + PAD : lo + PAD if keep else hi + PAD].copy(),
                rows=rows,
            )
            blocks.append(block)
            now, spare, subtracted = self._advance(block, now, spare, rows)
            level += subtracted
        return blocks, now, level

    def _band(self, center: int, lo: int, hi: int) -> tuple[int, int]:
        """States around the best one; never back to where the band has been."""
        lo = max(lo, min(center - self.width // 2, len(self.pdf) - self.width))
        return lo, max(hi, min(len(self.pdf), lo + self.width))

    def _advance(self, block: _Block, now: Any, spare: Any, rows: Any) -> Any:
        from aligner.search.kernels.viterbi_numba import PAD, advance

        columns, local = np.unique(self.pdf[block.lo : block.hi], return_inverse=True)
        pdf = np.zeros_like(self.pdf)
        pdf[block.lo : block.hi] = local
        given = torch.as_tensor(self.score(block.first, block.last, columns))
        scores = given.detach().cpu().contiguous().numpy().astype(self.weights.dtype, copy=False)
        if scores.shape != (block.last - block.first, len(columns)):
            raise ValueError(
                f"the scorer gave scores of shape {scores.shape} for frames {block.first} to "
                f"{block.last - 1}; {(block.last - block.first, len(columns))} is needed"
            )
        if not scores.max() < np.inf:
            raise ValueError(f"NaN or +inf among the scores of frames {block.first} to {block.last - 1}")
        level, first = 0.0, 0
        if block.first == 0:
            emitted = self.start[block.lo : block.hi] + scores[0, pdf[block.lo : block.hi]]
            now[block.lo + PAD : block.hi + PAD] = emitted
            first = 1
        now, spare, level = advance(
            old=now,
            new=spare,
            first=first,
            last=block.last - block.first,
            scores=scores,
            pdf=pdf,
            lo=block.lo,
            hi=block.hi,
            graph=self.graph,
            weights=self.weights,
            rows=rows,
            width=self.bits,
        )
        return now, spare, level

    def back(self, blocks: list[_Block], now: Any) -> tuple[np.ndarray, float] | None:
        """The path (T,) int64 and its score; None where no final state was reached."""
        from aligner.search.kernels.viterbi_numba import PAD, ended, new_rows, trace

        state, total = ended(now, self.final)
        if total == -np.inf:
            return None
        path = np.empty(self.frames, np.int64)
        now, spare = np.empty_like(now), np.empty_like(now)
        for block in reversed(blocks):
            rows = block.rows
            if not len(rows):
                now.fill(-np.inf)
                spare.fill(-np.inf)
                now[block.lo + PAD : block.hi + PAD] = block.before
                rows = new_rows(block.last - block.first, block.hi - block.lo, self.bits)
                self._advance(block, now, spare, rows)
            opening = 1 if block.first == 0 else 0
            state = trace(
                state=state,
                rows=rows,
                opening=opening,
                path=path[block.first : block.last],
                lo=block.lo,
                hi=block.hi,
                width=self.bits,
                graph=self.graph,
            )
        return path, float(total)
