"""Viterbi for one utterance on one core; must equal `aligner.search.viterbi.reference`.

Backpointers are the column of the predecessor, one byte each.  Where those of a whole utterance
would fill the memory, time is cut into blocks: the scores of all states are kept at the start of
each, and a block's backpointers are made again when the path is traced through it.
"""

from __future__ import annotations

import math

import numpy as np

from aligner.search.kernels import compiled

MOST_ARCS = 256  # into a state: a backpointer is one byte
WHOLE = 2**28  # bytes of backpointers up to which nothing is computed twice


def block_length(frames: int, states: int) -> int:
    """Frames a block: all of them, or as many as take the least memory (4 bytes a state a block, 1 a frame)."""
    return frames if frames * states <= WHOLE else math.ceil(math.sqrt(4 * frames))


@compiled
def _advance(old, new, first, last, scores, pdf, predecessors, weights, choices):  # type: ignore[no-untyped-def]
    """Take ``old``, the scores at frame ``first`` - 1, to ``last`` - 1; returns (result, scratch).

    Row t - ``first`` of ``choices`` receives frame t's backpointers, if it has rows.
    """
    states, arcs = predecessors.shape
    for t in range(first, last):
        for s in range(states):
            best, choice = np.float32(-np.inf), 0
            for k in range(arcs):
                p = predecessors[s, k]
                if p < 0:
                    break
                arriving = old[p] + weights[s, k]
                if arriving > best:
                    best, choice = arriving, k
            new[s] = best + scores[t, pdf[s]]
            if choices.shape[0]:
                choices[t - first, s] = choice
        old, new = new, old
    return old, new


@compiled
def best_path(scores, pdf, predecessors, weights, start, final, block):  # type: ignore[no-untyped-def]
    """States (T,) and score of the best path; see `aligner.search.viterbi` for the other arguments."""
    frames, states = scores.shape[0], pdf.shape[0]
    blocks = (frames + block - 1) // block
    kept = np.empty((blocks, states), np.float32)  # scores at the first frame of each block
    none = np.empty((0, states), np.uint8)
    now, spare = np.empty(states, np.float32), np.empty(states, np.float32)
    for s in range(states):
        now[s] = start[s] + scores[0, pdf[s]]
        kept[0, s] = now[s]
    for b in range(1, blocks):
        now, spare = _advance(now, spare, (b - 1) * block + 1, b * block + 1, scores, pdf, predecessors, weights, none)
        for s in range(states):  # not kept[b] = now: that takes seconds to compile
            kept[b, s] = now[s]
    path = np.empty(frames, np.int32)
    choices = np.empty((block, states), np.uint8)
    score = np.float32(-np.inf)
    for b in range(blocks - 1, -1, -1):
        first, last = b * block, min((b + 1) * block + 1, frames)
        for s in range(states):
            now[s] = kept[b, s]
        now, spare = _advance(now, spare, first + 1, last, scores, pdf, predecessors, weights, choices)
        if b == blocks - 1:
            path[frames - 1] = 0
            for s in range(states):
                if now[s] + final[s] > score:
                    path[frames - 1], score = s, now[s] + final[s]
        for t in range(last - 1, first, -1):
            path[t - 1] = predecessors[path[t], choices[t - first - 1, path[t]]]
    return path, score
