"""The graph of a hidden Markov model: every pronunciation, each phone in the context of its neighbours."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple, Protocol

import numpy as np

from aligner.graph.flat import NONE, Graph, check_pronounced, padded
from aligner.types import Pronunciation

# Log weight of a pause between two words: most words in fluent speech are followed by none, and a
# model's log-likelihoods of frames, which are not independent, are some ten times as great as they should be
PAUSE_WEIGHT = -8.0


class Position(IntEnum):
    """Position of a phone in its word."""

    INTERNAL = 0
    BEGIN = 1
    END = 2
    SINGLE = 3


class Wildcard(NamedTuple):
    """A phone for sound that the transcript lacks, and where it may stand between the words."""

    phone: str
    """Its label; the topology has it."""
    weight: float
    """Log weight of it where it may be left out."""
    places: Sequence[bool]
    """Whether it may stand before each word, and at the end."""


class Unit(NamedTuple):
    """A phone in its context: the pdfs of its states, and its transitions."""

    pdfs: tuple[int, ...]
    """One pdf a state, from left to right."""
    transitions: int
    """Index into the topology's transition matrices."""


class Topology(Protocol):
    """The phones of a model and their states."""

    def knows(self, label: str) -> bool:
        """Whether a dictionary may use this phone."""
        ...

    @property
    def labels(self) -> Sequence[str]:
        """Labels of its phones, silence and noises among them."""
        ...

    @property
    def shortest(self) -> int:
        """Least number of frames that a phone takes."""
        ...

    @property
    def silence(self) -> str:
        """Label of the phone that stands for silence."""
        ...

    @property
    def noises(self) -> tuple[str, ...]:
        """Labels of noise phones, which stand for words such as [laughter]."""
        ...

    @property
    def alone(self) -> np.ndarray:
        """Pdfs (phones, states) of every phone without context, silence and noises among them."""
        ...

    def number(self, label: str) -> int:
        """Row of `alone` that a phone of the dictionary has."""
        ...

    @property
    def transitions(self) -> np.ndarray:
        """Log probabilities (matrices, states, states + 1); the last column leaves the phone."""
        ...

    def unit(self, phone: str, left: str, right: str, position: Position) -> Unit:
        """States and transitions of a phone between two others."""
        ...


class _Plain(dict[str, str]):
    """One label for all that are the same phone to a model, such as a vowel with this stress and that."""

    def __init__(self, topology: Topology) -> None:
        super().__init__()
        self._topology = topology
        self._first: dict[int, str] = {}

    def __missing__(self, label: str) -> str:
        self[label] = self._first.setdefault(self._topology.number(label), label)
        return self[label]


@dataclass(kw_only=True)
class _Net:
    """Nodes (phones in context) and the arcs between them, before they are expanded into states."""

    plain: _Plain
    """What contexts call a phone: stress is a matter of labels and no matter of the graph."""
    units: list[Unit] = field(default_factory=list)
    """The unit of each node."""
    phones: list[str] = field(default_factory=list)
    """The phone of each node."""
    words: list[int] = field(default_factory=list)
    """The word of each node; -1 for silence."""
    before: list[list[tuple[int, float]]] = field(default_factory=list)
    """The predecessors of each node, with the log weights of the arcs from them."""
    start: dict[int, float] = field(default_factory=dict)
    """Log weights of the nodes that a path may begin in."""
    final: dict[int, float] = field(default_factory=dict)
    """Log weights of the nodes that a path may end in."""

    def add(self, unit: Unit, phone: str, word: int, before: Iterable[tuple[int, float]] = ()) -> int:
        self.units.append(unit)
        self.phones.append(phone)
        self.words.append(word)
        self.before.append(list(before))
        return len(self.units) - 1


@dataclass(frozen=True, kw_only=True)
class _Exit:
    """The end of a pronunciation: its last node, the phones that its context expects next, and the
    weights.
    """

    node: int
    """The node of the word's last phone."""
    phone: str
    """That phone's label."""
    follows: frozenset[str]
    """Phones that its context expects next, the silence among them."""
    silence: float | None
    """Log weight of a silence behind the word; None where its pronunciation says nothing of silences."""
    no_silence: float
    """Log weight of no silence behind the word."""


