"""Phonetic decision trees, which give each state of a phone in its context a pdf.

Every state of every phone has a tree of its own.  Its nodes ask whether the phone before, the phone after, or
the place in the word is in a set; its leaves are pdfs (Young, Odell & Woodland 1994, "Tree-based state tying
for high accuracy acoustic modelling").  A tree of one leaf is a phone without context.

N phones with up to K states, Q questions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate

import numpy as np

from aligner.graph import Position, Unit
from aligner.text.phones import unstressed
from aligner.types import NOISE_LABEL

SILENCE = "sil"
# the phones that every model has, in this order, before those of its dictionary
COMMON_PHONES = (SILENCE, NOISE_LABEL)
STATES, SILENCE_STATES = 3, 5  # a pause is longer than a phone, and no word fits into 50 ms
# subjects of questions: the phone before, the phone after, the place in the word
LEFT, RIGHT, PLACE = range(3)
LEAF = -1


@dataclass(frozen=True, kw_only=True, eq=False)
class Forest:
    """The decision trees of a model, as flat arrays."""

    questions: np.ndarray
    """(Q, max(N, 4)) bool: sets of phones, or of places in the word (see `aligner.graph.Position`)."""
    roots: np.ndarray
    """(N, K) int: root node of each phone's state; -1 beyond its states."""
    about: np.ndarray
    """(nodes,) int: subject of the node's question, LEFT, RIGHT or PLACE."""
    asked: np.ndarray
    """(nodes,) int: row of the node's question; -1 in a leaf."""
    yes: np.ndarray
    """(nodes,) int: next node where the answer is yes; in a leaf, its pdf."""
    no: np.ndarray
    """(nodes,) int: next node where the answer is no."""

    @classmethod
    def untied(cls, sizes: Sequence[int]) -> Forest:
        """Make trees of one leaf for each state of phones with ``sizes`` (N,) states.

        Examples
        --------
        >>> Forest.untied([2, 1]).leaf(1, 0, (0, 0, Position.SINGLE))
        2
        """
        total, most = sum(sizes), max(sizes)
        firsts = list(accumulate(sizes, initial=0))
        roots = np.array(
            [
                [first + k if k < size else -1 for k in range(most)]
                for first, size in zip(firsts, sizes, strict=False)
            ]
        )
        leaves = np.arange(total)
        return cls(
            questions=np.zeros((0, max(len(sizes), len(Position))), bool),
            roots=roots,
            about=np.zeros(total, np.int64),
            asked=np.full(total, LEAF),
            yes=leaves,
            no=np.full(total, LEAF),
        )

    def leaf(self, phone: int, state: int, context: tuple[int, int, int]) -> int:
        """Find the pdf of a phone's state; ``context`` is (phone before, phone after, place in the word)."""
        node = int(self.roots[phone, state])
        while self.asked[node] != LEAF:
            answer = self.questions[self.asked[node], context[self.about[node]]]
            node = int(self.yes[node] if answer else self.no[node])
        return int(self.yes[node])

    @property
    def pdfs(self) -> int:
        """Number of leaves, which is the number of pdfs."""
        return int((self.asked == LEAF).sum())

    def leaves_of(self, phone: int) -> list[int]:
        """The pdfs of all states of a phone, in whatever context.

        Examples
        --------
        >>> Forest.untied([2, 1]).leaves_of(0)
        [1, 0]
        """
        waiting, found = [int(node) for node in self.roots[phone] if node >= 0], []
        while waiting:
            node = waiting.pop()
            if self.asked[node] == LEAF:
                found.append(int(self.yes[node]))
            else:
                waiting += [int(self.yes[node]), int(self.no[node])]
        return found

    @property
    def sizes(self) -> np.ndarray:
        """Number of states of each phone (N,)."""
        sizes: np.ndarray = (self.roots >= 0).sum(1)
        return sizes


