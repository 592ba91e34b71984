"""Growing of phonetic decision trees (Young, Odell & Woodland 1994).

The questions are made from the data, too: phones are clustered by how they sound, and every cluster is one
(the way of Kaldi's recipes); so no one needs to know the language.  A question is worth what it adds to the
likelihood of the frames below a node, each side being one Gaussian with a diagonal covariance.

N phones of up to K states, E events: a state of a phone in one context; frames of D dimensions.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch

from aligner.features import CepstralFrontend
from aligner.graph import Position
from aligner.models.markov import MarkovModel
from aligner.models.tree import COMMON_PHONES, LEAF, LEFT, PLACE, SILENCE, Forest, TreeTopology, repeated
from aligner.train.em import (
    Aligned,
    Example,
    ShardTask,
    SpeakerTransforms,
    aligned,
    all_frames_of,
    cepstral_frontend,
    phone_and_state,
    trees_of,
)

# sets of places in the word that a question may be about; INTERNAL is in none of them
POSITION_QUESTIONS = (
    (Position.BEGIN,),
    (Position.END,),
    (Position.SINGLE,),
    (Position.BEGIN, Position.SINGLE),
    (Position.END, Position.SINGLE),
)
CODE_BITS = 12  # bits of each number in an event's code
FIRST_TIED_PHONE = len(COMMON_PHONES)  # phones before this are not split: silence and noise have no context


@dataclass(frozen=True, eq=False)
class ContextSums:
    """Frame sums of each event (a phone's state in one context); they add up."""

    codes: np.ndarray
    """(E,) int, ascending: one code per event (see `event_codes`)."""
    counts: np.ndarray
    """(E,): frames of each event."""
    first: np.ndarray
    """(E, D): sums of the frames."""
    second: np.ndarray
    """(E, D): sums of the squared frames."""

    @classmethod
    def of(cls, codes: np.ndarray, counts: np.ndarray, first: np.ndarray, second: np.ndarray) -> ContextSums:
        """Make sums of rows, some of which belong to the same event."""
        found, place = np.unique(codes, return_inverse=True)
        return cls(found, *(_summed(v, place, len(found)) for v in (counts, first, second)))

    def __add__(self, other: ContextSums) -> ContextSums:
        return ContextSums.of(
            *(
                np.concatenate(pair)
                for pair in (
                    (self.codes, other.codes),
                    (self.counts, other.counts),
                    (self.first, other.first),
                    (self.second, other.second),
                )
            )
        )

    def __len__(self) -> int:
        return len(self.codes)

    @cached_property
    def keys(self) -> np.ndarray:
        """Events (E, 5) int: phone, state, phone before, phone after, place in the word."""
        return np.stack([self.codes >> CODE_BITS * k & (1 << CODE_BITS) - 1 for k in range(4, -1, -1)], 1)


def _summed(values: np.ndarray, place: np.ndarray, size: int) -> np.ndarray:
    """Add up the rows of ``values`` that have the same ``place``."""
    order = np.argsort(place, kind="stable")
    firsts = np.searchsorted(place[order], np.arange(size))
    total: np.ndarray = (
        np.add.reduceat(values[order], firsts, axis=0) if len(values) else np.zeros((size, *values.shape[1:]))
    )
    return total


class FeatureSpace(NamedTuple):
    """A front end with transforms of the speakers."""

    frontend: CepstralFrontend
    """Front end of the frames."""
    voices: SpeakerTransforms
    """What is known of each speaker."""


def frames_in(model: MarkovModel, examples: Sequence[Example], view: FeatureSpace) -> torch.Tensor:
    """Frames (T, D) of utterances in a feature space, one behind the other."""
    other = replace(model, frontend=view.frontend, transform=None)
    return all_frames_of(other, examples, view.voices)


class ShardContexts(NamedTuple):
    """The events of a shard: their sums, and those of each utterance's frames."""

    contexts: ContextSums
    """Sums of every event."""
    events: list[np.ndarray]
    """The event codes (T,) of the frames of each utterance; (0,) of an utterance without a path."""


def shard_contexts(task: ShardTask) -> ShardContexts:
    """Align a shard anew, and sum its frames by event."""
    found = {f.example.id if isinstance(f, Aligned) else f.id: f for f in aligned(task)}
    utterances = [f for f in found.values() if isinstance(f, Aligned)]
    size = cepstral_frontend(task.model).size
    topology = trees_of(task.model)
    events = {a.example.id: event_codes(events_along_path(a, topology)) for a in utterances}
    of = [events.get(e.id, np.zeros(0, np.int64)) for e in task.examples]
    if not utterances:
        return ShardContexts(
            ContextSums(np.zeros(0, np.int64), np.zeros(0), np.zeros((0, size)), np.zeros((0, size))), of
        )
    codes = np.concatenate([events[a.example.id] for a in utterances])
    x = torch.cat([a.frames for a in utterances]).cpu().double().numpy()
    return ShardContexts(ContextSums.of(codes, np.ones(len(codes)), x, np.square(x)), of)


def event_codes(keys: np.ndarray) -> np.ndarray:
    """Pack events (n, 5) into one number each (n,)."""
    code = np.zeros(len(keys), np.int64)
    for column in keys.T:
        code = code << CODE_BITS | column
    return code


def events_along_path(utterance: Aligned, topology: TreeTopology) -> np.ndarray:
    """Events (T, 5) of the frames along an utterance's best path."""
    graph, nodes = utterance.graph, utterance.graph.node[utterance.states]
    starts = np.flatnonzero(np.diff(nodes, prepend=-1))
    inner = phone_and_state(graph, topology)[1][utterance.states]
    phones = np.array([topology.number(graph.phone[n]) for n in nodes[starts]])
    words = graph.word[nodes[starts]]
    silence = topology.number(SILENCE)
    left, right = np.append(silence, phones[:-1]), np.append(phones[1:], silence)
    opens, closes = np.diff(words, prepend=-2) != 0, np.diff(words, append=-2) != 0
    place = np.where(
        opens & closes,
        Position.SINGLE,
        np.where(opens, Position.BEGIN, np.where(closes, Position.END, Position.INTERNAL)),
    )
    segment = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(nodes)))
    return np.stack([phones[segment], inner, left[segment], right[segment], place[segment]], 1)


