"""The graph of dynamic time warping: a state for each frame of a reference, in their order.

A step from a frame to the next is free; staying in one and leaving one out cost a little, where Itakura
(1975) forbids them.  Every frame of the target counts once, so that paths through different references may be
compared. At the edges of words the target may pause; there it may also have what the reference lacks.

R frames of the reference, N phones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from aligner.graph.flat import NONE, Graph
from aligner.types import SILENCE_LABEL, STAR_LABEL


class StepCosts(NamedTuple):
    """Costs of the arcs of a template's graph."""

    stay: float = 0.3
    """Cost of one more frame of the target for a frame of the reference."""
    skip: float = 0.3
    """Cost of leaving out a frame of the reference."""
    pause: float = 3.0
    """Cost of beginning a pause."""
    star: float = 12.0
    """Cost of beginning what the reference lacks."""


STEPS = StepCosts()
# a model's means are nearer to any speaker than speakers to each other
TRAJECTORY_STEPS = StepCosts(0.05, 0.05, 0.5, 2.0)
WILD_NODES = 3  # a pause, what the reference lacks, and a pause behind that


def build(
    node: np.ndarray,
    phone: Sequence[str],
    word: np.ndarray,
    pause: np.ndarray,
    steps: StepCosts = STEPS,
    wild: np.ndarray | None = None,
) -> Graph:
    """Build the graph of all ways to say a reference's phones, at any pace, with pauses or without.

    The nodes are the phones in order with the pauses between them; no phone is ever left out.  Column r of
    the scores is frame r of the reference, column R the pause's, column R + 1 that of what the reference
    lacks.

    Parameters
    ----------
    node : ndarray
        (R,): the phone of each frame, ascending from 0 to N - 1, each at least once.
    phone : sequence of str
        (N,): labels of the phones.
    word : ndarray
        (N,): the word of each phone.
    pause : ndarray
        (N + 1,) bool: where a pause may stand, before each phone and at the end; first and last are True.
    steps : StepCosts
    wild : ndarray, optional
        (N + 1,) bool: in which of these pauses the target may have what the reference lacks; in none unless
        given.

    Examples
    --------
    >>> graph = build(np.zeros(3, int), ["AH"], np.zeros(1, int), np.array([True, True]))
    >>> graph.phone, graph.pdf.tolist()
    (('', 'AH', ''), [3, 0, 1, 2, 3])
    """
    if not (pause[0] and pause[-1]):
        raise ValueError("no pause at the beginning or at the end; both are needed")
    wild = np.zeros(len(pause), bool) if wild is None else pause & wild
    rows, phones = len(node), len(phone)
    sizes = pause.astype(int) + (WILD_NODES - 1) * wild  # nodes, and states, that stand before each phone
    before = np.cumsum(sizes)
    state = np.arange(rows) + before[node]
    place = np.arange(phones) + before[:-1]  # of each phone among all nodes
    gaps = _Gaps.of(np.append(state[np.searchsorted(node, np.arange(phones))], rows + before[-1]), sizes)
    predecessors, weights = _arcs(node, state, gaps, steps)
    ends = np.full((2, len(weights)), -np.inf, np.float32)
    ends[0, [gaps.pauses[0], state[0]]] = ends[1, [gaps.pauses[-1], state[-1]]] = 0.0
    if wild[0]:
        ends[0, gaps.stars[0]] = -steps.star
    if wild[-1]:
        ends[1, [gaps.stars[-1], gaps.rests[-1]]] = 0.0
    pdf = np.full(len(weights), rows, np.int32)
    pdf[state], pdf[gaps.stars] = np.arange(rows), rows + 1
    nodes = phones + before[-1]
    between = np.setdiff1d(np.arange(nodes), place)
    names = np.full(nodes, SILENCE_LABEL, object)
    names[place] = phone
    owner = np.full(len(weights), -1)
    owner[state] = place[node]
    owner[owner < 0] = between
    names[owner[gaps.stars]] = STAR_LABEL
    return Graph(
        pdf=pdf,
        predecessors=predecessors,
        weights=weights,
        start=ends[0],
        final=ends[1],
        node=owner.astype(np.int32),
        phone=tuple(names),
        word=_placed(between, NONE, place, word),
        pdfs=np.arange(rows + 1 + bool(wild.any())),
    )