@dataclass(frozen=True, kw_only=True, eq=False)
class TreeTopology:
    """Phones whose states are the leaves of trees (see `aligner.graph.Topology`)."""

    phones: tuple[str, ...]
    """`COMMON_PHONES`, then the phones of the dictionary without stress."""
    forest: Forest
    """Decision trees of all states."""
    transitions: np.ndarray
    """(N, K, K + 1): log probabilities; a phone's last state leaves for the column after it."""
    alone: np.ndarray
    """(N, K): pdfs of each phone without context; a phone with fewer states repeats its last."""
    _units: dict[tuple[str, str, str, Position], Unit] = field(default_factory=dict, repr=False)

    @classmethod
    def of_phones(cls, labels: Sequence[str]) -> TreeTopology:
        """Make the topology of phones without context, with which training begins.

        Examples
        --------
        >>> TreeTopology.of_phones(["AA1", "B"]).unit("AA0", "sil", "B", Position.BEGIN).pdfs
        (8, 9, 10)
        """
        phones = (*COMMON_PHONES, *sorted({unstressed(label) for label in labels} - set(COMMON_PHONES)))
        sizes = [SILENCE_STATES] + [STATES] * (len(phones) - 1)
        forest = Forest.untied(sizes)
        return cls(
            phones=phones,
            forest=forest,
            transitions=even_transitions(forest.sizes),
            alone=repeated(forest.roots),
        )

    def __getstate__(self) -> dict[str, object]:
        """Pickle without the tables that can be made again."""
        made = ("_index", "bases")
        return {name: value for name, value in self.__dict__.items() if name not in made} | {"_units": {}}

    @cached_property
    def _index(self) -> dict[str, int]:
        return {phone: i for i, phone in enumerate(self.phones)}

    @property
    def labels(self) -> Sequence[str]:
        """Labels of the phones."""
        return self.phones

    @cached_property
    def bases(self) -> np.ndarray:
        """(pdfs,) number of the phone that each pdf belongs to, those of phones without context included."""
        found = np.zeros(max(self.forest.pdfs, int(self.alone.max()) + 1), np.int64)
        for phone, alone in enumerate(self.alone):
            found[alone] = phone
            found[self.forest.leaves_of(phone)] = phone
        return found

    def knows(self, label: str) -> bool:
        """Whether a dictionary may use this phone, with or without a stress digit."""
        return label not in COMMON_PHONES and (label in self._index or unstressed(label) in self._index)

    def number(self, label: str) -> int:
        """Number of a label among ``phones``; KeyError if it is none of them."""
        found = self._index.get(label)
        return self._index[unstressed(label)] if found is None else found

    @property
    def shortest(self) -> int:
        """Least number of frames that a phone takes."""
        return int(self.forest.sizes.min())

    @property
    def silence(self) -> str:
        """Label of the phone that stands for silence."""
        return SILENCE

    @property
    def noises(self) -> tuple[str, ...]:
        """Labels of noise phones: there is one."""
        return (NOISE_LABEL,)

    def unit(self, phone: str, left: str, right: str, position: Position) -> Unit:
        """States and transitions of ``phone`` between ``left`` and ``right``."""
        key = (phone, left, right, position)
        if key not in self._units:
            number = self.number(phone)
            context = (self.number(left), self.number(right), int(position))
            size = int(self.forest.sizes[number])
            self._units[key] = Unit(tuple(self.forest.leaf(number, k, context) for k in range(size)), number)
        return self._units[key]


def even_transitions(sizes: Sequence[int] | np.ndarray, stay: float = 0.75) -> np.ndarray:
    """Log transitions (N, K, K + 1) from left to right with the same self-loop in all states."""
    return left_to_right(np.full((len(sizes), max(sizes)), stay), sizes)


def left_to_right(stay: np.ndarray, sizes: Sequence[int] | np.ndarray) -> np.ndarray:
    """Log transitions (N, K, K + 1) of states that stay with probability ``stay`` (N, K) or go on."""
    phones, most = stay.shape
    table = np.full((phones, most, most + 1), -np.inf, np.float32)
    each = np.arange(most)
    table[:, each, each], table[:, each, each + 1] = np.log(stay), np.log1p(-stay)
    table[each[None] >= np.asarray(sizes)[:, None]] = -np.inf
    return table


def repeated(roots: np.ndarray) -> np.ndarray:
    """Fill rows of ``roots`` (N, K) beyond a phone's states with the node of its last state."""
    last = (roots >= 0).sum(1, keepdims=True) - 1
    filled: np.ndarray = np.take_along_axis(roots, np.minimum(np.arange(roots.shape[1]), last), 1)
    return filled