def phone_questions(events: ContextSums, topology: TreeTopology) -> np.ndarray:
    """Sets of phones that sound alike (Q, N) bool, by agglomerative clustering.

    What phones sound like is their middle state without context; single phones are questions, too.
    """
    speech = events.keys[:, 0] >= FIRST_TIED_PHONE
    middle = (topology.forest.sizes[events.keys[:, 0]] - 1) // 2
    keep = speech & (events.keys[:, 1] == middle)
    total = len(topology.phones)
    own = events.keys[keep, 0]
    n, s, q = (_scattered(v[keep], own, total) for v in (events.counts, events.first, events.second))
    groups = {p: frozenset([p]) for p in range(total) if n[p] > 0}
    sets = [frozenset([p]) for p in range(total)]
    values = {p: (n[p], s[p], q[p]) for p in groups}
    floor = variance_floor(events)
    while len(groups) > 2:
        order = sorted(groups)
        a, b = _most_alike(order, values, floor)
        groups[a] = groups[a] | groups.pop(b)
        one, other = values[a], values.pop(b)
        values[a] = one[0] + other[0], one[1] + other[1], one[2] + other[2]
        sets.append(groups[a])
    table = np.zeros((len(sets), total), bool)
    for row, members in zip(table, dict.fromkeys(sets), strict=False):
        row[list(members)] = True
    return table[table.any(1)]


