"""The graph of connectionist temporal classification: labels with blanks between them.

A label takes one frame or more, blanks may stand between any two labels, and must stand between two
that are the same (Graves et al. 2006, section 4.1).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from aligner.graph.flat import NONE, Graph, check_pronounced, padded
from aligner.types import STAR_LABEL, Pronunciation

BLANK = "<blank>"
STAR = STAR_LABEL  # wildcard for anything that is said and not written
STAR_WEIGHT = (
    -12.0
)  # log weight of a wildcard that the transcript does not ask for: few words are as unlikely


@dataclass(frozen=True)
class Alphabet:
    """The columns of a network's posteriors."""

    column: Callable[[str], int | None]
    """Function that gives a phone's or a character's column; None where the network lacks it."""
    blank: int
    """Column of the blank."""
    boundary: int | None = None
    """Column of the label between words, where the network has one; it may be left out."""
    star: int | None = None
    """Column of the wildcard."""

    def of(self, label: str) -> int:
        """Look up a label's column; `STAR` is the wildcard's.

        Raises
        ------
        KeyError
            If there is none.
        """
        found = self.star if label == STAR else self.column(label)
        if found is None:
            raise KeyError(f"no such label: {label}")
        return found


@dataclass
class _Chain:
    """The states of a CTC graph under construction, in topological order; each state is a node of its own."""

    columns: list[int] = field(default_factory=list)
    rows: list[list[tuple[int, float]]] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    words: list[int] = field(default_factory=list)

    def add(self, column: int, label: str, word: int, before: Iterable[tuple[int, float]]) -> int:
        state = len(self.columns)
        self.columns.append(column)
        self.rows.append([(state, 0.0), *before])
        self.labels.append(label)
        self.words.append(word)
        return state

    def except_same(self, column: int, before: Iterable[tuple[int, float]]) -> list[tuple[int, float]]:
        """Drop the states that share the label's column, since the two could not be told apart."""
        return [(s, w) for s, w in before if self.columns[s] != column]


def build(words: Sequence[Sequence[Pronunciation]], alphabet: Alphabet, stars: Sequence[bool] = ()) -> Graph:
    """Build the graph of all label sequences that a network may write for some words.

    Blanks and, where the network has it, the label of a word boundary stand between words.  Variants that
    have the same labels are one.

    Parameters
    ----------
    words : sequence of sequences of Pronunciation
        At least one word, each with at least one pronunciation; the word of the wildcard alone is `STAR`.
    alphabet : Alphabet
    stars : sequence of bool
        Whether the wildcard may stand before each word, and at the end; by default nowhere.

    Returns
    -------
    Graph
        A node for each state; a blank's label is `BLANK`, and its word -1 between words.

    Examples
    --------
    >>> graph = build([[Pronunciation(("a", "a", "b"))]], Alphabet({"a": 0, "b": 1}.get, blank=2))
    >>> " ".join(graph.phone)
    '<blank> a <blank> a <blank> b <blank>'
    >>> graph.shortest
    4
    """
    check_pronounced(words, "label")
    chain, wild = _Chain(), stars or [False] * (len(words) + 1)
    before = _gap(chain, alphabet, [], wild[0])
    start = {0: 0.0} | {s: STAR_WEIGHT if chain.labels[s] == STAR else 0.0 for s, _ in before[1::2]}
    for i, pronunciations in enumerate(words):
        ends: list[tuple[int, float]] = []
        for phones, weight in _distinct(pronunciations, alphabet):
            first = len(chain.columns)
            ends.append((_word(chain, alphabet, i, phones, [(s, w + weight) for s, w in before]), 0.0))
            if i == 0:
                start[first] = weight
        before = [*ends, *_gap(chain, alphabet, ends, wild[i + 1])]
    return _flat(chain, start, {s: 0.0 for s, _ in before})


def _distinct(
    pronunciations: Sequence[Pronunciation], alphabet: Alphabet
) -> list[tuple[tuple[str, ...], float]]:
    """List labels and log weight of the pronunciations that the network can tell apart."""
    found: dict[tuple[int, ...], tuple[tuple[str, ...], float]] = {}
    for p in pronunciations:
        columns = tuple(map(alphabet.of, p.phones))
        weight = math.log(p.probability)
        if columns not in found or weight > found[columns][1]:
            found[columns] = p.phones, weight
    return list(found.values())


def _word(
    chain: _Chain, alphabet: Alphabet, word: int, phones: Sequence[str], before: list[tuple[int, float]]
) -> int:
    """Add one pronunciation behind ``before``, and return its last state."""
    for k, phone in enumerate(phones):
        column = alphabet.of(phone)
        state = chain.add(column, phone, word, chain.except_same(column, before))
        if k + 1 < len(phones):
            before = [(state, 0.0), (chain.add(alphabet.blank, BLANK, word, [(state, 0.0)]), 0.0)]
    return state


def _gap(
    chain: _Chain, alphabet: Alphabet, ends: list[tuple[int, float]], wild: bool
) -> list[tuple[int, float]]:
    """Add the states between two words: a blank, then maybe a boundary or the wildcard, and a blank again."""
    blank = [(chain.add(alphabet.blank, BLANK, NONE, ends), 0.0)]
    states = list(blank)
    star = alphabet.star if wild else None
    for column, label, weight in ((alphabet.boundary, BLANK, 0.0), (star, STAR, STAR_WEIGHT)):
        if column is not None:
            middle = chain.add(column, label, NONE, [(s, w + weight) for s, w in (*ends, *blank)])
            states += [(middle, 0.0), (chain.add(alphabet.blank, BLANK, NONE, [(middle, 0.0)]), 0.0)]
    return states


def _flat(chain: _Chain, start: dict[int, float], final: dict[int, float]) -> Graph:
    predecessors, weights = padded(chain.rows)
    begin, end = (np.full(len(chain.rows), -np.inf, np.float32) for _ in range(2))
    begin[list(start)], end[list(final)] = list(start.values()), list(final.values())
    pdfs, pdf = np.unique(chain.columns, return_inverse=True)
    node = np.arange(len(chain.rows), dtype=np.int32)
    return Graph(
        pdf=pdf.astype(np.int32),
        predecessors=predecessors,
        weights=weights,
        start=begin,
        final=end,
        node=node,
        phone=tuple(chain.labels),
        word=np.asarray(chain.words, np.int32),
        pdfs=pdfs,
    )
