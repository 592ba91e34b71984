"""Graphs and scores that searches are tried on."""

from __future__ import annotations

import itertools

import numpy as np
import torch
from hypothesis import strategies as st

from aligner.graph import NONE
from aligner.search.arcs import Arcs


@st.composite
def cases(draw, longest: int = 5, most_states: int = 4, varying=None):
    """A batch over random graphs: arcs back and forth, some of weight -inf; lengths from 1."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    batch, frames, states = (
        draw(st.integers(1, 3)),
        draw(st.integers(1, longest)),
        draw(st.integers(1, most_states)),
    )
    graphs = draw(st.sampled_from([1, batch]))
    times = frames if (draw(st.booleans()) if varying is None else varying) else 1
    dtype = draw(st.sampled_from([torch.float32, torch.float64]))
    rows = [[[a for a in range(states) if rng.random() < 0.6] for _ in range(states)] for _ in range(graphs)]
    width = max(1, max(len(r) for g in rows for r in g))
    predecessors = torch.tensor([[r + [NONE] * (width - len(r)) for r in g] for g in rows], dtype=torch.int32)
    weights = rng.normal(size=(graphs, times, states, width))
    weights[rng.random(weights.shape) < 0.1] = -np.inf
    start, final = (
        np.where(rng.random((graphs, states)) < 0.7, rng.normal(size=(graphs, states)), -np.inf) for _ in "12"
    )
    pdf = torch.tensor(rng.integers(0, 3, (graphs, states)), dtype=torch.int32)
    arcs = Arcs(pdf, predecessors, *(torch.tensor(v, dtype=dtype) for v in (weights, start, final)))
    scores = rng.normal(size=(batch, frames, 3)) * 2
    scores[rng.random(scores.shape) < 0.05] = -np.inf
    lengths = torch.tensor(rng.integers(1, frames + 1, batch))
    return arcs, torch.tensor(scores, dtype=dtype), lengths


def chain(states: int, stay: float = -0.5, move: float = -1.0) -> Arcs:
    """From left to right, a pdf a state."""
    s = torch.arange(states, dtype=torch.int32)
    ends = torch.full((2, states), -torch.inf)
    ends[0, 0] = ends[1, -1] = 0.0
    weights = torch.tensor([stay, move]).expand(1, 1, states, 2)
    return Arcs(s[None], torch.stack([s, s - 1], 1)[None], weights, ends[:1], ends[1:])


def speech_like(states: int, frames: int, seed: int = 0):
    """Scores that have a path through a chain planted in them, with noise."""
    rng = np.random.default_rng(seed)
    cuts = np.sort(rng.choice(np.arange(1, frames), states - 1, replace=False))
    planted = np.searchsorted(cuts, np.arange(frames), side="right")
    scores = rng.normal(size=(frames, states)).astype(np.float32)
    scores[np.arange(frames), planted] += 6.0
    return torch.from_numpy(scores), planted


def pieces(scores, rng):
    cuts = sorted(rng.integers(0, len(scores) + 1, 6))
    return [scores[a:b] for a, b in itertools.pairwise([0, *cuts, len(scores)])]
