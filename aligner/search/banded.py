"""One search through long audio: forward in a moving band, block after block of frames, and back."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import torch

from aligner.search.arcs import Arcs, Scorer
from aligner.search.kernels.layout import backpointer_bits, layout
from aligner.search.kernels.viterbi_numba import PAD, advance, ended, new_rows, row_bytes, trace

KEPT_BYTES = 3 * 2**29  # bytes (1.5 GB) of backpointers up to which they are kept
EDGE_SHARE = 8  # a path that comes nearer to an edge than this part of the band is not trusted
LEAST_BLOCK_FRAMES = 512  # unless the band is so narrow that a block might outrun it


class Block(NamedTuple):
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


def best_score(arcs: Arcs, score: Scorer, frames: int) -> float:
    """Log weight of the best path through the whole graph."""
    search = BandedSearch(arcs, score, frames, arcs.states)
    _, now, level = search.forward(keep=False)
    return float(ended(now, search.final)[1] + level)


def near_an_edge(path: np.ndarray, blocks: list[Block], states: int, width: int) -> bool:
    """Whether the path comes near an edge of its band that is not an end of the graph."""
    margin = max(1, width // EDGE_SHARE)
    for block in blocks:
        part = path[block.first : block.last]
        if (block.lo > 0 and part.min() < block.lo + margin) or (
            block.hi < states and part.max() >= block.hi - margin
        ):
            return True
    return False


class BandedSearch:
    """One attempt with a band of a given width."""

    def __init__(self, arcs: Arcs, score: Scorer, frames: int, width: int) -> None:
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
        # 4 bytes a state a block, bits / 8 a frame
        least_memory = math.ceil(math.sqrt(32 * self.frames / self.bits))
        inside = self.width // EDGE_SHARE if self.width < len(self.pdf) else self.frames
        return max(1, min(max(LEAST_BLOCK_FRAMES, least_memory), max(inside, 1), self.frames))

    def forward(self, keep: bool) -> tuple[list[Block], Any, float]:
        """Block after block; (blocks, scores after the last frame, what was subtracted).

        ``keep`` says whether backpointers are kept if there is room.
        """
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
            block = Block(
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

    def _advance(self, block: Block, now: Any, spare: Any, rows: Any) -> Any:
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

    def back(self, blocks: list[Block], now: Any) -> tuple[np.ndarray, float] | None:
        """The path (T,) int64 and its score; None where no final state was reached."""
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