def _scattered(values: np.ndarray, place: np.ndarray, size: int) -> np.ndarray:
    """Add up rows of ``values`` by their ``place``; places without rows get 0."""
    table = np.zeros((size, *values.shape[1:]))
    np.add.at(table, place, values)
    return table


def _most_alike(
    order: Sequence[int], values: Mapping[int, tuple[np.ndarray, np.ndarray, np.ndarray]], floor: np.ndarray
) -> tuple[int, int]:
    """Find the two clusters whose merging costs the least likelihood."""
    n, s, q = (np.stack([np.asarray(values[p][k]) for p in order]) for k in range(3))
    alone = log_likelihood(n, s, q, floor)
    joined = log_likelihood(n[:, None] + n, s[:, None] + s, q[:, None] + q, floor)
    cost = alone[:, None] + alone - joined
    cost[np.tril_indices(len(order))] = np.inf
    a, b = np.unravel_index(int(cost.argmin()), cost.shape)
    return order[int(a)], order[int(b)]


def variance_floor(events: ContextSums, share: float = 0.01) -> np.ndarray:
    """Least variances (D,): a share of the variance of all frames."""
    n = events.counts.sum()
    mean = events.first.sum(0) / n
    floor: np.ndarray = np.maximum(share * (events.second.sum(0) / n - mean**2), 1e-10)
    return floor


def log_likelihood(n: np.ndarray, first: np.ndarray, second: np.ndarray, floor: np.ndarray) -> np.ndarray:
    """Log-likelihood (...) of frames under their maximum likelihood Gaussian, from sums (..., D).

    Up to what is the same for all ways to divide the frames up.
    """
    safe = np.maximum(n, 1e-10)[..., None]
    variance = np.maximum(second / safe - np.square(first / safe), floor)
    found: np.ndarray = -0.5 * n * np.log(variance).sum(-1)
    return found


class Split(NamedTuple):
    """A node's best question."""

    gain: float
    """Gain in log-likelihood."""
    about: int
    """Subject of the question: LEFT, RIGHT or PLACE."""
    question: int
    """Row of the question among those of its subject."""
    yes: np.ndarray
    """(n,) bool: answer of each of the node's events."""


def best_split(
    events: ContextSums, rows: np.ndarray, answers: Sequence[np.ndarray], floor: np.ndarray, least: float
) -> Split | None:
    """Find the question that adds most likelihood and leaves at least ``least`` frames on either side.

    Parameters
    ----------
    events : ContextSums
    rows : ndarray
        (n,) the events of the node.
    answers : sequence of ndarray
        By what a question is about, the answers (Q, E) bool.
    floor : ndarray
        (D,) least variances.
    least : float
        Frames.
    """
    n, s, q = events.counts[rows], events.first[rows], events.second[rows]
    total = log_likelihood(n.sum(), s.sum(0), q.sum(0), floor)
    best: Split | None = None
    for about, table in enumerate(answers):
        yes = table[:, rows].astype(np.float64)
        a = yes @ n
        fine = (a >= least) & (n.sum() - a >= least)
        if not fine.any():
            continue
        first, second = yes @ s, yes @ q
        gains = (
            log_likelihood(a, first, second, floor)
            + log_likelihood(n.sum() - a, s.sum(0) - first, q.sum(0) - second, floor)
            - total
        )
        gains[~fine] = -np.inf
        k = int(gains.argmax())
        if best is None or gains[k] > best.gain:
            best = Split(float(gains[k]), about, k, table[k, rows])
    return best