def build(
    words: Sequence[Sequence[Pronunciation]],
    topology: Topology,
    pause_weight: float = 0.0,
    wildcard: Wildcard | None = None,
) -> Graph:
    """Build the graph of all ways in which a sequence of words may be said.

    Each phone stands in the context of its neighbours, across words too; silence is optional between words
    and at both ends.

    Parameters
    ----------
    words : sequence of sequences of Pronunciation
        At least one word, each with at least one pronunciation of at least one phone.
    topology : Topology
    pause_weight : float
        Log weight of a silence between two words, where the pronunciation says nothing of silences; that of
        no silence, and of silences at both ends, is 0.
    wildcard : Wildcard, optional
        A phone for sound that the transcript lacks; it stands between two silences, each of which may be left
        out.

    Returns
    -------
    Graph

    Notes
    -----
    A word's first phone has a copy for each way the word before may end, and its last phone one for
    each way the next may begin; copies that the model cannot tell apart are one.  So the search is exact.
    """
    check_pronounced(words, "phone")
    net = _Net(plain=_Plain(topology))
    silence = topology.silence
    firsts = [frozenset(net.plain[p.phones[0]] for p in w) for w in words] + [frozenset[str]()]
    rests = _rests(net, topology, [], wildcard if wildcard and wildcard.places[0] else None)
    net.start[rests[0]] = 0.0
    if len(rests) > 1:
        assert wildcard is not None
        net.start[rests[1]] = wildcard.weight
    exits: list[_Exit] = []
    for i, pronunciations in enumerate(words):
        found = []
        default_silence = pause_weight if i < len(words) - 1 else 0.0
        for p in pronunciations:
            following = firsts[i + 1] | {silence}
            found += _word(net, topology, p, word=i, exits=exits, rests=rests, follows=following)
        exits = found
        ends = [
            (e.node, default_silence if e.silence is None else e.silence)
            for e in exits
            if silence in e.follows
        ]
        rests = _rests(net, topology, ends, wildcard if wildcard and wildcard.places[i + 1] else None)
    for e in exits:
        net.final[e.node] = e.no_silence
    for rest in rests:
        net.final[rest] = 0.0
    return _states(net, topology)


def _rests(
    net: _Net, topology: Topology, ends: Sequence[tuple[int, float]], wildcard: Wildcard | None
) -> list[int]:
    """Add what may stand behind the ``ends`` of a word: a silence; or the wildcard, with a silence before it
    or not, and behind it or not.

    To begin with the wildcard costs what the silence costs, too, so that the two do not compete.
    """
    quiet = _alone(net, topology, topology.silence, ends)
    if wildcard is None:
        return [quiet]
    wild = _alone(net, topology, wildcard.phone, [(n, w + wildcard.weight) for n, w in (*ends, (quiet, 0.0))])
    return [quiet, wild, _alone(net, topology, topology.silence, [(wild, 0.0)])]


def _alone(net: _Net, topology: Topology, phone: str, before: Sequence[tuple[int, float]]) -> int:
    sil = topology.silence
    return net.add(topology.unit(phone, sil, sil, Position.SINGLE), phone, NONE, before)


def _word(
    net: _Net,
    topology: Topology,
    p: Pronunciation,
    *,
    word: int,
    exits: Sequence[_Exit],
    rests: Sequence[int],
    follows: frozenset[str],
) -> list[_Exit]:
    """Add one pronunciation behind ``exits`` and the silences ``rests``, and return its own exits."""
    plain = tuple(net.plain[phone] for phone in p.phones)
    last = len(plain) - 1
    entries = _entries(p, plain[0], exits, rests, topology.silence)
    opening = _weight(p.probability)
    before: list[tuple[int, float]] = []
    result = []
    for k, phone in enumerate(p.phones):
        lefts = sorted(entries) if k == 0 else [plain[k - 1]]
        rights = sorted(follows) if k == last else [plain[k + 1]]
        nodes = []
        for group, unit, right in _distinct(topology, plain[k], lefts, rights, _position(k, last)):
            arcs = before if k else [(n, w + opening) for left in group for n, w in entries[left]]
            node = net.add(unit, phone, word, arcs)
            if k == 0 and word == 0:
                net.start[node] = opening
            nodes.append(node)
            if k == last:
                result.append(_exit(node, p, plain[k], frozenset(right)))
        before = [(n, 0.0) for n in nodes]
    return result


def _exit(node: int, p: Pronunciation, phone: str, follows: frozenset[str]) -> _Exit:
    """Make the exit of a pronunciation from its last node, of that ``phone``."""
    silence, no_silence = (
        (None, 0.0) if p.silence_after is None else (_weight(p.silence_after), _weight(1.0 - p.silence_after))
    )
    return _Exit(node=node, phone=phone, follows=follows, silence=silence, no_silence=no_silence)


