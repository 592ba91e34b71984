"""The graph of dynamic time warping: a state for each frame of a reference, in their order.

A step from a frame to the next is free; staying in one and leaving one out cost a little, where Itakura
(1975) forbids them.  Every frame of the target counts once, so that paths through different references may be
compared. At the edges of words the target may pause.

R frames of the reference, N phones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from aligner.graph.flat import NONE, Graph
from aligner.types import SILENCE_LABEL


class StepCosts(NamedTuple):
    """Costs of the arcs of a template's graph."""

    stay: float = 0.3
    """Cost of one more frame of the target for a frame of the reference."""
    skip: float = 0.3
    """Cost of leaving out a frame of the reference."""
    pause: float = 3.0
    """Cost of beginning a pause."""


STEPS = StepCosts()
# a model's means are nearer to any speaker than speakers to each other
TRAJECTORY_STEPS = StepCosts(0.05, 0.05, 0.5)


def build(
    node: np.ndarray, phone: Sequence[str], word: np.ndarray, pause: np.ndarray, steps: StepCosts = STEPS
) -> Graph:
    """Build the graph of all ways to say a reference's phones, at any pace, with pauses or without.

    The nodes are the phones in order with the pauses between them; no phone is ever left out.  Column r of
    the scores is frame r of the reference, column R the pause's.

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

    Examples
    --------
    >>> graph = build(np.zeros(3, int), ["AH"], np.zeros(1, int), np.array([True, True]))
    >>> graph.phone, graph.pdf.tolist()
    (('', 'AH', ''), [3, 0, 1, 2, 3])
    """
    if not (pause[0] and pause[-1]):
        raise ValueError("no pause at the beginning or at the end; both are needed")
    rows, phones = len(node), len(phone)
    state = np.arange(rows) + np.cumsum(pause)[node]  # a pause stands before the first frame of its phone
    opening = np.searchsorted(node, np.flatnonzero(pause[:-1]))  # the frame behind each pause but the last
    pauses = np.append(state[opening] - 1, rows + len(opening))
    predecessors, weights = _arcs(node, state, opening, pauses, steps)
    ends = np.full((2, len(weights)), -np.inf, np.float32)
    ends[0, [pauses[0], state[0]]] = ends[1, [pauses[-1], state[-1]]] = 0.0
    place = np.arange(phones) + np.cumsum(pause)[:-1]  # of each phone among all nodes
    names = np.full(phones + len(pauses), SILENCE_LABEL, object)
    names[place] = phone
    between = np.flatnonzero(np.isin(np.arange(len(names)), place, invert=True, kind="table"))
    return Graph(
        pdf=_placed(pauses, rows, state, np.arange(rows)),
        predecessors=predecessors,
        weights=weights,
        start=ends[0],
        final=ends[1],
        node=_placed(pauses, between, state, place[node]),
        phone=tuple(names),
        word=_placed(between, NONE, place, word),
        pdfs=np.arange(rows + 1),
    )


def _arcs(
    node: np.ndarray, state: np.ndarray, opening: np.ndarray, pauses: np.ndarray, steps: StepCosts
) -> tuple[np.ndarray, np.ndarray]:
    """Predecessors and weights (S, 4) of all states.

    Parameters
    ----------
    node : ndarray
        (R,): the phone of each frame.
    state : ndarray
        (R,): the state of each frame.
    opening : ndarray
        The frame behind each pause but the last.
    pauses : ndarray
        The states of the pauses.
    steps : StepCosts
    """
    size = pauses[-1] + 1
    predecessors, weights = np.full((size, 4), NONE, np.int32), np.full((size, 4), -np.inf, np.float32)

    def add(column: int, sources: np.ndarray, targets: np.ndarray, weight: float) -> None:
        predecessors[targets, column], weights[targets, column] = sources, weight

    closing = np.append(opening[1:], len(node)) - 1  # the frame before each pause but the first
    whole = (node[:-2] == node[1:-1]) | (node[1:-1] == node[2:])  # the frame between is not all of its phone
    add(0, state, state, -steps.stay)
    add(1, state[:-1], state[1:], 0.0)
    add(2, state[:-2][whole], state[2:][whole], -steps.skip)
    add(3, pauses[:-1], state[opening], 0.0)
    add(0, pauses, pauses, 0.0)
    add(1, state[closing], pauses[1:], -steps.pause)
    return predecessors, weights


def _placed(some: np.ndarray, values: np.ndarray | int, others: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """Merge two arrays (int32): ``values`` at the places ``some``, ``rest`` at all ``others``."""
    whole = np.empty(len(some) + len(others), np.int32)
    whole[some], whole[others] = values, rest
    return whole