def grow(events: ContextSums, topology: TreeTopology, leaves: int, least: float = 100.0) -> TreeTopology:
    """Grow trees of up to ``leaves`` leaves in all, splitting where the gain is greatest.

    Parameters
    ----------
    events : ContextSums
    topology : TreeTopology
        Topology with the phones and the number of their states.
    leaves : int
    least : float
        Frames in a leaf.

    Returns
    -------
    TreeTopology
        Topology whose phones without context are the pdfs after the leaves', with the old transitions.
    """
    sets = phone_questions(events, topology)
    table = _question_table(sets)
    answers = (
        table[: len(sets), events.keys[:, 2]],
        table[: len(sets), events.keys[:, 3]],
        table[len(sets) :, events.keys[:, 4]],
    )
    builder = _Builder(events, answers, variance_floor(events), least, topology.forest.roots.shape)
    for phone, size in enumerate(topology.forest.sizes.tolist()):
        for state in range(size):
            builder.root(phone, state)
    builder.split(leaves)
    forest = builder.forest(table, len(sets))
    states = [(phone, state) for phone, size in enumerate(forest.sizes.tolist()) for state in range(size)]
    alone = np.full(forest.roots.shape, -1)
    for k, (phone, state) in enumerate(states):
        alone[phone, state] = forest.pdfs + k
    return TreeTopology(
        phones=topology.phones, forest=forest, transitions=topology.transitions, alone=repeated(alone)
    )


def _question_table(sets: np.ndarray) -> np.ndarray:
    """All questions as rows (Q, max(N, 4)) bool: about phones (Q', N), then about places in the word."""
    count, phones = sets.shape
    table = np.zeros((count + len(POSITION_QUESTIONS), max(phones, len(Position))), bool)
    table[:count, :phones] = sets
    for row, places in zip(table[count:], POSITION_QUESTIONS, strict=True):
        row[list(places)] = True
    return table


class _Builder:
    """Trees under construction: nodes as lists, and the best split of each leaf in a heap."""

    def __init__(
        self,
        events: ContextSums,
        answers: Sequence[np.ndarray],
        floor: np.ndarray,
        least: float,
        shape: tuple[int, ...],
    ) -> None:
        self._events, self._answers, self._floor, self._least = events, answers, floor, least
        self._roots = np.full(shape, -1)
        self._rows: list[np.ndarray] = []
        self._asked: list[tuple[int, int, int, int]] = []  # about, question, yes, no
        self._waiting: list[tuple[float, int, Split]] = []

    def root(self, phone: int, state: int) -> None:
        keys = self._events.keys
        self._roots[phone, state] = self._leaf(
            np.flatnonzero((keys[:, 0] == phone) & (keys[:, 1] == state)), phone >= FIRST_TIED_PHONE
        )

    def _leaf(self, rows: np.ndarray, may_split: bool = True) -> int:
        self._rows.append(rows)
        self._asked.append((LEFT, LEAF, -1, -1))
        node = len(self._rows) - 1
        split = best_split(self._events, rows, self._answers, self._floor, self._least) if may_split else None
        if split is not None and split.gain > 0:
            heapq.heappush(self._waiting, (-split.gain, node, split))
        return node

    def split(self, leaves: int) -> None:
        """Split leaves by greatest gain until there are ``leaves`` of them."""
        count = len(self._rows)
        while self._waiting and count < leaves:
            _, node, split = heapq.heappop(self._waiting)
            rows = self._rows[node]
            yes, no = self._leaf(rows[split.yes]), self._leaf(rows[~split.yes])
            self._asked[node] = split.about, split.question, yes, no
            count += 1

    def forest(self, table: np.ndarray, places: int) -> Forest:
        """Make the trees flat arrays; questions about places begin at row ``places`` of the table."""
        about, asked, yes, no = np.array(self._asked).T.copy()
        asked = np.where((about == PLACE) & (asked != LEAF), asked + places, asked)
        is_leaf = asked == LEAF
        yes[is_leaf] = np.arange(int(is_leaf.sum()))
        return Forest(questions=table, roots=self._roots, about=about, asked=asked, yes=yes, no=no)


def pdfs_of_events(events: ContextSums, topology: TreeTopology) -> np.ndarray:
    """The pdf (E,) of each event."""
    return np.array(
        [
            topology.forest.leaf(phone, state, (left, right, place))
            for phone, state, left, right, place in events.keys.tolist()
        ],
        np.int64,
    )