def _position(k: int, last: int) -> Position:
    if last == 0:
        return Position.SINGLE
    return Position.BEGIN if k == 0 else Position.END if k == last else Position.INTERNAL


def _weight(probability: float) -> float:
    return math.log(probability) if probability > 0 else -math.inf


def _entries(
    p: Pronunciation, phone: str, exits: Sequence[_Exit], rests: Sequence[int], silence: str
) -> dict[str, list[tuple[int, float]]]:
    """List the nodes from which a pronunciation, whose first ``phone`` it is, may be reached, by the phone
    before it.
    """
    entries = {silence: [(rest, _weight(p.silence_before)) for rest in rests]}
    for e in exits:
        if phone in e.follows:
            entries.setdefault(e.phone, []).append((e.node, e.no_silence + _weight(p.no_silence_before)))
    return entries


def _distinct(
    topology: Topology, phone: str, lefts: Sequence[str], rights: Sequence[str], position: Position
) -> list[tuple[tuple[str, ...], Unit, tuple[str, ...]]]:
    """List the copies of a phone that the model can tell apart: (left contexts, unit, right contexts).

    Left contexts share copies where they agree on the unit for every right context.
    """
    if len(lefts) == len(rights) == 1:  # as within a word
        return [(tuple(lefts), topology.unit(phone, lefts[0], rights[0], position), tuple(rights))]
    alike: dict[tuple[tuple[Unit, tuple[str, ...]], ...], list[str]] = {}
    for left in lefts:
        by_unit: dict[Unit, list[str]] = {}
        for right in rights:
            by_unit.setdefault(topology.unit(phone, left, right, position), []).append(right)
        alike.setdefault(tuple((u, tuple(r)) for u, r in by_unit.items()), []).append(left)
    return [(tuple(group), unit, right) for units, group in alike.items() for unit, right in units]


class _Arcs(NamedTuple):
    """The arcs inside a phone and out of it, from its transition matrix."""

    inner: list[list[tuple[int, float]]]
    """Per state its (predecessor, log weight) pairs, the self-loop included."""
    leave: list[tuple[int, float]]
    """(state, log weight) pairs of the arcs that leave the phone."""


@lru_cache(maxsize=1024)  # a model has a few, and every utterance asks for most of them
def _arcs(m: tuple[tuple[float, ...], ...], states: int) -> _Arcs:
    inner = [[(a, m[a][b]) for a in range(b + 1) if m[a][b] > -math.inf] for b in range(states)]
    return _Arcs(inner, [(a, m[a][states]) for a in range(states) if m[a][states] > -math.inf])


def _states(net: _Net, topology: Topology) -> Graph:
    """Expand every node into its states."""
    sizes = {u.transitions: len(u.pdfs) for u in net.units}
    matrices = {m: tuple(map(tuple, topology.transitions[m].tolist())) for m in sizes}
    arcs = {m: _arcs(matrices[m], size) for m, size in sizes.items()}
    first = np.cumsum([0] + [len(u.pdfs) for u in net.units]).tolist()
    rows: list[list[tuple[int, float]]] = []
    for unit, base, before in zip(net.units, first, net.before, strict=False):
        inner = arcs[unit.transitions].inner
        rows += [[(base + a, w) for a, w in row] for row in inner]
        for n, w in before:
            rows[base] += [(first[n] + a, w + leave) for a, leave in arcs[net.units[n].transitions].leave]
    start, final = (np.full(len(rows), -np.inf, np.float32) for _ in range(2))
    for n, w in net.start.items():
        start[first[n]] = w
    for n, w in net.final.items():
        for a, leave in arcs[net.units[n].transitions].leave:
            final[first[n] + a] = w + leave
    predecessors, weights = padded(rows)
    pdfs, pdf = np.unique([p for u in net.units for p in u.pdfs], return_inverse=True)
    node = np.repeat(np.arange(len(net.units), dtype=np.int32), [len(u.pdfs) for u in net.units])
    return Graph(
        pdf=pdf.astype(np.int32),
        predecessors=predecessors,
        weights=weights,
        start=start,
        final=final,
        node=node,
        phone=tuple(net.phones),
        word=np.asarray(net.words, np.int32),
        pdfs=pdfs,
    )