class _Gaps(NamedTuple):
    """The states between phones."""

    at: np.ndarray
    """(G,) the phone behind each pause; N for the last."""
    pauses: np.ndarray
    """(G,) the state of each pause."""
    open: np.ndarray
    """(W,) which of the pauses have what the reference lacks behind them."""
    stars: np.ndarray
    """(W,) the state of that."""
    rests: np.ndarray
    """(W,) the state of the pause behind that."""

    @classmethod
    def of(cls, behind: np.ndarray, sizes: np.ndarray) -> _Gaps:
        """Of the states ``behind`` each place (N + 1,), and how many there are in each."""
        at = np.flatnonzero(sizes)
        pauses = (behind - sizes)[at]
        wide = np.flatnonzero(sizes[at] == WILD_NODES)
        return cls(at, pauses, wide, pauses[wide] + 1, pauses[wide] + 2)


def _arcs(
    node: np.ndarray, state: np.ndarray, gaps: _Gaps, steps: StepCosts
) -> tuple[np.ndarray, np.ndarray]:
    """Predecessors and weights (S, K) of all states.

    Parameters
    ----------
    node : ndarray
        (R,): the phone of each frame.
    state : ndarray
        (R,): the state of each frame.
    gaps : _Gaps
    steps : StepCosts
    """
    size = (
        int(gaps.rests[-1] if len(gaps.open) and gaps.open[-1] == len(gaps.at) - 1 else gaps.pauses[-1]) + 1
    )
    width = 6 if len(gaps.open) else 4
    predecessors, weights = (
        np.full((size, width), NONE, np.int32),
        np.full((size, width), -np.inf, np.float32),
    )

    def add(column: int, sources: np.ndarray, targets: np.ndarray, weight: float) -> None:
        predecessors[targets, column], weights[targets, column] = sources, weight

    first = np.append(np.searchsorted(node, gaps.at[:-1]), len(node))  # the frame behind each gap
    whole = (node[:-2] == node[1:-1]) | (node[1:-1] == node[2:])  # the frame between is not all of its phone
    inner, closing = gaps.open[gaps.open > 0], state[first - 1]  # the state before each gap but the first
    opens = gaps.open < len(gaps.at) - 1  # all but the last
    add(0, state, state, -steps.stay)
    add(1, state[:-1], state[1:], 0.0)
    add(2, state[:-2][whole], state[2:][whole], -steps.skip)
    add(3, gaps.pauses[:-1], state[first[:-1]], 0.0)
    add(0, gaps.pauses, gaps.pauses, 0.0)
    add(1, closing[1:], gaps.pauses[1:], -steps.pause)
    for own in (gaps.stars, gaps.rests):
        add(0, own, own, 0.0)
    add(1, gaps.pauses[gaps.open], gaps.stars, -steps.star)
    add(2, closing[inner], gaps.stars[gaps.open > 0], -steps.star - steps.pause)
    add(1, gaps.stars, gaps.rests, 0.0)
    if len(gaps.open):
        target = state[first[gaps.open[opens]]]
        add(4, gaps.stars[opens], target, 0.0)
        add(5, gaps.rests[opens], target, 0.0)
    return predecessors, weights


def _placed(some: np.ndarray, values: np.ndarray | int, others: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """Merge two arrays (int32): ``values`` at the places ``some``, ``rest`` at all ``others``."""
    whole = np.empty(len(some) + len(others), np.int32)
    whole[some], whole[others] = values, rest
    return whole
